"""Exports in Dagster: ranges in one run, days exported again by the sensor, and a check that sees any difference."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

import dagster as dg
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.defs import build_defs
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.resources import Clock, DatabaseResource, WarehouseResource
from iris_pipelines.defs.schedules import daily_warehouse_marts_schedule, daily_warehouse_schedule
from iris_pipelines.defs.sensors.stale_exports import stale_exports_sensor
from iris_pipelines.domain.windows import DAY, HOUR
from iris_pipelines.exports.bigquery import Warehouse
from iris_pipelines.exports.events import Destination
from iris_pipelines.ingestion.loader import load_events
from iris_pipelines.ingestion.records import ObjectBatch
from iris_pipelines.settings import Settings
from tests.bigquery import bigquery_emulator
from tests.commands import finished, iris

NOW = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)
NDJSON, PARQUET, BIGQUERY = (dg.AssetKey(["exports", f"events_{name}"]) for name in ("ndjson", "parquet", "bigquery"))


def load(database: Database, *timestamps: datetime) -> None:
    records = [
        {"tenant_id": str(UUID(int=1)), "event_type": "message.sent", "timestamp": instant.isoformat()}
        for instant in timestamps
    ]
    load_events(
        database,
        [ObjectBatch("test", range(1, len(records) + 1), records)],
        now=NOW,
        history_start=date(2020, 1, 1),
        create_tenants=True,
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "exports"


@pytest.fixture
def resources(database: Database, dbt: DbtProject, folder: Path) -> dict[str, object]:
    return {
        "database": DatabaseResource(lambda: database.url),
        "dbt": dbt,
        "clock": Clock(lambda: NOW),
        "exports": Destination(str(folder), {}),
        "warehouse": WarehouseResource(None),
    }


@pytest.fixture
def definitions(resources: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(Settings(home=tmp_path_factory.getbasetemp() / "home"), resources)


def run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, **options: object
) -> dg.ExecuteInProcessResult:
    return definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **options)  # type: ignore[arg-type]


def export(definitions: dg.Definitions, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """Three days in one run."""
    tags = {"dagster/asset_partition_range_start": "2026-11-17", "dagster/asset_partition_range_end": "2026-11-19"}
    return run(definitions, instance, "daily_exports_job", tags=tags)


def test_a_range_of_days_is_one_run_with_a_file_and_its_facts_for_each(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database, folder: Path
) -> None:
    load(database, NOW - DAY, NOW - 2 * DAY, NOW - 2 * DAY + HOUR)
    result = export(definitions, instance)
    assert result.success
    days = {"2026-11-17", "2026-11-18", "2026-11-19"}
    for key in (NDJSON, PARQUET):
        assert set(instance.get_materialized_partitions(key)) == days
    found = result.asset_materializations_for_node("exports__events_ndjson")
    rows = {each.partition: each.metadata["dagster/row_count"].value for each in found}
    assert rows == {"2026-11-17": 0, "2026-11-18": 2, "2026-11-19": 1}
    assert sorted(path.name for path in (folder / "analytics").glob("*.ndjson")) == [
        f"analytics_{day}.ndjson" for day in sorted(days)
    ]
    checks = result.get_asset_check_evaluations()
    assert {(check.asset_key, check.check_name, check.passed) for check in checks} == {
        (NDJSON, "the_warehouse_equals_the_event_log", True),
        (PARQUET, "the_warehouse_equals_the_event_log", True),
    }


def test_the_sensor_asks_for_days_that_late_events_changed(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    database: Database,
    resources: dict[str, object],
    folder: Path,
) -> None:
    def tick() -> object:
        return stale_exports_sensor(dg.build_sensor_context(instance=instance, resources=resources))

    load(database, NOW - 2 * DAY)
    assert isinstance(tick(), dg.SkipReason)
    assert export(definitions, instance).success
    assert isinstance(tick(), dg.SkipReason)
    load(database, NOW - 2 * DAY + HOUR)
    assert isinstance(tick(), dg.RunRequest)

    result = run(definitions, instance, "stale_exports_job")
    assert result.success
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True, True]
    assert len((folder / "analytics/analytics_2026-11-18.ndjson").read_bytes().splitlines()) == 2
    latest = instance.get_latest_materialization_event(NDJSON)
    assert latest is not None
    assert latest.asset_materialization is not None
    assert latest.asset_materialization.partition == "2026-11-18"
    assert latest.asset_materialization.metadata["version"].value == 2
    assert isinstance(tick(), dg.SkipReason)


@pytest.mark.parametrize("damage", ["a byte of the file", "the file is away", "an event that nobody noted"])
def test_the_check_fails_on_any_difference(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database, folder: Path, damage: str
) -> None:
    load(database, NOW - 2 * DAY)
    assert export(definitions, instance).success
    check = definitions.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(),
        asset_check_selection={dg.AssetCheckKey(NDJSON, "the_warehouse_equals_the_event_log")},
    )

    def evaluated() -> dg.AssetCheckEvaluation:
        (evaluation,) = check.execute_in_process(
            instance=instance, resources=None, raise_on_error=False
        ).get_asset_check_evaluations()
        return evaluation

    # The control, and: a late event is no difference, its day waits.
    assert evaluated().passed
    load(database, NOW - 3 * DAY)
    assert evaluated().passed
    assert evaluated().metadata["waiting_days"].value == 1

    file = folder / "analytics/analytics_2026-11-18.ndjson"
    if damage == "a byte of the file":
        file.write_bytes(file.read_bytes().replace(b"sent", b"Sent"))
    elif damage == "the file is away":
        file.unlink()
    else:
        with database.transaction() as connection:
            connection.execute("set local session_replication_role = replica")
            connection.execute("update iris.analytics_events set cost = 1 where timestamp = %s", (NOW - 2 * DAY,))
    evaluation = evaluated()
    assert not evaluation.passed
    assert evaluation.metadata["differences"].value == 1
    assert "2026-11-18" in str(evaluation.metadata["problems"].value)


def test_refresh_exports_changed_days_again(database: Database, dbt: DbtProject, folder: Path, tmp_path: Path) -> None:
    dbt.manifest()
    environment = {
        "IRIS_DATABASE_URL": database.url,
        "IRIS_HOME": str(tmp_path / "home"),
        "IRIS_EXPORT_URL": str(folder),
    }
    load(database, NOW - 2 * DAY)
    assert finished(iris("export", "--date", "2026-11-18"), **environment).code == 0
    load(database, NOW - 2 * DAY + HOUR)
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.analytics_events (tenant_id, event_type, timestamp) values (%s, 'a.b', '2026-03-01+00')",
            (UUID(int=1),),
        )
    done = finished(iris("refresh"), **environment)
    assert (done.code, done.error) == (0, "")
    with database.transaction() as connection:
        # As the daemon does, events by plain SQL go to the partitions of their days.
        assert connection.execute("select from iris_partitions.analytics_events_2026_03_01").rowcount == 1
    assert len((folder / "analytics/analytics_2026-11-18.ndjson").read_bytes().splitlines()) == 2


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with bigquery_emulator() as address:
        yield address


def test_days_and_marts_go_to_bigquery_where_there_is_one(
    resources: dict[str, object], instance: dg.DagsterInstance, database: Database, tmp_path: Path, emulator: str
) -> None:
    days = {"dagster/asset_partition_range_start": "2026-11-17", "dagster/asset_partition_range_end": "2026-11-19"}
    nowhere = build_defs(Settings(home=tmp_path / "home"), resources)
    for schedule in (daily_warehouse_schedule, daily_warehouse_marts_schedule):
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=NOW, resources={"warehouse": WarehouseResource(None)}
        )
        assert isinstance(schedule(context), dg.SkipReason)
    assert not run(nowhere, instance, "daily_warehouse_job", tags=days).success

    warehouse = Warehouse("iris-test", "iris_analytics", None, {"BIGQUERY_EMULATOR_HOST": emulator})
    with_one = {**resources, "warehouse": WarehouseResource(warehouse)}
    definitions = build_defs(Settings(home=tmp_path / "home"), with_one)
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=NOW, resources={"warehouse": WarehouseResource(warehouse)}
    )
    request = daily_warehouse_schedule(context)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == "2026-11-19"

    load(database, NOW - DAY, NOW - 2 * DAY)
    result = run(definitions, instance, "daily_warehouse_job", tags=days)
    assert result.success
    assert [check.passed for check in result.get_asset_check_evaluations()] == [True]
    assert set(instance.get_materialized_partitions(BIGQUERY)) == {"2026-11-17", "2026-11-18", "2026-11-19"}
    load(database, NOW - 2 * DAY + HOUR)
    assert run(definitions, instance, "stale_exports_job").success
    latest = instance.get_latest_materialization_event(BIGQUERY)
    assert latest is not None
    assert latest.asset_materialization is not None
    assert latest.asset_materialization.metadata["version"].value == 2

    with database.transaction() as connection:
        connection.execute("create table analytics.some_mart as select 1 as sent")
    result = run(definitions, instance, "warehouse_marts_job")
    assert result.success
    (materialization,) = result.asset_materializations_for_node("exports__marts_bigquery")
    assert "| some_mart | 1 |" in str(materialization.metadata["marts"].value)
