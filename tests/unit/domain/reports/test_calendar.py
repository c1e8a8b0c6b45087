"""Local hours and days as instants."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, time, timedelta

import pytest

from iris_pipelines.domain.reports.calendar import UnknownTimeZone, instant_of, slots, start_of_day, zone
from iris_pipelines.domain.reports.subjects import Time
from iris_pipelines.domain.windows import DAY, HOUR, Window

MINUTE = timedelta(minutes=1)


def local_day(name: str, day: date) -> Window:
    return Window(start_of_day(day, zone(name)), start_of_day(day + timedelta(days=1), zone(name)))


@pytest.mark.parametrize(
    ("name", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 28), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
        # Clocks are changed at midnight: the day begins at 1 o'clock, or has 0 o'clock twice.
        ("Africa/Cairo", date(2026, 4, 24), 23),
        ("America/Havana", date(2026, 11, 1), 25),
    ],
)
def test_a_local_day_is_as_long_as_it_is(name: str, day: date, hours: float) -> None:
    window = local_day(name, day)
    assert (window.end - window.start) / HOUR == hours
    first, last = window.start.astimezone(zone(name)), (window.end - MINUTE).astimezone(zone(name))
    assert first.date() == last.date() == day
    assert (window.start - MINUTE).astimezone(zone(name)).date() == day - timedelta(days=1)


@pytest.mark.parametrize(
    ("name", "minutes"), [("Asia/Kolkata", 30), ("Asia/Kathmandu", 15), ("Australia/Eucla", 15), ("UTC", 0)]
)
def test_hours_begin_where_the_local_clock_says(name: str, minutes: int) -> None:
    found = list(slots(local_day(name, date(2026, 5, 1)), Time.HOUR, zone(name)))
    assert len(found) == 24
    assert {slot.hour.minute for slot in found} == {minutes}
    assert [slot.window.start.astimezone(zone(name)).hour for slot in found] == list(range(24))


def test_an_hour_that_the_clock_shows_twice_is_two() -> None:
    found = list(slots(local_day("Europe/Berlin", date(2026, 10, 25)), Time.HOUR, zone("Europe/Berlin")))
    assert len({slot.label("hour") for slot in found}) == 25
    assert [slot.hour.astimezone(zone("Europe/Berlin")).hour for slot in found][:5] == [0, 1, 2, 2, 3]


def test_where_clocks_go_back_half_an_hour_that_half_is_an_hour_of_its_own() -> None:
    lord_howe = zone("Australia/Lord_Howe")
    lengths = [
        slot.window.end - slot.window.start
        for slot in slots(local_day(lord_howe.key, date(2026, 4, 5)), Time.HOUR, lord_howe)
    ]
    assert lengths == [HOUR, HOUR, 30 * MINUTE, *[HOUR] * 22]


@pytest.mark.parametrize("unit", [Time.HOUR, Time.DATE, None])
@pytest.mark.parametrize(
    "name", ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana", "Pacific/Apia"]
)
def test_pieces_follow_each_other_and_fill_the_range(name: str, unit: Time | None) -> None:
    window = Window(datetime(2026, 2, 27, 10, 20, tzinfo=UTC), datetime(2026, 11, 8, 3, 50, tzinfo=UTC))
    found = list(slots(window, unit, zone(name)))
    assert (found[0].window.start, found[-1].window.end) == (window.start, window.end)
    assert all(a.window.end == b.window.start for a, b in itertools.pairwise(found))
    if unit is Time.DATE:
        assert [slot.day for slot in found] == [found[0].day + timedelta(days=n) for n in range(len(found))]


def test_weeks_begin_on_monday_and_months_on_their_first() -> None:
    (slot,) = slots(Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)), Time.DATE, zone("UTC"))
    assert (slot.label("date"), slot.label("week")) == (date(2026, 3, 1), date(2026, 2, 23))
    assert slot.label("month") == date(2026, 3, 1)


def test_a_time_that_is_jumped_over_is_the_jump_and_a_double_one_the_first() -> None:
    berlin = zone("Europe/Berlin")
    assert instant_of(date(2026, 3, 29), time(2, 30), berlin) == datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert instant_of(date(2026, 10, 25), time(2, 30), berlin) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Europe/Berlinn", "../etc/passwd", "/etc/localtime", "", "UTC\x00", "Mars"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(UnknownTimeZone, match="unknown time zone"):
        zone(name)


def test_a_day_is_a_day_without_changes_of_clocks() -> None:
    assert local_day("Asia/Tokyo", date(2026, 3, 29)).end - local_day("Asia/Tokyo", date(2026, 3, 29)).start == DAY
