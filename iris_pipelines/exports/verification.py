"""Does a store say what the event log says? Files are read back, and days are written again to compare."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import IO

from iris_pipelines.db.database import Database, queries
from iris_pipelines.exports.days import window_of
from iris_pipelines.exports.events import Destination, Export, consumer_name, write_day
from iris_pipelines.storage.object_stores import StoreUnavailable
from iris_pipelines.storage.places import Nowhere, Place

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class ComparedDay:
    """What became of comparing a day."""

    date: date
    problem: str | None = None
    """Why store and event log differ."""
    is_waiting: bool = False
    """Events changed since the export: it is due again, and says nothing now."""


def compare_days(db: Database, export: Export, destination: Destination, days: Iterable[date]) -> list[ComparedDay]:
    """Compare exported days with the event log: the file's bytes, how many rows it has, and what is in them."""
    place = destination.place()
    return [_compare(db, export, place, day) for day in days]


def exported_days(db: Database, export: str, url: str, *, newest: int) -> list[date]:
    """The newest days that were exported to a place."""
    with db.transaction() as connection:
        found = queries().exported_dates(connection, export=export, destination=url)
        return [day for (day,) in found][-newest:]


def _compare(db: Database, export: Export, place: Place, day: date) -> ComparedDay:
    window = window_of(day)
    bounds = {"window_start": window.start, "window_end": window.end}
    with db.transaction() as connection:
        noted = queries().exported_day(connection, export=export, destination=place.url, day=day)
        if noted is None:
            return ComparedDay(day, "it was never exported")
        is_sealed = queries().has_sealed_days(connection, **bounds)
        content = write_day(connection, export, window, Nowhere())
        # Last: what came in before the events were read is known by now.
        if queries().has_stale_hours(connection, consumer=consumer_name(export, place.url), **bounds):
            return ComparedDay(day, is_waiting=True)
    url, _, row_count, size, sha256, content_sha256, *_ = noted
    # Of an archived day, the event log has nothing to say.
    if not is_sealed and (content.row_count, content.content_sha256) != (row_count, content_sha256):
        return ComparedDay(
            day, f"the event log has {content.row_count:,} events, and other ones than the {row_count:,} exported"
        )
    try:
        with place.reading(place.name_of(url)) as stream:
            found = _size_and_digest(stream)
    except StoreUnavailable as error:
        return ComparedDay(day, str(error))
    if found != (size, sha256):
        return ComparedDay(day, f"{url} has {found[0]:,} bytes, and other ones than the {size:,} exported")
    return ComparedDay(day)


def _size_and_digest(stream: IO[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while piece := stream.read(_PIECE_BYTES):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()
