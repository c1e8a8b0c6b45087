"""The marts per day of channels, delivery and cost equal a recount, whatever happens to the events."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.domain.windows import DAY, Window, closed_before
from tests.integration.dbt_project.macros import rendered
from tests.pipeline.conftest import Pipeline
from tests.pipeline.marts import channels_recount as recount
from tests.pipeline.marts.traffic import TENANTS, execute, insert, load

# The day before is a leap day.
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
NOW = MARCH + timedelta(hours=9, minutes=40)
MICROSECOND = timedelta(microseconds=1)
CHANNEL, PROVIDER = ["tenant_id", "date", "channel"], ["tenant_id", "date", "channel", "provider"]
FACT, ERRORS = "analytics_intermediate.int_channel_activity_daily", "analytics.channel_errors_daily"
FAILED = {"event_type": "message.failed", "channel": "sms", "provider": "twilio", "success": False}


def assert_exact(database: Database) -> None:
    events = recount.events_of(database, closed_before=closed_before(NOW))
    assert events
    marts = [
        ("channel_daily", CHANNEL, recount.channels),
        ("channel_provider_daily", PROVIDER, recount.channel_providers),
        ("channel_errors_daily", [*PROVIDER, "error_code", "error_message"], recount.errors),
        ("delivery_quality_daily", CHANNEL, recount.quality),
        ("cost_daily", PROVIDER, recount.daily_costs),
    ]
    for mart, key, expected in marts:
        assert recount.stored(database, f"analytics.{mart}", key) == expected(events), mart


@pytest.mark.parametrize("seed", [5, 6])
def test_marts_equal_a_recount_also_after_late_erased_and_corrected_events(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    load(database, MARCH - 3 * DAY, NOW, events_per_day=900, seed=seed)
    corners = [
        {"event_type": "message.delivered", "provider": "twilio", "duration_ms": 2**40},
        {"event_type": "message.delivered", "channel": "push", "duration_ms": 1},
        *[{"event_type": "message.delivered", "channel": "sms", "duration_ms": -(2**n)} for n in (0, 7, 40)],
        {"event_type": "message.sent", "channel": "sms", "cost": "-0.000001"},
        {"event_type": "message.opened", "channel": "push", "is_machine": True, "contact_id": UUID(int=9)},
        {"event_type": "link.clicked", "channel": "push", "contact_id": UUID(int=9)},
        {"event_type": "email.complaint", "channel": "email", "success": False},
        {"event_type": "weather.changed", "channel": "social", "cost": "0.000001"},
        {"event_type": "api.request", "channel": "voice", "cost": 5},
        *[{**FAILED, "error_code": code} for code in (None, "", "30003", "unknown")],
        *[{**FAILED, "error_message": f"{words}{end}"} for words in ("", "é" * 400) for end in ("", "a", "b")],
    ]
    for instant in (MARCH - DAY, MARCH - MICROSECOND, MARCH, closed_before(NOW)):
        insert(database, instant, *corners)
    insert(database, MARCH - DAY, *corners, tenant_id=TENANTS[1])
    pipeline.refresh(now=NOW)
    assert_exact(database)
    assert pipeline.refresh(now=NOW) == []

    insert(database, MARCH - 40 * DAY, FAILED, {"event_type": "message.sent", "cost": 1})
    assert execute(
        database,
        "delete from iris.analytics_events where timestamp >= %s and timestamp < %s and event_type like 'message.%%'",
        MARCH - DAY,
        MARCH,
    )
    assert execute(
        database, "update iris.analytics_events set channel = null, cost = cost * 2 where timestamp >= %s", MARCH
    )
    rebuilds = pipeline.refresh(now=NOW)
    assert_exact(database)
    touched = {
        Window(MARCH - 40 * DAY, MARCH - 39 * DAY),
        Window(MARCH - DAY, MARCH),
        Window(MARCH, closed_before(NOW)),
    }
    assert pipeline.rebuilt(rebuilds, FACT) == pipeline.rebuilt(rebuilds, ERRORS) == touched


def test_a_day_without_events_has_no_row_and_without_a_denominator_no_rate(
    pipeline: Pipeline, database: Database
) -> None:
    insert(database, MARCH - 2 * DAY, {"event_type": "message.opened", "channel": "sms"})
    insert(database, MARCH, *[{"event_type": "message.delivered", "channel": "sms"}] * 3)
    insert(database, MARCH, {"event_type": "message.sent", "channel": "sms"})
    pipeline.refresh(now=NOW)
    rows = recount.stored(database, "analytics.channel_provider_daily", PROVIDER)
    assert {day: row["delivery_rate"] for (_, day, _, _), row in rows.items()} == {
        date(2024, 2, 28): None,
        date(2024, 3, 1): 300,
    }


def test_no_figure_is_too_large_or_too_small_for_the_marts(pipeline: Pipeline, database: Database) -> None:
    shortest, longest = -(2**63), 2**63 - 1
    for channel, duration_ms in (("push", longest), ("sms", shortest)):
        for event_type in ("message.delivered", "api.request"):
            event = {"event_type": event_type, "channel": channel, "provider": "p", "duration_ms": duration_ms}
            path = {"path": f"/{channel}"}
            insert(database, MARCH - DAY, *[{**event, "event_data": path, "cost": "-9999.999999"}] * 2)
    pipeline.refresh(now=NOW)
    times = ("avg_delivery_time_ms", "p50_delivery_time_ms", "p99_delivery_time_ms")
    rows = recount.stored(database, "analytics.channel_daily", CHANNEL)
    assert {channel: [row[name] for name in times] for (_, _, channel), row in rows.items()} == {
        "push": [longest] * 3,
        "sms": [shortest] * 3,
    }
    rankings = recount.stored(database, "analytics.provider_rankings", recount.RANKING_KEY)
    p95 = {channel: row["p95_delivery_time_ms"] for (*_, channel, _), row in rankings.items()}
    assert p95 == {"push": pytest.approx(longest, rel=0.01), "sms": pytest.approx(shortest, rel=0.01)}
    usage = recount.stored(database, "analytics.api_usage_daily", ["tenant_id", "date", "endpoint", "method"])
    assert {(row["avg_response_time_ms"], row["p95_response_time_ms"]) for row in usage.values()} == {
        (longest, longest),
        (shortest, shortest),
    }


@pytest.mark.parametrize("seed", [7, 8])
def test_percentiles_of_a_range_are_those_of_the_range_to_one_per_cent(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    load(database, MARCH - 5 * DAY, NOW, events_per_day=1500, seed=seed)
    early = [{"event_type": "message.delivered", "channel": "push", "duration_ms": -n * n} for n in range(40)]
    insert(database, MARCH - 2 * DAY, *early)
    pipeline.refresh(now=NOW)
    start, end = (MARCH - 4 * DAY).date(), MARCH.date()
    of_range = rendered(
        "percentiles_of_buckets('buckets', ['tenant_id', 'channel'])", "metrics.sql", "delivery_times.sql"
    )
    histograms = rendered("rows_of_histograms('times')", "metrics.sql", "delivery_times.sql")
    with database.transaction() as connection:
        statements = [
            "with buckets as (select times.*, histogram.bucket, histogram.deliveries"
            f" from analytics_intermediate.int_delivery_times_daily as times {histograms}"
            f" where date >= '{start}' and date < '{end}' and provider is {which}) {of_range}"
            for which in ("null", "not null")
        ]
        rows, added_up = (connection.execute(statement.encode()).fetchall() for statement in statements)
        exact = connection.execute(
            "select tenant_id, channel, percentile_cont(array[0.5, 0.95, 0.99]) within group (order by duration_ms)"
            " from iris.analytics_events where event_type = 'message.delivered' and duration_ms is not null"
            " and timestamp >= %s and timestamp < %s group by 1, 2",
            (start, end),
        ).fetchall()
    found = {(tenant_id, channel): list(percentiles) for tenant_id, channel, *percentiles in rows}
    assert len(found) > 5
    assert sorted(rows) == sorted(added_up)
    assert found == {
        (tenant_id, channel): [pytest.approx(each, rel=0.01, abs=0.5) for each in percentiles]
        for tenant_id, channel, percentiles in exact
    }
