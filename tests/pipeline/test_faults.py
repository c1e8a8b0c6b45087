"""The law of exactness in trouble: rebuilds at once, killed clients, a killed server, a transaction that is slow."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from iris_pipelines.db import schema
from iris_pipelines.db.database import Database
from iris_pipelines.db.embedded import EmbeddedServer
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.domain.windows import HOUR, Window, closed_before
from iris_pipelines.ingestion.loader import load_events
from iris_pipelines.ingestion.records import ObjectBatch
from tests.commands import Finished, eventually, finished, iris, started
from tests.pipeline.conftest import Pipeline
from tests.pipeline.recount import HOURLY_KEY, assert_exact, stored
from tests.servers import killed, observing, value, waiting_for

NOW = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)
CLOSED = closed_before(NOW)
MONDAY, TUESDAY, WEDNESDAY = (datetime(2026, 11, day, tzinfo=UTC) for day in (2, 3, 4))
TENANT = UUID(int=1)
HOURLY = "analytics.analytics_hourly"
BACKFILL = ("backfill", "--from", "2026-11-02", "--to", "2026-11-05")


def event(timestamp: datetime, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "tenant_id": str(TENANT),
        "event_type": "message.sent",
        "channel": "sms",
        "timestamp": timestamp.isoformat(),
        **fields,
    }


def load(database: Database, events: Sequence[dict[str, Any]]) -> None:
    result = load_events(
        database,
        [ObjectBatch("test", range(1, len(events) + 1), events)],
        now=NOW,
        history_start=date(2020, 1, 1),
        create_tenants=True,
    )
    assert result.accepted == len(events)


@pytest.fixture
def home(dbt: DbtProject, tmp_path: Path) -> Path:
    """A home for child processes, in which the project is parsed already."""
    dbt.manifest()
    shutil.copytree(dbt.state, tmp_path / "home" / "dbt")
    return tmp_path / "home"


def test_rebuilds_of_the_same_hours_at_once_come_to_the_recount(pipeline: Pipeline, home: Path) -> None:
    database = pipeline.database
    load(database, [event(day + hour * HOUR) for day in (MONDAY, TUESDAY, WEDNESDAY) for hour in (1, 5, 5)])
    pipeline.refresh(now=NOW)
    environment = {"IRIS_DATABASE_URL": database.url, "IRIS_HOME": str(home)}

    with (
        psycopg.connect(database.url) as gate,
        observing(database.url) as observer,
        started(iris(*BACKFILL), **environment) as first,
        started(iris(*BACKFILL), **environment) as second,
    ):
        # Both stand before the same day: what comes after is truly at once.
        gate.execute(
            "select pg_advisory_xact_lock(hashtext(%s), %s)", (HOURLY, int(MONDAY.timestamp()) // 86400)
        ).close()
        eventually(lambda: waiting_for(observer, "advisory") == 2, "both rebuilds before the same day")
        load(database, [event(TUESDAY + 5 * HOUR)])
        gate.commit()
        ended = [first.finished(), second.finished()]

    assert [(each.code, each.error) for each in ended] == [(0, "")] * 2
    assert_exact(database, closed_before=CLOSED)
    with observing(database.url) as observer:
        rebuilds = (
            "select count(distinct rebuild_id) from iris.rebuilt_windows where relation = %s and window_start = %s"
        )
        assert value(observer, rebuilds, HOURLY, MONDAY) == 2


def test_a_rebuild_killed_in_the_middle_of_a_window_leaves_it_as_it_was_and_the_next_refresh_repairs_it(
    pipeline: Pipeline, home: Path
) -> None:
    database = pipeline.database
    load(database, [event(MONDAY), event(TUESDAY), event(TUESDAY + HOUR)])
    pipeline.refresh(now=NOW)
    load(database, [event(MONDAY), event(TUESDAY), event(TUESDAY, channel="push")])
    before = stored(database, HOURLY, HOURLY_KEY)

    with (
        psycopg.connect(database.url) as gate,
        observing(database.url) as observer,
        started(iris("refresh"), IRIS_DATABASE_URL=database.url, IRIS_HOME=str(home)) as child,
    ):
        # A row that the rebuild is to insert: it comes to wait for ours after it has emptied the window.
        gate.execute(
            "create temporary table row on commit drop as"
            " select * from analytics.analytics_hourly where timestamp = %s limit 1",
            (TUESDAY,),
        )
        gate.execute("update row set channel = 'push'")
        gate.execute("insert into analytics.analytics_hourly select * from row")
        eventually(lambda: waiting_for(observer, "transactionid") == 1, "the rebuild in the middle of a window")
        child.send(signal.SIGKILL)
        assert child.finished().code == -signal.SIGKILL
        gate.rollback()
        eventually(lambda: _nobody_writes(observer), "the end of the session of who was killed")

    after = stored(database, HOURLY, HOURLY_KEY)
    assert {key for key in after if after[key] != before.get(key)} == {(TENANT, MONDAY, "sms", "unknown")}
    assert after.keys() == before.keys()

    done = pipeline.refresh(now=NOW)
    assert pipeline.rebuilt(done, HOURLY) == {Window.hour_of(TUESDAY)}
    assert pipeline.rebuilt(done, "analytics.analytics_daily") == {Window.day_of(MONDAY), Window.day_of(TUESDAY)}
    assert_exact(database, closed_before=CLOSED)


def _nobody_writes(observer: psycopg.Connection[Any]) -> bool:
    others = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'dbt'"
    return bool(value(observer, others) == 0)


def test_events_that_are_committed_after_later_ones_were_rebuilt_are_picked_up_next(pipeline: Pipeline) -> None:
    database = pipeline.database
    insert = "insert into iris.analytics_events (tenant_id, event_type, timestamp) values (%s, 'message.sent', %s)"
    with psycopg.connect(database.url) as slow, observing(database.url) as observer:
        slow.execute(insert, (TENANT, MONDAY + HOUR))
        load(database, [event(TUESDAY), event(MONDAY + HOUR, channel="email")])
        pipeline.refresh(now=NOW)
        assert_exact(database, closed_before=CLOSED)
        assert pipeline.refresh(now=NOW) == []
        last_received = value(observer, "select max(received_at) from iris.analytics_events")
        slow.commit()
        # The control: whoever remembers the last time of receipt that it has seen would miss this event.
        late = value(observer, "select received_at from iris.analytics_events where channel is null")
        assert late < last_received

    done = pipeline.refresh(now=NOW)
    assert pipeline.rebuilt(done, HOURLY) == {Window.hour_of(MONDAY + HOUR)}
    assert_exact(database, closed_before=CLOSED)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server that the test may kill, with a migrated database of the name that dbt has parsed."""
    server = EmbeddedServer(tmp_path / "postgres", settings={"shared_buffers": "32MB"})
    url = server.start()
    with observing(url) as admin:
        admin.execute("create database iris_test")
    schema.upgrade(_test_database(url))
    yield server
    server.stop()


def _test_database(url: str) -> str:
    return f"{url.rsplit('/', 1)[0]}/iris_test"


def test_a_server_killed_during_a_load_and_during_a_backfill_loses_nothing_and_keeps_no_half(
    own_server: EmbeddedServer, dbt: DbtProject, home: Path, tmp_path: Path
) -> None:
    url = _test_database(own_server.start())
    environment = {"IRIS_DATABASE_URL": url, "IRIS_HOME": str(home)}
    file = tmp_path / "events.ndjson"
    # Enough for batches that are stored before the last one is.
    file.write_text("".join(f"{json.dumps(event(MONDAY + number % 72 * HOUR))}\n" for number in range(20_000)))
    ingest = iris("ingest", "--create-tenants", file)

    # The load has stored every event and stands before its last statement.
    done = _killed_while_waiting(own_server, ingest, "lock table iris.ingested_files in exclusive mode", environment)
    assert (done.code, done.out) == (1, "")
    assert done.error.startswith("error: lost the connection to iris@127.0.0.1")
    assert "nothing of this was stored" in done.error
    assert done.error.count("\n") == 1

    assert _test_database(own_server.start()) == url
    with observing(url) as observer:
        assert value(observer, "select count(*) from iris.analytics_events") == 0
        assert value(observer, "select count(*) from iris.ingested_files") == 0
    assert finished(ingest, **environment).code == 0
    with Database(url) as database:
        pipeline = Pipeline(database, dbt)
        pipeline.refresh(now=NOW)
        assert_exact(database, closed_before=CLOSED)
        load(database, [event(MONDAY), event(TUESDAY)])

    lock = f"select pg_advisory_xact_lock(hashtext('{HOURLY}'), {int(TUESDAY.timestamp()) // 86400})"
    done = _killed_while_waiting(own_server, iris(*BACKFILL), lock, environment)
    assert (done.code, done.out) == (1, "")
    # Dagster has a word of its own before.
    assert done.error.splitlines()[-1].startswith("error: hourly_rollups_job lost the connection to iris@127.0.0.1")
    assert "Traceback" not in done.error

    assert _test_database(own_server.start()) == url
    with Database(url) as database:
        pipeline = Pipeline(database, dbt)
        rebuilt = pipeline.rebuilt(pipeline.refresh(now=NOW), HOURLY)
        # Monday was committed before the kill, Tuesday was not.
        assert rebuilt == {Window.hour_of(TUESDAY)}
        assert_exact(database, closed_before=CLOSED)


def _killed_while_waiting(
    server: EmbeddedServer, command: Sequence[str | Path], lock: str, environment: dict[str, str]
) -> Finished:
    """Run a command into a lock, SIGKILL the server there, and say how the command ended."""
    url = environment["IRIS_DATABASE_URL"]
    with observing(url) as observer, started(command, **environment) as child:
        gate = psycopg.connect(url)
        gate.execute(lock.encode())
        eventually(lambda: waiting_for(observer) > 0, "the command at the lock")
        killed(server)
        gate.close()
        return child.finished()
