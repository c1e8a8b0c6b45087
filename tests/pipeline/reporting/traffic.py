"""Random traffic for reports: every kind of event, with the holes that real ones have."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from iris_pipelines.db.database import Database

TENANT, OTHER = UUID(int=0xA), UUID(int=0xB)
CAMPAIGNS = {UUID(int=0xC1): "Summer sale", UUID(int=0xC2): "Recall 100%", UUID(int=0xC3): "summer news"}
UNNAMED = UUID(int=0xC9)
CONTACTS = [UUID(int=0x1000 + number) for number in range(40)]
TYPES = [
    *("message.sent", "message.sent", "message.sent", "message.delivered", "message.delivered", "message.failed"),
    *("message.opened", "message.opened", "link.clicked", "email.hard_bounce", "email.soft_bounce", "email.complaint"),
    *("message.unsubscribed", "call.answered", "conversion", "message.queued", "survey.answered", "api.request"),
]
PATHS = ["/v1/messages", "/v1/messages/42", "/v1/contacts/9f1c2b7a-0000-4000-8000-00000000000a?x=1", "/health", None]
_INSERT = """
    insert into iris.analytics_events (tenant_id, event_type, timestamp, campaign_id, contact_id, message_id, channel,
        provider, event_data, geo_location, cost, duration_ms, success, error_code, is_machine)
    values (%s, %s, %s, %s, %s, gen_random_uuid(), %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


def random_events(draw: random.Random, start: datetime, end: datetime, number: int) -> list[tuple[Any, ...]]:
    """So many events between two instants, those of another tenant among them."""
    seconds = (end - start).total_seconds()
    return [_event(draw, start + timedelta(seconds=draw.random() * seconds)) for _ in range(number)]


def _event(draw: random.Random, at: datetime) -> tuple[Any, ...]:
    kind = draw.choice(TYPES)
    is_request = kind == "api.request"
    data = {
        "path": draw.choice(PATHS),
        "method": draw.choice(["GET", "post", None]),
        "status_code": draw.choice([200, 404, 500]),
    }
    return (
        draw.choice([TENANT] * 9 + [OTHER]),
        kind,
        at,
        None if is_request else draw.choice([*CAMPAIGNS, UNNAMED, None]),
        None if is_request else draw.choice([*CONTACTS, None]),
        None if is_request else draw.choice(["sms", "email", "voice", None]),
        None if is_request else draw.choice(["twilio", "sendgrid", "telnyx", None]),
        Jsonb(data) if is_request else None,
        draw.choice([None, Jsonb({"country": draw.choice(["DE", "NP", "US", ""])})]),
        draw.choice([None, round(draw.random(), 6)]),
        draw.choice([None, draw.randint(0, 127), draw.randint(128, 90_000)]),
        draw.choice([True, False, None]),
        draw.choice(["30003", "30008", "", None]) if kind == "message.failed" else None,
        kind in ("message.opened", "link.clicked") and draw.random() < 0.3,
    )


def store(database: Database, events: Sequence[tuple[Any, ...]]) -> None:
    """Write events as another service would, by plain SQL."""
    with database.transaction() as connection, connection.cursor() as cursor:
        cursor.executemany(_INSERT, events)


def make_tenants(database: Database) -> None:
    """Two tenants; the first has campaigns."""
    with database.transaction() as connection:
        for tenant in (TENANT, OTHER):
            connection.execute("insert into iris.tenants (id, name) values (%s, 'A tenant')", (tenant,))
        for campaign, name in CAMPAIGNS.items():
            connection.execute(
                "insert into iris.campaigns (tenant_id, id, name) values (%s, %s, %s)", (TENANT, campaign, name)
            )
