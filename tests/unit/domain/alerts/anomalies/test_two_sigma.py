"""The rule of two sigmas, made safe."""

from __future__ import annotations

import pytest

from iris_pipelines.domain.alerts.anomalies.two_sigma import WeekOfHours, judge_hour

STEADY = WeekOfHours(168, 97.0, 0.0)


@pytest.mark.parametrize(
    ("week", "sent", "delivered", "holds"),
    [
        (STEADY, 1000, 500, True),
        (STEADY, 1000, 951, False),  # the floor is a point: 95.00 is the limit
        (STEADY, 1000, 949, True),
        (STEADY, 100, 94, False),  # chance alone does that to a hundred messages
        (STEADY, 100, 93, True),
        (WeekOfHours(168, 90.0, 5.0), 10_000, 8_100, False),
        (WeekOfHours(168, 90.0, 5.0), 10_000, 7_990, True),
        (STEADY, 29, 0, None),
        (STEADY, 0, 0, None),
        (WeekOfHours(11, 97.0, 0.0), 1000, 0, None),
        (WeekOfHours(168, 103.0, 0.0), 1000, 1000, True),  # more receipts than sends, all week
    ],
)
def test_an_hour_is_compared_with_its_week(week: WeekOfHours, sent: int, delivered: int, holds: bool | None) -> None:
    assert judge_hour(week, sent, delivered).holds is holds
