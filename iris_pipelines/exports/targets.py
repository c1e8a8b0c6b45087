"""Everything that days of the event log are exported to by a configuration: files of each kind, and a warehouse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from iris_pipelines.db.database import Database
from iris_pipelines.exports import bigquery
from iris_pipelines.exports.bigquery import Warehouse, compare_days_in_bigquery, export_day_to_bigquery
from iris_pipelines.exports.events import Destination, Export, ExportedDay, due_days, export_day
from iris_pipelines.exports.verification import ComparedDay, compare_days


@dataclass(frozen=True)
class Target:
    """One export to one place."""

    export: str
    url: str
    write: Callable[[Database, date], ExportedDay]
    """Export a day."""
    compare: Callable[[Database, Sequence[date]], list[ComparedDay]]
    """Compare days with the event log."""

    def due(self, db: Database, *, now: datetime) -> list[date]:
        """The days to export again, or at last."""
        return due_days(db, self.export, self.url, now=now)


def targets(destination: Destination, warehouse: Warehouse | None) -> list[Target]:
    """The exports of a configuration."""
    return [
        *(file_target(export, destination) for export in Export),
        *([] if warehouse is None else [warehouse_target(warehouse)]),
    ]


def file_target(export: Export, destination: Destination) -> Target:
    """An export to files."""

    def write(db: Database, day: date) -> ExportedDay:
        return export_day(db, export, destination, day)

    def compare(db: Database, days: Sequence[date]) -> list[ComparedDay]:
        return compare_days(db, export, destination, days)

    return Target(export, destination.name, write, compare)


def warehouse_target(warehouse: Warehouse) -> Target:
    """The export to BigQuery."""

    def write(db: Database, day: date) -> ExportedDay:
        return export_day_to_bigquery(db, warehouse, day)

    def compare(db: Database, days: Sequence[date]) -> list[ComparedDay]:
        return compare_days_in_bigquery(db, warehouse, days)

    return Target(bigquery.EXPORT, warehouse.url, write, compare)
