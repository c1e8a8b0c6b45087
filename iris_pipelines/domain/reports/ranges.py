"""Which time a report covers: fixed, or relative to the day it is made on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.reports.calendar import start_of_day
from iris_pipelines.domain.windows import Window


class InvalidRange(IrisError):
    """A range that holds no time."""


_TRAILING = re.compile(r"last_([1-9][0-9]{0,3})_(days|weeks|months)\Z")
_SPANS = ("week", "month", "quarter", "year")
_NAMED = ("today", "yesterday", *(f"{which}_{span}" for which in ("this", "previous") for span in _SPANS))
RELATIVE_RANGES = (*_NAMED, "last_N_days", "last_N_weeks", "last_N_months")
"""The relative ranges. `last_N_...` are whole ones that are over: today, this week and this month are not in them."""

_ALIASES = {f"last_{span}": f"previous_{span}" for span in _SPANS}


def _relative(value: str) -> str:
    name = _ALIASES.get(value, value)
    if name not in _NAMED and not _TRAILING.match(name):
        raise ValueError(
            f"unknown date range {value!r}: use one of {', '.join(RELATIVE_RANGES)}, or a start and an end"
        )
    return name


def _day_or_instant(value: Any) -> Any:
    """A day, or an instant with an offset: a local time without one may be two instants, or none."""
    if isinstance(value, str):
        text = value.strip()
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"expected a day such as 2026-01-31, or an instant with an offset, not {text!r}") from None
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"{value.isoformat()} has no offset: add one, such as Z or +02:00, or give the day alone")
    return value


Edge = Annotated[AwareDatetime | date, BeforeValidator(_day_or_instant)]


class AbsoluteRange(BaseModel):
    """From `start` to before `end`; days are those of the report's time zone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: Edge = Field(description="First day, or first instant.")
    end: Edge = Field(description="The day after the last, or the first instant that is no longer in the range.")

    @model_validator(mode="after")
    def _runs_forward(self) -> AbsoluteRange:
        same_kind = isinstance(self.start, datetime) == isinstance(self.end, datetime)
        if same_kind and self.start >= self.end:
            raise ValueError(f"the range must end after it starts: {self.start} to {self.end} (the end is not in it)")
        return self


RelativeRange = Annotated[
    str,
    BeforeValidator(lambda value: _relative(value) if isinstance(value, str) else value),
    Field(description="One of " + ", ".join(RELATIVE_RANGES), examples=["last_7_days", "previous_month"]),
]


@dataclass(frozen=True)
class Period:
    """The time that a report covers, and the time before it that it is compared with."""

    window: Window
    previous: Window
    zone: ZoneInfo

    @property
    def first_day(self) -> date:
        """The local day in which it starts."""
        return self.window.start.astimezone(self.zone).date()

    @property
    def last_day(self) -> date:
        """The local day in which it ends."""
        return (self.window.end - timedelta(microseconds=1)).astimezone(self.zone).date()

    def __str__(self) -> str:
        """In words: whole days by their dates, all else to the minute."""
        start, end = self.window.start.astimezone(self.zone), self.window.end.astimezone(self.zone)
        if not _is_of_days(self.window, self.zone):
            return f"{start:%-d %B %Y %H:%M} to {end:%-d %B %Y %H:%M}"
        first, last = self.first_day, self.last_day
        if first == last:
            return f"{first:%-d %B %Y}"
        if first.year != last.year:
            return f"{first:%-d %B %Y} to {last:%-d %B %Y}"
        return f"{first:%-d}{'' if first.month == last.month else f' {first:%B}'} to {last:%-d %B %Y}"


def resolve(wanted: AbsoluteRange | str, zone: ZoneInfo, *, today: date) -> Period:
    """The period of a range, as seen on a local day: an occurrence's own, whatever day the report is made on."""
    if isinstance(wanted, AbsoluteRange):
        start, end = _instant(wanted.start, zone), _instant(wanted.end, zone)
        if start >= end:
            raise InvalidRange(f"the range must end after it starts: {start} to {end} (the end is not in it)")
        return Period(Window(start, end), _before(Window(start, end), zone), zone)
    before, start_day, end_day = _days(wanted, today)
    edges = [start_of_day(day, zone) for day in (before, start_day, end_day)]
    return Period(Window(edges[1], edges[2]), Window(edges[0], edges[1]), zone)


def _instant(edge: date | datetime, zone: ZoneInfo) -> datetime:
    return edge.astimezone(UTC) if isinstance(edge, datetime) else start_of_day(edge, zone)


def _before(window: Window, zone: ZoneInfo) -> Window:
    """As many whole local days before, or as much time where the range is none of days."""
    if _is_of_days(window, zone):
        first, after = (each.astimezone(zone).date() for each in (window.start, window.end))
        return Window(start_of_day(first - (after - first), zone), window.start)
    return Window(window.start - (window.end - window.start), window.start)


def _is_of_days(window: Window, zone: ZoneInfo) -> bool:
    # In UTC: of times that clocks show twice, Python takes none for equal to anything in another zone.
    return all(each == start_of_day(each.astimezone(zone).date(), zone) for each in (window.start, window.end))


def _days(name: str, today: date) -> tuple[date, date, date]:
    """The first day of the period before, of the period, and after it."""
    trailing = _TRAILING.match(name)
    if trailing is None and name in ("today", "yesterday"):
        start = today if name == "today" else today - timedelta(days=1)
        return start - timedelta(days=1), start, start + timedelta(days=1)
    if trailing is None:
        which, span = name.split("_")
        number = 1
    else:
        which, number, span = "previous", int(trailing[1]), trailing[2].removesuffix("s")
    this = _first(span, today)
    end = this if which == "previous" else _moved(span, this, 1)
    return _moved(span, end, -2 * number), _moved(span, end, -number), end


def _first(span: str, day: date) -> date:
    """The first day of the week, month, quarter or year of a day."""
    if span == "day":
        return day
    if span == "week":
        return day - timedelta(days=day.weekday())
    month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[span]
    return date(day.year, month, 1)


def _moved(span: str, first: date, number: int) -> date:
    if span in ("day", "week"):
        return first + timedelta(days=number * (7 if span == "week" else 1))
    months = first.year * 12 + first.month - 1 + number * {"month": 1, "quarter": 3, "year": 12}[span]
    return date(months // 12, months % 12 + 1, 1)
