"""When a recurring report is due: every day, week or month at a time that a local clock shows."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.reports.calendar import instant_of

LAST_DAY = 31
"""The day of a month that stands for its last one; the 29th and 30th fall on it too where a month is shorter."""


class InvalidSchedule(IrisError):
    """A schedule that cannot be kept."""


class Cadence(StrEnum):
    """How often a report is made."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True)
class Schedule:
    """Every day, a weekday, or a day of the month."""

    cadence: Cadence
    at: time = time(8)
    weekday: int | None = None
    """0 is Monday."""
    month_day: int | None = None
    """1 to 31, where 31 is the last day."""

    def __post_init__(self) -> None:
        if (self.weekday is not None) is not (self.cadence is Cadence.WEEKLY):
            raise InvalidSchedule("a weekly report, and no other, needs a weekday")
        if (self.month_day is not None) is not (self.cadence is Cadence.MONTHLY):
            raise InvalidSchedule("a monthly report, and no other, needs a day of the month")
        if self.weekday is not None and not 0 <= self.weekday <= 6:
            raise InvalidSchedule("a weekday is a number from 0 (Monday) to 6")
        if self.month_day is not None and not 1 <= self.month_day <= LAST_DAY:
            raise InvalidSchedule("a day of the month is a number from 1 to 31, where 31 is the last one")
        if self.at.tzinfo is not None or self.at.second or self.at.microsecond:
            raise InvalidSchedule("a report is due at a local time in hours and minutes")

    def is_due_on(self, day: date) -> bool:
        """Whether the report is due on a local day."""
        if self.cadence is Cadence.DAILY:
            return True
        if self.month_day is None:
            return day.weekday() == self.weekday
        return day.day == min(self.month_day, monthrange(day.year, day.month)[1])


@dataclass(frozen=True)
class Occurrence:
    """One time that a report is due: the local day is its name, whatever the clock does on it."""

    day: date
    at: datetime
    """The instant, in UTC."""


def occurrences(schedule: Schedule, zone: ZoneInfo, *, after: date, until: datetime) -> Iterator[Occurrence]:
    """The occurrences on days after a local day, as far as they have come by an instant, in order.

    A time that the clock jumps over is the jump itself; of one that it shows twice, the first is meant.
    """
    day = after + timedelta(days=1)
    while (at := instant_of(day, schedule.at, zone)) <= until:
        if schedule.is_due_on(day):
            yield Occurrence(day, at)
        day += timedelta(days=1)
