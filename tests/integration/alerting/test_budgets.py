"""Budgets are told of once per threshold and month of the tenant, also when late costs and changed prices reach one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from iris_pipelines.alerting.budgets import evaluate_budgets, forecast_month
from iris_pipelines.alerting.rules import silence
from iris_pipelines.db.database import Database
from iris_pipelines.domain.windows import DAY
from tests.integration.alerting.platform import MINUTE, NOW, event, insert, make_tenant, messages, rows

CAMPAIGN = UUID(int=77)
ACTIONS = '[{"type": "email", "recipients": ["admin@example.org"]}]'


@pytest.fixture
def tenant(database: Database) -> UUID:
    return make_tenant(database)


def set_budget(database: Database, tenant_id: UUID, amount: str, *, key: str = "monthly_budget") -> None:
    with database.transaction() as connection:
        for name, value in ((key, amount), ("alert_actions", ACTIONS)):
            connection.execute(
                "insert into iris.tenant_settings values (%s, %s, %s)"
                " on conflict (tenant_id, setting_key) do update set setting_value = excluded.setting_value",
                (tenant_id, name, value),
            )


def spend(database: Database, tenant_id: UUID, cost: str, *, at: datetime = NOW - MINUTE, **fields: object) -> None:
    insert(database, [event(tenant_id, "message.sent", at, cost=Decimal(cost), **fields)])


def told(database: Database) -> list[str]:
    return [text for (text,) in rows(database, "select message from iris.system_alerts order by created_at, message")]


def test_each_threshold_is_told_of_once(database: Database, tenant: UUID) -> None:
    set_budget(database, tenant, "500")
    for n, cost in enumerate(("374.99", "0.01", "75", "49.999999", "0.000001", "100")):
        spend(database, tenant, cost)
        for again in range(3):
            evaluate_budgets(database, now=NOW + n * MINUTE + again * timedelta(seconds=1))
    assert told(database) == [
        "Budget 75% reached: $375.00 / $500.00",
        "Budget 90% reached: $450.00 / $500.00",
        "Budget exceeded: $500.00 / $500.00",
    ]
    assert [kind for kind, *_ in messages(database)] == ["firing"] * 3
    data = rows(database, "select severity, data ->> 'threshold', status from iris.system_alerts order by created_at")
    assert data == [("warning", "75%", "noted"), ("warning", "90%", "noted"), ("critical", "exceeded", "noted")]


def test_a_leap_over_all_thresholds_notes_each_and_tells_the_highest(database: Database, tenant: UUID) -> None:
    set_budget(database, tenant, "500")
    spend(database, tenant, "600")
    evaluate_budgets(database, now=NOW)
    assert len(told(database)) == 3
    subjects = rows(database, "select content ->> 'what' from iris.alert_deliveries")
    assert subjects == [("Budget exceeded: $600.00 / $500.00",)]


def test_a_late_cost_and_a_changed_price_reach_a_threshold(database: Database, tenant: UUID) -> None:
    set_budget(database, tenant, "100")
    spend(database, tenant, "50")
    evaluate_budgets(database, now=NOW)
    assert told(database) == []
    spend(database, tenant, "25", at=NOW - timedelta(days=15))
    evaluate_budgets(database, now=NOW + MINUTE)
    with database.transaction() as connection:
        connection.execute("update iris.analytics_events set cost = cost * 1.2")
    evaluate_budgets(database, now=NOW + 2 * MINUTE)
    assert told(database) == ["Budget 75% reached: $75.00 / $100.00", "Budget 90% reached: $90.00 / $100.00"]


def test_who_falls_below_and_rises_again_is_told_nothing_new(database: Database, tenant: UUID) -> None:
    set_budget(database, tenant, "100")
    spend(database, tenant, "80")
    evaluate_budgets(database, now=NOW)
    set_budget(database, tenant, "1000")
    evaluate_budgets(database, now=NOW + MINUTE)
    set_budget(database, tenant, "100")
    evaluate_budgets(database, now=NOW + 2 * MINUTE)
    assert told(database) == ["Budget 75% reached: $80.00 / $100.00"]


@pytest.mark.parametrize(
    ("zone", "minutes"), [("Asia/Kolkata", 30), ("Asia/Kathmandu", 15), ("Australia/Eucla", 15), ("UTC", 0)]
)
def test_the_month_is_exact_where_it_begins_within_an_hour(database: Database, zone: str, minutes: int) -> None:
    from zoneinfo import ZoneInfo

    tenant = make_tenant(database, timezone=zone, currency="EUR")
    start = datetime(2026, 11, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    assert start.minute == minutes
    set_budget(database, tenant, "100")
    spend(database, tenant, "500", at=start - timedelta(microseconds=1))
    spend(database, tenant, "75", at=start)
    evaluate_budgets(database, now=NOW)
    assert told(database) == ["Budget 75% reached: €75.00 / €100.00"]


def test_a_new_month_begins_anew(database: Database, tenant: UUID) -> None:
    set_budget(database, tenant, "100")
    spend(database, tenant, "80")
    evaluate_budgets(database, now=NOW)
    december = datetime(2026, 12, 2, tzinfo=UTC)
    evaluate_budgets(database, now=december)
    spend(database, tenant, "80", at=december - MINUTE)
    evaluate_budgets(database, now=december)
    assert told(database) == ["Budget 75% reached: $80.00 / $100.00"] * 2


def test_channels_and_campaigns_have_budgets_of_their_own(database: Database, tenant: UUID) -> None:
    set_budget(database, tenant, "1000")
    set_budget(database, tenant, "10", key="monthly_budget.channel.sms")
    set_budget(database, tenant, "10", key=f"monthly_budget.campaign.{CAMPAIGN}")
    spend(database, tenant, "8", channel="sms")
    spend(database, tenant, "9.5", channel="email", campaign=CAMPAIGN)
    found = evaluate_budgets(database, now=NOW)
    assert found.budgets == 3
    assert sorted(told(database)) == [
        "Budget 75% reached: $8.00 / $10.00 (channel sms)",
        f"Budget 75% reached: $9.50 / $10.00 (campaign {CAMPAIGN})",
        f"Budget 90% reached: $9.50 / $10.00 (campaign {CAMPAIGN})",
    ]


def test_a_budget_reached_in_silence_is_told_of_after_it(database: Database, tenant: UUID) -> None:
    set_budget(database, tenant, "10")
    silence(database, tenant, now=NOW, lasting=10 * MINUTE)
    spend(database, tenant, "8")
    evaluate_budgets(database, now=NOW)
    assert messages(database) == []
    evaluate_budgets(database, now=NOW + 10 * MINUTE)
    evaluate_budgets(database, now=NOW + 11 * MINUTE)
    assert [kind for kind, *_ in messages(database)] == ["firing"]


def test_a_cost_that_is_no_number_reaches_nothing_and_stops_no_other(database: Database, tenant: UUID) -> None:
    other = make_tenant(database, UUID(int=11))
    for each in (tenant, other):
        set_budget(database, each, "100")
        for days in range(1, 40):
            spend(database, each, "1", at=NOW - timedelta(days=days))
    spend(database, tenant, "NaN")
    spend(database, tenant, "NaN", at=NOW - timedelta(days=30))
    spend(database, other, "60")
    assert evaluate_budgets(database, now=NOW).budgets == 2
    assert told(database) == ["Budget 75% reached: $79.00 / $100.00"]
    assert forecast_month(database, other, now=NOW) is not None
    with database.transaction() as connection:
        connection.execute("delete from iris.analytics_events where cost = 'NaN' and timestamp > %s", (NOW - DAY,))
    spend(database, tenant, "60")
    evaluate_budgets(database, now=NOW + MINUTE)
    assert len(told(database)) == 2


def test_a_budget_that_says_nonsense_stops_no_other(database: Database, tenant: UUID) -> None:
    other = make_tenant(database, UUID(int=11), name="Other")
    set_budget(database, tenant, "a lot")
    set_budget(database, other, "10")
    spend(database, other, "8")
    found = evaluate_budgets(database, now=NOW)
    assert found.broken == ("Acme: monthly_budget is 'a lot': expected an amount such as 500 or 499.99",)
    assert told(database) == ["Budget 75% reached: $8.00 / $10.00"]


def test_the_message_foretells_the_end_of_the_month(database: Database, tenant: UUID) -> None:
    set_budget(database, tenant, "200")
    for day in range(1, 40):
        spend(database, tenant, "10", at=NOW - timedelta(days=day))
    evaluate_budgets(database, now=NOW)
    # 19 days at 10, and what is left of November at 10 a day.
    ahead = forecast_month(database, tenant, now=NOW)
    assert ahead is not None
    assert ahead.low <= ahead.expected <= ahead.high
    assert abs(ahead.expected - Decimal("293.47")) < Decimal("0.02")
    ((facts,),) = rows(database, "select content ->> 'facts' from iris.alert_deliveries")
    assert "Forecast for the month" in facts
