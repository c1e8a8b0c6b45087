"""Migrations on a server: what the role of analysts may do, and what happens where it cannot be made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from iris_pipelines.db import schema
from iris_pipelines.db.database import Database
from iris_pipelines.db.embedded import EmbeddedServer


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
