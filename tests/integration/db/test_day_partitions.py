"""Days of facts are partitions that are made when they are filled and dropped when they are no longer kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import psycopg
import pytest

from iris_pipelines.db.database import Connection, Database

FACTS = "public.facts"
DAY, NEXT_DAY = date(2026, 11, 10), date(2026, 11, 11)


@pytest.fixture
def facts(database: Database) -> Iterator[Database]:
    with database.transaction() as connection:
        connection.execute("create table public.facts (date date not null, n integer) partition by list (date)")
    yield database
    with database.transaction() as connection:
        connection.execute("drop table public.facts")


def hold(connection: Connection, day: date) -> None:
    connection.execute("select iris.hold_day_partition(%s::regclass, %s)", (FACTS, day))


def drop(database: Database, day: date) -> bool:
    with database.transaction() as connection:
        (dropped,) = connection.execute("select iris.drop_day_partition(%s::regclass, %s)", (FACTS, day)).fetchall()[0]
    return bool(dropped)


def days(database: Database) -> list[date]:
    with database.transaction() as connection:
        found = connection.execute("select iris.day_partitions(%s::regclass) order by 1", (FACTS,)).fetchall()
    return [day for (day,) in found]


def test_a_day_is_made_once_and_takes_its_rows_only(facts: Database) -> None:
    with facts.transaction() as connection:
        hold(connection, DAY)
        hold(connection, DAY)
        connection.execute("insert into public.facts values (%s, 1)", (DAY,))
    assert days(facts) == [DAY]
    with pytest.raises(psycopg.errors.CheckViolation, match="no partition"), facts.transaction() as connection:
        connection.execute("insert into public.facts values (%s, 1)", (NEXT_DAY,))


def test_readers_of_other_days_are_not_held_up(facts: Database) -> None:
    with facts.transaction() as connection:
        hold(connection, DAY)
        connection.execute("insert into public.facts values (%s, 1)", (DAY,))
    with facts.transaction() as making:
        hold(making, NEXT_DAY)
        making.execute("insert into public.facts values (%s, 2)", (NEXT_DAY,))
        with facts.transaction() as reading:
            reading.execute("set local lock_timeout = '2s'")
            assert reading.execute("select n from public.facts").fetchall() == [(1,)]


def test_a_day_is_dropped_unless_somebody_reads_it(facts: Database) -> None:
    with facts.transaction() as connection:
        hold(connection, DAY)
        hold(connection, NEXT_DAY)
    with facts.transaction() as reading:
        reading.execute("select n from public.facts").fetchall()
        assert not drop(facts, DAY)
        assert days(facts) == [DAY, NEXT_DAY]
    assert drop(facts, DAY)
    assert drop(facts, date(2020, 1, 1)), "what is not there is gone"
    assert days(facts) == [NEXT_DAY]
