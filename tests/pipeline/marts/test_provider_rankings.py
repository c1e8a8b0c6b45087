"""Provider rankings equal a recount as of any day, and only the days that a late event reaches are built again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.domain.windows import DAY, Window
from tests.pipeline.conftest import Pipeline
from tests.pipeline.marts import channels_recount as recount
from tests.pipeline.marts.traffic import TENANTS, execute, insert, load

# The day before is a leap day.
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
NOW = MARCH + timedelta(hours=9, minutes=40)
LAST = (MARCH - DAY).date()
MICROSECOND = timedelta(microseconds=1)
MART, FACT = "analytics.provider_rankings", "analytics_intermediate.int_channel_activity_daily"


def assert_exact(database: Database) -> dict[recount.Key, recount.Row]:
    expected = recount.rankings(recount.events_of(database, closed_before=MARCH), last=LAST)
    found = recount.stored(database, MART, recount.RANKING_KEY)
    for key, row in expected.items():
        p95, stored_p95 = row.pop("p95_delivery_time_ms"), found.get(key, {}).pop("p95_delivery_time_ms", None)
        assert stored_p95 == (p95 if p95 is None else pytest.approx(p95, rel=0.01, abs=0.5)), key
    assert found == expected
    return found


@pytest.mark.parametrize("seed", [3, 4])
def test_rankings_equal_a_recount_also_after_late_erased_and_corrected_events(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    load(database, MARCH - 33 * DAY, NOW, events_per_day=150, seed=seed)
    insert(
        database,
        MARCH - MICROSECOND,
        {"event_type": "message.sent", "channel": "sms", "provider": "free", "cost": 0},
        {"event_type": "message.opened", "channel": "sms", "provider": "silent", "success": None},
        {"event_type": "message.delivered", "channel": "sms", "provider": "early", "duration_ms": 2**40},
        {"event_type": "message.delivered", "channel": None, "provider": "early", "duration_ms": 0},
        {
            "event_type": "message.delivered",
            "channel": "sms",
            "provider": "back",
            "duration_ms": -12345,
            "cost": "-0.1",
        },
        {"event_type": "weather.changed", "channel": "sms", "provider": "weather", "cost": 3},
        {"event_type": "weather.changed", "channel": "sms", "provider": "free", "cost": 3},
        {"event_type": "message.sent", "channel": "sms", "provider": None, "cost": 1},
    )
    insert(database, MARCH, {"event_type": "message.sent", "channel": "sms", "provider": "today"})
    pipeline.refresh(now=NOW)
    found = assert_exact(database)
    assert not {"unknown", "weather", "today"} & {provider for *_, provider in found}
    assert pipeline.refresh(now=NOW) == []

    late = MARCH - 20 * DAY
    insert(database, late, {"event_type": "message.failed", "channel": "sms", "provider": "twilio", "success": False})
    rebuilds = pipeline.refresh(now=NOW)
    assert_exact(database)
    # As far as 30 days reach, today and what is to come excepted.
    assert pipeline.rebuilt(rebuilds, MART) == {Window(late + n * DAY, late + (n + 1) * DAY) for n in range(20)}
    assert pipeline.rebuilt(rebuilds, FACT) == {Window(late, late + DAY)}

    assert execute(database, "delete from iris.analytics_events where provider = 'telnyx' and channel = 'sms'")
    assert execute(database, "update iris.analytics_events set success = null where event_type = 'message.delivered'")
    pipeline.refresh(now=NOW)
    assert_exact(database)


def test_a_window_has_7_or_30_days_to_the_microsecond(pipeline: Pipeline, database: Database) -> None:
    sent = {"event_type": "message.sent", "channel": "sms", "provider": "twilio"}
    first = MARCH - 31 * DAY
    insert(database, first, sent)
    insert(database, first + DAY - MICROSECOND, sent)
    insert(database, MARCH, sent, tenant_id=TENANTS[1])
    pipeline.refresh(now=MARCH + 40 * DAY)
    rows = recount.stored(database, MART, recount.RANKING_KEY)
    of_tenant: dict[tuple[UUID, int], list[int]] = {}
    for tenant_id, as_of, window_days, _, _ in rows:
        of_tenant.setdefault((tenant_id, window_days), []).append((as_of - first.date()).days)
    assert {key: sorted(found) for key, found in of_tenant.items()} == {
        (TENANTS[0], 7): list(range(7)),
        (TENANTS[0], 30): list(range(30)),
        (TENANTS[1], 7): list(range(31, 38)),
        (TENANTS[1], 30): list(range(31, 61)),
    }
    assert {row["total_sent"] for key, row in rows.items() if key[0] == TENANTS[0]} == {2}


def test_three_lucky_messages_win_the_raw_ranking_and_not_the_adjusted_one(
    pipeline: Pipeline, database: Database
) -> None:
    for provider, sent, delivered in (("lucky", 3, 3), ("good", 1000, 990)):
        for event_type, count in (("message.sent", sent), ("message.delivered", delivered)):
            execute(
                database,
                "insert into iris.analytics_events (tenant_id, event_type, timestamp, channel, provider, duration_ms)"
                " select %s, %s, %s, 'sms', %s, 2000 from generate_series(1, %s)",
                *(TENANTS[0], event_type, MARCH - DAY, provider, count),
            )
    pipeline.refresh(now=NOW)
    rows = recount.stored(database, MART, recount.RANKING_KEY)
    places = {
        provider: (row["rank"], row["adjusted_rank"]) for (*_, days, _, provider), row in rows.items() if days == 7
    }
    assert places == {"lucky": (1, 2), "good": (2, 1)}
    (lucky,) = [row for (*_, days, _, provider), row in rows.items() if (days, provider) == (30, "lucky")]
    assert lucky["composite_score"] == Decimal("79.40")


def test_an_analyst_who_calls_dbt_build_gets_every_day_that_events_reach_and_that_is_over(
    pipeline: Pipeline, database: Database
) -> None:
    sent = {"event_type": "message.sent", "channel": "sms", "provider": "twilio"}
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    insert(database, MARCH, sent)
    insert(database, today - DAY, sent)
    insert(database, today, sent)
    facts = ["int_activity_daily", "int_channel_activity_daily", "int_delivery_times_daily"]
    models = ["stg_iris__events", *facts, "provider_rankings"]
    pipeline.dbt.build(database.url, models).raise_failures()
    found = {as_of for _, as_of, *_ in recount.stored(database, MART, recount.RANKING_KEY)}
    assert found == {*recount.days(MARCH.date(), MARCH.date() + timedelta(days=29)), (today - DAY).date()}
