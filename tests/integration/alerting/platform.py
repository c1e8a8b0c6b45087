"""A tenant with events of its own, and rules that look at them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from iris_pipelines.alerting.rules import create_rule
from iris_pipelines.db.database import Database
from iris_pipelines.db.staleness import Consumer, Grain, register_consumers
from iris_pipelines.db.tenants import Tenant, create_tenant

NOW = datetime(2026, 11, 20, 15, 40, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TENANT = UUID(int=10)
EMAIL = {"type": "email", "recipients": ["ops@example.org"]}
INSERT = """
    insert into iris.analytics_events
    (tenant_id, event_type, timestamp, channel, provider, campaign_id, message_id, cost, duration_ms, success)
    values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


def make_tenant(database: Database, tenant_id: UUID = TENANT, **fields: str) -> UUID:
    create_tenant(database, Tenant(tenant_id, fields.pop("name", "Acme"), **fields))
    return tenant_id


def make_empty_rollup(database: Database) -> None:
    """The hourly rollup as it is before its first row: rules are judged by the database, from the events alone."""
    with database.transaction() as connection:
        connection.execute(
            "create table analytics.analytics_hourly (tenant_id uuid, timestamp timestamptz, channel text,"
            " provider text, messages_sent bigint, messages_delivered bigint, messages_failed bigint,"
            " messages_opened bigint, messages_clicked bigint, messages_bounced bigint, messages_complained bigint,"
            " total_cost numeric)"
        )
    register_consumers(database, {"analytics.analytics_hourly": Consumer(Grain.HOUR)})


def event(tenant_id: UUID, event_type: str, at: datetime, **fields: Any) -> tuple[Any, ...]:
    return (
        tenant_id,
        event_type,
        at,
        fields.get("channel", "sms"),
        fields.get("provider", "twilio"),
        fields.get("campaign"),
        fields.get("message"),
        fields.get("cost"),
        fields.get("duration_ms"),
        fields.get("success", True),
    )


def insert(database: Database, events: Iterable[tuple[Any, ...]]) -> None:
    with database.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(INSERT, list(events))


def send(database: Database, tenant_id: UUID, count: int, *, delivered: int, at: datetime, **fields: Any) -> None:
    """Messages sent at an instant, the first of them delivered at the same."""
    insert(
        database,
        [
            *(event(tenant_id, "message.sent", at, **fields) for _ in range(count)),
            *(event(tenant_id, "message.delivered", at, **fields) for _ in range(delivered)),
        ],
    )


def make_rule(database: Database, tenant_id: UUID, **changes: Any) -> UUID:
    """A rule that fires below a delivery rate of 90 over a quarter of an hour, unless it is told otherwise."""
    condition = {"metric": "delivery_rate", "operator": "<", "threshold": 90, "time_window": 15}
    fields = {"name": "low delivery", "actions": [EMAIL], **changes}
    fields["condition"] = {**condition, **changes.get("condition", {})}
    return create_rule(database, tenant_id, fields).id


def insert_raw_rule(database: Database, tenant_id: UUID, condition: object, actions: object = ()) -> UUID:
    """A rule as another service writes it, unchecked."""
    rule_id = uuid4()
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.alert_rules (tenant_id, id, name, condition, actions) values (%s, %s, 'raw', %s, %s)",
            (tenant_id, rule_id, json.dumps(condition), json.dumps(actions)),
        )
    return rule_id


def rows(database: Database, statement: str, *values: object) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(statement.encode(), values).fetchall()


def messages(database: Database) -> list[tuple[str, int, str, str]]:
    """What the outbox has, in order."""
    return rows(  # type: ignore[return-value]
        database,
        "select kind, sequence, action_type, recipient from iris.alert_deliveries order by created_at, 1, 2, 3",
    )
