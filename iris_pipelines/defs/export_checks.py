"""Checks between the event log and what was exported of it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

import dagster as dg

from iris_pipelines.defs.assets.exports import EXPORT_KEYS, dates
from iris_pipelines.defs.resources import DatabaseResource, WarehouseResource
from iris_pipelines.domain.windows import DAY, Window
from iris_pipelines.exports.bigquery import EXPORT as BIGQUERY
from iris_pipelines.exports.events import Destination, Export
from iris_pipelines.exports.targets import Target, file_target, warehouse_target
from iris_pipelines.exports.verification import ComparedDay, exported_days

NAME = "the_warehouse_equals_the_event_log"
_NEWEST_DAYS = 7


def export_checks() -> list[dg.AssetChecksDefinition]:
    """The checks that read what was exported back and compare it with the event log."""
    return [*(_file_check(export) for export in Export), _warehouse_check()]


def _file_check(export: Export) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=EXPORT_KEYS[export],
        name=NAME,
        blocking=True,
        description="Rows and SHA-256 of every exported day are those of the event log, and the file is what was "
        "written. Days that got events since are left out: they are due again.",
    )
    def the_files_equal_the_event_log(
        context: dg.AssetCheckExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        exports: dg.ResourceParam[Destination],
    ) -> dg.AssetCheckResult:
        return _compared(context, database, file_target(export, exports))

    return the_files_equal_the_event_log


def _warehouse_check() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=EXPORT_KEYS[BIGQUERY],
        name=NAME,
        blocking=True,
        description="Rows and a checksum of every exported day, counted by BigQuery, are those of the event log. "
        "Days that got events since are left out: they are due again.",
    )
    def the_table_equals_the_event_log(
        context: dg.AssetCheckExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        warehouse: dg.ResourceParam[WarehouseResource],
    ) -> dg.AssetCheckResult:
        return _compared(context, database, warehouse_target(warehouse.get()))

    return the_table_equals_the_event_log


def _compared(
    context: dg.AssetCheckExecutionContext, database: DatabaseResource, target: Target
) -> dg.AssetCheckResult:
    db = database.get()
    # A run of the check alone, from the UI, has no partitions.
    days = days_of_run(context.run.tags) or exported_days(db, target.export, target.url, newest=_NEWEST_DAYS)
    compared = target.compare(db, days)
    return dg.AssetCheckResult(passed=is_equal(compared), metadata=compared_metadata(compared))


def days_of_run(tags: Mapping[str, str]) -> list[date]:
    """The daily partitions of a run."""
    first = tags.get("dagster/asset_partition_range_start") or tags.get("dagster/partition")
    last = tags.get("dagster/asset_partition_range_end") or first
    if first is None or last is None:
        return []
    start, end = (datetime.strptime(key, "%Y-%m-%d").replace(tzinfo=UTC) for key in (first, last))
    return dates(Window(start, end + DAY))


def is_equal(compared: Sequence[ComparedDay]) -> bool:
    """Whether no day differs."""
    return all(day.problem is None for day in compared)


def compared_metadata(compared: Sequence[ComparedDay]) -> dict[str, int | str]:
    """What a comparison saw, for the UI."""
    problems = [f"{day.date}: {day.problem}" for day in compared if day.problem is not None]
    return {
        "days": len(compared),
        "waiting_days": sum(day.is_waiting for day in compared),
        "differences": len(problems),
        **({"problems": "\n".join(problems[:20])} if problems else {}),
    }
