"""What must be rebuilt: from the ledger of touched hours to each consumer's stale windows.

Every statement on the event log notes the hours it touched (`iris.touched_hours`). Here they are handed out to the
consumers (`iris.stale_hours`), and planned. A rebuild first deletes its own stale hours and then reads the events, in
one transaction: what it deleted was committed before it read, and what comes later stays stale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid4

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.windows import DAY, Window, closed_before, merged


class Grain(StrEnum):
    """The windows that a consumer replaces: single hours, or whole days up to the last closed hour."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True)
class StaleConsumer:
    """A relation, such as `analytics.analytics_hourly`, and the hours of it that no longer equal the events."""

    consumer: str
    grain: Grain
    hours: tuple[datetime, ...]

    def windows(self, *, now: datetime) -> list[Window]:
        """What to replace, each window within one UTC day and none beyond the last closed hour."""
        if self.grain is Grain.HOUR:
            windows = merged(Window.hour_of(hour) for hour in self.hours)
        else:
            days = sorted({Window.day_of(hour) for hour in self.hours})
            windows = [Window(day.start, min(day.end, closed_before(now))) for day in days]
        return [piece for window in windows for piece in window.split(DAY)]


def register_consumers(db: Database, consumers: Mapping[str, Grain]) -> None:
    """Make relations known as built from the event log; for a new one, all hours with events are stale."""
    with db.transaction() as connection:
        for consumer, grain in sorted(consumers.items()):
            if queries().register_consumer(connection, consumer=consumer, grain=grain) is not None:
                queries().mark_all_hours_stale(connection, consumer=consumer)


def hand_out_touched_hours(connection: Connection) -> None:
    """Move what the ledger holds to every consumer's stale hours."""
    queries().hand_out_touched_hours(connection)


def plan_stale(db: Database, *, now: datetime) -> list[StaleConsumer]:
    """Hand out the ledger and say what each consumer must rebuild; hours that have not closed by `now` wait."""
    with db.transaction() as connection:
        hand_out_touched_hours(connection)
        hours: defaultdict[tuple[str, str], list[datetime]] = defaultdict(list)
        for consumer, grain, hour in queries().stale_hours_closed_before(connection, closed_before=closed_before(now)):
            hours[consumer, grain].append(hour)
    return [StaleConsumer(consumer, Grain(grain), tuple(found)) for (consumer, grain), found in hours.items()]


def request_rebuild(connection: Connection, windows: Iterable[Window], *, requested_by: str | None = None) -> UUID:
    """Note the windows that a rebuild is to replace, split at UTC midnights; it knows them by the id returned."""
    rebuild_id = uuid4()
    pieces = [piece for window in merged(windows) for piece in window.split(DAY)]
    queries().request_window(
        connection,
        [
            {
                "rebuild_id": rebuild_id,
                "window_start": piece.start,
                "window_end": piece.end,
                "requested_by": requested_by,
            }
            for piece in pieces
        ],
    )
    return rebuild_id
