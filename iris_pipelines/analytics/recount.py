"""Compare the rollups with the events themselves, counted anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.staleness import Grain
from iris_pipelines.domain.windows import DAY, Window


@dataclass(frozen=True)
class Recount:
    """What a comparison saw. Hours that changed since they were rebuilt are left out: they wait for their rebuild."""

    events: int = 0
    groups: int = 0
    differences: int = 0
    waiting_hours: int = 0

    def __add__(self, other: Recount) -> Recount:
        return Recount(
            self.events + other.events,
            self.groups + other.groups,
            self.differences + other.differences,
            self.waiting_hours + other.waiting_hours,
        )


def recount(db: Database, grain: Grain, windows: Iterable[Window]) -> Recount:
    """Count the windows anew from the event log and compare with the rollup of that grain, group by group."""
    compare = queries().hourly_differences if grain is Grain.HOUR else queries().daily_differences
    total = Recount()
    with db.transaction() as connection:
        for window in windows:
            for piece in window.split(DAY):
                row = compare(connection, window_start=piece.start, window_end=piece.end)
                total += Recount(*row)
    return total
