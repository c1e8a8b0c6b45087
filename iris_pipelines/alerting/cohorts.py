"""Messages counted by when they were sent: slot by slot as they mature, day by day for the past."""

from __future__ import annotations

from datetime import datetime, timedelta

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.alerts.anomalies.baselines import DAYS
from iris_pipelines.domain.alerts.anomalies.cohorts import MATURITY, matured_before
from iris_pipelines.domain.windows import DAY, Window, floor

KEPT = timedelta(days=DAYS + 7)
LOOKED_BACK = timedelta(hours=24)
"""How far back the sensor counts slots that were missed; what is older, the baselines count by the day."""


def count_matured(connection: Connection, *, now: datetime) -> datetime | None:
    """Count the slots that have matured since the last time; None when there is none, else where they end."""
    end = matured_before(now)
    first = queries().first_uncounted_slot(connection, since=end - LOOKED_BACK, before=end)
    if first is None:
        return None
    _count(connection, Window(first, end))
    return end


def count_days(db: Database, window: Window, *, again: bool) -> int:
    """Count whole days, each in a transaction; days that are counted already only if `again`."""
    counted = 0
    for day in window.split(DAY):
        with db.transaction() as connection:
            first = queries().first_uncounted_slot(connection, since=day.start, before=day.end)
            if again or first is not None:
                _count(connection, day)
                counted += 1
    return counted


def forget_old(db: Database, *, now: datetime) -> None:
    """Drop what no baseline needs any more."""
    with db.transaction() as connection:
        queries().forget_old_cohorts(connection, before=floor(now, DAY) - KEPT)


def _count(connection: Connection, window: Window) -> None:
    """Replace the slots of a window: counting twice changes nothing."""
    queries().forget_cohorts(connection, window_start=window.start, window_end=window.end)
    # The planner takes the messages of a day that is being filled for one, and would look for it a thousand times.
    queries().allow_nested_loops(connection, allowed=False)
    queries().count_cohorts(connection, window_start=window.start, window_end=window.end, maturity=MATURITY)
    queries().allow_nested_loops(connection, allowed=True)
    queries().note_counted_slots(connection, window_start=window.start, window_end=window.end)
