from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from iris_pipelines.simulator import InvalidPlan, TrafficPlan

START = datetime(2026, 11, 1, tzinfo=UTC)
PLAN = TrafficPlan(START, START + timedelta(days=2), tenants=1, events_per_day=10)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"end": START}, "must be after the start"),
        ({"end": START - timedelta(days=1)}, "must be after the start"),
        ({"start": datetime(2026, 11, 1)}, "need a time zone"),  # noqa: DTZ001
        ({"start": datetime(1980, 1, 1, tzinfo=UTC), "end": datetime(1980, 1, 2, tzinfo=UTC)}, "before 1990"),
        ({"end": START + timedelta(days=5_000)}, "at most 3660 days"),
        ({"tenants": 0}, "between 1 and 10000 tenants, not 0"),
        ({"events_per_day": 0}, "events a day, not 0"),
        ({"seed": -1}, "a seed of 0 or more"),
        ({"late": 0.6}, "share of late"),
        ({"duplicates": -0.1}, "share of duplicates"),
        ({"malformed": 2.0}, "share of malformed"),
    ],
)
def test_a_silly_plan_is_refused_in_words(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidPlan, match=said):
        replace(PLAN, **change)


def test_the_last_days_are_whole_days_of_24_hours() -> None:
    until = datetime(2026, 11, 3, 7, tzinfo=UTC)
    plan = TrafficPlan.of_last_days(2, until=until, tenants=1, events_per_day=10, seed=1, late=0.2)
    assert (plan.start, plan.end, plan.late) == (until - timedelta(days=2), until, 0.2)
    with pytest.raises(InvalidPlan, match="between 1 and 3660 days"):
        TrafficPlan.of_last_days(0, until=until, tenants=1, events_per_day=10, seed=1)
