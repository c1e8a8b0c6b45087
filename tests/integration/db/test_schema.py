"""Migrations: at once, over data, of databases too new; and what the role of analysts may do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from iris_pipelines.db import schema
from iris_pipelines.db.database import Database
from iris_pipelines.db.embedded import EmbeddedServer
from tests.commands import eventually, finished, iris, started
from tests.servers import observing, value

TENANT = UUID(int=1)


@pytest.fixture
def empty_url(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database that was never migrated."""
    base, _, _ = server.start().rpartition("/")
    with observing(f"{base}/postgres") as admin:
        admin.execute("create database iris_empty")
        yield f"{base}/iris_empty"
        admin.execute("drop database iris_empty with (force)")


def test_upgrades_at_once_do_the_work_once(empty_url: str, tmp_path: Path) -> None:
    environment = {"IRIS_DATABASE_URL": empty_url, "IRIS_HOME": str(tmp_path)}
    with psycopg.connect(empty_url) as gate, ExitStack() as stack:
        # All three stand before the first migration: what comes after is truly at once.
        gate.execute("select pg_advisory_xact_lock(%s)", (schema.UPGRADE_LOCK,))
        children = [stack.enter_context(started(iris("db", "upgrade"), **environment)) for _ in range(3)]
        with observing(empty_url) as observer:
            waiting = "select count(*) from pg_stat_activity where datname = 'iris_empty' and wait_event_type = 'Lock'"
            eventually(lambda: value(observer, waiting) == 3, "three upgrades that wait")
        gate.commit()
        ended = [child.finished() for child in children]
    assert [(each.code, each.error) for each in ended] == [(0, "")] * 3
    assert schema.status(empty_url).is_current


def test_an_upgrade_tells_machines_what_it_did(empty_url: str, tmp_path: Path) -> None:
    environment = {"IRIS_DATABASE_URL": empty_url, "IRIS_HOME": str(tmp_path)}
    newest = schema.status(empty_url).expected
    for before in (None, newest):
        done = finished(iris("db", "upgrade", "--json"), **environment)
        assert (done.code, json.loads(done.out)) == (0, {"schema_before": before, "schema": newest})
    with observing(empty_url) as observer:
        ahead = f"iris_partitions.analytics_events_{datetime.now(UTC) + timedelta(days=3):%Y_%m_%d}"
        assert value(observer, f"select to_regclass('{ahead}') is not null")


def test_an_upgrade_keeps_what_older_releases_stored_and_their_hours_stay_stale(empty_url: str) -> None:
    schema.upgrade(empty_url, revision="0003")
    with observing(empty_url) as older:
        older.execute("insert into iris.tenants (id, name) values (%s, 'Acme')", (TENANT,))
        older.execute(
            "insert into iris.event_consumers (consumer, grain) values ('analytics.analytics_hourly', 'hour')"
        )
        older.execute(
            "insert into iris.messages (tenant_id, campaign_id, variant) values (%s, gen_random_uuid(), 'A')", (TENANT,)
        )
        older.execute(
            "insert into iris.analytics_events (tenant_id, event_type, timestamp, is_machine)"
            " values (%s, 'message.opened', '2026-11-02 10:30:00+00', true)",
            (TENANT,),
        )
    assert schema.upgrade(empty_url).current == "0003"
    with observing(empty_url) as newer:
        assert value(newer, "select count(*) from iris.messages where variant = 'A'") == 1
        assert value(newer, "select is_machine from iris.analytics_events") is True
        assert value(newer, "select inputs from iris.event_consumers") == ["iris.analytics_events"]
        assert value(newer, "select count(*) from iris.touched_hours") == 1
    assert schema.upgrade(empty_url).is_current


def test_a_database_of_a_newer_release_is_refused_and_left_alone(empty_url: str) -> None:
    schema.upgrade(empty_url)
    with observing(empty_url) as newer:
        newer.execute("update iris.schema_version set version_num = '9999'")
    with pytest.raises(schema.SchemaError, match="at schema 9999, which this release does not know"):
        schema.upgrade(empty_url)


@pytest.fixture
def as_analyst(database: Database) -> Iterator[psycopg.Connection]:
    """A session that has switched to the role, after dbt made a table, a view and a schema."""
    with psycopg.connect(database.url, autocommit=True) as owner:
        owner.execute("create table analytics.channel_daily as select 1 as messages_sent")
        owner.execute("create schema analytics_intermediate")
        owner.execute("create table analytics_intermediate.int_facts as select 2 as facts")
        owner.execute("create view analytics.delivery_quality_daily as select * from analytics_intermediate.int_facts")
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("set role iris_analyst")
        yield connection


def test_analysts_read_tables_and_views_that_are_made_later(as_analyst: psycopg.Connection) -> None:
    assert as_analyst.execute("select messages_sent from analytics.channel_daily").fetchall() == [(1,)]
    assert as_analyst.execute("select facts from analytics.delivery_quality_daily").fetchall() == [(2,)]


@pytest.mark.parametrize(
    "statement",
    [
        "select * from analytics_intermediate.int_facts",
        "select * from iris.tenants",
        "select * from iris.analytics_events",
        "select iris.grant_analyst()",
        "delete from analytics.channel_daily",
        "create table analytics.own as select 1",
    ],
)
def test_analysts_do_nothing_else(as_analyst: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_analyst.execute(statement.encode())


def test_a_user_who_may_not_create_roles_is_told_and_upgrades_all_the_same(
    server: EmbeddedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # A server of its own: on the session's, the role is there already.
    other = EmbeddedServer(tmp_path / "postgres")
    admin_url = other.start()
    try:
        base, _, _ = admin_url.rpartition("/")
        with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
            admin.execute("create role owner login password 'secret'")
            admin.execute("create database limited owner owner")
        parts = psycopg.conninfo.conninfo_to_dict(admin_url)
        limited = f"postgresql://owner:secret@{parts['host']}:{parts['port']}/limited"
        assert not schema.upgrade(limited).is_current
        assert schema.status(limited).is_current
        (message,) = caplog.messages
        assert "iris_analyst is missing, and owner may not create roles" in message
        assert "select iris.grant_analyst()" in message

        with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
            admin.execute("create role iris_analyst")
        with psycopg.connect(limited, autocommit=True) as owner:
            owner.execute("select iris.grant_analyst()")
            owner.execute("create table analytics.channel_daily as select 1 as messages_sent")
            (may_read,) = owner.execute(
                sql.SQL("select has_table_privilege('iris_analyst', 'analytics.channel_daily', 'select')")
            ).fetchone() or (None,)
        assert may_read
    finally:
        other.stop()
