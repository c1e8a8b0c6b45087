"""Loads into the partition itself, with fixed job ids and a service account: what the emulator lacks."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.exports.bigquery import (
    EXPORT,
    Warehouse,
    WarehouseUnavailable,
    compare_days_in_bigquery,
    export_day_to_bigquery,
)
from iris_pipelines.exports.events import due_days
from tests.bigquery_rest import BigQuery, Refused, bigquery_server, service_account
from tests.commands import eventually, finished, python, started
from tests.integration.exports.conftest import DAY, NOW, OTHER_TENANT, Load, at, event
from tests.integration.exports.test_bigquery import TOMORROW
from tests.servers import observing, waiting_for

PARTITION = f"{DAY:%Y%m%d}"


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[BigQuery]:
    with bigquery_server() as state:
        service_account(state, tmp_path / "account.json")
        # The client library's own variables: to the product, this is BigQuery itself.
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", state.url)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        yield state


@pytest.fixture
def warehouse() -> Warehouse:
    return Warehouse("iris-test", "iris_analytics", None, {}, patience=5.0)


def some_events() -> list[dict[str, Any]]:
    full = {
        "message_id": str(uuid4()),
        "contact_id": str(uuid4()),
        "event_data": {"url": 'https://a/?q="x"'},
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


def test_a_day_is_loaded_into_its_partition_by_one_job(
    database: Database, load: Load, warehouse: Warehouse, google: BigQuery
) -> None:
    load(some_events())
    for day in (DAY, TOMORROW):
        export_day_to_bigquery(database, warehouse, day)
    assert [len(google.partitions[day]) for day in (PARTITION, f"{TOMORROW:%Y%m%d}")] == [3, 1]
    assert [job.rsplit("-", 2)[0] for job in google.loads] == [
        f"iris-events-{PARTITION}",
        f"iris-events-{TOMORROW:%Y%m%d}",
    ]
    table = google.tables["events"]
    assert table["timePartitioning"] == {"type": "DAY", "field": "timestamp"}
    assert table["clustering"] == {"fields": ["tenant_id", "event_type"]}
    assert [day.problem for day in compare_days_in_bigquery(database, warehouse, [DAY, TOMORROW])] == [None, None]
    # The control: a difference is seen.
    google.partitions[PARTITION][0]["cost"] = "0.5"
    assert compare_days_in_bigquery(database, warehouse, [DAY])[0].problem is not None


def test_asking_again_for_a_job_that_ran_loads_nothing(
    database: Database, load: Load, warehouse: Warehouse, google: BigQuery
) -> None:
    load(some_events())
    first = export_day_to_bigquery(database, warehouse, DAY)
    for _ in range(9):
        assert export_day_to_bigquery(database, warehouse, DAY) == first
    assert len(google.loads) == 1
    assert len(google.partitions[PARTITION]) == 3
    # Other events come and go: what the first job loaded is not what is there any more.
    load([event(at(5))])
    assert export_day_to_bigquery(database, warehouse, DAY).version == 2
    with database.transaction() as connection:
        connection.execute("delete from iris.analytics_events where timestamp = %s", (at(5),))
    assert export_day_to_bigquery(database, warehouse, DAY).version == 3
    assert len(google.partitions[PARTITION]) == 3
    assert [job.rsplit("-", 1)[1] for job in google.loads] == ["0", "0", "1"]
    assert google.loads[0].rsplit("-", 1)[0] == google.loads[2].rsplit("-", 1)[0]


def test_an_answer_that_is_lost_does_not_load_twice(
    database: Database, load: Load, warehouse: Warehouse, google: BigQuery
) -> None:
    load(some_events())
    google.forgets_answers = True
    export_day_to_bigquery(database, warehouse, DAY)
    assert len(google.loads) == 1
    assert google.asked["GET " + google.loads[0]] > 0
    assert len(google.partitions[PARTITION]) == 3


def test_a_server_that_is_busy_is_asked_again(
    database: Database, load: Load, warehouse: Warehouse, google: BigQuery
) -> None:
    load(some_events())
    google.failures = [Refused(503, "backendError", "Try again")]
    export_day_to_bigquery(database, warehouse, DAY)
    assert google.failures == []
    assert len(google.partitions[PARTITION]) == 3


@pytest.mark.parametrize(
    "failure",
    [
        Refused(403, "quotaExceeded", "Quota exceeded: load jobs per table"),
        Refused(403, "accessDenied", "Access Denied: Project iris-test"),
    ],
)
def test_a_refusal_is_told_and_the_day_stays_as_it_was(
    database: Database, load: Load, warehouse: Warehouse, google: BigQuery, failure: Refused
) -> None:
    load(some_events())
    export_day_to_bigquery(database, warehouse, DAY)
    before = google.rows()
    load([event(at(5))])
    google.failures = [failure]
    with pytest.raises(WarehouseUnavailable, match=rf"^{warehouse.url} cannot be used: .*{failure}"):
        export_day_to_bigquery(database, warehouse, DAY)
    assert google.rows() == before
    assert due_days(database, EXPORT, warehouse.url, now=NOW)[0] == DAY
    assert export_day_to_bigquery(database, warehouse, DAY).row_count == 4


def test_a_job_that_failed_does_not_stand_in_the_way_of_the_next(
    database: Database, load: Load, warehouse: Warehouse, google: BigQuery
) -> None:
    load(some_events())
    google.job_error = {"reason": "backendError", "message": "the load broke off"}
    with pytest.raises(WarehouseUnavailable, match="the load broke off"):
        export_day_to_bigquery(database, warehouse, DAY)
    assert google.partitions == {}
    google.job_error = None
    # The same events, and so the same id: it is taken by the one that failed.
    assert export_day_to_bigquery(database, warehouse, DAY).row_count == 3
    assert [job.rsplit("-", 1)[1] for job in google.loads] == ["1"]


def test_wrong_credentials_are_told(
    database: Database, load: Load, warehouse: Warehouse, google: BigQuery, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(some_events())
    google.refuse_tokens = True
    with pytest.raises(WarehouseUnavailable, match="Invalid JWT Signature"):
        export_day_to_bigquery(database, warehouse, DAY)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/account.json")
    with pytest.raises(WarehouseUnavailable, match=r"/nowhere/account\.json"):
        export_day_to_bigquery(database, warehouse, DAY)
    assert google.partitions == {}


_EXPORT = """
import sys
from datetime import date
from iris_pipelines.db.database import Database
from iris_pipelines.exports.bigquery import Warehouse, export_day_to_bigquery
with Database(sys.argv[1]) as database:
    warehouse = Warehouse("iris-test", "iris_analytics", None, {})
    done = export_day_to_bigquery(database, warehouse, date.fromisoformat(sys.argv[2]))
print(done.row_count)
"""


def test_an_export_killed_after_its_job_ran_ends_with_the_day_loaded_once(
    database: Database, load: Load, warehouse: Warehouse, google: BigQuery
) -> None:
    load(some_events())
    command = python("-c", _EXPORT, database.url, f"{DAY}")
    with psycopg.connect(database.url) as gate, observing(database.url) as observer, started(command) as child:
        gate.execute("lock table iris.export_manifest in exclusive mode")
        eventually(lambda: waiting_for(observer, "relation") > 0, "the export at the lock")
        child.send(signal.SIGKILL)
        assert child.finished().code == -signal.SIGKILL
    assert len(google.loads) == 1
    done = finished(command)
    assert (done.code, done.error, done.out) == (0, "", "3\n")
    assert len(google.loads) == 1
    assert len(google.partitions[PARTITION]) == 3
