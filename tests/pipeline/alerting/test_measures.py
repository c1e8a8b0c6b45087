"""What rules see is a recount of the events, wherever it was read: rollups, stale hours, the running hour, edges."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from iris_pipelines.alerting.measures import Scope, measure
from iris_pipelines.db.database import Database
from iris_pipelines.domain.alerts.metrics import WATCHABLE, Measures, observe
from iris_pipelines.domain.windows import HOUR
from tests.integration.alerting.platform import MINUTE, NOW, TENANT, event, insert, make_tenant
from tests.pipeline.conftest import Pipeline

TENANTS = (TENANT, UUID(int=11))
CAMPAIGNS = (UUID(int=1), UUID(int=2), None)
TYPES = (
    *["message.sent"] * 4,
    *["message.delivered"] * 3,
    "message.failed",
    "message.opened",
    "link.clicked",
    "email.hard_bounce",
    "email.soft_bounce",
    "email.complaint",
    "custom.thing",
    "api.request",
)
COLUMNS = "tenant_id, event_type, timestamp, channel, provider, campaign_id, cost, duration_ms, success"


def random_event(chance: random.Random, reach: timedelta) -> tuple[Any, ...]:
    event_type = chance.choice(TYPES)
    return event(
        chance.choice(TENANTS),
        event_type,
        NOW + 10 * MINUTE - reach * chance.random(),
        channel=chance.choice(("sms", "email", None)),
        provider=chance.choice(("twilio", "ses", None)),
        campaign=chance.choice(CAMPAIGNS),
        cost=chance.choice((None, Decimal("0.0075"), Decimal("0.000001"))),
        duration_ms=chance.choice((None, chance.randrange(10_000))),
        success=chance.choice((True, False, None)),
    )


def scopes(chance: random.Random, count: int) -> list[Scope]:
    starts = [NOW - minutes * MINUTE for minutes in (1, 5, 40, 41, 60, 90, 240, 1440, 2885)]
    return [
        Scope(
            chance.choice(TENANTS),
            chance.choice(starts),
            chance.choice(("sms", "email", "unknown", None)),
            chance.choice(("twilio", "ses", "unknown", None)),
            chance.choice(CAMPAIGNS),
        )
        for _ in range(count)
    ]


def recount(events: Sequence[tuple[Any, ...]], scope: Scope, *, of_requests: bool, now: datetime) -> Measures:
    """The same in plain Python."""
    seen = [
        each
        for each in events
        if each[0] == scope.tenant_id
        and scope.start <= each[2] < now
        and scope.channel in (None, each[3] or "unknown")
        and scope.provider in (None, each[4] or "unknown")
        and scope.campaign in (None, each[5])
        and (each[1] == "api.request") == of_requests
    ]

    def count(*types: str) -> int:
        return sum(each[1] in types for each in seen)

    costs = [each[6] for each in seen if each[6] is not None]
    times = sorted(each[7] for each in seen if each[1] == "message.delivered" and each[7] is not None)
    return Measures(
        count("message.sent"),
        count("message.delivered"),
        count("message.failed"),
        count("message.opened"),
        count("link.clicked"),
        count("email.hard_bounce", "email.soft_bounce"),
        count("email.complaint"),
        sum(costs, Decimal(0)) if costs else None,
        len(times),
        Decimal(sum(times)),
        percentile(times),
        count("api.request"),
        sum(each[1] == "api.request" and each[8] is not True for each in seen),
    )


def percentile(times: Sequence[int]) -> Decimal | None:
    if not times:
        return None
    at = 0.95 * (len(times) - 1)
    low = int(at)
    high = min(low + 1, len(times) - 1)
    # PostgreSQL casts a double to numeric by its first 15 digits.
    return Decimal(f"{times[low] + (at - low) * (times[high] - times[low]):.15g}")


@pytest.mark.parametrize("seed", range(3))
def test_every_metric_of_every_scope_is_a_recount_of_the_events(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    for tenant_id in TENANTS:
        make_tenant(database, tenant_id)
    insert(database, [random_event(chance, timedelta(hours=52)) for _ in range(3_000)])
    check(database, chance)  # without a rollup
    pipeline.refresh(now=NOW)
    check(database, chance)
    # Late events, corrected costs and erased events: their hours are stale.
    insert(database, [random_event(chance, timedelta(hours=52)) for _ in range(15)])
    with database.transaction() as connection:
        connection.execute("update iris.analytics_events set cost = cost * 2 where timestamp < %s", (NOW - 30 * HOUR,))
        connection.execute("delete from iris.analytics_events where duration_ms between 100 and 300")
    check(database, chance)
    pipeline.refresh(now=NOW)
    check(database, chance)


def check(database: Database, chance: random.Random) -> None:
    asked = [(scope, metric) for scope in scopes(chance, 60) for metric in WATCHABLE.values()]
    with database.transaction() as connection:
        events = connection.execute(f"select {COLUMNS} from iris.analytics_events".encode()).fetchall()
    with database.snapshot() as connection:
        found = measure(connection, asked, now=NOW)
    wrong = [
        (scope, metric.name)
        for scope, metric in asked
        if observe(metric, found[scope, metric.name])
        != observe(metric, recount(events, scope, of_requests=metric.name == "api_error_rate", now=NOW))
    ]
    assert wrong == []


def test_a_closed_hour_that_is_not_stale_is_read_from_the_rollup(pipeline: Pipeline, database: Database) -> None:
    """The control: were everything read from the events, the comparison above would show nothing."""
    make_tenant(database)
    insert(database, [event(TENANT, "message.sent", NOW - 3 * HOUR), event(TENANT, "message.sent", NOW - MINUTE)])
    pipeline.refresh(now=NOW)
    with database.transaction() as connection:
        connection.execute("update analytics.analytics_hourly set messages_sent = 1000")
    scope, metric = Scope(TENANT, NOW - 5 * HOUR), WATCHABLE["messages_sent"]
    with database.transaction() as connection:
        assert measure(connection, [(scope, metric)], now=NOW)[scope, metric.name].messages_sent == 1_001
