"""Spans of UTC time: hours, days, and the sets of them that a rebuild replaces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class Window:
    """A span of UTC time: `start` belongs to it, `end` does not."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window needs instants with a time zone")
        if self.start >= self.end:
            raise ValueError(f"a window must end after it starts: {self.start} to {self.end}")

    @classmethod
    def hour_of(cls, instant: datetime) -> Window:
        """The hour that `instant` lies in."""
        start = floor(instant, HOUR)
        return cls(start, start + HOUR)

    @classmethod
    def day_of(cls, instant: datetime) -> Window:
        """The UTC day that `instant` lies in."""
        start = floor(instant, DAY)
        return cls(start, start + DAY)

    def split(self, length: timedelta) -> Iterator[Window]:
        """The pieces of this window between aligned instants that are `length` apart."""
        start = self.start
        while start < self.end:
            end = min(floor(start, length) + length, self.end)
            yield Window(start, end)
            start = end


def floor(instant: datetime, length: timedelta) -> datetime:
    """The last aligned instant at or before `instant`: `length` apart, counted from 1970 in UTC."""
    return EPOCH + (instant - EPOCH) // length * length


def closed_before(now: datetime) -> datetime:
    """Hours before this instant have ended; the hour of `now` itself is still running."""
    return floor(now, HOUR)


def merged(windows: Iterable[Window]) -> list[Window]:
    """The same time in as few windows as possible, in order: neighbours and overlaps become one."""
    result: list[Window] = []
    for window in sorted(windows):
        if result and window.start <= result[-1].end:
            result[-1] = Window(result[-1].start, max(result[-1].end, window.end))
        else:
            result.append(window)
    return result
