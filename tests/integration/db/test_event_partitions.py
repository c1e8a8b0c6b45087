"""Partitions are made for the days that events fall in, and nobody waits long for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.db.event_partitions import (
    compact_primary_keys,
    create_partitions,
    existing_days,
    maintain_partitions,
    partition_name,
    partitioned_days,
)
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.ingestion.loader import LoadResult, load_events
from iris_pipelines.ingestion.records import ObjectBatch

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = NOW.date()


def insert_event(database: Database, timestamp: datetime) -> None:
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.analytics_events (tenant_id, event_type, timestamp) values (%s, 'message.sent', %s)",
            (uuid4(), timestamp),
        )


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


WHERE = "select tableoid::regclass::text, count(*) from iris.analytics_events group by 1 order by 1"
DEFAULT = "iris_partitions.analytics_events_default"


def test_days_are_made_once_and_known(database: Database) -> None:
    days = {TODAY - timedelta(days=ahead) for ahead in range(70)}
    assert create_partitions(database, days) == days
    assert create_partitions(database, days) == days
    with database.transaction() as connection:
        assert existing_days(connection, days | {date(2020, 1, 1)}) == days


@pytest.mark.parametrize("timestamp", ["infinity", "-infinity", "58807-05-05 00:00:00+00", "0044-03-15 00:00:00+00 BC"])
def test_an_instant_that_no_run_can_build_is_refused(database: Database, timestamp: str) -> None:
    """One of these in the ledger, and no other hour would be rebuilt any more."""
    insert = (
        "insert into iris.analytics_events (tenant_id, event_type, timestamp) values (gen_random_uuid(), 'a.b', %s)"
    )
    with (
        pytest.raises(psycopg.errors.CheckViolation, match="timestamp_has_an_hour"),
        database.transaction() as connection,
    ):
        connection.execute(insert, (timestamp,))
    with database.transaction() as connection:
        connection.execute(insert, ("1999-12-31 23:00:00+00",))
    assert rows(database, "select hour from iris.touched_hours") == [(datetime(1999, 12, 31, 23, tzinfo=UTC),)]


def test_a_day_that_another_is_just_making_is_waited_for(database: Database, database_url: str) -> None:
    def waiting() -> bool:
        return rows(database, "select exists (select from pg_locks where locktype = 'advisory' and not granted)")[0][0]

    with Database(database_url) as other, ThreadPoolExecutor(1) as threads:
        with other.transaction() as connection:
            connection.execute("select iris.create_event_partition(%s)", (TODAY,))
            made = threads.submit(create_partitions, database, {TODAY})
            while not waiting():
                assert not made.done()
        assert made.result() == {TODAY}


def test_maintenance_makes_the_coming_days_and_moves_what_waits(database: Database) -> None:
    insert_event(database, datetime(2021, 2, 3, 23, 59, 59, tzinfo=UTC))
    insert_event(database, datetime(2021, 2, 4, tzinfo=UTC))
    assert rows(database, WHERE) == [(DEFAULT, 2)]

    coming = {TODAY + timedelta(days=ahead) for ahead in range(4)}
    made = maintain_partitions(database, now=NOW, days_ahead=3)
    assert made == coming | {date(2021, 2, 3), date(2021, 2, 4)}
    assert maintain_partitions(database, now=NOW, days_ahead=3) == set()
    assert rows(database, WHERE) == [
        ("iris_partitions.analytics_events_2021_02_03", 1),
        ("iris_partitions.analytics_events_2021_02_04", 1),
    ]


def test_half_empty_primary_keys_of_closed_days_are_written_anew(database: Database, database_url: str) -> None:
    days = [TODAY - timedelta(days=2), TODAY - timedelta(days=1), TODAY]
    create_partitions(database, days)
    with database.transaction() as connection:
        for day in days:
            # Tenants in turns, a minute at a time.
            connection.execute(
                "insert into iris.analytics_events (tenant_id, event_type, timestamp)"
                " select md5((n %% 10)::text)::uuid, 'message.sent', %s::date + make_interval(secs => n)"
                " from generate_series(1, 40000) as n order by n / 60, n %% 10, n",
                (day,),
            )
    with database.autocommit() as connection:
        connection.execute("vacuum analyze iris.analytics_events")

    def size(day: date) -> int:
        name = f"iris_partitions.{partition_name(day)}_pkey"
        return int(rows(database, f"select pg_relation_size('{name}')")[0][0])

    def compact() -> set[date]:
        return compact_primary_keys(database, now=NOW)

    before = size(TODAY)
    assert compact_primary_keys(database, now=NOW - timedelta(days=1)) == {days[0]}
    with Database(database_url) as reader, reader.transaction() as connection:
        connection.execute("select count(*) from iris.analytics_events")
        assert compact_primary_keys(database, now=NOW, patience=timedelta(milliseconds=100)) == set()
    # How far the broken off attempt came is PostgreSQL's affair.
    assert compact() <= {days[1]}
    assert compact() == set()
    assert size(TODAY) == before > 1.5 * size(days[1])
    assert size(days[0]) == size(days[1])
    insert_event(database, NOW)
    assert rows(database, "select count(*) from iris.analytics_events") == [(120_001,)]
    assert rows(database, "select count(*) from pg_class where relname ~ '_cc(new|old)'") == [(0,)]


def test_events_of_a_busy_day_wait_in_the_default_partition(database: Database, database_url: str) -> None:
    tenant = uuid4()
    create_tenant(database, Tenant(tenant, "Acme"))
    records = [
        {"tenant_id": str(tenant), "event_type": "message.sent", "timestamp": (NOW - timedelta(seconds=n)).isoformat()}
        for n in range(1_500)
    ]

    def load() -> LoadResult:
        return load_events(
            database, [ObjectBatch("test", range(1, 1_501), records)], now=NOW, history_start=date(2020, 1, 1)
        )

    with Database(database_url) as reader, reader.transaction() as connection:
        connection.execute("select count(*) from iris.analytics_events")
        assert load() == LoadResult(1_500, 1_500, 0, 0)
        assert maintain_partitions(database, now=NOW) == set()
    assert rows(database, WHERE) == [(DEFAULT, 1_500)]
    assert load() == LoadResult(1_500, 0, 1_500, 0)

    insert_event(database, NOW)
    assert TODAY in maintain_partitions(database, now=NOW) | {TODAY}
    assert rows(database, WHERE) == [(f"iris_partitions.{partition_name(TODAY)}", 1_501)]
    assert load() == LoadResult(1_500, 0, 1_500, 0)


def test_a_load_makes_the_days_of_its_events(database: Database) -> None:
    with database.transaction() as connection:
        assert partitioned_days(database, connection, {date(2020, 1, 1), TODAY}) == {date(2020, 1, 1), TODAY}
    insert_event(database, NOW)
    assert rows(database, WHERE) == [(f"iris_partitions.{partition_name(TODAY)}", 1)]
