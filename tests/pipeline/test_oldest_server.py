"""Everything that is built works on the oldest PostgreSQL that is promised, where one is installed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import psycopg
import pytest

from iris_pipelines.db import schema
from iris_pipelines.db.database import Database
from iris_pipelines.db.embedded import EmbeddedServer
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.domain.windows import DAY, closed_before
from iris_pipelines.simulator import TrafficPlan, simulate
from iris_pipelines.simulator.loading import load_simulation
from tests.pipeline.conftest import Pipeline
from tests.pipeline.recount import assert_exact
from tests.servers import observing, value

NOW = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)
BINARIES = Path(f"/usr/lib/postgresql/{schema.OLDEST_SERVER}/bin")


@pytest.fixture
def oldest(tmp_path: Path) -> Iterator[Database]:
    if not (BINARIES / "postgres").exists():
        pytest.skip(f"no PostgreSQL {schema.OLDEST_SERVER} is installed here")
    server = EmbeddedServer(tmp_path / "postgres", bindir=BINARIES, settings={"fsync": "off"})
    try:
        url = server.start()
        base, _, _ = url.rpartition("/")
        with psycopg.connect(f"{base}/postgres", autocommit=True) as admin:
            admin.execute("create database iris_test")
        schema.upgrade(f"{base}/iris_test")
        with Database(f"{base}/iris_test") as database:
            yield database
    finally:
        server.stop()


def test_all_models_are_built_and_equal_the_recount(oldest: Database, dbt: DbtProject) -> None:
    pipeline = Pipeline(oldest, dbt)
    plan = TrafficPlan(NOW - 2 * DAY, NOW, tenants=2, events_per_day=2_000, seed=5)
    load_simulation(oldest, simulate(plan), now=NOW, history_start=date(2020, 1, 1))
    assert pipeline.refresh(now=NOW)
    assert_exact(oldest, closed_before=closed_before(NOW))
    with oldest.transaction() as connection:
        connection.execute("delete from iris.analytics_events where timestamp < %s", (NOW - DAY,))
    assert pipeline.refresh(now=NOW)
    assert_exact(oldest, closed_before=closed_before(NOW))
    assert pipeline.refresh(now=NOW) == []
    with observing(oldest.url) as observer:
        assert int(value(observer, "show server_version_num")) // 10_000 == schema.OLDEST_SERVER
