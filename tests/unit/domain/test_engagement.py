"""Points fade to a tenth over 81 days, count for 90, and halves of a score round up."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest

from iris_pipelines.domain.engagement import POINTS, Level, engagement_level, engagement_score, ninetieths

AS_OF = date(2024, 2, 29)


@pytest.mark.parametrize("days", [0, 1, 45, 80, 81, 82, 89])
@pytest.mark.parametrize("event_type", POINTS)
def test_an_event_is_worth_what_the_formula_says(event_type: str, days: int) -> None:
    worth = ninetieths(event_type, happened_on=AS_OF - timedelta(days=days), as_of=AS_OF)
    assert Fraction(worth, 90) == POINTS[event_type] * max(Fraction(1, 10), 1 - Fraction(days, 90))


@pytest.mark.parametrize("days", [-1, 90, 10_000])
def test_an_event_outside_of_the_90_days_is_worth_nothing(days: int) -> None:
    assert ninetieths("conversion", happened_on=AS_OF - timedelta(days=days), as_of=AS_OF) == 0


def test_other_events_are_worth_nothing() -> None:
    assert ninetieths("message.sent", happened_on=AS_OF, as_of=AS_OF) == 0


@pytest.mark.parametrize(("total", "score"), [(0, 0), (44, 0), (45, 1), (134, 1), (135, 2), (9 * 90, 9)])
def test_half_a_point_counts_as_one(total: int, score: int) -> None:
    assert engagement_score([total]) == score


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0, Level.INACTIVE),
        (9, Level.INACTIVE),
        (10, Level.LOW),
        (49, Level.LOW),
        (50, Level.MEDIUM),
        (99, Level.MEDIUM),
        (100, Level.HIGH),
    ],
)
def test_every_score_has_one_level(score: int, level: Level) -> None:
    assert engagement_level(score) is level
