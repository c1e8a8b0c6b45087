"""Which part of a drop is whose: points of the delivery rate by provider, country or error, which add up to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DELIVERED = "delivered"
SEASON = "the hour of the week"


@dataclass(frozen=True)
class Contribution:
    """What one value of a dimension has to do with it, in percentage points of the drop."""

    value: str
    points: float


@dataclass(frozen=True)
class Counts:
    """Messages and how many of them were delivered in time."""

    sent: int
    delivered: int


def by_group(now: Mapping[str, Counts], before: Mapping[str, Counts], *, expected: float) -> list[Contribution]:
    """The drop from `expected` per cent, split by group: what became worse within it, and what more of it is sent.

    What is expected differs from the mean of the time before by the hour of the week; that is a part of its own.
    """
    rate_before = _overall(before)
    sent_now, sent_before = _sent(now), _sent(before)
    parts: dict[str, float] = {}
    for group in {*now, *before}:
        counts_now, counts_before = now.get(group, Counts(0, 0)), before.get(group, Counts(0, 0))
        share_now, share_before = counts_now.sent / sent_now, counts_before.sent / sent_before
        was = _rate(counts_before, rate_before)
        worse = share_now * (was - _rate(counts_now, was))
        mixed = (share_before - share_now) * (was - rate_before)
        parts[group] = worse + mixed
    return _ordered(parts, expected - rate_before)


def by_outcome(now: Mapping[str, int], before: Mapping[str, int], *, expected: float) -> list[Contribution]:
    """The drop split by what became of what was not delivered: an error code, or nothing at all."""
    total_now, total_before = sum(now.values()), sum(before.values())
    parts = {
        outcome: 100 * (now.get(outcome, 0) / total_now - before.get(outcome, 0) / total_before)
        for outcome in {*now, *before}
        if outcome != DELIVERED
    }
    return _ordered(parts, expected - 100 * before.get(DELIVERED, 0) / total_before)


def _ordered(parts: dict[str, float], season: float) -> list[Contribution]:
    found = [Contribution(value, points) for value, points in parts.items()]
    return [*sorted(found, key=lambda each: (-each.points, each.value)), Contribution(SEASON, season)]


def _overall(groups: Mapping[str, Counts]) -> float:
    return 100 * sum(each.delivered for each in groups.values()) / _sent(groups)


def _sent(groups: Mapping[str, Counts]) -> int:
    return sum(each.sent for each in groups.values())


def _rate(counts: Counts, otherwise: float) -> float:
    return 100 * counts.delivered / counts.sent if counts.sent else otherwise
