"""A load: every event once, all of a file or nothing, whoever else is loading."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pytest

from iris_pipelines.db.database import Connection, Database, DatabaseUnavailable
from iris_pipelines.db.staleness import Consumer, Grain, plan_stale, register_consumers
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.ingestion.loader import LoadConflict, LoadResult, load_events
from iris_pipelines.ingestion.records import ColumnBatch, EventBatch, Malformed, ObjectBatch

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HISTORY_START = date(2020, 1, 1)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
TENANT = UUID("00000000-0000-4000-8000-00000000000a")


@pytest.fixture(autouse=True)
def tenant(database: Database) -> None:
    create_tenant(database, Tenant(TENANT, "Acme"))


def event(number: int = 0, **fields: Any) -> dict[str, Any]:
    """An event with an id of its own, a minute after the one before."""
    return {
        "id": str(UUID(int=number + 1)),
        "tenant_id": str(TENANT),
        "event_type": "message.sent",
        "timestamp": (MIDNIGHT + timedelta(minutes=number % 1440)).isoformat(),
        **fields,
    }


def batch_of(records: list[Any], source: str = "test.ndjson", first_line: int = 1) -> ObjectBatch:
    return ObjectBatch(source, range(first_line, first_line + len(records)), records)


def load(database: Database, *records: Any, **options: Any) -> LoadResult:
    return load_events(database, [batch_of(list(records))], now=NOW, history_start=HISTORY_START, **options)


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


def count(database: Database, relation: str = "iris.analytics_events") -> int:
    return int(rows(database, f"select count(*) from {relation}")[0][0])


STORED = """
    select id, tenant_id, event_type, timestamp, message_id, campaign_id, contact_id, channel, provider, event_data,
        host(ip_address), user_agent, geo_location, cost, duration_ms, success, error_code, error_message, is_machine
    from iris.analytics_events order by timestamp, id
"""


def test_every_field_is_stored_whichever_way_an_event_takes(database: Database) -> None:
    ids = {"message_id": UUID(int=71), "campaign_id": UUID(int=72), "contact_id": UUID(int=73)}
    full: dict[str, Any] = {
        **{name: str(value) for name, value in ids.items()},
        "event_type": "message.opened",
        "channel": "Email",
        "provider": "SendGrid",
        "event_data": {"text": 'ä"✓', "n": 0.5},
        "user_agent": "Mozilla",
        "geo_location": {"city": "Berlin"},
        "cost": 1234.567891,
        "duration_ms": 2**40,
        "success": False,
        "error_code": "E",
        "error_message": "none",
        "is_machine": True,
        "unknown": "kept",
    }
    few = [event(1, **full, ip_address="192.0.2.1"), event(2)]
    expected = [
        (UUID(int=2), TENANT, "message.opened", MIDNIGHT + timedelta(minutes=1), *ids.values(), "email", "sendgrid",
         {"text": 'ä"✓', "n": 0.5, "unknown": "kept"}, "192.0.2.1", "Mozilla", {"city": "Berlin"},
         Decimal("1234.567891"), 2**40, False, "E", "none", True),
        (UUID(int=3), TENANT, "message.sent", MIDNIGHT + timedelta(minutes=2), *[None] * 10, None, True, None, None,
         False),
    ]  # fmt: skip
    assert load(database, *few) == LoadResult(2, 2, 0, 0)
    assert rows(database, STORED) == expected

    rows(database, "with gone as (delete from iris.analytics_events returning 1) select count(*) from gone")
    # So many that they are copied straight into their partition.
    del full["unknown"]
    many = [event(1, **full, ip_address="2001:DB8::1"), event(2), *(event(3 + n, **full) for n in range(1_000))]
    assert load(database, *many) == LoadResult(1_002, 1_002, 0, 0)
    found = rows(database, STORED)
    assert found[0][10] == "2001:db8::1"
    assert found[0][9] == {"text": 'ä"✓', "n": 0.5}
    assert found[0][:9] + found[0][11:] == expected[0][:9] + expected[0][11:]
    assert found[1] == expected[1]


@pytest.mark.parametrize("size", [10, 3_000], ids=["by the table", "straight into the partition"])
def test_a_second_load_changes_nothing(database: Database, size: int) -> None:
    records = [event(number, message_id=str(uuid4())) for number in range(size)]
    assert load(database, *records) == LoadResult(size, size, 0, 0)
    random.Random(1).shuffle(records)
    assert load(database, *records) == LoadResult(size, 0, size, 0)
    more = [*records[: size // 2], *(event(size + number) for number in range(5))]
    assert load(database, *more) == LoadResult(size // 2 + 5, 5, size // 2, 0)
    assert count(database) == size + 5


@pytest.mark.parametrize("size", [60, 2_000], ids=["by the table", "straight into the partition"])
def test_duplicates_within_a_load_are_counted_and_the_first_is_kept(database: Database, size: int) -> None:
    numbers = range(size)
    first = [event(number, cost=1) for number in numbers]
    again = [event(number, cost=2) for number in numbers[::3]]
    # The other half comes after its copies, in a batch of its own.
    halves = [batch_of([*first[: size // 2], *again]), batch_of([*first[size // 2 :], *again])]
    copied_first = len([number for number in numbers[::3] if number >= size // 2])

    result = load_events(database, halves, now=NOW, history_start=HISTORY_START)
    assert result == LoadResult(size + 2 * len(again), size, 2 * len(again), 0)
    costs = dict(rows(database, "select cost, count(*) from iris.analytics_events group by 1"))
    assert costs == {Decimal(1): size - copied_first, Decimal(2): copied_first}


def test_the_same_id_at_another_time_or_of_another_tenant_is_another_event(database: Database) -> None:
    other = Tenant(uuid4(), "Other")
    create_tenant(database, other)
    same_id = [event(1), event(1, timestamp="2026-11-23T00:00:00Z"), event(1, tenant_id=str(other.id))]
    assert load(database, *same_id) == LoadResult(3, 3, 0, 0)


def test_an_event_without_an_id_is_the_same_from_objects_text_and_columns(database: Database) -> None:
    content = {"tenant_id": str(TENANT), "event_type": "message.sent", "timestamp": "2026-11-23T10:00:00Z"}
    as_object = {**content, "cost": 0.5, "event_data": {"n": 5, "m": 1}}
    as_text = {**content, "cost": "0.50", "event_data": '{"m": 1.0, "n": 5.0}', "channel": "", "success": ""}
    columns = pa.RecordBatch.from_pylist(
        [
            {
                **content,
                "timestamp": datetime(2026, 11, 23, 11, tzinfo=UTC) - timedelta(hours=1),
                "cost": Decimal("0.500"),
                "event_data": '{"n": 5, "m": 1}',
            }
        ]
    )
    batches: list[EventBatch] = [batch_of([as_object]), batch_of([as_text]), ColumnBatch("test.parquet", 1, columns)]
    assert load_events(database, batches, now=NOW, history_start=HISTORY_START) == LoadResult(3, 1, 2, 0)


def test_bad_events_are_kept_and_harm_no_other(database: Database) -> None:
    records = [
        event(1),
        Malformed("invalid_json", "the line is no valid JSON", '{"id": '),
        event(2, channel="fax"),
        event(3, tenant_id=str(UUID(int=99))),
        event(4, user_agent="a\x00b"),
        event(5, event_data={"text": "\ud800"}),
        {"timestamp": 1, "tenant_id": str(TENANT)},
    ]
    result = load(database, *records)
    assert result == LoadResult(7, 1, 0, 6)
    kept = rows(database, "select line, reason, tenant_id, source from iris.rejected_events order by line")
    assert kept == [
        (2, "invalid_json", None, "test.ndjson"),
        (3, "unknown_channel", TENANT, "test.ndjson"),
        (4, "unknown_tenant", UUID(int=99), "test.ndjson"),
        (5, "invalid_field", TENANT, "test.ndjson"),
        (6, "invalid_field", TENANT, "test.ndjson"),
        (7, "missing_field", TENANT, "test.ndjson"),
    ]
    payloads = dict(rows(database, "select line, payload from iris.rejected_events"))
    assert payloads[2] == '{"id": '
    assert '"channel":"fax"' in payloads[3]
    assert r"a\u0000b" in payloads[5]

    assert load(database, *records) == LoadResult(7, 0, 1, 6)
    assert count(database, "iris.rejected_events") == 6


def test_tenants_are_made_on_request(database: Database) -> None:
    unknown = str(uuid4())
    many = [event(number, tenant_id=unknown) for number in range(1_500)]
    assert load(database, *many) == LoadResult(1_500, 0, 0, 1_500)
    assert load(database, *many, create_tenants=True) == LoadResult(1_500, 1_500, 0, 0)
    assert rows(database, f"select name from iris.tenants where id = '{unknown}'") == [(unknown,)]


@pytest.mark.parametrize("size", [20, 2_000], ids=["by the table", "straight into the partition"])
def test_the_hours_of_new_events_become_stale_and_no_others(database: Database, size: int) -> None:
    records = [event(number) for number in range(size)]
    load(database, *records[: size // 2])
    register_consumers(database, {"analytics.hourly": Consumer(Grain.HOUR)})
    rows(database, "with gone as (delete from iris.stale_hours returning 1) select count(*) from gone")
    rows(database, "with gone as (delete from iris.touched_hours returning 1) select count(*) from gone")

    load(database, *records[: size // 2])
    assert plan_stale(database, now=NOW) == []
    load(database, *records)
    [stale] = plan_stale(database, now=NOW)
    expected = {datetime.fromisoformat(each["timestamp"]).replace(minute=0) for each in records[size // 2 :]}
    assert set(stale.hours) == expected


def test_an_error_on_the_way_leaves_nothing(database: Database) -> None:
    def truncated() -> Iterator[EventBatch]:
        yield batch_of([event(number, event_type="email.hard_bounce", channel="fax") for number in range(5)])
        yield batch_of([event(number) for number in range(2_000)])
        raise EOFError("the file ends too early")

    with pytest.raises(EOFError):
        load_events(database, truncated(), now=NOW, history_start=HISTORY_START)
    assert count(database) == 0
    assert count(database, "iris.rejected_events") == 0
    assert count(database, "iris.touched_hours") == 0
    assert load(database, event(1)).accepted == 1


def test_finish_runs_in_the_transaction_of_the_load(database: Database) -> None:
    def note(connection: Connection, result: LoadResult) -> None:
        connection.execute("update iris.tenants set name = %s", (f"got {result.accepted}",))

    def fail(connection: Connection, result: LoadResult) -> None:
        note(connection, result)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        load(database, event(1), finish=fail)
    assert (count(database), rows(database, "select name from iris.tenants")) == (0, [("Acme",)])
    load(database, event(1), finish=note)
    assert (count(database), rows(database, "select name from iris.tenants")) == (1, [("got 1",)])


def test_what_is_missing_is_filled_in_from_the_message(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.messages (tenant_id, id, campaign_id, to_contact_id, channel, provider)"
            " values (%s, %s, %s, %s, 'email', 'SendGrid')",
            (TENANT, UUID(int=5), UUID(int=6), UUID(int=7)),
        )
    records = [event(number, message_id=str(UUID(int=5))) for number in range(600)]
    records.append(event(600, message_id=str(UUID(int=5)), channel="sms", campaign_id=str(UUID(int=60))))
    load(database, *records, event(601))
    filled = (
        "select campaign_id, contact_id, channel, provider, count(*) from iris.analytics_events group by 1, 2, 3, 4"
    )
    assert sorted(rows(database, filled), key=str) == sorted(
        [
            (UUID(int=6), UUID(int=7), "email", "sendgrid", 600),
            (UUID(int=60), UUID(int=7), "sms", "sendgrid", 1),
            (None, None, None, None, 1),
        ],
        key=str,
    )


def overlapping(seed: int) -> list[EventBatch]:
    """Most of the same 4,000 events, in batches and an order of their own."""
    chance = random.Random(seed)
    records = [event(number) for number in chance.sample(range(4_000), 3_000)]
    return [batch_of(records[start : start + 700], f"{seed}.ndjson") for start in range(0, 3_000, 700)]


def expected_union(seeds: range) -> int:
    return len({record["id"] for seed in seeds for batch in overlapping(seed) for record in batch.records})  # type: ignore[index,union-attr]


def load_in_a_process(url: str, seed: int) -> LoadResult:
    with Database(url) as database:
        return load_events(database, overlapping(seed), now=NOW, history_start=HISTORY_START)


def test_writers_at_once_store_each_event_once_and_count_exactly(database: Database, database_url: str) -> None:
    seeds = range(6)
    context = multiprocessing.get_context("spawn")
    with Database(database_url, pool_size=8) as shared, ThreadPoolExecutor(4) as threads, context.Pool(2) as processes:
        others = [processes.apply_async(load_in_a_process, (database_url, seed)) for seed in (4, 5)]
        futures = [
            threads.submit(load_events, shared, overlapping(seed), now=NOW, history_start=HISTORY_START)
            for seed in (0, 1, 2, 3)
        ]
        results = [each.result() for each in futures] + [each.get(timeout=120) for each in others]
    assert all(each.received == each.accepted + each.duplicates == 3_000 for each in results)
    assert sum(each.accepted for each in results) == expected_union(seeds) == count(database)


def test_loads_that_wait_for_each_other_start_over_if_they_can(database: Database) -> None:
    """Each stores one event and then, when the other has done so too, the other's."""
    barrier = threading.Barrier(2)

    class Crossing:
        def __init__(self, numbers: tuple[int, int]) -> None:
            self._numbers = numbers
            self.openings = 0

        def __iter__(self) -> Iterator[EventBatch]:
            self.openings += 1
            yield batch_of([event(self._numbers[0])])
            if self.openings == 1:
                barrier.wait(30)
            yield batch_of([event(self._numbers[1])])

    crossings = [Crossing((1, 2)), Crossing((2, 1))]
    with ThreadPoolExecutor(2) as threads:
        futures = [
            threads.submit(load_events, database, each, now=NOW, history_start=HISTORY_START) for each in crossings
        ]
        results = [each.result() for each in futures]
    assert sorted(each.openings for each in crossings) == [1, 2]
    assert sorted((each.accepted, each.duplicates) for each in results) == [(0, 2), (2, 0)]

    barrier.reset()
    crossings = [Crossing((3, 4)), Crossing((4, 3))]
    with ThreadPoolExecutor(2) as threads:
        futures = [
            threads.submit(load_events, database, iter(each), now=NOW, history_start=HISTORY_START)
            for each in crossings
        ]
        errors = [each.exception() for each in futures]
    assert [type(each) for each in errors if each is not None] == [LoadConflict]
    assert count(database) == 4


def load_until_killed(url: str, killed_at: int | None) -> None:
    def batches() -> Iterator[EventBatch]:
        for number in range(5):
            if number == killed_at:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch_of([event(number * 1_000 + each) for each in range(1_000)])

    with Database(url) as database:
        load_events(database, batches(), now=NOW, history_start=HISTORY_START)


@pytest.mark.parametrize("killed_at", [4, None], ids=["killed", "control: not killed"])
def test_a_killed_load_leaves_nothing_and_the_next_one_loads_all(
    database: Database, database_url: str, killed_at: int | None
) -> None:
    process = multiprocessing.get_context("spawn").Process(target=load_until_killed, args=(database_url, killed_at))
    process.start()
    process.join(120)
    assert process.exitcode == (0 if killed_at is None else -signal.SIGKILL)
    assert count(database) == (5_000 if killed_at is None else 0)

    result = load(database, *(event(number) for number in range(5_000)))
    assert result.accepted == (0 if killed_at is None else 5_000)
    assert count(database) == 5_000


def test_a_lost_connection_is_an_error_and_leaves_nothing(database: Database) -> None:
    def cut_off() -> Iterator[EventBatch]:
        yield batch_of([event(1)])
        with database.transaction() as other:
            other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        yield batch_of([event(2)])

    with pytest.raises(DatabaseUnavailable, match="nothing of this was stored"):
        load_events(database, cut_off(), now=NOW, history_start=HISTORY_START)
    assert count(database) == 0
    assert load(database, event(1), event(2)).accepted == 2
