"""Savings and budgets equal a recount: whatever the prices, wherever the tenant, whenever an event comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from iris_pipelines.db.budgets import budget_status, set_budget
from iris_pipelines.db.database import Database
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.domain.windows import DAY, Window, closed_before
from iris_pipelines.ingestion.files.discovery import LocalFile
from iris_pipelines.ingestion.prices import load_prices, set_default_provider
from tests.pipeline.conftest import Pipeline
from tests.pipeline.marts import finance_recount
from tests.pipeline.marts.channels_recount import Key, Row, events_of, stored
from tests.pipeline.marts.traffic import TENANTS, execute, insert, load

# The day before is a leap day.
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
NOW = MARCH + timedelta(hours=9, minutes=40)
MICROSECOND = timedelta(microseconds=1)
SAVINGS_KEY, BUDGET_KEY = ["tenant_id", "date", "channel"], ["tenant_id", "month"]
HEADER = "tenant_id,provider,channel,country,price,currency,valid_from,valid_to\n"
# Half of the sent messages say where they go, some of the others where that was seen.
COUNTRIES = """
    update iris.analytics_events
    set
        event_data = case when get_byte(uuid_send(id), 0) %% 2 = 0
            then coalesce(event_data, '{}')
                || jsonb_build_object('country', (array['US', 'de', ''])[1 + get_byte(uuid_send(id), 1) %% 3])
            else event_data end,
        geo_location = case when get_byte(uuid_send(id), 0) %% 3 = 0 then '{"country": "FR"}'::jsonb end
    where event_type = 'message.sent'
"""


def load_list(database: Database, folder: Path, *lines: str) -> None:
    path = folder / "prices.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n")
    load_prices(database, LocalFile(path))


def assert_savings(database: Database) -> dict[Key, Row]:
    found = stored(database, "analytics.lcr_savings", SAVINGS_KEY)
    expected = finance_recount.savings(database, events_of(database, closed_before=closed_before(NOW)))
    assert found == expected
    return found


def assert_budgets(database: Database, *, closed: datetime) -> dict[Key, Row]:
    found = stored(database, "analytics.budget_status", BUDGET_KEY)
    expected = finance_recount.budgets(database, events_of(database, closed_before=closed), now=datetime.now(UTC))
    assert found == expected
    return found


@pytest.mark.parametrize("seed", [9, 10])
def test_savings_follow_prices_at_once_on_the_days_of_their_validity(
    pipeline: Pipeline, database: Database, tmp_path: Path, seed: int
) -> None:
    load(database, MARCH - 3 * DAY, NOW, events_per_day=700, seed=seed)
    ((own,), *_) = _fetch(database, "select id from iris.tenants order by id")
    execute(database, "update iris.tenants set currency = 'USD' where id = %s", own)
    execute(database, COUNTRIES)
    insert(database, MARCH, {"event_type": "weather.changed", "channel": "sms", "cost": 7})
    pipeline.refresh(now=NOW)
    before = assert_savings(database)
    assert {row["measured_cost_dearest"] for row in before.values()} == {None}

    load_list(
        database,
        tmp_path,
        ",twilio,sms,US,0.0079,USD,2024-01-01,",
        ",twilio,sms,,0.05,USD,2024-01-01,2024-03-01",
        ",telnyx,sms,DE,0.03,USD,2024-02-28,",
        ",telnyx,sms,,0.010001,USD,2024-02-28,2024-02-29",
        ",vonage,sms,FR,0.9,USD,2024-02-28,",
        ",ses,email,,0.0001,USD,2024-02-29,",
        ",sendgrid,email,,0.0004,EUR,2020-01-01,",
        f"{own},twilio,sms,,0.02,USD,2024-02-29,",
    )
    set_default_provider(database, own, "sms", "telnyx")
    set_default_provider(database, own, "email", "postmark")
    assert pipeline.refresh(now=NOW) == []
    priced = assert_savings(database)
    of_own = [row for (tenant_id, _, channel), row in priced.items() if tenant_id == own and channel == "sms"]
    assert sum(row["measured_cost_default"] or 0 for row in of_own) > 0
    assert any(0 < row["default_messages"] < row["measured_messages"] for row in of_own)

    load_list(database, tmp_path, ",telnyx,sms,DE,0.5,USD,2024-02-29,2024-03-01")
    assert pipeline.refresh(now=NOW) == []
    after = assert_savings(database)
    changed = {(day, channel) for (tenant, day, channel), row in after.items() if row != priced[tenant, day, channel]}
    assert changed == {((MARCH - DAY).date(), "sms")}

    insert(database, MARCH - 2 * DAY, {"event_type": "message.sent", "channel": "sms", "cost": 2})
    rebuilds = pipeline.refresh(now=NOW)
    assert_savings(database)
    touched = pipeline.rebuilt(rebuilds, "analytics_intermediate.int_sent_costs_daily")
    assert touched == {Window(MARCH - 2 * DAY, MARCH - DAY)}


def test_the_guides_estimate_is_four_tenths_more(pipeline: Pipeline, database: Database) -> None:
    insert(database, MARCH, {"event_type": "message.sent", "channel": "sms", "cost": "0.000001"})
    pipeline.refresh(now=NOW)
    (row,) = assert_savings(database).values()
    assert (row["estimated_cost_without_lcr"], row["estimated_savings"]) == (Decimal("0.0000014"), Decimal("0.0000004"))


ZONES = ["UTC", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Chatham", "Pacific/Kiritimati"]


def test_months_begin_where_the_tenant_is(pipeline: Pipeline, database: Database) -> None:
    tenants = {zone: UUID(int=100 + place) for place, zone in enumerate(ZONES)}
    for zone, tenant_id in tenants.items():
        create_tenant(database, Tenant(tenant_id, zone, zone))
        for month in (1, 2, 3, 4, 10, 11, 12):
            edge = datetime(2023 if month > 9 else 2024, month, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
            for place, instant in enumerate((edge - MICROSECOND, edge, edge + 12 * DAY)):
                insert(
                    database,
                    instant,
                    {"event_type": "message.sent", "channel": "sms", "cost": 10**place},
                    {"event_type": "api.request", "cost": 500},
                    {"event_type": "message.failed"},
                    tenant_id=tenant_id,
                )
    insert(database, MARCH, {"event_type": "message.sent", "cost": 3}, tenant_id=UUID(int=7))
    now = datetime(2024, 5, 2, 0, 30, tzinfo=UTC)
    set_budget(database, tenants["UTC"], Decimal(111))
    set_budget(database, tenants["Asia/Kathmandu"], Decimal("123.33"))
    set_budget(database, tenants["Pacific/Chatham"], Decimal(148))
    execute(database, "insert into iris.tenant_settings values (%s, 'monthly_budget', 'a lot')", tenants[ZONES[2]])
    pipeline.refresh(now=now)
    found = assert_budgets(database, closed=closed_before(now))
    assert len(found) == len(ZONES) * 8 + 1 + 3

    march = [found[tenants[zone], MARCH.date()] for zone in ZONES]
    assert {row["current_spend"] for row in march} == {111}
    assert [row["threshold"] for row in march] == [100, 90, None, None, 75, None]
    assert [row["percent_used"] for row in march] == [100, 90, None, None, 75, None]
    shown = budget_status(database, tenants["UTC"])
    assert shown[0].current_spend == 0
    assert MARCH.date() in {month.month for month in shown}


@pytest.mark.parametrize("seed", [11, 12])
def test_budgets_equal_a_recount_also_when_a_tenant_moves_and_after_late_and_erased_events(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    load(database, MARCH - 3 * DAY, NOW, events_per_day=500, seed=seed)
    ((first,), *_) = _fetch(database, "select id from iris.tenants order by id")
    set_budget(database, first, Decimal("0.5"))
    pipeline.refresh(now=NOW)
    assert_budgets(database, closed=closed_before(NOW))
    execute(database, "update iris.tenants set timezone = 'Asia/Kolkata'")
    assert pipeline.refresh(now=NOW) == []
    assert_budgets(database, closed=closed_before(NOW))

    insert(database, MARCH - DAY + timedelta(hours=18, minutes=30), {"event_type": "message.sent", "cost": 9})
    insert(database, MARCH - 40 * DAY, {"event_type": "message.sent", "cost": 9})
    assert execute(database, "delete from iris.analytics_events where timestamp >= %s and cost is not null", MARCH)
    rebuilds = pipeline.refresh(now=NOW)
    assert_budgets(database, closed=closed_before(NOW))
    assert pipeline.rebuilt(rebuilds, "analytics_intermediate.int_cost_pieces_daily") == {
        Window(MARCH - 40 * DAY, MARCH - 39 * DAY),
        Window(MARCH - DAY, MARCH),
        Window(MARCH, closed_before(NOW)),
    }


def test_a_threshold_is_reached_before_rounding(pipeline: Pipeline, database: Database) -> None:
    create_tenant(database, Tenant(TENANTS[0], "Acme"))
    set_budget(database, TENANTS[0], Decimal(1000))
    insert(database, MARCH, {"event_type": "message.sent", "cost": "899.999999"})
    pipeline.refresh(now=NOW)
    row = assert_budgets(database, closed=closed_before(NOW))[TENANTS[0], MARCH.date()]
    assert (row["percent_used"], row["threshold"]) == (90, 75)


def test_a_budget_may_have_spaces_and_decimals_and_no_share_of_it_is_no_number(
    pipeline: Pipeline, database: Database
) -> None:
    for number, setting in enumerate((" 1000 ", "1000.", "1000.0000000", "1e3", "-5", ""), start=1):
        create_tenant(database, Tenant(UUID(int=number), "Acme"))
        execute(
            database, "insert into iris.tenant_settings values (%s, 'monthly_budget', %s)", UUID(int=number), setting
        )
        insert(database, MARCH, {"event_type": "message.sent", "cost": 750}, tenant_id=UUID(int=number))
    insert(database, MARCH, {"event_type": "message.sent", "cost": "NaN"}, tenant_id=UUID(int=3))
    pipeline.refresh(now=NOW)
    found = _fetch(
        database,
        "select percent_used, threshold from analytics.budget_status where month = '2024-03-01' order by tenant_id",
    )
    assert found == [(Decimal(75), 75), (Decimal(75), 75), *[(None, None)] * 4]


def _fetch(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(statement.encode()).fetchall()
