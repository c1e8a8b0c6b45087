"""The event log as files: a file for each closed UTC day, for whoever reads it without this database."""

import warnings
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import dagster as dg

from iris_pipelines.defs.assets.event_log import EVENT_LOG
from iris_pipelines.defs.resources import DatabaseResource
from iris_pipelines.domain.windows import DAY, Window
from iris_pipelines.exports.bigquery import EXPORT as BIGQUERY
from iris_pipelines.exports.events import Destination, Export, ExportedDay, export_day

_DESCRIPTIONS = {
    Export.NDJSON: "One NDJSON file for each UTC day, as a warehouse loads it: "
    "`analytics/analytics_YYYY-MM-DD.ndjson` at IRIS_EXPORT_URL. A day is written anew when late events change it.",
    Export.PARQUET: "The same days and fields as Parquet, partitioned by date, for DuckDB, Spark or BigQuery: "
    "`analytics/parquet/date=YYYY-MM-DD/events.parquet` at IRIS_EXPORT_URL.",
}
_KINDS = {Export.NDJSON: "json", Export.PARQUET: "parquet"}
EXPORT_KEYS = {export.value: dg.AssetKey(["exports", export.value]) for export in Export}
EXPORT_KEYS[BIGQUERY] = dg.AssetKey(["exports", BIGQUERY])
"""By what the export is called."""
FILE_KEYS = [EXPORT_KEYS[export] for export in Export]


def export_assets(closed_days: dg.DailyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """The daily exports to files."""
    return [_export_asset(export, closed_days) for export in Export]


def _export_asset(export: Export, closed_days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    def exported_days(
        context: dg.AssetExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        exports: dg.ResourceParam[Destination],
    ) -> None:
        for day in dates(Window(*context.partition_time_window)):
            done = export_day(database.get(), export, exports, day)
            context.add_asset_metadata(export_metadata(done), partition_key=f"{day:%Y-%m-%d}")

    with warnings.catch_warnings():
        # dagster-dbt gives its assets this policy too, without the warning.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return dg.asset(
            key=EXPORT_KEYS[export],
            deps=[EVENT_LOG],
            partitions_def=closed_days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name="exports",
            owners=["team:data"],
            kinds={_KINDS[export]},
            description=_DESCRIPTIONS[export],
        )(exported_days)


def dates(window: Window) -> list[date]:
    """The UTC days of a window."""
    return [each.start.date() for each in window.split(DAY)]


def export_metadata(day: ExportedDay) -> dict[str, Any]:
    """What a data engineer wants to see of an exported day."""
    return {
        "url": day.url,
        "dagster/row_count": day.row_count,
        "bytes": day.bytes,
        "sha256": day.sha256,
        "version": day.version,
        **_instants(min_timestamp=day.min_timestamp, max_timestamp=day.max_timestamp),
    }


def _instants(**instants: datetime | None) -> Mapping[str, str]:
    return {name: instant.isoformat() for name, instant in instants.items() if instant is not None}


def announcement(day: ExportedDay) -> dg.AssetMaterialization:
    """What Dagster is told of a day that was exported outside of the asset."""
    return dg.AssetMaterialization(
        EXPORT_KEYS[day.export], partition=f"{day.date:%Y-%m-%d}", metadata=export_metadata(day)
    )
