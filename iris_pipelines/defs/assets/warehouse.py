"""BigQuery: the event log day by day, and the marts, so that analysts find the same numbers there."""

import warnings
from collections.abc import Mapping
from typing import Any

import dagster as dg

from iris_pipelines.defs.assets.event_log import EVENT_LOG
from iris_pipelines.defs.assets.exports import EXPORT_KEYS, dates, export_metadata
from iris_pipelines.defs.resources import DatabaseResource, WarehouseResource
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.bigquery import EXPORT as BIGQUERY
from iris_pipelines.exports.bigquery import export_day_to_bigquery
from iris_pipelines.exports.marts import export_marts_to_bigquery

MARTS = dg.AssetKey(["exports", "marts_bigquery"])


def events_in_bigquery(closed_days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset whose partitions are the days of the table `events`."""

    def loaded_days(
        context: dg.AssetExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        warehouse: dg.ResourceParam[WarehouseResource],
    ) -> None:
        for day in dates(Window(*context.partition_time_window)):
            done = export_day_to_bigquery(database.get(), warehouse.get(), day)
            context.add_asset_metadata(export_metadata(done), partition_key=f"{day:%Y-%m-%d}")

    with warnings.catch_warnings():
        # dagster-dbt gives its assets this policy too, without the warning.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return dg.asset(
            key=EXPORT_KEYS[BIGQUERY],
            deps=[EVENT_LOG],
            partitions_def=closed_days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name="exports",
            owners=["team:data"],
            kinds={"bigquery"},
            description="The table `events`, partitioned by day and clustered by tenant and event type. A load job "
            "replaces a day as a whole: after ten runs, or a killed one, it is there once.",
        )(loaded_days)


def marts_in_bigquery(manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """The asset that holds a copy of every mart."""

    def loaded_marts(
        context: dg.AssetExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        warehouse: dg.ResourceParam[WarehouseResource],
    ) -> dg.MaterializeResult[None]:
        loaded = export_marts_to_bigquery(database.get(), warehouse.get())
        rows = [f"| {mart.name} | {mart.row_count:,} |" for mart in loaded]
        table = "\n".join(["| mart | rows |", "| --- | ---: |", *rows])
        context.log.info(f"loaded {len(loaded)} marts")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(mart.row_count for mart in loaded),
                "marts": dg.MetadataValue.md(table),
            }
        )

    return dg.asset(
        key=MARTS,
        deps=[_key(node) for node in manifest["nodes"].values() if _is_mart(node)],
        group_name="exports",
        owners=["team:data"],
        kinds={"bigquery"},
        description="A copy of every mart of the schema `analytics`, each replaced as a whole by a load job.",
    )(loaded_marts)


def _is_mart(node: Mapping[str, Any]) -> bool:
    return bool(node["resource_type"] == "model" and node["fqn"][1] == "marts")


def _key(node: Mapping[str, Any]) -> dg.AssetKey:
    return dg.AssetKey([node["schema"], node["alias"]])
