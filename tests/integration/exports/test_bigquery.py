from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from iris_pipelines.db.database import Database
from iris_pipelines.exports.bigquery import (
    EXPORT,
    Warehouse,
    WarehouseUnavailable,
    compare_days_in_bigquery,
    export_day_to_bigquery,
)
from iris_pipelines.exports.erasure import erase_contact
from iris_pipelines.exports.events import due_days
from iris_pipelines.exports.marts import export_marts_to_bigquery, warehouse_type
from tests.bigquery import bigquery_emulator
from tests.commands import eventually, finished, iris, started
from tests.integration.exports.conftest import DAY, NOW, OTHER_TENANT, TENANT, Load, at, event
from tests.servers import observing, value, waiting_for

CONTACT = UUID(int=100)
TOMORROW = DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with bigquery_emulator() as address:
        yield address


@pytest.fixture
def warehouse(emulator: str) -> Warehouse:
    return Warehouse("iris-test", f"iris_{uuid4().hex}", None, {"BIGQUERY_EMULATOR_HOST": emulator})


@pytest.fixture
def client(emulator: str) -> Iterator[bigquery.Client]:
    options = {"api_endpoint": f"http://{emulator}"}
    client = bigquery.Client("iris-test", AnonymousCredentials(), client_options=options)  # type: ignore[no-untyped-call]
    yield client
    client.close()  # type: ignore[no-untyped-call]


def rows(client: bigquery.Client, warehouse: Warehouse) -> list[Mapping[str, Any]]:
    statement = f"select * from `{warehouse.table('events')}` order by `timestamp`, id"
    return [dict(row) for row in client.query(statement).result()]


def some_events() -> list[dict[str, Any]]:
    full = {
        "event_type": "link.clicked",
        "message_id": str(uuid4()),
        "campaign_id": str(uuid4()),
        "contact_id": str(CONTACT),
        "provider": "sendgrid",
        "event_data": {"url": 'https://a/?q="x"', "n": [1, None, 2.5], "text": "two\nlines ü"},
        "cost": "0.000001",
        "duration_ms": 1500,
        "success": False,
    }
    return [
        event(at(0)),
        event(at(23, 59, 59, 999_999), **full),
        event(at(12), tenant_id=str(OTHER_TENANT)),
        event(at(0, day=TOMORROW), **full),
    ]


def test_a_day_is_there_with_its_types_partitioned_and_clustered(
    database: Database, load: Load, warehouse: Warehouse, client: bigquery.Client
) -> None:
    events = some_events()
    load(events)
    done = export_day_to_bigquery(database, warehouse, DAY)
    assert (done.row_count, done.version) == (3, 1)
    assert done.url == f"bigquery://iris-test/{warehouse.dataset}/events${DAY:%Y%m%d}"
    table = client.get_table(warehouse.table("events"))
    assert table.time_partitioning.type_ == "DAY"
    assert table.time_partitioning.field == "timestamp"
    assert table.clustering_fields == ["tenant_id", "event_type"]
    assert [field.name for field in table.schema][:4] == ["id", "tenant_id", "event_type", "timestamp"]
    found = rows(client, warehouse)
    assert len(found) == 3
    assert found[2] == {
        **{name: events[1].get(name) for name in found[2]},
        "timestamp": datetime(DAY.year, DAY.month, DAY.day, 23, 59, 59, 999_999, tzinfo=UTC),
        "cost": Decimal("0.000001"),
    }
    (row,) = client.query(
        f"select json_value(event_data, '$.url') as url from `{warehouse.table('events')}` where event_data is not null"
    ).result()
    assert row["url"] == 'https://a/?q="x"'


def test_ten_exports_give_one_day_and_leave_its_neighbours_alone(
    database: Database, load: Load, warehouse: Warehouse, client: bigquery.Client
) -> None:
    load(some_events())
    export_day_to_bigquery(database, warehouse, TOMORROW)
    first = export_day_to_bigquery(database, warehouse, DAY)
    before = rows(client, warehouse)
    assert len(before) == 4
    for _ in range(9):
        assert export_day_to_bigquery(database, warehouse, DAY) == first
    assert rows(client, warehouse) == before
    assert [table.table_id for table in client.list_tables(warehouse.dataset)] == ["events"]


def test_a_day_that_lost_its_events_is_empty(
    database: Database, load: Load, warehouse: Warehouse, client: bigquery.Client
) -> None:
    load(some_events())
    for day in (DAY, TOMORROW):
        export_day_to_bigquery(database, warehouse, day)
    with database.transaction() as connection:
        connection.execute("delete from iris.analytics_events where timestamp < %s", (at(0, day=TOMORROW),))
    assert export_day_to_bigquery(database, warehouse, DAY).row_count == 0
    assert len(rows(client, warehouse)) == 1
    assert [day.problem for day in compare_days_in_bigquery(database, warehouse, [DAY, TOMORROW])] == [None, None]


def test_late_and_deleted_events_replace_the_day(
    database: Database, load: Load, warehouse: Warehouse, client: bigquery.Client
) -> None:
    load(some_events())
    for day in (DAY, TOMORROW):
        export_day_to_bigquery(database, warehouse, day)
    before = rows(client, warehouse)
    assert due_days(database, EXPORT, warehouse.url, now=NOW) == []
    load([event(at(5))])
    assert due_days(database, EXPORT, warehouse.url, now=NOW) == [DAY]
    assert compare_days_in_bigquery(database, warehouse, [DAY])[0].is_waiting
    assert export_day_to_bigquery(database, warehouse, DAY).version == 2
    assert len(rows(client, warehouse)) == 5
    with database.transaction() as connection:
        connection.execute("delete from iris.analytics_events where timestamp = %s", (at(5),))
    # Once more what was there at first: a job of the same id ran before.
    assert export_day_to_bigquery(database, warehouse, DAY).version == 3
    assert rows(client, warehouse) == before


@pytest.mark.parametrize(
    "difference",
    [
        "delete from `{table}` where duration_ms = 1500",
        "update `{table}` set cost = 5 where duration_ms = 1500",
        "update `{table}` set contact_id = null where duration_ms = 1500",
        "update `{table}` set event_data = null where duration_ms = 1500",
        "insert into `{table}` select * from `{table}` where duration_ms = 1500",
    ],
)
def test_any_difference_is_seen_and_the_next_export_repairs_it(
    database: Database, load: Load, warehouse: Warehouse, client: bigquery.Client, difference: str
) -> None:
    load(some_events())
    export_day_to_bigquery(database, warehouse, DAY)
    assert [day.problem for day in compare_days_in_bigquery(database, warehouse, [DAY])] == [None]
    client.query(difference.format(table=warehouse.table("events"))).result()
    (compared,) = compare_days_in_bigquery(database, warehouse, [DAY])
    assert compared.problem is not None
    export_day_to_bigquery(database, warehouse, DAY)
    assert [day.problem for day in compare_days_in_bigquery(database, warehouse, [DAY])] == [None]
    assert compare_days_in_bigquery(database, warehouse, [TOMORROW])[0].problem == "it was never exported"


@pytest.mark.parametrize("moment", ["during the load", "after the load"])
def test_a_killed_export_leaves_the_day_once_and_due(
    database: Database, load: Load, warehouse: Warehouse, client: bigquery.Client, moment: str
) -> None:
    load(some_events())
    export_day_to_bigquery(database, warehouse, DAY)
    before = rows(client, warehouse)
    load([event(at(5))])
    environment = {
        "IRIS_DATABASE_URL": database.url,
        "IRIS_BIGQUERY_PROJECT": "iris-test",
        "IRIS_BIGQUERY_DATASET": warehouse.dataset,
        **warehouse.environment,
    }
    command = iris("export", "--date", f"{DAY}", "--format", "bigquery")
    lock = {
        "during the load": "lock table iris.analytics_events in access exclusive mode",
        "after the load": "lock table iris.export_manifest in exclusive mode",
    }[moment]
    with (
        psycopg.connect(database.url) as gate,
        observing(database.url) as observer,
        started(command, **environment) as child,
    ):
        gate.execute(lock.encode())
        eventually(lambda: waiting_for(observer, "relation") > 0, "the export at the lock")
        child.send(signal.SIGKILL)
        assert child.finished().code == -signal.SIGKILL
        gate.rollback()
        at_work = (
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and application_name = 'iris' and state <> 'idle'"
        )
        eventually(lambda: value(observer, at_work) == 0, "the end of the session of who was killed")
    assert len(rows(client, warehouse)) == len(before) + (moment == "after the load")
    assert due_days(database, EXPORT, warehouse.url, now=NOW)[0] == DAY
    done = finished(command, **environment)
    assert (done.code, done.error) == (0, "")
    assert "4 events" in done.out
    assert len(rows(client, warehouse)) == 4
    assert [day.problem for day in compare_days_in_bigquery(database, warehouse, [DAY])] == [None]


def test_a_warehouse_that_is_away_is_told(database: Database, load: Load, warehouse: Warehouse) -> None:
    load(some_events())
    away = replace(warehouse, environment={"BIGQUERY_EMULATOR_HOST": "127.0.0.1:9"}, patience=1.0)
    with pytest.raises(WarehouseUnavailable, match=r"^bigquery://iris-test/.* cannot be used: "):
        export_day_to_bigquery(database, away, DAY)
    export_day_to_bigquery(database, warehouse, DAY)


def test_an_erased_contact_is_erased_there_too(
    database: Database, load: Load, warehouse: Warehouse, client: bigquery.Client
) -> None:
    load(some_events())
    export_day_to_bigquery(database, warehouse, DAY)
    assert str(CONTACT) in str(rows(client, warehouse))
    receipt = erase_contact(database, warehouse.environment, TENANT, CONTACT)
    assert receipt.touched["exports"] == [f"bigquery://iris-test/{warehouse.dataset}/events${DAY:%Y%m%d}"]
    found = rows(client, warehouse)
    assert len(found) == 3
    assert str(CONTACT) not in str(found)
    assert "https://a" not in str(found)


def test_marts_are_there_with_the_same_numbers(
    database: Database, warehouse: Warehouse, client: bigquery.Client
) -> None:
    with database.transaction() as connection:
        connection.execute(
            "create table analytics.some_mart as select %s::uuid as tenant_id, date '2026-11-18' as date,"
            " 12345678901234::bigint as sent, 33.33::numeric as rate, null::numeric as cost, true as is_final,"
            " timestamptz '2026-11-18 01:02:03.000004+00' as computed_at, array['a', 'b'] as tags, 1.0/3 as share",
            (TENANT,),
        )
        connection.execute("create view analytics.some_view as select tenant_id, sent from analytics.some_mart")
    for _ in range(2):
        loaded = export_marts_to_bigquery(database, warehouse)
        assert [(mart.name, mart.row_count) for mart in loaded] == [("some_mart", 1), ("some_view", 1)]
    (row,) = client.query(f"select * from `{warehouse.table('some_mart')}`").result()
    assert dict(row) == {
        "tenant_id": str(TENANT),
        "date": date(2026, 11, 18),
        "sent": 12345678901234,
        "rate": Decimal("33.33"),
        "cost": None,
        "is_final": True,
        "computed_at": datetime(2026, 11, 18, 1, 2, 3, 4, tzinfo=UTC),
        "tags": ["a", "b"],
        "share": Decimal("0.333333333"),
    }
    # A mart with other columns takes the place of the old one.
    with database.transaction() as connection:
        connection.execute("drop table analytics.some_mart cascade")
        connection.execute("create table analytics.some_mart (tenant_id uuid, opened integer)")
    export_marts_to_bigquery(database, warehouse)
    assert [field.name for field in client.get_table(warehouse.table("some_mart")).schema] == ["tenant_id", "opened"]
    assert [warehouse_type(each) for each in ("real", "jsonb", "inet")] == ["FLOAT64", "JSON", "STRING"]
    assert json.dumps(loaded[0].url) == f'"{warehouse.url}/some_mart"'
