"""Days past their retention: Parquet files, and no more events in the database."""

import warnings
from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from iris_pipelines.defs.assets.event_log import EVENT_LOG
from iris_pipelines.defs.assets.exports import dates
from iris_pipelines.defs.resources import Archive, Clock, DatabaseResource
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.archive import archive_day
from iris_pipelines.exports.archived_files import ArchivedFile
from iris_pipelines.exports.retention import plan_retention

ARCHIVED_EVENTS = dg.AssetKey(["archive", "events"])


def archived_events(closed_days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset whose partitions are the days that were archived."""

    def archived_days(
        context: dg.AssetExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        archive: dg.ResourceParam[Archive],
        clock: dg.ResourceParam[Clock],
    ) -> None:
        db = database.get()
        planned = plan_retention(db, default_days=archive.retention_days, now=clock.now())
        going = {day.date: day.events for day in planned}
        for day in dates(Window(*context.partition_time_window)):
            files = archive_day(db, archive.url, archive.environment, day, going[day]) if day in going else []
            context.add_asset_metadata(archive_metadata(files), partition_key=f"{day:%Y-%m-%d}")

    with warnings.catch_warnings():
        # dagster-dbt gives its assets this policy too, without the warning.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return dg.asset(
            key=ARCHIVED_EVENTS,
            deps=[EVENT_LOG],
            partitions_def=closed_days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name="archive",
            owners=["team:data"],
            kinds={"parquet"},
            description="What is past its retention, as one Parquet file for each tenant and UTC day, compared with "
            "the event log before it is dropped there. Of days that are kept, nothing is taken. A rebuild restores its "
            "days first.",
        )(archived_days)


def archived_announcement(day: date, files: Sequence[ArchivedFile]) -> dg.AssetMaterialization:
    """What Dagster is told of a day that was archived outside of the asset."""
    return dg.AssetMaterialization(ARCHIVED_EVENTS, partition=f"{day:%Y-%m-%d}", metadata=archive_metadata(files))


def archive_metadata(files: Sequence[ArchivedFile]) -> dict[str, Any]:
    """What a data engineer wants to see of an archived day."""
    return {
        "tenants": len(files),
        "dagster/row_count": sum(file.facts.row_count for file in files),
        "bytes": sum(file.bytes for file in files),
    }
