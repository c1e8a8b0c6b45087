"""API usage equals a recount of the requests, whatever happens to them, and only touched days are built again."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.domain.windows import DAY, Window, closed_before
from iris_pipelines.simulator import TrafficPlan, simulate
from iris_pipelines.simulator.loading import load_simulation
from tests.pipeline.conftest import Pipeline
from tests.pipeline.marts import api_recount

# The day before is a leap day.
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
NOW = MARCH + timedelta(hours=9, minutes=40)
MICROSECOND = timedelta(microseconds=1)
MART, FACT = "analytics.api_usage_daily", "analytics_intermediate.int_api_requests_daily"
TENANTS = [UUID(int=1), UUID(int=2)]
HEX = "507f1f77bcf86cd799439011"

# Method, path, status, response time, success; None is a missing value.
CORNERS: list[tuple[str | None, str | None, object, int | None, bool | None]] = [
    ("get", f"/v1/campaigns/{UUID(int=7)}?range=day", 200, 10, True),
    ("GET", f"/v1/campaigns/{UUID(int=8)}", 200, 21, True),
    ("GET", f"/v1/campaigns/{HEX}", 404, None, False),
    ("GET", "/v1/contacts/ada@example.org/messages/12", 500, 0, False),
    ("PUT", "/v1/contacts/ada@example.org/messages/12", "503", 3, False),
    ("GET", "/v1/contacts", "4xx", 2**40, None),
    ("GET", None, None, None, True),
    (None, "/", 399, 1, True),
    (None, "", 600, 2, False),
    ("DELETE", "/" + "long/" * 100, 200, 1, True),
    # Together past what a bigint holds.
    *[("POST", "/v1/slow", 200, 2**62, True)] * 2,
]


def insert(database: Database, tenant_id: UUID, timestamp: datetime, *requests: Any) -> None:
    with database.transaction() as connection:
        for method, path, status, milliseconds, success in requests:
            data = {"method": method, "path": path, "status_code": status}
            connection.execute(
                "insert into iris.analytics_events"
                " (tenant_id, event_type, timestamp, event_data, duration_ms, success)"
                " values (%s, 'api.request', %s, %s, %s, %s)",
                (
                    tenant_id,
                    timestamp,
                    json.dumps({name: value for name, value in data.items() if value is not None}),
                    milliseconds,
                    success,
                ),
            )


def execute(database: Database, statement: str, *parameters: object) -> int:
    with database.transaction() as connection:
        return connection.execute(statement, parameters).rowcount  # type: ignore[arg-type]


def assert_exact(database: Database) -> None:
    expected = api_recount.usage(database, closed_before=closed_before(NOW))
    assert expected
    # An index takes no longer names.
    shortened = {
        (tenant, day, endpoint[:400], method): row for (tenant, day, endpoint, method), row in expected.items()
    }
    assert api_recount.stored(database) == shortened


@pytest.mark.parametrize("seed", [3, 4])
def test_usage_equals_a_recount_also_after_late_erased_and_corrected_requests(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    plan = TrafficPlan(MARCH - 3 * DAY, NOW, tenants=2, events_per_day=900, seed=seed)
    load_simulation(database, simulate(plan), now=NOW, history_start=date(2020, 1, 1))
    for tenant_id in TENANTS:
        insert(database, tenant_id, MARCH - DAY, *CORNERS)
    insert(database, TENANTS[0], MARCH - MICROSECOND, *CORNERS[:4])
    insert(database, TENANTS[0], MARCH, *CORNERS[2:6])
    insert(database, TENANTS[0], closed_before(NOW), *CORNERS)
    execute(
        database,
        "insert into iris.analytics_events (tenant_id, event_type, timestamp, event_data)"
        " values (%s, 'api.request', %s, null), (%s, 'api.request', %s, '[]')",
        *(TENANTS[1], MARCH) * 2,
    )
    pipeline.refresh(now=NOW)
    assert_exact(database)
    assert pipeline.refresh(now=NOW) == []

    insert(database, TENANTS[1], MARCH - 3 * DAY, *CORNERS)
    assert execute(
        database,
        "update iris.analytics_events set event_data = jsonb_set(event_data, '{status_code}', '500'), success = false"
        " where event_type = 'api.request' and timestamp >= %s and event_data ->> 'status_code' = '200'",
        MARCH,
    )
    assert execute(
        database,
        "delete from iris.analytics_events where event_type = 'api.request' and timestamp >= %s and timestamp < %s",
        MARCH - DAY,
        MARCH,
    )
    rebuilds = pipeline.refresh(now=NOW)
    assert_exact(database)
    assert not any(day == (MARCH - DAY).date() for _, day, _, _ in api_recount.stored(database))
    touched = {
        Window(MARCH - 3 * DAY, MARCH - 2 * DAY),
        Window(MARCH - DAY, MARCH),
        Window(MARCH, closed_before(NOW)),
    }
    assert pipeline.rebuilt(rebuilds, MART) == pipeline.rebuilt(rebuilds, FACT) == touched


def test_the_percentile_of_a_range_is_that_of_the_range(pipeline: Pipeline, database: Database) -> None:
    slow, quick = ("GET", "/v1/a", 200, 9_010, True), ("GET", "/v1/a", 200, 10, True)
    insert(database, TENANTS[0], MARCH - 2 * DAY, *[quick] * 30)
    insert(database, TENANTS[0], MARCH - DAY, *[slow] * 2)
    pipeline.refresh(now=NOW)
    with database.transaction() as connection:
        found = connection.execute(
            "select tenant_id, endpoint, method,"
            " round((percentile_cont(0.95) within group (order by response_time_ms))::numeric)::bigint"
            " from analytics_intermediate.int_api_requests_daily cross join generate_series(1, requests)"
            " where date >= %s and date < %s group by 1, 2, 3",
            ((MARCH - 2 * DAY).date(), MARCH.date()),
        ).fetchall()
    times = api_recount.response_times(database, start=(MARCH - 2 * DAY).date(), end=MARCH.date())
    assert {tuple(key): p95 for *key, p95 in found} == {
        key: api_recount.percentile(of_key, 0.95) for key, of_key in times.items()
    }
    assert [p95 for *_, p95 in found] == [4_060]
