"""Local calendars in UTC: days of 23, 24 and 25 hours, hours of zones at :30 and :45, weeks and months.

All of it is computed here, once, from the time zone database of Python; PostgreSQL is only told instants.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.reports.subjects import Time
from iris_pipelines.domain.windows import HOUR, Window

ONE_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


class UnknownTimeZone(IrisError):
    """Not a time zone of the IANA database."""


def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownTimeZone(f"unknown time zone {name!r}: use an IANA name such as Europe/Berlin") from error


def instant_of(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When a local clock shows `at` on `day`: the first time if it does twice, and the jump itself if it jumps over."""
    found = datetime.combine(day, at, zone).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == datetime.combine(day, at):
        return found
    # The clock jumps over that time: `found` lies after the jump, by less than it jumps.
    return _first_offset_change(found - ONE_DAY, found, zone) or found


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a local day."""
    return instant_of(day, time(), zone)


@dataclass(frozen=True)
class Slot:
    """A piece of time that lies in one local hour or day, or all of a range, with what the calendar calls it."""

    window: Window
    hour: datetime
    """When the local hour starts, in UTC: where clocks go back, two hours read the same."""
    day: date

    def label(self, dimension: str) -> datetime | date:
        """What a dimension of time shows for it: weeks by their Monday, months by their first day."""
        if dimension == Time.HOUR:
            return self.hour
        if dimension == Time.WEEK:
            return self.day - timedelta(days=self.day.weekday())
        return self.day.replace(day=1) if dimension == Time.MONTH else self.day


def slots(window: Window, unit: Time | None, zone: ZoneInfo) -> Iterator[Slot]:
    """A range cut into local hours or days, the first and last as far as they lie in it; whole without a unit."""
    if unit is None:
        yield Slot(window, window.start, window.start.astimezone(zone).date())
    elif unit is Time.HOUR:
        start = window.start
        while start < window.end:
            hour, end = _hour_around(start, zone)
            end = min(end, window.end)
            yield Slot(Window(start, end), hour, hour.astimezone(zone).date())
            start = end
    else:
        start, day = window.start, window.start.astimezone(zone).date()
        while start < window.end:
            end = min(start_of_day(day + ONE_DAY, zone), window.end)
            if start < end:  # a day may be missing altogether, where the date line was crossed
                yield Slot(Window(start, end), start, day)
            start, day = end, day + ONE_DAY


def _hour_around(instant: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Where the local hour of an instant starts and ends: at the full hour, or when clocks are changed."""
    local = instant.astimezone(zone)
    start = instant - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    end = start + HOUR
    return _first_offset_change(start, instant, zone) or start, _first_offset_change(instant, end, zone) or end


def _first_offset_change(start: datetime, end: datetime, zone: ZoneInfo) -> datetime | None:
    """The minute in which clocks are changed between two instants, if they are."""
    before = start.astimezone(zone).utcoffset()
    if end.astimezone(zone).utcoffset() == before:
        return None
    while end - start > _MINUTE:
        middle = start + (end - start) // 2
        if middle.astimezone(zone).utcoffset() == before:
            start = middle
        else:
            end = middle
    # Clocks are changed at whole minutes.
    return end.replace(second=0, microsecond=0)
