"""Days past their retention: to Parquet, read back and compared, and only then out of the event log; and back again.

While a day is archived, a consumer of the ledger watches it: whatever touches its events, from before the first file is
written until the partition is locked, is noted, and then nothing is dropped. The last transaction drops the events and
notes where they are; before it they are in the event log, after it in the archive, at no moment in neither.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import psycopg
from psycopg import sql

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.db.event_partitions import create_partitions, partition_name
from iris_pipelines.db.staleness import hand_out_touched_hours
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.archived_files import (
    ArchiveDamaged,
    ArchivedFile,
    facts_of,
    file_of,
    folder_of,
    load_restored_events,
    local_copy,
    put_back,
    write_archived_file,
)
from iris_pipelines.exports.days import window_of
from iris_pipelines.storage.places import Place, open_place

_LOCK_MILLISECONDS = 2000


class DayInUse(IrisError):
    """Events of the day are being read or written: nothing was dropped, and it can be archived later."""


@dataclass(frozen=True)
class RestoredDay:
    """A tenant's day that is in the event log again."""

    tenant_id: UUID
    date: date
    row_count: int
    """Events in the archive."""
    missing: int
    """How many of them the event log did not have."""


def archive_day(
    db: Database, url: str, environment: Mapping[str, str], day: date, tenant_ids: Collection[UUID]
) -> list[ArchivedFile]:
    """Archive the events that these tenants have on a day, and take them out of the event log.

    Raises DayInUse if events changed meanwhile, or if others hold the day: then all is as it was.
    """
    place = open_place(url, environment)
    watcher = f"archive of {day:%Y-%m-%d}"
    with exclusive(db):
        # Late events of a day that is in the archive already: together they are its next version.
        _restore_sealed(db, environment, window_of(day), tenant_ids)
        if create_partitions(db, [day]) != {day}:
            raise DayInUse(f"events of {day} are being written: it is left for later")
        try:
            with db.transaction() as connection:
                queries().watch_day(connection, consumer=watcher)
            with db.transaction() as connection:
                hand_out_touched_hours(connection)
            with db.transaction() as connection:
                _forget_changes(connection, watcher, day)
            written = _write_all(db, place, sorted(tenant_ids), day)
            if written:
                _drop(db, watcher, day, written)
        finally:
            with db.transaction() as connection:
                queries().stop_watching(connection, consumer=watcher)
        for file in written:
            place.delete_others(folder_of(file.tenant_id, day), place.name_of(file.url))
    return written


def restore(db: Database, environment: Mapping[str, str], window: Window) -> list[RestoredDay]:
    """Put the archived events of a window's days back into the event log; what was built from them stands as it is."""
    with db.transaction() as connection:
        if not queries().has_sealed_days(connection, window_start=window.start, window_end=window.end):
            return []
    with exclusive(db):
        return _restore_sealed(db, environment, window)


def restore_days(db: Database, environment: Mapping[str, str], days: Collection[date]) -> list[RestoredDay]:
    """Put the archived events of some days back: events come to them that may be there already."""
    return [restored for day in sorted(days) for restored in restore(db, environment, window_of(day))]


def restore_stale(db: Database, environment: Mapping[str, str]) -> list[RestoredDay]:
    """Restore the archived days that late events have come to: they are about to be judged and built anew."""
    with db.transaction() as connection:
        hand_out_touched_hours(connection)
        days = [day for (day,) in queries().stale_sealed_days(connection)]
    return [restored for day in days for restored in restore(db, environment, window_of(day))]


@contextmanager
def exclusive(db: Database) -> Iterator[None]:
    """One at a time changes what is in the archive: archiving, restoring, erasing."""
    with db.transaction() as connection:
        queries().lock_archive(connection)
        yield


def _write_all(db: Database, place: Place, tenant_ids: Sequence[UUID], day: date) -> list[ArchivedFile]:
    """Two at a time: while one is read back and compared, the next one is written."""
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="archive") as workers:
        files = workers.map(lambda tenant_id: _write(db, place, tenant_id, day), tenant_ids)
        return [file for file in files if file is not None]


def _write(db: Database, place: Place, tenant_id: UUID, day: date) -> ArchivedFile | None:
    with db.transaction() as connection:
        before = queries().archived_day(connection, tenant_id=tenant_id, day=day)
        version = 1 if before is None else before[1] + 1
        return write_archived_file(connection, place, tenant_id, day, version=version)


def _drop(db: Database, watcher: str, day: date, written: Sequence[ArchivedFile]) -> None:
    window = window_of(day)
    bounds = {"window_start": window.start, "window_end": window.end}
    archived = {file.tenant_id for file in written}
    try:
        with db.transaction() as connection:
            queries().wait_at_most(connection, milliseconds=str(_LOCK_MILLISECONDS))
            queries().lock_events_of_day(connection, day=day)
            drops_all = archived == _tenants_of(connection, window)
            _on_partition(connection, "lock_partition_to_drop" if drops_all else "lock_partition_to_delete", day)
            if queries().has_stale_hours(connection, consumer=watcher, **bounds) or (
                drops_all and archived != _tenants_of(connection, window)
            ):
                raise DayInUse(f"events of {day} changed while they were archived: nothing was dropped")
            if drops_all:
                _on_partition(connection, "drop_partition", day)
            else:
                _on_partition(connection, "delete_from_partition", day, tenant_ids=sorted(archived))
            for file in written:
                _seal(connection, file)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        raise DayInUse(f"events of {day} are in use: nothing was dropped, it is left for later") from error


def _tenants_of(connection: Connection, window: Window) -> set[UUID]:
    rows = queries().tenants_of_day(connection, window_start=window.start, window_end=window.end)
    return {tenant_id for (tenant_id,) in rows}


def _on_partition(connection: Connection, statement: str, day: date, **parameters: object) -> None:
    text: str = getattr(queries(), statement).sql
    composed = sql.SQL(text).format(partition=sql.Identifier(partition_name(day)))
    if parameters:
        connection.execute(composed, parameters)
    else:
        connection.execute(composed)


def _seal(connection: Connection, file: ArchivedFile) -> None:
    queries().seal_archived_day(
        connection,
        tenant_id=file.tenant_id,
        day=file.date,
        url=file.url,
        version=file.version,
        row_count=file.facts.row_count,
        bytes=file.bytes,
        sha256=file.sha256,
        content_sha256=file.facts.content_sha256,
        min_timestamp=file.facts.min_timestamp,
        max_timestamp=file.facts.max_timestamp,
        total_cost=file.facts.total_cost,
        total_duration_ms=file.facts.total_duration_ms,
        hours=list(file.facts.hours),
    )


def _restore_sealed(
    db: Database, environment: Mapping[str, str], window: Window, tenant_ids: Collection[UUID] | None = None
) -> list[RestoredDay]:
    with db.transaction() as connection:
        sealed = list(queries().sealed_days(connection, window_start=window.start, window_end=window.end))
    restored = []
    for tenant_id, day, url, version, row_count, _, sha256, content_sha256 in sealed:
        if tenant_ids is not None and tenant_id not in tenant_ids:
            continue
        name = file_of(tenant_id, day, version)
        place = open_place(url.removesuffix(f"/{name}"), environment)
        if create_partitions(db, [day]) != {day}:
            raise DayInUse(f"events of {day} are being written: restore it again later")
        with local_copy(place, name, sha256=sha256) as file, db.transaction() as connection:
            facts = facts_of(file)
            if (facts.row_count, facts.content_sha256) != (row_count, content_sha256):
                raise ArchiveDamaged(f"{url} does not hold the events that were archived: nothing was restored")
            columns = load_restored_events(connection, file)
            missing = put_back(connection, columns, partition_name(day))
            queries().note_restored_day(connection, tenant_id=tenant_id, day=day)
        restored.append(RestoredDay(tenant_id, day, row_count, missing))
    return restored


def _forget_changes(connection: Connection, watcher: str, day: date) -> None:
    window = window_of(day)
    queries().forget_stale_hours(connection, consumer=watcher, window_start=window.start, window_end=window.end)
