"""Fixtures and tiers: unit tests need nothing, integration tests PostgreSQL, pipeline tests dbt and Dagster too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from iris_pipelines.db import schema
from iris_pipelines.db.database import Database
from iris_pipelines.db.embedded import EmbeddedServer

TIERS = ("unit", "integration", "pipeline", "architecture", "benchmarks")
_TESTS = Path(__file__).parent
# A test's database is thrown away: nothing has to survive a power cut.
_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "shared_buffers": "256MB"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with the tier of its folder, and refuse a test that does not need what its tier is for."""
    for item in items:
        tier = item.path.relative_to(_TESTS).parts[0]
        if tier not in TIERS:
            raise pytest.UsageError(f"{item.nodeid}: tests live in one of {', '.join(TIERS)}")
        if tier != "benchmarks":
            item.add_marker(tier)
        needs_server = "server" in getattr(item, "fixturenames", ())
        if tier in ("unit", "architecture") and needs_server:
            raise pytest.UsageError(f"{item.nodeid}: a {tier} test must not need PostgreSQL")
        if tier == "integration" and not needs_server:
            raise pytest.UsageError(f"{item.nodeid}: an integration test needs PostgreSQL, else it is a unit test")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """An embedded PostgreSQL of the session's own."""
    server = EmbeddedServer(tmp_path_factory.mktemp("postgres"), settings=_FAST)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def template(server: EmbeddedServer) -> str:
    """The name of a migrated database to clone."""
    schema.upgrade(server.start())
    return "iris"


@pytest.fixture
def database_url(server: EmbeddedServer, template: str) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    # Always the same name: dbt writes it into what it parses, once a session.
    name = "iris_test"
    url = server.start()
    base = url.rsplit("/", 1)[0]
    with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template)))
        yield f"{base}/{name}"
        admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A fresh, migrated database."""
    with Database(database_url) as database:
        yield database
