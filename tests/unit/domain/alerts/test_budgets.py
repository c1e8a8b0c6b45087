"""Budgets: settings, thresholds, texts to the letter, months of time zones, forecasts as sure as they say."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from iris_pipelines.domain.alerts.budgets import Budget, InvalidBudget, Month, forecast
from iris_pipelines.domain.alerts.wording import money

TENANT = UUID(int=1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("monthly_budget", "much"),
        ("monthly_budget", ""),
        ("monthly_budget", "0"),
        ("monthly_budget", "-5"),
        ("monthly_budget", "NaN"),
        ("monthly_budget", "Infinity"),
        ("monthly_budget.channel.fax", "5"),
        ("monthly_budget.campaign.spring", "5"),
        ("monthly_budget.region.eu", "5"),
    ],
)
def test_a_setting_that_cannot_be_checked_is_refused(key: str, value: str) -> None:
    with pytest.raises(InvalidBudget, match="monthly_budget"):
        Budget.of(TENANT, key, value)


@pytest.mark.parametrize(
    ("spend", "reached"),
    [
        ("374.999999", []),
        ("375", [75]),
        ("449.999999", [75]),
        ("450.00", [75, 90]),
        ("500", [75, 90, 100]),
        ("9999", [75, 90, 100]),
        ("0", []),
    ],
)
def test_thresholds_are_compared_exactly(spend: str, reached: list[int]) -> None:
    assert Budget.of(TENANT, "monthly_budget", "500").reached(Decimal(spend)) == reached


@pytest.mark.parametrize(
    ("threshold", "spend", "currency", "message"),
    [
        (75, "375", "USD", "Budget 75% reached: $375.00 / $500.00"),
        (90, "450", "USD", "Budget 90% reached: $450.00 / $500.00"),
        (100, "512.345", "USD", "Budget exceeded: $512.35 / $500.00"),
        (90, "450", "EUR", "Budget 90% reached: €450.00 / €500.00"),
        (90, "450", "GBP", "Budget 90% reached: £450.00 / £500.00"),
        (90, "450", "JPY", "Budget 90% reached: ¥450 / ¥500"),
        (90, "450", "CHF", "Budget 90% reached: CHF 450.00 / CHF 500.00"),
    ],
)
def test_messages_are_those_of_the_contract(threshold: int, spend: str, currency: str, message: str) -> None:
    assert Budget.of(TENANT, "monthly_budget", "500").message(threshold, Decimal(spend), currency) == message


def test_a_part_of_the_tenant_is_named() -> None:
    budget = Budget.of(TENANT, "monthly_budget.channel.sms", "10")
    assert budget.message(75, Decimal("7.5"), "USD") == "Budget 75% reached: $7.50 / $10.00 (channel sms)"


def test_money_below_zero_and_half_a_cent() -> None:
    assert money(Decimal("-1.005"), "USD") == "-$1.01"
    assert money(Decimal("-0.001"), "USD") == "$0.00"


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("UTC", "2026-11-01T00:00+00:00", "2026-12-01T00:00+00:00"),
        ("Asia/Kolkata", "2026-10-31T18:30+00:00", "2026-11-30T18:30+00:00"),
        ("Asia/Kathmandu", "2026-10-31T18:15+00:00", "2026-11-30T18:15+00:00"),
        ("America/New_York", "2026-11-01T04:00+00:00", "2026-12-01T05:00+00:00"),
    ],
)
def test_a_month_begins_at_midnight_of_the_tenant(zone: str, start: str, end: str) -> None:
    month = Month.of(datetime(2026, 11, 15, tzinfo=UTC), ZoneInfo(zone))
    assert (month.name, month.start, month.end) == (
        "2026-11",
        datetime.fromisoformat(start),
        datetime.fromisoformat(end),
    )


def test_the_month_is_that_of_the_tenants_clock() -> None:
    now = datetime(2026, 11, 30, 20, tzinfo=UTC)
    assert Month.of(now, ZoneInfo("Asia/Tokyo")).name == "2026-12"
    assert Month.of(now, ZoneInfo("UTC")).name == "2026-11"


def cost_of(day: date, chance: random.Random) -> float:
    return max(0.0, (20 if day.weekday() >= 5 else 100) * chance.gauss(1, 0.2))


def test_nine_of_ten_months_end_within_the_interval() -> None:
    chance = random.Random(4)
    zone = ZoneInfo("UTC")
    now = datetime(2026, 11, 12, 6, tzinfo=UTC)
    month = Month.of(now, zone)
    within = 0
    for _ in range(400):
        past = {
            now.date() - timedelta(days=n): Decimal(cost_of(now.date() - timedelta(days=n), chance))
            for n in range(1, 57)
        }
        so_far = sum((cost for day, cost in past.items() if day >= month.first), Decimal(0))
        today = Decimal(cost_of(now.date(), chance))
        ahead = sum((Decimal(cost_of(day, chance)) for day in month.days if day > now.date()), Decimal(0))
        found = forecast(so_far + today / 4, past, month, now=now)
        assert found is not None
        within += found.low <= so_far + today + ahead <= found.high
    assert 340 <= within <= 380


def test_two_weeks_are_too_short_to_say() -> None:
    now = datetime(2026, 11, 12, tzinfo=UTC)
    past = {now.date() - timedelta(days=n): Decimal(1) for n in range(1, 14)}
    assert forecast(Decimal(1), past, Month.of(now, ZoneInfo("UTC")), now=now) is None
