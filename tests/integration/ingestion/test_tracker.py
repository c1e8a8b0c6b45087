"""Events from Python services, one call each or many at once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.ingestion.loader import LoadResult
from iris_pipelines.ingestion.tracker import EventRejected, EventTracker, Message

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TENANT = UUID("00000000-0000-4000-8000-00000000000a")
MESSAGE = Message(
    TENANT, UUID(int=5), campaign_id=UUID(int=6), contact_id=UUID(int=7), channel="email", provider="sendgrid"
)


@pytest.fixture
def tracker(database: Database) -> EventTracker:
    create_tenant(database, Tenant(TENANT, "Acme"))
    return EventTracker(database, history_start=date(2020, 1, 1), clock=lambda: NOW)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


def follow(calls: Any) -> list[Any]:
    """One call of each kind."""
    return [
        calls.message_sent(MESSAGE, cost=Decimal("0.0075")),
        calls.message_delivered(MESSAGE, duration_ms=1_200),
        calls.message_failed(MESSAGE, error_code="E1", error_message="lost"),
        calls.message_opened(
            MESSAGE, ip_address="192.0.2.1", user_agent="Mozilla", geo_location={"city": "Bonn"}, is_machine=True
        ),
        calls.link_clicked(MESSAGE, "https://example.com", ip_address="192.0.2.2", timestamp=NOW - timedelta(hours=1)),
        calls.message_bounced(MESSAGE, "hard", subtype="no_mailbox"),
        calls.message_bounced(MESSAGE, "soft"),
        calls.message_complained(MESSAGE, subtype="abuse"),
        calls.message_unsubscribed(MESSAGE),
        calls.api_request(TENANT, method="GET", path="/v1", status_code=404, duration_ms=7, user_agent="curl"),
        calls.track(TENANT, "order.paid", order_number=17),
    ]


EXPECTED = [
    ("api.request", None, {"method": "GET", "path": "/v1", "status_code": 404, "user_agent": "curl"}, 7, False, "curl"),
    ("email.complaint", MESSAGE.id, {"bounce_subtype": "abuse"}, None, False, None),
    ("email.hard_bounce", MESSAGE.id, {"bounce_subtype": "no_mailbox"}, None, False, None),
    ("email.soft_bounce", MESSAGE.id, {}, None, False, None),
    ("link.clicked", MESSAGE.id, {"url": "https://example.com"}, None, True, None),
    ("message.delivered", MESSAGE.id, None, 1_200, True, None),
    ("message.failed", MESSAGE.id, None, None, False, None),
    ("message.opened", MESSAGE.id, None, None, True, "Mozilla"),
    ("message.sent", MESSAGE.id, None, None, True, None),
    ("message.unsubscribed", MESSAGE.id, None, None, True, None),
    ("order.paid", None, {"order_number": 17}, None, True, None),
]
STORED = """
    select event_type, message_id, event_data, duration_ms, success, user_agent
    from iris.analytics_events order by event_type
"""


def test_each_call_stores_its_event_once(database: Database, tracker: EventTracker) -> None:
    assert follow(tracker) == [True] * 11
    assert follow(tracker) == [False] * 11
    assert rows(database, STORED) == EXPECTED
    about = "select distinct message_id, campaign_id, contact_id, channel, provider from iris.analytics_events"
    assert rows(database, f"{about} where message_id is not null") == [
        (MESSAGE.id, MESSAGE.campaign_id, MESSAGE.contact_id, "email", "sendgrid")
    ]
    [(cost,)] = rows(database, "select cost from iris.analytics_events where cost is not null")
    assert cost == Decimal("0.0075")
    [(machine,)] = rows(database, "select is_machine from iris.analytics_events where event_type = 'message.opened'")
    assert machine is True
    [(clicked,)] = rows(database, "select timestamp from iris.analytics_events where event_type = 'link.clicked'")
    assert clicked == NOW - timedelta(hours=1)


def test_a_batch_stores_the_same_events_when_its_block_is_left(database: Database, tracker: EventTracker) -> None:
    with tracker.batch() as batch:
        follow(batch)
        assert rows(database, STORED) == []
        batch.track(TENANT, "Wrong")
    assert batch.result == LoadResult(12, 11, 0, 1)
    assert rows(database, STORED) == EXPECTED


def test_a_block_that_raises_stores_nothing(database: Database, tracker: EventTracker) -> None:
    with pytest.raises(KeyError), tracker.batch() as batch:
        batch.message_sent(MESSAGE)
        raise KeyError("trouble")
    assert rows(database, STORED) == []


def test_a_rejected_call_says_why_and_is_kept(database: Database, tracker: EventTracker) -> None:
    with pytest.raises(EventRejected, match="channel is 'fax'") as error:
        tracker.track(TENANT, "message.sent", channel="fax", cost=Decimal(1))
    assert error.value.reason == "unknown_channel"
    with pytest.raises(EventRejected, match="there is no tenant"):
        tracker.track(uuid4(), "message.sent")
    assert rows(database, "select reason, source from iris.rejected_events order by 1") == [
        ("unknown_channel", "track"),
        ("unknown_tenant", "track"),
    ]


def test_many_records_are_one_transaction(database: Database, tracker: EventTracker) -> None:
    records: list[dict[str, Any]] = [
        {"tenant_id": TENANT, "event_type": "message.sent", "timestamp": NOW - timedelta(seconds=second), "cost": 0.5}
        for second in range(12_000)
    ]
    records[7]["cost"] = Decimal(-1)
    assert tracker.track_many(records) == LoadResult(12_000, 11_999, 0, 1)
    assert tracker.track_many(iter(records)) == LoadResult(12_000, 0, 11_999, 1)


def test_a_naive_time_is_rejected(tracker: EventTracker) -> None:
    with pytest.raises(EventRejected) as error:
        tracker.message_sent(MESSAGE, timestamp=datetime(2026, 11, 24))  # noqa: DTZ001
    assert error.value.reason == "invalid_timestamp"
