"""Rules that somebody must look at: those that hold, or do not stand where they stood. All others are left alone.

What is left alone was judged by the database. What stands out is judged again by `observe` and `Condition.judge`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from iris_pipelines.alerting.checked_rules import RuleKey
from iris_pipelines.alerting.measures import Source, stale_hours
from iris_pipelines.db.database import Connection, queries
from iris_pipelines.domain.windows import HOUR, closed_before, floor

_MEASURES = (
    "messages_sent",
    "messages_delivered",
    "messages_failed",
    "messages_opened",
    "messages_clicked",
    "messages_bounced",
    "messages_complained",
    "delivery_times",
    "api_requests",
    "api_failures",
)
"""In the order in which `rules_that_stand_out` counts them."""


@dataclass(frozen=True)
class Enabled:
    """The enabled rules, counted, and those that stand out."""

    rules: int
    standouts: frozenset[RuleKey]


@dataclass(frozen=True)
class Span:
    """A stretch of time that is part of the windows from `first` to `last`; they are counted from 1, the longest."""

    start: datetime
    end: datetime
    first: int
    last: int


@dataclass
class Spans:
    """What all windows together are made of, each stretch once."""

    raw: list[Span] = field(default_factory=list)
    """Read from the events."""
    rolled: list[Span] = field(default_factory=list)
    """Read from the hourly rollup; part of the first window, always."""


def find_standouts(connection: Connection, *, now: datetime) -> Enabled:
    """Judge every enabled rule that was checked. Call it in one snapshot."""
    windows: dict[str | None, list[int]] = {}
    rules = 0
    for source, minutes, count in queries().windows_of_rules(connection):
        windows.setdefault(source, []).append(minutes)
        rules += count
    has_rollup = queries().hourly_rollup_exists(connection)
    judged = [source for source in (Source.ROLLUP, Source.EVENTS) if has_rollup and source in windows]
    standouts: set[RuleKey] = set(queries().rules_with_incidents(connection))
    if windows.keys() - set(judged):
        standouts.update(queries().rules_not_judged(connection, judged=judged))
    if judged:
        queries().plan_for_each_window(connection)
        queries().compile_nothing(connection)
        queries().read_in_the_order_of_the_table(connection, setting="off")
        for source in judged:
            standouts |= _standouts(connection, source, sorted(windows[source], reverse=True), now=now)
        queries().read_in_the_order_of_the_table(connection, setting="on")
    return Enabled(rules, frozenset(standouts))


def _standouts(connection: Connection, source: Source, minutes: Sequence[int], *, now: datetime) -> set[RuleKey]:
    starts = [now - timedelta(minutes=each) for each in minutes]
    stale = stale_hours(connection, starts[0], now) if source is Source.ROLLUP else None
    spans = spans_of(starts, stale, now=now)
    found: list[tuple[UUID, UUID]] = queries().rules_that_stand_out(
        connection,
        source=source.value,
        time_windows=list(minutes),
        time_limits=[limit for (limit,) in queries().time_limits_of_rules(connection)] if stale is None else [],
        measures=list(_MEASURES),
        raw_starts=[span.start for span in spans.raw],
        raw_ends=[span.end for span in spans.raw],
        raw_firsts=[span.first for span in spans.raw],
        raw_lasts=[span.last for span in spans.raw],
        rolled_starts=[span.start for span in spans.rolled],
        rolled_ends=[span.end for span in spans.rolled],
        rolled_lasts=[span.last for span in spans.rolled],
        earliest=starts[0],
        latest=now,
    )
    return set(found)


def spans_of(starts: Sequence[datetime], stale: set[datetime] | None, *, now: datetime) -> Spans:
    """Cut the time since the first of the ascending `starts` where windows begin and at full hours.

    Whole closed hours that are not stale are rolled; of these, a window that begins within the hour reads the events.
    With no rollup to read, `stale` is None.
    """
    closed = closed_before(now)
    hours = [] if stale is None else _hours(starts[0], now)
    cuts = sorted({*starts, *(hour for hour in hours if hour > starts[0]), now})
    spans = Spans()
    for start, end in pairwise(cuts):
        hour, last = floor(start, HOUR), bisect_right(starts, start)
        whole = 0
        if stale is not None and hour + HOUR <= closed and hour not in stale:
            whole = bisect_right(starts, hour)
            if start == hour and whole:
                _append(spans.rolled, Span(hour, hour + HOUR, 1, whole))
        if whole < last:
            _append(spans.raw, Span(start, end, whole + 1, last))
    return spans


def _append(spans: list[Span], span: Span) -> None:
    """Add a span, or make the one before it longer where both are part of the same windows."""
    if spans and (spans[-1].end, spans[-1].first, spans[-1].last) == (span.start, span.first, span.last):
        span = Span(spans.pop().start, span.end, span.first, span.last)
    spans.append(span)


def _hours(start: datetime, end: datetime) -> list[datetime]:
    first = floor(start, HOUR)
    return [first + n * HOUR for n in range((end - first) // HOUR + 1) if first + n * HOUR < end]
