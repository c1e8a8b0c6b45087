"""400 days of schedules in eight zones: the right days and times, no gap, no repeat, whenever one looks."""

from __future__ import annotations

import itertools
import random
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from iris_pipelines.domain.reports.ranges import resolve
from iris_pipelines.domain.reports.schedules import Cadence, InvalidSchedule, Schedule, occurrences

START = date(2026, 1, 10)
DAYS = 400
ZONES = [
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"),
    *("Africa/Cairo", "America/Havana"),
]
SCHEDULES = [
    (Schedule(Cadence.DAILY, time(2, 30)), "yesterday"),
    (Schedule(Cadence.DAILY, time(0, 0)), "yesterday"),
    (Schedule(Cadence.WEEKLY, time(0, 15), weekday=6), "last_7_days"),
    (Schedule(Cadence.MONTHLY, time(23, 45), month_day=31), "this_month"),
    (Schedule(Cadence.MONTHLY, time(1, 45), month_day=29), "previous_month"),
]


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize(("schedule", "range_name"), SCHEDULES)
def test_400_days_of_a_schedule(name: str, schedule: Schedule, range_name: str) -> None:
    zone = ZoneInfo(name)
    end = datetime.combine(START + timedelta(days=DAYS), time(12), UTC)
    found = list(occurrences(schedule, zone, after=START, until=end))
    days = [each.day for each in found]
    last = end.astimezone(zone).date()
    candidates = [START + timedelta(days=n) for n in range(1, (last - START).days + 1)]
    due = [day for day in candidates if _is_due(schedule, day)]
    assert days in (due, due[:-1])  # the last day may be over before its time has come
    assert [each.at for each in found] == sorted({each.at for each in found})
    for each in found:
        local = each.at.astimezone(zone)
        is_at_a_jump = (each.at - timedelta(minutes=1)).astimezone(zone).utcoffset() != local.utcoffset()
        assert local.date() == each.day
        assert local.time() == schedule.at or (is_at_a_jump and local.time() > schedule.at)
    if range_name != "this_month":
        periods = [resolve(range_name, zone, today=day).window for day in days]
        assert all(a.end == b.start for a, b in itertools.pairwise(periods)), "a gap or a repeat"


def _is_due(schedule: Schedule, day: date) -> bool:
    if schedule.weekday is not None:
        return day.isoweekday() == schedule.weekday + 1
    if schedule.month_day is not None:
        return day.day == min(schedule.month_day, monthrange(day.year, day.month)[1])
    return True


@pytest.mark.parametrize("name", ZONES)
def test_looks_at_any_times_see_the_same_as_one(name: str) -> None:
    """Restarts, and downtime of up to 40 days: each look goes on where the last one ended."""
    draw, zone = random.Random(3), ZoneInfo(name)
    end = datetime.combine(START + timedelta(days=DAYS), time(12), UTC)
    for schedule, _ in SCHEDULES:
        seen, after, now = [], START, datetime.combine(START, time(12), UTC)
        while now < end:
            now = min(now + timedelta(minutes=draw.choice([1, 7, 61, 1440, 57_600])), end)
            new = list(occurrences(schedule, zone, after=after, until=now))
            after = new[-1].day if new else after
            seen += new
        assert seen == list(occurrences(schedule, zone, after=START, until=end))


@pytest.mark.parametrize(
    "facts",
    [
        {"cadence": Cadence.DAILY, "weekday": 1},
        {"cadence": Cadence.WEEKLY},
        {"cadence": Cadence.WEEKLY, "weekday": 7},
        {"cadence": Cadence.MONTHLY, "month_day": 0},
        {"cadence": Cadence.MONTHLY, "month_day": 32},
        {"cadence": Cadence.MONTHLY, "weekday": 1, "month_day": 1},
        {"cadence": Cadence.DAILY, "at": time(8, 0, 1)},
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(facts: dict[str, object]) -> None:
    with pytest.raises(InvalidSchedule):
        Schedule(**facts)  # type: ignore[arg-type]
