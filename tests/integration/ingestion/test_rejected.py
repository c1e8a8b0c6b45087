"""What is rejected is kept whole, so that it is judged again as what came."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import orjson
import pyarrow as pa
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.ingestion.loader import LoadResult, load_events
from iris_pipelines.ingestion.records import KEPT_BYTES, ColumnBatch, EventBatch, LineBatch, ObjectBatch
from iris_pipelines.ingestion.replay import replay_rejected

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HISTORY_START = date(2020, 1, 1)
TENANT = UUID("00000000-0000-4000-8000-00000000000a")


@pytest.fixture(autouse=True)
def tenant(database: Database) -> None:
    create_tenant(database, Tenant(TENANT, "Acme"))


def event(**fields: Any) -> dict[str, Any]:
    return {"tenant_id": str(TENANT), "event_type": "message.sent", "timestamp": "2026-11-23T10:00:00Z", **fields}


def load(database: Database, batch: EventBatch) -> LoadResult:
    return load_events(database, [batch], now=NOW, history_start=HISTORY_START)


def replay(database: Database) -> LoadResult:
    return replay_rejected(database, now=NOW, history_start=HISTORY_START)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


def test_a_rejected_event_is_kept_whole_however_it_came_and_stored_after_a_fix(database: Database) -> None:
    unknown = uuid4()
    columns = pa.table(
        {
            "tenant_id": pa.array([unknown.bytes] * 2, pa.binary(16)),
            "message_id": pa.array([uuid4().bytes, None], pa.binary(16)),
            "event_type": ["message.sent", "custom.thing"],
            "timestamp": pa.array([NOW, NOW], pa.timestamp("us", "UTC")),
            "cost": pa.array([Decimal("0.5"), None], pa.decimal128(10, 6)),
            "price": pa.array([Decimal("5.25"), Decimal("6.00")], pa.decimal128(10, 2)),
        }
    )
    batch = ColumnBatch("events.parquet", 1, columns.to_batches()[0])
    assert load(database, batch) == LoadResult(2, 0, 0, 2)
    assert rows(database, "select distinct tenant_id, reason from iris.rejected_events") == [
        (unknown, "unknown_tenant")
    ]

    create_tenant(database, Tenant(unknown, "Known now"))
    assert replay(database) == LoadResult(2, 2, 0, 0)
    # Their ids are derived: a second load finds them only if the payloads said what the columns say.
    assert load(database, batch) == LoadResult(2, 0, 2, 0)


def test_a_line_is_kept_to_the_letter(database: Database) -> None:
    line = json.dumps(event(channel="fax", n=1.50), indent=None, separators=(" ,", " : "))
    load(database, LineBatch("test.ndjson", [1], pa.array([line.encode()], pa.binary())))
    assert rows(database, "select payload from iris.rejected_events") == [(line,)]


@pytest.mark.parametrize("levels", [260, 600, 980, 1015])
def test_what_is_nested_too_deeply_harms_no_other_event(database: Database, levels: int) -> None:
    deep = orjson.loads('{"a":' * levels + "1" + "}" * levels)
    endless: dict[str, Any] = {}
    endless["a"] = endless
    records = [event(event_data=deep), event(event_data=endless), event()]
    assert load(database, ObjectBatch("test.json", [1, 2, 3], records)) == LoadResult(3, 1, 0, 2)
    kept = rows(database, "select reason, payload from iris.rejected_events order by line")
    assert [reason for reason, _ in kept] == ["invalid_field"] * 2
    assert all(str(TENANT) in payload for _, payload in kept)


def test_what_no_json_can_say_is_kept_in_words_and_is_no_better_after_a_replay(database: Database) -> None:
    columns = pa.RecordBatch.from_pylist([event(cost=float("nan"))])
    batch = ColumnBatch("events.parquet", 1, columns)
    assert load(database, batch) == LoadResult(1, 0, 0, 1)
    assert replay(database) == LoadResult(1, 0, 0, 1)
    [(payload,)] = rows(database, "select payload from iris.rejected_events")
    assert '"cost":"nan"' in payload


def test_a_long_rejected_event_is_kept_whole(database: Database) -> None:
    rejected = event(user_agent="✓" * 1_000_000)
    load(database, ObjectBatch("test.ndjson", [1], [rejected]))
    [(reason, payload)] = rows(database, "select reason, payload from iris.rejected_events")
    assert (reason, json.loads(payload)) == ("too_large", rejected)


def test_a_rejected_event_that_is_longer_than_a_batch_is_cut_and_says_so(database: Database) -> None:
    load(database, ObjectBatch("test.ndjson", [1], [event(user_agent="✓" * 3_000_000)]))
    [(payload, detail)] = rows(database, "select payload, detail from iris.rejected_events")
    assert KEPT_BYTES - 3 < len(payload.encode()) <= KEPT_BYTES
    assert "it has 9,0" in detail
