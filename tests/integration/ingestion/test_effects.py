"""What events do to messages, bounces, suppressed addresses and contacts, in whatever order they arrive."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.ingestion.loader import LoadResult, load_events
from iris_pipelines.ingestion.records import ObjectBatch
from iris_pipelines.ingestion.suppression import is_suppressed

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
START = datetime(2026, 11, 23, tzinfo=UTC)
TENANT = UUID("00000000-0000-4000-8000-00000000000a")
MESSAGE = UUID(int=5)
CONTACT = UUID(int=7)


@pytest.fixture(autouse=True)
def platform(database: Database) -> None:
    """A tenant with one contact and one message to it."""
    create_tenant(database, Tenant(TENANT, "Acme"))
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.contacts (tenant_id, id, email, phone)"
            " values (%s, %s, 'Ann@Example.com', '+1 (555) 010-7')",
            (TENANT, CONTACT),
        )
        connection.execute(
            "insert into iris.messages (tenant_id, id, to_contact_id, to_address, channel)"
            " values (%s, %s, %s, ' Bob@Example.com', 'email')",
            (TENANT, MESSAGE, CONTACT),
        )


def event(event_type: str, minute: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "tenant_id": str(TENANT),
        "event_type": event_type,
        "timestamp": (START + timedelta(minutes=minute)).isoformat(),
        **fields,
    }


def about_message(event_type: str, minute: int, **fields: Any) -> dict[str, Any]:
    return event(event_type, minute, message_id=str(MESSAGE), **fields)


def load(database: Database, *records: dict[str, Any]) -> LoadResult:
    batch = ObjectBatch("test", range(1, len(records) + 1), records)
    return load_events(database, [batch], now=NOW, history_start=date(2020, 1, 1))


def row(database: Database, query: str) -> tuple[Any, ...]:
    with database.transaction() as connection:
        found = connection.execute(query).fetchone()  # type: ignore[call-overload]
    assert found is not None
    return tuple(found)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


OUTCOME = """
    select status, sent_at, delivered_at, failed_at, opened_at, open_count, clicked_at, click_count,
        error_code, error_message
    from iris.messages
"""


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def test_a_message_ends_the_same_in_any_order_of_arrival(database: Database) -> None:
    life = [
        about_message("message.queued", 0),
        about_message("message.sent", 1),
        about_message("message.failed", 2, error_code="B", error_message="second by code"),
        about_message("message.failed", 2, error_code="A", error_message="first by code"),
        about_message("message.failed", 3, error_code="0"),
        about_message("message.delivered", 4),
        about_message("message.opened", 6),
        about_message("message.opened", 5, is_machine=True),
        about_message("link.clicked", 7),
        about_message("message.sent", 8),
    ]
    expected = ("delivered", at(1), at(4), at(2), at(5), 2, at(7), 1, "A", "first by code")
    fresh = (
        "update iris.messages set status = 'queued', sent_at = null, delivered_at = null, failed_at = null,"
        " opened_at = null, open_count = 0, clicked_at = null, click_count = 0, error_code = null, error_message = null"
    )
    chance = random.Random(1)
    for pieces in (1, 2, 5, 10, 10, 10):
        with database.transaction() as connection:
            connection.execute("delete from iris.analytics_events")
            connection.execute(fresh)  # type: ignore[arg-type]
        chance.shuffle(life)
        for piece in split(life, pieces):
            load(database, *piece)
            load(database, *piece)
        assert row(database, OUTCOME) == expected


def split(records: Sequence[dict[str, Any]], pieces: int) -> list[Sequence[dict[str, Any]]]:
    size = len(records) // pieces
    return [records[start : start + size] for start in range(0, len(records), size)]


def test_a_status_never_moves_backwards_and_an_unknown_one_moves_on(database: Database) -> None:
    load(database, about_message("message.delivered", 4))
    load(database, about_message("message.sent", 5), about_message("message.failed", 6, error_code="E"))
    assert row(database, "select status, sent_at, failed_at from iris.messages") == ("delivered", at(5), at(6))
    with database.transaction() as connection:
        connection.execute("update iris.messages set status = 'draft'")
    load(database, about_message("message.queued", 7))
    assert row(database, "select status from iris.messages") == ("queued",)


def test_many_events_at_once_have_the_effects_of_each(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.messages (tenant_id, id) select %s, lpad(to_hex(n), 32, '0')::uuid"
            " from generate_series(1000, 2999) as n",
            (TENANT,),
        )
    opens = [event("message.opened", n % 100, message_id=str(UUID(int=1_000 + n % 2_000))) for n in range(3_000)]
    others = [event("api.request", n % 100) for n in range(2_000)]
    bounces = [event("email.soft_bounce", 1, message_id=str(uuid4())) for _ in range(3)]
    assert load(database, *opens, *others, *bounces) == LoadResult(5_003, 5_003, 0, 0)
    assert load(database, *others, *bounces, *opens) == LoadResult(5_003, 0, 5_003, 0)
    counts = "select open_count, count(*) from iris.messages group by 1 order by 1"
    assert rows(database, counts) == [(0, 1), (1, 1_000), (2, 1_000)]
    assert row(database, "select count(*) from iris.email_bounces") == (3,)


def test_bounces_and_complaints_are_noted_and_suppress_the_address(database: Database) -> None:
    load(database, about_message("email.soft_bounce", 1, event_data={"bounce_subtype": "mailbox_full"}))
    assert rows(database, "select address from iris.suppression_list") == []
    assert row(database, "select email_status from iris.contacts") == (None,)

    load(database, about_message("email.complaint_bounce", 2, event_data={"bounce_subtype": "abuse"}))
    load(database, about_message("email.hard_bounce", 3, event_data={"bounce_subtype": "no_mailbox"}))
    noted = "select bounce_type, bounce_subtype, address, contact_id, bounced_at from iris.email_bounces"
    assert rows(database, f"{noted} order by bounced_at") == [
        ("soft", "mailbox_full", "bob@example.com", CONTACT, at(1)),
        ("complaint", "abuse", "bob@example.com", CONTACT, at(2)),
        ("hard", "no_mailbox", "bob@example.com", CONTACT, at(3)),
    ]
    suppressed = "select address, channel, suppression_type, reason, suppressed_at from iris.suppression_list"
    assert rows(database, suppressed) == [("bob@example.com", "email", "complaint", "abuse", at(2))]
    assert row(database, "select email_status from iris.contacts") == ("complained",)


def test_the_earliest_event_is_the_reason_whichever_arrives_first_but_a_person_is_not_overruled(
    database: Database,
) -> None:
    suppressed = "select suppression_type, suppressed_at from iris.suppression_list"
    load(database, about_message("email.complaint", 5))
    load(database, about_message("email.hard_bounce", 3))
    assert rows(database, suppressed) == [("bounce", at(3))]
    assert row(database, "select email_status from iris.contacts") == ("complained",)
    with database.transaction() as connection:
        connection.execute("update iris.suppression_list set suppression_type = 'manual'")
    load(database, about_message("email.hard_bounce", 1))
    assert rows(database, suppressed) == [("manual", at(3))]


@pytest.mark.parametrize(
    ("fields", "channel", "address"),
    [
        ({"message_id": str(MESSAGE)}, "email", "bob@example.com"),
        ({"contact_id": str(CONTACT)}, "email", "ann@example.com"),
        ({"contact_id": str(CONTACT), "channel": "sms"}, "sms", "+15550107"),
        ({"event_data": {"recipient": "Cy@Example.com "}}, "email", "cy@example.com"),
        ({"event_data": {"address": "+49 [30] 1-2"}, "channel": "whatsapp"}, "whatsapp", "+493012"),
    ],
)
def test_an_unsubscription_suppresses_the_address_on_its_channel(
    database: Database, fields: dict[str, Any], channel: str, address: str
) -> None:
    load(database, event("message.unsubscribed", 1, **fields))
    assert rows(database, "select suppression_type, channel, address from iris.suppression_list") == [
        ("unsubscribe", channel, address)
    ]


def test_an_address_is_suppressed_however_it_is_written(database: Database) -> None:
    load(database, event("message.unsubscribed", 1, channel="sms", event_data={"address": "+1 (555) 010-7"}))
    load(database, event("email.hard_bounce", 1, event_data={"email": "Ann@Example.com"}))
    assert is_suppressed(database, TENANT, "sms", "+1 555 0107")
    assert is_suppressed(database, TENANT, "SMS", "+15550107")
    assert is_suppressed(database, TENANT, "email", " ANN@example.com")
    assert not is_suppressed(database, TENANT, "voice", "+15550107")
    assert not is_suppressed(database, TENANT, "email", "bob@example.com")
    assert not is_suppressed(database, uuid4(), "email", "ann@example.com")


@pytest.mark.parametrize("event_type", ["email.hard_bounce", "email.complaint", "message.unsubscribed"])
def test_what_is_too_long_for_an_address_harms_no_other_event(database: Database, event_type: str) -> None:
    long = random.Random(1).randbytes(6_000).hex()
    events = [event(event_type, address, event_data={"address": text}) for address, text in enumerate([long, "a@b.c"])]
    assert load(database, *events) == LoadResult(2, 2, 0, 0)
    assert not is_suppressed(database, TENANT, "email", long)
    assert is_suppressed(database, TENANT, "email", "a@b.c")


def test_an_event_that_names_no_address_suppresses_none(database: Database) -> None:
    load(database, event("message.unsubscribed", 1), event("email.hard_bounce", 2))
    assert rows(database, "select address from iris.suppression_list") == []
    assert rows(database, "select bounce_type, address from iris.email_bounces") == [("hard", None)]
