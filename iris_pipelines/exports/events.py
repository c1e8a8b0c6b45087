"""Daily exports of the event log: a file for each UTC day, exported anew when late events change the day.

An export is a consumer of the ledger like a rollup: it takes the stale hours of its day off the list, reads the events
and notes what it wrote, all in one transaction. One that dies leaves the day stale, and the file as it was or as it is
to be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.db.staleness import (
    Consumer,
    Grain,
    hand_out_touched_hours,
    plan_stale,
    register_consumers,
)
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.archive import restore
from iris_pipelines.exports.days import Content, window_of
from iris_pipelines.exports.ndjson import SUFFIXES, write_ndjson
from iris_pipelines.exports.parquet import EXPORTED_COLUMNS, write_parquet
from iris_pipelines.exports.selections import as_csv, exported_events
from iris_pipelines.storage.places import CountedBytes, Place, Writable, open_place, place_name

SETTLING = timedelta(hours=2)
"""How long after its end a day is left to the schedule: its last events are still on their way."""


class Export(StrEnum):
    """What is exported as files."""

    NDJSON = "events_ndjson"
    PARQUET = "events_parquet"


@dataclass(frozen=True)
class Destination:
    """Where exports go, how NDJSON is packed, and the variables that stores read their credentials from."""

    url: str
    environment: Mapping[str, str]
    compression: str = "none"

    def place(self) -> Place:
        """The folder or prefix, opened."""
        return open_place(self.url, self.environment)

    @property
    def name(self) -> str:
        """How the manifest calls it: URLs have several spellings."""
        return place_name(self.url)


@dataclass(frozen=True)
class ExportedDay:
    """A day as it lies in a store."""

    export: str
    date: date
    url: str
    version: int
    """How many times the content has been another one; the same after ten exports of the same events."""
    row_count: int
    bytes: int
    sha256: str
    content_sha256: str
    min_timestamp: datetime | None
    max_timestamp: datetime | None


def file_name(export: Export, day: date, *, compression: str = "none") -> str:
    """The name of a day's file below its destination."""
    if export is Export.PARQUET:
        return f"analytics/parquet/date={day:%Y-%m-%d}/events.parquet"
    return f"analytics/analytics_{day:%Y-%m-%d}.ndjson{SUFFIXES[compression]}"


def consumer_name(export: str, destination_url: str) -> str:
    """The name of an export in the ledger: each place has its own state."""
    return f"exports.{export} at {destination_url}"


def export_day(db: Database, export: Export, destination: Destination, day: date) -> ExportedDay:
    """Write a day's file and note it; one at a time does so for the same day and place."""
    place = destination.place()
    consumer = consumer_name(export, place.url)
    window = window_of(day)
    register_consumers(db, {consumer: Consumer(Grain.CLOSED_DAY)})
    restore(db, destination.environment, window)
    with db.transaction() as connection:
        # What is known to be touched by now is in this export: it must not be asked for again.
        hand_out_touched_hours(connection)
    name = file_name(export, day, compression=destination.compression)
    with db.transaction() as connection:
        queries().lock_export(connection, consumer=consumer, day=day)
        queries().hold_events(connection, starts=window.start)
        # First: what this sees is committed, and so are its events; what comes later stays stale.
        queries().forget_stale_hours(connection, consumer=consumer, window_start=window.start, window_end=window.end)
        before = queries().exported_day(connection, export=export, destination=place.url, day=day)
        with place.writing(name) as stream:
            counted = CountedBytes(stream)
            content = write_day(connection, export, window, counted, compression=destination.compression)
        facts: dict[str, Any] = {
            "url": place.url_of(name),
            "row_count": content.row_count,
            "bytes": counted.count,
            "sha256": counted.sha256,
            "content_sha256": content.content_sha256,
            "min_timestamp": content.min_timestamp,
            "max_timestamp": content.max_timestamp,
        }
        version = queries().note_exported_day(connection, export=export, destination=place.url, day=day, **facts)
    if before is not None and before[0] != facts["url"]:
        # It was packed in another way: two files of one day would be read twice.
        place.delete(place.name_of(before[0]))
    return ExportedDay(export=export, date=day, version=version, **facts)


def destination_of(destination_url: str, environment: Mapping[str, str], url: str) -> Destination:
    """Where a day was exported to before, packed as it was."""
    packed = next((name for name, suffix in SUFFIXES.items() if suffix and url.endswith(suffix)), "none")
    return Destination(destination_url, environment, packed)


def write_day(
    connection: Connection, export: Export, window: Window, target: Writable, *, compression: str = "none"
) -> Content:
    """Write the events of a window as an export has them."""
    if export is Export.NDJSON:
        return write_ndjson(connection, window, target, compression=compression)
    bounds = {"window_start": window.start, "window_end": window.end}
    return write_parquet(connection, as_csv(exported_events()), bounds, EXPORTED_COLUMNS, target)


def due_days(db: Database, export: str, destination_url: str, *, now: datetime) -> list[date]:
    """The days to export again or at last: stale ones from the first exported day on. None before the first export."""
    consumer = consumer_name(export, destination_url)
    with db.transaction() as connection:
        exported = [day for (day,) in queries().exported_dates(connection, export=export, destination=destination_url)]
        queries().forget_other_destinations(connection, export_prefix=f"exports.{export} at ", consumer=consumer)
    if not exported:
        return []
    register_consumers(db, {consumer: Consumer(Grain.CLOSED_DAY)})
    stale = (each for each in plan_stale(db, now=now) if each.consumer == consumer)
    days = {window.start.date() for each in stale for window in each.windows(now=now)}
    return sorted(day for day in days if day >= exported[0])
