"""Daily partitions of the event log: made ahead, and for any past day that an event falls in."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

import psycopg

from iris_pipelines.db.database import Connection, Database, queries

_DAYS_AHEAD = 7


def existing_days(connection: Connection) -> set[date]:
    """The days that have a partition."""
    return {day for (day,) in queries().partition_days(connection)}


def create_partitions(db: Database, days: Iterable[date]) -> set[date]:
    """Make the partitions of these days as far as the table's traffic allows; returns the days that have one now.

    Each takes a short lock on the default partition. Where that is busy the day is left out: its events go to the
    default partition, and `maintain_partitions` moves them later.
    """
    return {day for day in sorted(days) if _create(db, day)}


def maintain_partitions(db: Database, *, now: datetime, days_ahead: int = _DAYS_AHEAD) -> set[date]:
    """Make the partitions of the coming days, and those of events that wait in the default partition.

    Returns the days that were due; one that was busy is due again next time.
    """
    today = now.date()
    with db.transaction() as connection:
        existing = existing_days(connection)
        waiting = {day for (day,) in queries().days_in_default_partition(connection)}
    coming = {today + timedelta(days=ahead) for ahead in range(-1, days_ahead + 1)}
    return create_partitions(db, (coming - existing) | waiting)


def _create(db: Database, day: date) -> bool:
    try:
        with db.transaction() as connection:
            queries().wait_briefly_for_locks(connection)
            queries().create_event_partition(connection, day=day)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        return False
    return True
