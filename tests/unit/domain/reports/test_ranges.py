"""Ranges: fixed, and relative to the day that a report is for."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from iris_pipelines.domain.reports.calendar import zone
from iris_pipelines.domain.reports.ranges import AbsoluteRange, InvalidRange, resolve

BERLIN = zone("Europe/Berlin")
TODAY = date(2026, 3, 31)  # a Tuesday, two days after clocks went forward


@pytest.mark.parametrize(
    ("name", "start", "end", "before"),
    [
        ("today", date(2026, 3, 31), date(2026, 4, 1), date(2026, 3, 30)),
        ("yesterday", date(2026, 3, 30), date(2026, 3, 31), date(2026, 3, 29)),
        ("last_1_days", date(2026, 3, 30), date(2026, 3, 31), date(2026, 3, 29)),
        ("last_7_days", date(2026, 3, 24), date(2026, 3, 31), date(2026, 3, 17)),
        ("this_week", date(2026, 3, 30), date(2026, 4, 6), date(2026, 3, 23)),
        ("previous_week", date(2026, 3, 23), date(2026, 3, 30), date(2026, 3, 16)),
        ("last_2_weeks", date(2026, 3, 16), date(2026, 3, 30), date(2026, 3, 2)),
        ("this_month", date(2026, 3, 1), date(2026, 4, 1), date(2026, 2, 1)),
        ("previous_month", date(2026, 2, 1), date(2026, 3, 1), date(2026, 1, 1)),
        ("last_month", date(2026, 2, 1), date(2026, 3, 1), date(2026, 1, 1)),
        ("last_3_months", date(2025, 12, 1), date(2026, 3, 1), date(2025, 9, 1)),
        ("this_quarter", date(2026, 1, 1), date(2026, 4, 1), date(2025, 10, 1)),
        ("previous_quarter", date(2025, 10, 1), date(2026, 1, 1), date(2025, 7, 1)),
        ("this_year", date(2026, 1, 1), date(2027, 1, 1), date(2025, 1, 1)),
        ("previous_year", date(2025, 1, 1), date(2026, 1, 1), date(2024, 1, 1)),
    ],
)
def test_a_relative_range_is_of_whole_local_days(name: str, start: date, end: date, before: date) -> None:
    from iris_pipelines.domain.reports.definition import ReportDefinition

    wanted = ReportDefinition(name="x", date_range=name, metrics=("messages_sent",)).date_range
    period = resolve(wanted, BERLIN, today=TODAY)
    local = [each.astimezone(BERLIN) for each in (period.window.start, period.window.end, period.previous.start)]
    assert [each.date() for each in local] == [start, end, before]
    assert {each.time().isoformat() for each in local} == {"00:00:00"}
    assert period.previous.end == period.window.start


def test_days_are_local_and_the_end_is_not_in_them() -> None:
    period = resolve(AbsoluteRange(start=date(2026, 3, 29), end=date(2026, 3, 30)), BERLIN, today=TODAY)
    assert (period.window.start, period.window.end) == (
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 3, 29, 22, tzinfo=UTC),
    )
    assert str(period) == "29 March 2026"
    assert (period.previous.start, period.previous.end) == (datetime(2026, 3, 27, 23, tzinfo=UTC), period.window.start)


def test_instants_are_taken_as_they_are() -> None:
    wanted = AbsoluteRange.model_validate({"start": "2026-03-29T10:00:00+05:45", "end": "2026-03-29T05:00:00Z"})
    period = resolve(wanted, BERLIN, today=TODAY)
    assert period.window.start == datetime(2026, 3, 29, 4, 15, tzinfo=UTC)
    assert str(period) == "29 March 2026 06:15 to 29 March 2026 07:00"


def test_a_range_between_a_day_and_an_instant_before_it_holds_no_time() -> None:
    wanted = AbsoluteRange.model_validate({"start": "2026-03-29", "end": "2026-03-01T00:00:00Z"})
    with pytest.raises(InvalidRange, match="must end after it starts"):
        resolve(wanted, BERLIN, today=TODAY)
