"""The rule of two sigmas: this hour's delivery rate below the mean of the last week less twice its deviation.

Made safe: hours count by their volume, the running hour is no part of its own baseline, the deviation has a floor that
is at least what chance does to so few messages, and few messages are not judged at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MINIMUM_SENT = 30
MINIMUM_HOURS = 12
FLOOR = 1.0
"""In percentage points."""
SIGMAS = 2.0


@dataclass(frozen=True)
class WeekOfHours:
    """The hours of the last week, weighted by what was sent in them; rates in per cent."""

    hours: int
    mean: float
    deviation: float


@dataclass(frozen=True)
class TwoSigma:
    """What the rule says of an hour."""

    holds: bool | None
    """Whether it is an anomaly; None when there is too little to say."""
    actual: float | None
    expected: float
    low: float


def judge_hour(week: WeekOfHours, sent: int, delivered: int) -> TwoSigma:
    """Compare the running hour with the week before it."""
    if sent < MINIMUM_SENT or week.hours < MINIMUM_HOURS:
        return TwoSigma(None, None if sent == 0 else 100 * delivered / sent, week.mean, week.mean)
    share = min(max(week.mean / 100, 0.0), 1.0)
    by_chance = 100 * math.sqrt(share * (1 - share) / sent)
    low = week.mean - SIGMAS * max(week.deviation, FLOOR, by_chance)
    actual = 100 * delivered / sent
    return TwoSigma(actual < low, actual, week.mean, low)
