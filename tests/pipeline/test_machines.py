"""Verdicts on machines in the graph: from a plain insert to a rollup that tells people from machines."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import dagster as dg
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.defs import build_defs
from iris_pipelines.defs.assets.machines import MACHINE_VERDICTS, USER_AGENTS
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.resources import Clock, DatabaseResource
from iris_pipelines.defs.sensors.late_events import late_events_sensor
from iris_pipelines.domain.windows import DAY, HOUR, closed_before
from iris_pipelines.ingestion.machines import rules
from iris_pipelines.ingestion.user_agents import parse_user_agent
from iris_pipelines.settings import Settings
from tests.pipeline.recount import assert_exact

NOW = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)
TENANT = UUID(int=1)
PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"
SCANNER = "Barracuda Sentinel (EE)"
INVENTED = "Zustellprobe 3.1"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def resources(database: Database, dbt: DbtProject) -> dict[str, object]:
    return {"database": DatabaseResource(lambda: database.url), "dbt": dbt, "clock": Clock(lambda: NOW)}


@pytest.fixture
def definitions(resources: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(Settings(home=tmp_path_factory.getbasetemp() / "home"), resources)


def run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, **options: object
) -> dg.ExecuteInProcessResult:
    result = definitions.resolve_job_def(job).execute_in_process(instance=instance, **options)  # type: ignore[arg-type]
    assert result.success
    return result


def insert_opens(database: Database, *opens: tuple[datetime, str]) -> None:
    with database.transaction() as connection:
        for timestamp, user_agent in opens:
            connection.execute(
                "insert into iris.analytics_events (id, tenant_id, event_type, timestamp, channel, user_agent)"
                " values (%s, %s, 'message.opened', %s, 'email', %s)",
                (uuid4(), TENANT, timestamp, user_agent),
            )


def opens_by_day(database: Database) -> list[tuple[int, int]]:
    with database.transaction() as connection:
        return connection.execute(
            "select messages_opened, machine_opens from analytics.analytics_daily order by date"
        ).fetchall()


def test_what_other_services_insert_is_judged_before_it_is_counted(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database, resources: dict[str, object]
) -> None:
    def is_asked_for() -> bool:
        return isinstance(
            late_events_sensor(dg.build_sensor_context(instance=instance, resources=resources)), dg.RunRequest
        )

    insert_opens(database, (NOW - 2 * HOUR, PERSON), (NOW - 2 * HOUR, SCANNER), (NOW - DAY, SCANNER))
    assert is_asked_for()
    run(definitions, instance, "stale_windows_job")

    assert opens_by_day(database) == [(1, 1), (2, 1)]
    assert_exact(database, closed_before=closed_before(NOW))
    assert set(instance.get_materialized_partitions(MACHINE_VERDICTS)) == {"2026-11-19", "2026-11-20"}
    # The verdicts touched their hours: neither they nor their rollups are asked for again.
    assert not is_asked_for()


def test_what_was_counted_before_it_was_judged_is_judged_and_counted_again(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database, resources: dict[str, object]
) -> None:
    insert_opens(database, (NOW - DAY, SCANNER))
    run(definitions, instance, "hourly_rollups_job", partition_key=f"{NOW - DAY:%Y-%m-%d-%H}:00")
    run(definitions, instance, "daily_rollups_job", partition_key=f"{NOW - DAY:%Y-%m-%d}")
    assert opens_by_day(database) == [(1, 0)]

    request = late_events_sensor(dg.build_sensor_context(instance=instance, resources=resources))
    assert isinstance(request, dg.RunRequest)
    run(definitions, instance, "stale_windows_job")
    assert opens_by_day(database) == [(1, 1)]
    assert_exact(database, closed_before=closed_before(NOW))


def test_a_backfill_after_a_change_of_the_rules_changes_the_past(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    insert_opens(database, *((NOW - days * DAY, INVENTED) for days in (1, 2, 3)), (NOW - 2 * DAY, PERSON))
    run(definitions, instance, "stale_windows_job")
    assert opens_by_day(database) == [(1, 0), (2, 0), (1, 0)]

    monkeypatch.setattr(rules, "_SCANNERS", rules.re.compile("^Zustellprobe"))
    monkeypatch.setattr(rules, "RULES_VERSION", rules.RULES_VERSION + 1)
    rules.machine_reason.cache_clear()
    parse_user_agent.cache_clear()
    tags = {"dagster/asset_partition_range_start": "2026-11-17", "dagster/asset_partition_range_end": "2026-11-18"}
    result = run(definitions, instance, "machine_verdicts_job", tags=tags)
    rules.machine_reason.cache_clear()
    parse_user_agent.cache_clear()

    (materialization, _) = result.asset_materializations_for_node("iris__machine_verdicts")
    assert materialization.metadata["changed"].value == 2
    assert "| message.opened | machines | link_scanner | 2 |" in str(materialization.metadata["verdicts"].value)
    run(definitions, instance, "stale_windows_job")
    assert opens_by_day(database) == [(1, 1), (2, 1), (1, 0)]
    assert_exact(database, closed_before=closed_before(NOW))


def test_user_agents_are_described_without_waiting_for_the_verdicts(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database
) -> None:
    insert_opens(database, (NOW - DAY, PERSON), (NOW - 40 * DAY, SCANNER))
    result = run(definitions, instance, "user_agents_job")
    (materialization,) = result.asset_materializations_for_node("iris__user_agents")
    assert materialization.asset_key == USER_AGENTS
    assert materialization.metadata["new"].value == 2
    again = run(definitions, instance, "user_agents_job").asset_materializations_for_node("iris__user_agents")
    assert again[0].metadata["new"].value == 0
