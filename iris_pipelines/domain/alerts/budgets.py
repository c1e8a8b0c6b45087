"""Budgets: of what, for which month, how much of it is used, and what the month will have cost in the end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from uuid import UUID
from zoneinfo import ZoneInfo

from iris_pipelines.domain.alerts.wording import money
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.events import CHANNELS

SETTING = "monthly_budget"
CHANNEL_SETTING = "monthly_budget.channel."
CAMPAIGN_SETTING = "monthly_budget.campaign."
THRESHOLDS = (75, 90, 100)
INTERVAL_QUANTILE = 1.6448536269514722
"""Of the standard normal distribution: an interval of 90 %."""


class InvalidBudget(IrisError):
    """A budget setting that says nothing that can be checked."""


@dataclass(frozen=True)
class Budget:
    """A monthly amount for a tenant, one of its channels or one of its campaigns."""

    tenant_id: UUID
    amount: Decimal
    channel: str | None = None
    campaign: UUID | None = None

    @classmethod
    def of(cls, tenant_id: UUID, key: str, value: str) -> Budget:
        """From a row of tenant_settings. Raises InvalidBudget."""
        try:
            amount = Decimal(value.strip())
        except InvalidOperation:
            raise InvalidBudget(f"{key} is {value!r}: expected an amount such as 500 or 499.99") from None
        if not amount.is_finite() or amount <= 0:
            raise InvalidBudget(f"{key} is {value!r}: expected an amount above 0")
        if key == SETTING:
            return cls(tenant_id, amount)
        if key.startswith(CHANNEL_SETTING):
            channel = key.removeprefix(CHANNEL_SETTING)
            if channel not in CHANNELS:
                raise InvalidBudget(f"{key} names no channel: use one of {', '.join(sorted(CHANNELS))}")
            return cls(tenant_id, amount, channel=channel)
        try:
            return cls(tenant_id, amount, campaign=UUID(key.removeprefix(CAMPAIGN_SETTING)))
        except ValueError:
            raise InvalidBudget(f"{key} names no campaign: use its id") from None

    @property
    def scope(self) -> str:
        """What it is for, as a part of keys; empty for all of the tenant."""
        if self.channel is not None:
            return f"channel {self.channel}"
        return f"campaign {self.campaign}" if self.campaign is not None else ""

    def reached(self, spend: Decimal) -> list[int]:
        """The thresholds that were reached, in order; compared exactly, not as rounded. None by what is no amount."""
        if not spend.is_finite():
            return []
        return [threshold for threshold in THRESHOLDS if spend * 100 >= self.amount * threshold]

    def message(self, threshold: int, spend: Decimal, currency: str) -> str:
        """`Budget 90% reached: $450.00 / $500.00`; of a channel or campaign, its name follows."""
        what = "exceeded" if threshold >= 100 else f"{threshold}% reached"
        amounts = f"{money(spend, currency)} / {money(self.amount, currency)}"
        return f"Budget {what}: {amounts}{f' ({self.scope})' if self.scope else ''}"


@dataclass(frozen=True)
class Month:
    """A calendar month in a time zone."""

    first: date
    zone: ZoneInfo

    @classmethod
    def of(cls, now: datetime, zone: ZoneInfo) -> Month:
        """The month that `now` lies in."""
        return cls(now.astimezone(zone).date().replace(day=1), zone)

    @property
    def name(self) -> str:
        """`2026-11`."""
        return f"{self.first:%Y-%m}"

    @property
    def start(self) -> datetime:
        """Its first instant, in UTC: not always on the hour."""
        return midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The first instant of the next."""
        return midnight(self._next, self.zone)

    @property
    def days(self) -> list[date]:
        """Its days."""
        return [self.first + timedelta(days=n) for n in range((self._next - self.first).days)]

    @property
    def _next(self) -> date:
        return (self.first + timedelta(days=32)).replace(day=1)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day in a zone, in UTC."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True)
class Forecast:
    """What a month will have cost: the likely amount, and an interval that holds it nine times of ten."""

    expected: Decimal
    low: Decimal
    high: Decimal


def forecast(spend: Decimal, past: Mapping[date, Decimal], month: Month, *, now: datetime) -> Forecast | None:
    """From the spend of the month so far and that of whole days before today; None without two weeks of them.

    A day is expected to cost what its weekday did. How far days were off says how far the sum will be; the
    uncertainty of the means themselves, which all days of a weekday share, comes on top.
    """
    days = sorted(past)
    if len(days) < 14:
        return None
    by_weekday: dict[int, list[float]] = {}
    for day in days:
        by_weekday.setdefault(day.weekday(), []).append(float(past[day]))
    means = {weekday: sum(costs) / len(costs) for weekday, costs in by_weekday.items()}
    off = [float(past[day]) - means[day.weekday()] for day in days]
    variance = sum(each * each for each in off) / max(1, len(days) - len(means))
    ahead = _shares_ahead(month, now)
    rest = sum(share * means[day.weekday()] for day, share in ahead)
    shared = sum(_by_weekday(ahead, weekday) ** 2 / len(costs) for weekday, costs in by_weekday.items())
    spread = INTERVAL_QUANTILE * math.sqrt(variance * (sum(share for _, share in ahead) + shared))
    expected = spend + _cents(rest)
    return Forecast(expected, max(spend, expected - _cents(spread)), expected + _cents(spread))


def _shares_ahead(month: Month, now: datetime) -> Sequence[tuple[date, float]]:
    """The days of the month that are not over, and how much of each lies ahead."""
    ahead = []
    for day in month.days:
        start, end = midnight(day, month.zone), midnight(day + timedelta(days=1), month.zone)
        if end > now:
            ahead.append((day, (end - max(start, now)) / (end - start)))
    return ahead


def _by_weekday(ahead: Sequence[tuple[date, float]], weekday: int) -> float:
    return sum(share for day, share in ahead if day.weekday() == weekday)


def _cents(value: float) -> Decimal:
    return Decimal(value).quantize(Decimal("0.01"))
