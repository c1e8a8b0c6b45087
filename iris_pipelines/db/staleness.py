"""What must be rebuilt: from the ledger of touched hours to each consumer's stale windows.

Every statement on the event log notes the hours it touched (`iris.touched_hours`). Here they are handed out to the
consumers (`iris.stale_hours`), and planned. A rebuild first deletes its own stale hours and then reads the events, in
one transaction: what it deleted was committed before it read, and what comes later stays stale.

A consumer may stand on another one instead: then it is the replacement of a window there that makes it stale, in the
same transaction, and never the events themselves. Consumers of campaigns have `iris.stale_campaigns` in the same way.
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

EVENT_LOG = "iris.analytics_events"


class Grain(StrEnum):
    """What a consumer replaces at a time."""

    HOUR = "hour"
    """Single hours that have closed."""
    DAY = "day"
    """Whole days, today up to the last closed hour."""
    CLOSED_DAY = "closed_day"
    """Whole days that are over."""
    CAMPAIGN = "campaign"
    """All of a campaign."""


@dataclass(frozen=True)
class Consumer:
    """What a relation replaces at a time, and what it reads: the event log, or other consumers."""

    grain: Grain
    inputs: tuple[str, ...] = (EVENT_LOG,)
    reach_days: int = 0
    """How many days after a day of an input still depend on it."""


@dataclass(frozen=True)
class StaleConsumer:
    """A relation, such as `analytics.analytics_hourly`, and the hours of it that no longer equal the events."""

    consumer: str
    grain: Grain
    hours: tuple[datetime, ...]

    def windows(self, *, now: datetime) -> list[Window]:
        """What to replace, each window within one UTC day and none beyond the last closed hour."""
        closed = closed_before(now)
        if self.grain is Grain.HOUR:
            windows = merged(Window.hour_of(hour) for hour in self.hours)
        else:
            days = sorted({Window.day_of(hour) for hour in self.hours})
            windows = [
                Window(day.start, min(day.end, closed))
                for day in days
                if day.end <= closed or self.grain is not Grain.CLOSED_DAY
            ]
        return [piece for window in windows for piece in window.split(DAY)]


def register_consumers(db: Database, consumers: Mapping[str, Consumer]) -> None:
    """Make relations known with what they stand on; for a new one, or one that stands on other things, all is stale."""
    with db.transaction() as connection:
        for name, consumer in sorted(consumers.items()):
            is_new = queries().register_consumer(
                connection,
                consumer=name,
                grain=consumer.grain,
                inputs=sorted(consumer.inputs),
                reach_days=consumer.reach_days,
            )
            if is_new and consumer.grain is Grain.CAMPAIGN:
                queries().mark_all_campaigns_stale(connection, consumer=name)
            elif is_new:
                queries().mark_all_hours_stale(connection, consumer=name, reach_days=consumer.reach_days)


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


def consumers_with_stale_campaigns(db: Database) -> set[str]:
    """Relations that have campaigns to compute anew."""
    with db.transaction() as connection:
        return {consumer for (consumer,) in queries().consumers_with_stale_campaigns(connection)}


def request_rebuild(connection: Connection, windows: Iterable[Window], *, requested_by: str | None = None) -> UUID:
    """Note the windows that a rebuild is to replace, split at UTC midnights; it knows them by the id returned."""
    rebuild_id = uuid4()
    queries().request_rebuild(connection, rebuild_id=rebuild_id, requested_by=requested_by)
    pieces = [piece for window in merged(windows) for piece in window.split(DAY)]
    queries().request_window(
        connection,
        [{"rebuild_id": rebuild_id, "window_start": piece.start, "window_end": piece.end} for piece in pieces],
    )
    return rebuild_id
