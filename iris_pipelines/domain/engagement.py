"""How engaged a contact is: points for what it did in the last 90 days, which fade day by day.

Counted in ninetieths of a point, which are whole numbers: the result depends on no order of summation.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import StrEnum

POINTS = {
    "message.delivered": 1,
    "message.opened": 5,
    "link.clicked": 10,
    "call.answered": 15,
    "conversion": 50,
}
"""What each type of event earns its contact; the others earn nothing. dbt's macro `points` says the same."""

WINDOW_DAYS = 90
"""How many days count: the day of the score and those before it."""


class Level(StrEnum):
    """A segment of contacts; each lies in exactly one."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INACTIVE = "inactive"


def ninetieths(event_type: str, *, happened_on: date, as_of: date) -> int:
    """What an event is worth as of a day, in ninetieths of a point: points * max(0.1, 1 - n / 90) of n days ago."""
    days = (as_of - happened_on).days
    if not 0 <= days < WINDOW_DAYS:
        return 0
    return POINTS.get(event_type, 0) * max(9, WINDOW_DAYS - days)


def engagement_score(parts: Iterable[int]) -> int:
    """The score from what the events are worth in ninetieths: rounded half away from zero."""
    return (sum(parts) + 45) // 90


def engagement_level(score: int) -> Level:
    """The segment of a score."""
    if score >= 100:
        return Level.HIGH
    if score >= 50:
        return Level.MEDIUM
    return Level.LOW if score >= 10 else Level.INACTIVE
