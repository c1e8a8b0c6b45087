"""The quarters of an hour that messages are counted in, by when they were sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from iris_pipelines.domain.windows import HOUR, floor

SLOT = timedelta(minutes=15)
MATURITY = timedelta(minutes=15)
"""A message counts as delivered if it was within this time: so a slot is final this long after its end."""
SLOTS_A_WEEK = 7 * 24 * 4
_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Cohort:
    """Messages sent in a slot, and how many of them were delivered in time."""

    slot: datetime
    sent: int
    delivered: int


def matured_before(now: datetime) -> datetime:
    """Slots before this instant are final."""
    return floor(now - MATURITY, SLOT)


def hour_of_week(instant: datetime) -> int:
    """0 is Monday from midnight to one, UTC."""
    return (instant - _MONDAY) // HOUR % 168
