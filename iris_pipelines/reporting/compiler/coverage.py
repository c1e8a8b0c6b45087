"""Which part of a range a source answers, and which part is left to the event log.

A source is right for each of its hours or days that is not noted as stale: what notes events and what replaces
windows are transactions, so that within one snapshot this holds to the event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from iris_pipelines.db.database import Connection, queries
from iris_pipelines.domain.windows import DAY, Window, floor, merged
from iris_pipelines.reporting.compiler.sources import SOURCES, Source


@dataclass(frozen=True)
class Ledger:
    """The sources that are built, each with its stale hours in the range that was looked at."""

    stale: Mapping[str, Set[datetime]]
    """By consumer; one that is missing is not built at all."""


@dataclass(frozen=True)
class Coverage:
    """A range, divided between a source and the event log."""

    source: Source
    covered: tuple[Window, ...]
    rest: tuple[Window, ...]

    @property
    def bulk(self) -> float:
        """About how many rows are read of the source, and how many of the event log."""
        return _days(self.covered) * self.source.bulk

    @property
    def rest_days(self) -> float:
        """How much is left to the event log."""
        return _days(self.rest)


def read_ledger(connection: Connection, window: Window) -> Ledger:
    """What is built and what is stale, as of this transaction's snapshot."""
    stale: dict[str, set[datetime]] = {name: set() for name in built_consumers(connection)}
    start, end = floor(window.start, DAY), floor(window.end, DAY) + DAY
    for name, hour in queries().stale_report_hours(connection, names=list(stale), range_start=start, range_end=end):
        stale[name].add(hour)
    return Ledger(stale)


def built_consumers(connection: Connection) -> list[str]:
    """The consumers of the sources that can be read."""
    sources = {each.consumer: each.relation for each in SOURCES if each.consumer is not None}
    built = queries().built_report_sources(connection, names=list(sources), relations=list(sources.values()))
    return [name for (name,) in built]


def cover(source: Source, windows: Iterable[Window], ledger: Ledger) -> Coverage:
    """Give a source the whole hours or days of the windows that it has right; the rest goes to the event log."""
    wanted = tuple(windows)
    if source.consumer is None or source.unit is None or source.consumer not in ledger.stale:
        return Coverage(source, (), tuple(merged(wanted)))
    stale = sorted({floor(hour, source.unit) for hour in ledger.stale[source.consumer]})
    covered: list[Window] = []
    rest: list[Window] = []
    for window in wanted:
        inner = _whole(window, source.unit)
        if inner is None:
            rest.append(window)
            continue
        rest += [Window(a, b) for a, b in ((window.start, inner.start), (inner.end, window.end)) if a < b]
        position = inner.start
        for unit_start in (each for each in stale if inner.start <= each < inner.end):
            if position < unit_start:
                covered.append(Window(position, unit_start))
            rest.append(Window(unit_start, unit_start + source.unit))
            position = unit_start + source.unit
        if position < inner.end:
            covered.append(Window(position, inner.end))
    return Coverage(source, tuple(merged(covered)), tuple(merged(rest)))


def _whole(window: Window, unit: timedelta) -> Window | None:
    """The whole hours or days of UTC within a window."""
    start = floor(window.start, unit)
    start = start if start == window.start else start + unit
    end = floor(window.end, unit)
    return Window(start, end) if start < end else None


def _days(windows: Sequence[Window]) -> float:
    return sum((each.end - each.start) / DAY for each in windows)
