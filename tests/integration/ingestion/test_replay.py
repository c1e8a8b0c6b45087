"""Rejected events are judged again, and stored at most once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from iris_pipelines.db.database import Database
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.ingestion.loader import LoadResult, load_events
from iris_pipelines.ingestion.records import Malformed, ObjectBatch
from iris_pipelines.ingestion.replay import count_open_rejected, replay_rejected

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HISTORY_START = date(2020, 1, 1)
KNOWN = UUID(int=10)
UNKNOWN = UUID(int=11)


def event(number: int, tenant: UUID, **fields: Any) -> dict[str, Any]:
    timestamp = (NOW - timedelta(seconds=number)).isoformat()
    return {
        "id": str(UUID(int=number + 1)),
        "tenant_id": str(tenant),
        "event_type": "message.sent",
        "timestamp": timestamp,
        **fields,
    }


def load(database: Database, *records: Any) -> LoadResult:
    batch = ObjectBatch("test.ndjson", range(1, len(records) + 1), records)
    return load_events(database, [batch], now=NOW, history_start=HISTORY_START)


def replay(database: Database, **options: Any) -> LoadResult:
    return replay_rejected(database, now=NOW, history_start=HISTORY_START, **options)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


OPEN = "select line, reason from iris.rejected_events where replayed_at is null order by line"


def test_what_is_acceptable_now_is_stored_and_the_rest_stays(database: Database) -> None:
    create_tenant(database, Tenant(KNOWN, "Known"))
    later = (NOW + timedelta(days=3)).isoformat()
    records = [
        event(1, UNKNOWN),
        event(2, KNOWN, channel="fax"),
        event(3, KNOWN, timestamp=later),
        event(4, UNKNOWN, channel="fax"),
        Malformed("too_large", "the line has 70,000 bytes", '{"id"'),
        Malformed("invalid_json", "the line is no valid JSON", "{"),
    ]
    assert load(database, *records) == LoadResult(6, 0, 0, 6)
    assert replay(database) == LoadResult(6, 0, 0, 6)

    create_tenant(database, Tenant(UNKNOWN, "Unknown no more"))
    assert replay(database, reason="unknown_tenant") == LoadResult(1, 1, 0, 0)
    assert replay_rejected(database, now=NOW + timedelta(days=2), history_start=HISTORY_START) == LoadResult(5, 1, 0, 4)
    assert replay(database) == LoadResult(4, 0, 0, 4)
    assert rows(database, OPEN) == [
        (2, "unknown_channel"),
        (4, "unknown_channel"),
        (5, "too_large"),
        (6, "invalid_json"),
    ]
    assert count_open_rejected(database) == 4
    # The same file again: what was replayed is a duplicate, what is open is not piled up.
    assert load(database, *records) == LoadResult(6, 0, 1, 5)
    assert len(rows(database, "select 1 from iris.analytics_events")) == 2


def test_a_reason_that_changed_is_noted(database: Database) -> None:
    load(database, event(1, UNKNOWN, user_agent="x"))
    with database.transaction() as connection:
        connection.execute("update iris.rejected_events set payload = replace(payload, 'message.sent', 'Sent')")
    assert replay(database, create_tenants=True) == LoadResult(1, 0, 0, 1)
    assert rows(database, OPEN) == [(1, "invalid_field")]


def test_tenants_can_be_made_on_the_way_and_batches_are_streamed(database: Database) -> None:
    load(database, *(event(number, UNKNOWN) for number in range(4_500)))
    progress: list[int] = []
    result = replay(database, create_tenants=True, on_batch=lambda so_far: progress.append(so_far.received))
    assert result == LoadResult(4_500, 4_500, 0, 0)
    assert progress == [2_000, 4_000, 4_500]
    assert replay(database) == LoadResult()


def test_replays_at_once_store_each_event_once(database: Database) -> None:
    load(database, *(event(number, UNKNOWN) for number in range(3_000)))
    create_tenant(database, Tenant(UNKNOWN, "Known now"))
    with ThreadPoolExecutor(2) as threads:
        results = [each.result() for each in [threads.submit(replay, database), threads.submit(replay, database)]]
    assert sum(each.accepted for each in results) == 3_000
    assert rows(database, "select count(*) from iris.analytics_events") == [(3_000,)]
    assert count_open_rejected(database) == 0


def test_an_event_that_has_arrived_meanwhile_is_a_duplicate_and_closed(database: Database) -> None:
    load(database, event(1, UNKNOWN))
    create_tenant(database, Tenant(UNKNOWN, "Known now"))
    load(database, event(1, UNKNOWN))
    assert replay(database) == LoadResult(1, 0, 1, 0)
    assert count_open_rejected(database) == 0
