"""Reports give the numbers that everything else gives: random questions, answered in three ways."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.domain.metrics import METRICS
from iris_pipelines.domain.reports.definition import read_definition
from iris_pipelines.domain.reports.subjects import API, MESSAGES
from iris_pipelines.reporting.answers import ask, period_of, snapshot
from iris_pipelines.reporting.compiler.question import Question
from tests.pipeline.conftest import Pipeline
from tests.pipeline.reporting.recount import Recount
from tests.pipeline.reporting.traffic import CAMPAIGNS, TENANT, make_tenants, random_events, store

START, NOW = datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 4, 7, 9, 40, tzinfo=UTC)
# Clocks change in these days in Berlin, and in Lord Howe by half an hour; two of the others are at :30 and :45.
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"]
QUESTIONS = 200
_PERCENTILES = [name for name in METRICS if name.startswith("p")]


@pytest.fixture
def traffic(pipeline: Pipeline) -> Database:
    """Traffic whose rollups are built, then late events, and some of the running hour."""
    draw = random.Random(7)
    database = pipeline.database
    make_tenants(database)
    store(database, random_events(draw, START, NOW, 5_000))
    pipeline.refresh(now=NOW)
    late = random_events(draw, datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 3, 29, 3, tzinfo=UTC), 60)
    store(database, late + random_events(draw, NOW, NOW + timedelta(minutes=10), 40))
    return database


def test_200_random_questions_have_one_answer(traffic: Database) -> None:
    draw = random.Random(11)
    recount = Recount(stored_events(traffic))
    used: set[str] = set()
    for number in range(QUESTIONS):
        asked = question(draw)
        is_api = asked["metrics"][0] in API.metrics
        found, sources = reported(traffic, asked)
        used |= sources
        expected = recount.answer(asked, is_api=is_api)
        assert_same(
            found, expected, asked, is_exact="int_delivery_times_daily" not in sources, what=f"{number}: {asked}"
        )
    assert used >= {
        *("analytics_daily", "analytics_hourly", "int_message_activity_daily", "int_delivery_times_daily"),
        *("int_api_requests_daily", "the event log"),
    }


def test_reports_say_what_plain_sql_on_the_marts_says(traffic: Database) -> None:
    draw, recount = random.Random(13), Recount(stored_events(traffic))
    for number in range(QUESTIONS):
        asked, statement, parameters = mart_question(draw)
        found, _ = reported(traffic, asked)
        with traffic.transaction() as connection:
            from_mart = connection.execute(statement.encode(), parameters).fetchall()
        assert found == from_mart, f"{number}: {asked}"
        assert found == recount.answer(asked, is_api=False), f"{number}: {asked}"


def test_at_the_grain_of_a_rollup_a_report_is_the_rollup(traffic: Database) -> None:
    days = {"start": datetime(2026, 3, 20, tzinfo=UTC), "end": datetime(2026, 3, 27, tzinfo=UTC)}
    for relation, time, key in [
        ("analytics_daily", "date", ["date", "channel"]),
        ("analytics_hourly", "timestamp", ["timestamp", "channel", "provider"]),
    ]:
        columns = [name for name in METRICS if name in rollup_columns(traffic, relation)]
        dimensions = ["hour" if name == "timestamp" else name for name in key]
        found, sources = reported(traffic, asking(date_range=days, metrics=columns, dimensions=dimensions))
        assert sources == {relation}
        with traffic.transaction() as connection:
            expected = connection.execute(
                f"select {', '.join(key + columns)} from analytics.{relation} where tenant_id = %s"
                f" and {time} >= %s and {time} < %s order by {', '.join(key)}".encode(),
                (TENANT, days["start"], days["end"]),
            ).fetchall()
        assert found == expected
        assert len(found) > 20


def test_a_dropped_ledger_entry_would_be_noticed(traffic: Database) -> None:
    """The control: without the notes of what is stale, the late events are missing."""
    asked = asking(date_range={"start": START, "end": NOW + timedelta(hours=1)}, metrics=["messages_sent"])
    before, _ = reported(traffic, asked)
    with traffic.transaction() as connection:
        connection.execute("delete from iris.stale_hours")
        connection.execute("delete from iris.touched_hours")
    after, _ = reported(traffic, asked)
    assert before == Recount(stored_events(traffic)).answer(asked, is_api=False)
    assert after != before


def asking(**parts: Any) -> dict[str, Any]:
    return {"name": "A question", "dimensions": [], "filters": [], "order": [], "timezone": "UTC", **parts}


def question(draw: random.Random) -> dict[str, Any]:
    """Metrics by dimensions over a range, with conditions of every kind."""
    subject = API if draw.random() < 0.12 else MESSAGES
    dimensions = draw.sample(subject.dimensions, draw.choice([0, 1, 1, 2, 2, 3]))
    metrics = draw.sample(list(subject.metrics), draw.randint(1, 6))
    days = draw.randint(1, 14)
    start = START + timedelta(
        days=draw.randint(0, 12), hours=draw.choice([0, 0, 0, 5]), minutes=draw.choice([0, 0, 20])
    )
    asked = asking(
        date_range={"start": start, "end": start + timedelta(days=days)},
        metrics=metrics,
        dimensions=dimensions,
        timezone=draw.choice(ZONES + ["UTC"] * 4),
        filters=[a_filter(draw, draw.choice(subject.dimensions)) for _ in range(draw.choice([0, 0, 1, 2]))],
        order=draw.sample([f"{draw.choice(['', '-'])}{name}" for name in [*dimensions, *metrics]], draw.choice([0, 1])),
    )
    if draw.random() < 0.3:
        metric = draw.choice([name for name in subject.metrics if name not in _PERCENTILES])
        op = draw.choice(["=", "!=", "<", "<=", ">", ">=", "between", "in", "not in"])
        low, high = sorted([draw.randint(0, 60), draw.randint(0, 60)])
        values: Any = {"between": [low, high], "in": [low, high], "not in": [low, high]}.get(op, low)
        asked["filters"].append({"field": metric, "op": op, "value": values})
    if draw.random() < 0.2:
        asked["limit"] = draw.randint(1, 10)
    # What is sorted or cut by percentiles that are right within 1 % may come out in another order.
    if any(name.lstrip("-") in _PERCENTILES for name in asked["order"]):
        asked["order"] = []
    return asked


_IN_ROLLUPS = {
    "messages_sent": "sum(messages_sent)::bigint",
    "messages_failed": "sum(messages_failed)::bigint",
    "human_opens": "sum(messages_opened - machine_opens)::bigint",
    "delivery_rate": "round(100.0 * sum(messages_delivered) / nullif(sum(messages_sent), 0), 2)",
    "click_rate": "round(100.0 * sum(messages_clicked) / nullif(sum(messages_opened), 0), 2)",
    "bounce_rate": "round(100.0 * sum(messages_bounced) / nullif(sum(messages_sent), 0), 2)",
    "total_cost": "sum(total_cost)",
}
_IN_ACTIVITY = {
    "unique_recipients": "count(distinct contact_id)",
    "unique_opens": "count(distinct contact_id) filter (where opened > 0)",
    "unique_clicks": "count(distinct contact_id) filter (where clicked > 0)",
    "unique_click_rate": "round(100.0 * count(distinct contact_id) filter (where clicked > 0)"
    " / nullif(count(distinct contact_id) filter (where opened > 0), 0), 2)",
    "avg_delivery_time_ms": "round(sum(delivery_time_ms) / nullif(sum(delivery_times), 0))::bigint",
    "avg_cost_per_message": "round(sum(cost) / nullif(sum(costs), 0), 6)",
    "conversions": "sum(converted)::bigint",
}


def mart_question(draw: random.Random) -> tuple[dict[str, Any], str, list[Any]]:
    """A question about days of UTC that are up to date, and the same in SQL as an analyst would write it."""
    relation, day, metrics = draw.choice(
        [
            ("analytics.analytics_hourly", "(timestamp at time zone 'UTC')::date", _IN_ROLLUPS),
            ("analytics_intermediate.int_message_activity_daily", "date", _IN_ACTIVITY),
        ]
    )
    expressions = {
        "date": day,
        "month": f"date_trunc('month', {day})::date",
        "channel": "channel",
        "provider": "provider",
    }
    dimensions = draw.sample(list(expressions), draw.randint(0, 3))
    asked_metrics = draw.sample(list(metrics), draw.randint(1, 4))
    start = date(2026, 3, 20) + timedelta(days=draw.randint(0, 4))
    end = start + timedelta(days=draw.randint(1, 4))
    where, parameters, filters = [f"tenant_id = %s and {day} >= %s and {day} < %s"], [TENANT, start, end], []
    if draw.random() < 0.5:
        channels = draw.sample(["sms", "email", "unknown"], 2)
        op, sql = draw.choice([("in", "channel = any(%s)"), ("not in", "channel <> all(%s)")])
        where.append(sql)
        parameters.append(channels)
        filters.append({"field": "channel", "op": op, "value": channels})
    asked = asking(
        date_range={
            each: datetime(at.year, at.month, at.day, tzinfo=UTC) for each, at in [("start", start), ("end", end)]
        },
        metrics=asked_metrics,
        dimensions=dimensions,
        filters=filters,
    )
    columns = [*(expressions[name] for name in dimensions), *(metrics[name] for name in asked_metrics)]
    keys = ", ".join(str(number) for number, _ in enumerate(dimensions, 1))
    grouped = f" group by {keys} order by {keys}" if keys else ""
    return asked, f"select {', '.join(columns)} from {relation} where {' and '.join(where)}{grouped}", parameters


def a_filter(draw: random.Random, field: str) -> dict[str, Any]:
    values = {
        "channel": ["sms", "email", "unknown"],
        "provider": ["twilio", "sendgrid", "unknown", "tw"],
        "campaign": [*CAMPAIGNS.values(), *map(str, CAMPAIGNS), "none", "unknown", "su"],
        "country": ["DE", "NP", "unknown"],
        "error_code": ["30003", "none", "30"],
        "endpoint": ["/v1/messages", "/v1/messages/:id", "unknown", "messages"],
        "method": ["GET", "POST", "UNKNOWN"],
        "date": [f"2026-03-{day}" for day in range(22, 32)],
        "week": ["2026-03-16", "2026-03-23", "2026-03-30"],
        "month": ["2026-03-01", "2026-04-01"],
        "hour": [f"2026-03-29T{hour:02}:00" for hour in range(24)],
    }[field]
    texts = ["contains"] if field not in ("date", "week", "month", "hour") else []
    op = draw.choice(["=", "!=", "in", "not in", "<", "<=", ">", ">=", "between", *texts])
    several = draw.sample(values, 2)
    if op == "between":
        return {"field": field, "op": op, "value": sorted(several)}
    return {"field": field, "op": op, "value": several if op in ("in", "not in") else several[0]}


def reported(database: Database, asked: Mapping[str, Any]) -> tuple[list[tuple[Any, ...]], set[str]]:
    definition = read_definition(asked)
    with snapshot(database) as connection:
        period = period_of(definition, timezone="UTC", today=date(2026, 4, 7))
        found = ask(connection, TENANT, Question(definition, period), cap=100_000)
        return [tuple(map(in_utc, row)) for row in found.rows], set(found.statement.sources)


def in_utc(cell: Any) -> Any:
    """Two hours of a local clock may read the same, and Python takes them for equal to nothing."""
    return cell.astimezone(UTC) if isinstance(cell, datetime) else cell


def assert_same(
    found: list[tuple[Any, ...]],
    expected: list[tuple[Any, ...]],
    asked: Mapping[str, Any],
    *,
    is_exact: bool,
    what: str,
) -> None:
    assert len(found) == len(expected), what
    near = [name in _PERCENTILES for name in asked["metrics"]]
    for row, right in zip(found, expected, strict=True):
        keys = len(row) - len(near)
        assert row[:keys] == right[:keys], what
        for is_percentile, value, wanted in zip(near, row[keys:], right[keys:], strict=True):
            if is_percentile and not is_exact and wanted is not None:
                assert abs(value - wanted) <= max(1, Decimal(wanted) / 100), what
            else:
                assert (type(value), value) == (type(wanted), wanted), what


def stored_events(database: Database) -> list[Mapping[str, Any]]:
    with database.transaction() as connection:
        cursor = connection.execute("select * from iris.analytics_events where tenant_id = %s", (TENANT,))
        names = [column.name for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def rollup_columns(database: Database, relation: str) -> set[str]:
    with database.transaction() as connection:
        return {
            name
            for (name,) in connection.execute(
                "select column_name from information_schema.columns"
                " where table_schema = 'analytics' and table_name = %s",
                (relation,),
            )
        }
