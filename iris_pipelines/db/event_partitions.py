"""Daily partitions of the event log: made ahead, and for any past day that an event falls in."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta

import psycopg
from psycopg import sql

from iris_pipelines.db.database import Connection, Database, queries

_DAYS_AHEAD = 7
# So many are made under one lock of the default partition: a lock for each takes longer, one for all is held longer.
_DAYS_AT_ONCE = 32


def partition_name(day: date) -> str:
    """The table in the schema iris_partitions that holds a day's events."""
    return f"analytics_events_{day:%Y_%m_%d}"


def partitioned_days(db: Database, connection: Connection, days: Collection[date]) -> set[date]:
    """Those of the days that have a partition now; the missing ones are made first, in transactions of their own.

    Making one takes a short lock on the default partition. Where that is busy the day is left out: its events go to
    the default partition, and `maintain_partitions` moves them later.
    """
    existing = existing_days(connection, days)
    missing = set(days) - existing
    return existing | create_partitions(db, missing) if missing else existing


def existing_days(connection: Connection, days: Collection[date]) -> set[date]:
    """Those of the days that have a partition."""
    return {day for (day,) in queries().partitioned_days(connection, days=sorted(days))}


def create_partitions(db: Database, days: Collection[date]) -> set[date]:
    """Make the partitions of these days as far as the traffic allows; returns the days that have one now."""
    ordered = sorted(days)
    made: set[date] = set()
    for start in range(0, len(ordered), _DAYS_AT_ONCE):
        some = ordered[start : start + _DAYS_AT_ONCE]
        try:
            with db.transaction() as connection:
                queries().wait_briefly_for_locks(connection)
                list(queries().create_event_partitions(connection, days=some))
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
            # What is in the way now will most likely be so for the other days too.
            break
        made.update(some)
    return made


def compact_primary_keys(db: Database, *, now: datetime, patience: timedelta = timedelta(seconds=10)) -> set[date]:
    """Write the primary keys of closed days anew where they take much more room than they need; returns the days.

    PostgreSQL leaves the pages of a wide key half empty when several tenants' events come in turns, and a closed day
    hardly grows. Writers are not held up. A key that someone reads for longer than `patience` is left for next time.
    """
    with db.autocommit() as connection:
        queries().limit_lock_waits(connection, milliseconds=f"{patience / timedelta(milliseconds=1):.0f}")
        try:
            for (name,) in list(queries().unfinished_indexes(connection)):
                _on_index(connection, "drop_index", name)
            spacious = list(queries().spacious_primary_keys(connection, before=now.date()))
            return {day for day, name in spacious if _on_index(connection, "rewrite_index", name)}
        finally:
            queries().limit_lock_waits(connection, milliseconds="0")


def _on_index(connection: Connection, statement: str, name: str) -> bool:
    """Run a statement on an index; False if it is in use."""
    text: str = getattr(queries(), statement).sql
    try:
        connection.execute(sql.SQL(text).format(index=sql.Identifier("iris_partitions", name)))
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        return False
    return True


def maintain_partitions(db: Database, *, now: datetime, days_ahead: int = _DAYS_AHEAD) -> set[date]:
    """Make the partitions of the coming days, and those of events that wait in the default partition.

    Returns the days that got one; a day that was busy is due again next time.
    """
    today = now.date()
    coming = {today + timedelta(days=ahead) for ahead in range(days_ahead + 1)}
    with db.transaction() as connection:
        waiting = {day for (day,) in queries().days_in_default_partition(connection)}
        due = (coming | waiting) - existing_days(connection, coming | waiting)
    return create_partitions(db, due)
