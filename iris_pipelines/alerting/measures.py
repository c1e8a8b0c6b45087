"""What windows up to now add up to, for any number of scopes in a handful of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from iris_pipelines.db.database import Connection, queries
from iris_pipelines.domain.alerts.metrics import API_ERROR_RATE, Measures
from iris_pipelines.domain.metrics import MeanTime, Metric, PercentileTime
from iris_pipelines.domain.windows import HOUR, closed_before, floor

_COUNTS = (
    "messages_sent",
    "messages_delivered",
    "messages_failed",
    "messages_opened",
    "messages_clicked",
    "messages_bounced",
    "messages_complained",
    "total_cost",
)
_EVENT_MEASURES = (*_COUNTS, "delivery_times", "delivery_ms", "api_requests", "api_failures")


@dataclass(frozen=True)
class Scope:
    """Events of a tenant from `start` until now, possibly of one channel, provider or campaign only."""

    tenant_id: UUID
    start: datetime
    channel: str | None = None
    provider: str | None = None
    campaign: UUID | None = None


@dataclass(frozen=True)
class _Piece:
    """A stretch of window `window_no` that is read in one go."""

    window_no: int
    start: datetime
    end: datetime


def measure(
    connection: Connection, asked: Iterable[tuple[Scope, Metric]], *, now: datetime
) -> dict[tuple[Scope, str], Measures]:
    """What the scopes of metrics hold, keyed by scope and the metric's name. Call it in one snapshot."""
    asked = list(asked)
    by_source: defaultdict[Source, set[Scope]] = defaultdict(set)
    for scope, metric in asked:
        by_source[source_of(metric, scope.campaign)].add(scope)
    queries().plan_for_each_window(connection)
    queries().compile_nothing(connection)
    counted = {
        Source.ROLLUP: _measure_counts(connection, by_source[Source.ROLLUP], now=now),
        Source.EVENTS: _measure_events(connection, by_source[Source.EVENTS], now=now),
        Source.REQUESTS: _measure_events(connection, by_source[Source.REQUESTS], now=now, of_requests=True),
        Source.PERCENTILES: _measure_percentiles(connection, by_source[Source.PERCENTILES], now=now),
    }
    return {
        (scope, metric.name): counted[source_of(metric, scope.campaign)].get(scope, Measures())
        for scope, metric in asked
    }


class Source(StrEnum):
    """Which statements answer."""

    ROLLUP = "rollup"
    """The hourly rollup, and the events of what it does not hold."""
    EVENTS = "events"
    REQUESTS = "requests"
    PERCENTILES = "percentiles"


def source_of(metric: Metric, campaign: UUID | None) -> Source:
    """Rollups know neither campaigns, nor sums of times, nor API requests."""
    if metric.name == API_ERROR_RATE.name:
        return Source.REQUESTS
    if isinstance(metric, PercentileTime):
        return Source.PERCENTILES
    return Source.EVENTS if campaign is not None or isinstance(metric, MeanTime) else Source.ROLLUP


def _measure_counts(connection: Connection, scopes: set[Scope], *, now: datetime) -> dict[Scope, Measures]:
    """From the rollup where it equals the events, from the events elsewhere."""
    if not scopes:
        return {}
    if not queries().hourly_rollup_exists(connection):
        return _measure_events(connection, scopes, now=now)
    ordered, starts = list(scopes), sorted({scope.start for scope in scopes})
    raw, rolled = _pieces(starts, stale_hours(connection, starts[0], now), now=now)
    found = _measure_pieces(connection, ordered, starts, raw)
    rows = queries().measure_rollups(
        connection, **_arguments(ordered, starts, with_campaigns=False), **_piece_arguments(rolled)
    )
    for number, *values in rows:
        scope = ordered[number]
        found[scope] = found.get(scope, Measures()) + Measures(**dict(zip(_COUNTS, values, strict=True)))
    return found


def stale_hours(connection: Connection, start: datetime, end: datetime) -> set[datetime]:
    """The hours of a span that the hourly rollup may be wrong about."""
    rows = queries().stale_hours_between(connection, window_start=floor(start, HOUR), window_end=end)
    return {hour for (hour,) in rows}


def _pieces(starts: Sequence[datetime], stale: set[datetime], *, now: datetime) -> tuple[list[_Piece], list[_Piece]]:
    """What each window reads from the events, hour by hour, and what from the rollup, in as few spans as possible."""
    closed = closed_before(now)
    raw: list[_Piece] = []
    rolled: list[_Piece] = []
    for number, start in enumerate(starts, 1):
        hour = floor(start, HOUR)
        while hour < now:
            end = min(hour + HOUR, now)
            if hour >= start and end <= closed and hour not in stale:
                if rolled and rolled[-1].window_no == number and rolled[-1].end == hour:
                    rolled[-1] = _Piece(number, rolled[-1].start, end)
                else:
                    rolled.append(_Piece(number, hour, end))
            else:
                raw.append(_Piece(number, max(hour, start), end))
            hour += HOUR
    return raw, rolled


def _measure_events(
    connection: Connection, scopes: set[Scope], *, now: datetime, of_requests: bool = False
) -> dict[Scope, Measures]:
    """From the events alone, each window in one piece."""
    if not scopes:
        return {}
    ordered, starts = list(scopes), sorted({scope.start for scope in scopes})
    pieces = [_Piece(number, start, now) for number, start in enumerate(starts, 1)]
    return _measure_pieces(connection, ordered, starts, pieces, of_requests=of_requests)


def _measure_pieces(
    connection: Connection,
    scopes: Sequence[Scope],
    starts: Sequence[datetime],
    pieces: Sequence[_Piece],
    *,
    of_requests: bool = False,
) -> dict[Scope, Measures]:
    if not pieces:
        return {}
    rows = queries().measure_events(
        connection,
        **_arguments(scopes, starts),
        **_piece_arguments(pieces),
        asked_campaigns=sorted({scope.campaign for scope in scopes if scope.campaign is not None}),
        window_starts=list(starts),
        earliest=min(piece.start for piece in pieces),
        latest=max(piece.end for piece in pieces),
        of_requests=of_requests,
    )
    return {scopes[number]: Measures(**dict(zip(_EVENT_MEASURES, values, strict=True))) for number, *values in rows}


def _measure_percentiles(connection: Connection, scopes: set[Scope], *, now: datetime) -> dict[Scope, Measures]:
    if not scopes:
        return {}
    ordered = list(scopes)
    arguments = _arguments(ordered, sorted({scope.start for scope in scopes}))
    arguments["window_starts"] = [scope.start for scope in ordered]
    del arguments["window_nos"]
    rows = queries().measure_percentiles(connection, **arguments, window_end=now)
    return {ordered[number]: Measures(delivery_times=times, p95_delivery_ms=p95) for number, times, p95 in rows}


def _arguments(
    scopes: Sequence[Scope], starts: Sequence[datetime], *, with_campaigns: bool = True
) -> defaultdict[str, list[Any]]:
    number_of = {start: number for number, start in enumerate(starts, 1)}
    arguments: defaultdict[str, list[Any]] = defaultdict(list)
    for number, scope in enumerate(scopes):
        arguments["scope_nos"].append(number)
        arguments["tenant_ids"].append(scope.tenant_id)
        arguments["window_nos"].append(number_of[scope.start])
        arguments["channels"].append(scope.channel)
        arguments["providers"].append(scope.provider)
        if with_campaigns:
            arguments["campaign_ids"].append(scope.campaign)
    return arguments


def _piece_arguments(pieces: Sequence[_Piece]) -> dict[str, list[Any]]:
    return {
        "piece_windows": [piece.window_no for piece in pieces],
        "piece_starts": [piece.start for piece in pieces],
        "piece_ends": [piece.end for piece in pieces],
    }
