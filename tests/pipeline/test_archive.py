"""The law of exactness with events that lie in the archive, and with contacts that were erased."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import dagster as dg
import pytest

from iris_pipelines.analytics.recount import recount
from iris_pipelines.db.database import Database
from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs import build_defs
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.resources import Archive, Clock, DatabaseResource
from iris_pipelines.domain.windows import DAY, HOUR, Window, closed_before
from iris_pipelines.exports.archive import restore_days
from iris_pipelines.exports.erasure import erase_contact
from iris_pipelines.ingestion.loader import LoadResult, load_events
from iris_pipelines.ingestion.records import ObjectBatch
from iris_pipelines.settings import Settings
from tests.pipeline.conftest import Pipeline
from tests.pipeline.recount import DAILY_KEY, HOURLY_KEY, assert_exact, stored

NOW = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)
CLOSED = closed_before(NOW)
OLD = datetime(2026, 11, 10, tzinfo=UTC)
TENANTS = [UUID(int=1), UUID(int=2)]
CONTACTS = [UUID(int=100 + number) for number in range(4)]
ARCHIVED = dg.AssetKey(["archive", "events"])
KEPT_DAYS = 5


def event(timestamp: datetime, number: int = 0, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "tenant_id": str(TENANTS[number % 2]),
        "event_type": ["message.sent", "message.delivered", "message.opened", "link.clicked"][number % 4],
        "channel": "email",
        "contact_id": str(CONTACTS[number % 3]),
        "campaign_id": str(UUID(int=500)),
        "timestamp": timestamp.isoformat(),
        "cost": "0.25",
        "user_agent": "Mozilla/5.0" if number % 8 > 4 else "Thunderbird",
        "event_data": {"url": "https://a"},
        **fields,
    }


def load(database: Database, events: Sequence[dict[str, Any]], **options: Any) -> LoadResult:
    return load_events(
        database,
        [ObjectBatch("test", range(1, len(events) + 1), list(events))],
        now=NOW,
        history_start=date(2020, 1, 1),
        create_tenants=True,
        **options,
    )


def history() -> list[dict[str, Any]]:
    """Two old days and a young one."""
    days = (OLD, OLD + DAY, NOW - 2 * DAY)
    return [event(day + number % 5 * HOUR, number) for day in days for number in range(40)]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def definitions(
    database: Database, dbt: DbtProject, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> dg.Definitions:
    resources = {
        "database": DatabaseResource(lambda: database.url),
        "dbt": dbt,
        "clock": Clock(lambda: NOW),
        "archive": Archive(str(tmp_path / "archive"), KEPT_DAYS, {}),
    }
    return build_defs(Settings(home=tmp_path_factory.getbasetemp() / "home"), resources)


def run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, **options: object
) -> dg.ExecuteInProcessResult:
    return definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **options)  # type: ignore[arg-type]


def rollups(database: Database) -> list[Any]:
    """All rows of both rollups, and of the facts that the marts stand on."""
    with database.transaction() as connection:
        facts = connection.execute(
            "select to_jsonb(held) - array['contact_ids', 'message_ids', 'revenues']"
            " from analytics_intermediate.int_activity_daily as held order by 1"
        ).fetchall()
        events = connection.execute(
            "select tenant_id, date, message_id, event_type, machine_opened, machine_clicked, revenue"
            " from analytics_intermediate.int_message_activity_daily order by 1, 2, 3, 4, 5, 6, 7"
        ).fetchall()
    return [
        stored(database, "analytics.analytics_hourly", HOURLY_KEY),
        stored(database, "analytics.analytics_daily", DAILY_KEY),
        facts,
        events,
    ]


def events_of(database: Database, day: datetime) -> int:
    with database.transaction() as connection:
        row = connection.execute(
            "select count(*) from iris.analytics_events where timestamp >= %s and timestamp < %s", (day, day + DAY)
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_an_archived_window_is_sealed_and_a_rebuild_restores_it_first(
    pipeline: Pipeline, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    database = pipeline.database
    load(database, history())
    pipeline.refresh(now=NOW)
    before = rollups(database)
    assert run(definitions, instance, "archive_job").success
    assert set(instance.get_materialized_partitions(ARCHIVED)) == {"2026-11-10", "2026-11-11"}
    assert [events_of(database, day) for day in (OLD, OLD + DAY, NOW - 2 * DAY)] == [0, 0, 40]

    # Dropping archived events changes no rollup, and no check takes it for a difference.
    assert pipeline.refresh(now=NOW) == []
    assert rollups(database) == before
    for grain in (Grain.HOUR, Grain.DAY):
        assert recount(database, grain, [Window(OLD, OLD + 2 * DAY)]).differences == 0

    for job, first, last in (
        ("machine_verdicts_job", "2026-11-10", "2026-11-10"),
        ("hourly_rollups_job", "2026-11-10-00:00", "2026-11-10-23:00"),
        ("daily_rollups_job", "2026-11-10", "2026-11-10"),
    ):
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        assert run(definitions, instance, job, tags=tags).success
    assert [events_of(database, day) for day in (OLD, OLD + DAY)] == [40, 0]
    assert rollups(database) == before


def test_a_late_event_of_an_archived_day_is_counted_with_its_neighbours(
    pipeline: Pipeline, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    database = pipeline.database
    load(database, history())
    pipeline.refresh(now=NOW)
    assert run(definitions, instance, "archive_job").success
    load(database, [event(OLD + HOUR, 2)])
    assert run(definitions, instance, "stale_windows_job").success
    assert [events_of(database, day) for day in (OLD, OLD + DAY)] == [41, 0]
    _restore_all(pipeline)
    assert_exact(database, closed_before=CLOSED)


def test_events_sent_again_after_their_day_was_archived_change_no_rollup(
    pipeline: Pipeline, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    database = pipeline.database
    events = history()
    load(database, events)
    pipeline.refresh(now=NOW)
    before = rollups(database)
    assert run(definitions, instance, "archive_job").success
    result = load(database, events, restore_days=lambda db, days: restore_days(db, {}, days))
    assert (result.accepted, result.duplicates) == (0, len(events))
    assert run(definitions, instance, "stale_windows_job").success
    assert rollups(database) == before
    tags = {"dagster/asset_partition_range_start": "2026-11-10", "dagster/asset_partition_range_end": "2026-11-11"}
    assert run(definitions, instance, "daily_rollups_job", tags=tags).success
    assert rollups(database) == before
    assert_exact(database, closed_before=CLOSED)


def _restore_all(pipeline: Pipeline) -> None:
    from iris_pipelines.exports.archive import restore

    restore(pipeline.database, {}, Window(OLD, NOW))
    assert pipeline.refresh(now=NOW) == []


def test_a_build_by_hand_leaves_archived_days_alone(
    pipeline: Pipeline, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    database = pipeline.database
    load(database, history())
    pipeline.refresh(now=NOW)
    before = rollups(database)
    assert run(definitions, instance, "archive_job").success
    build = pipeline.dbt.build(database.url, ["analytics_hourly", "analytics_daily", "int_activity_daily"])
    assert build.failures == []
    assert rollups(database) == before
    # The control: what is not archived was built anew.
    with database.transaction() as connection:
        connection.execute("update analytics.analytics_daily set messages_unsubscribed = 999")
    pipeline.dbt.build(database.url, ["analytics_daily"]).raise_failures()
    with database.transaction() as connection:
        wrong = connection.execute(
            "select distinct date from analytics.analytics_daily where messages_unsubscribed = 999 order by 1"
        )
        assert wrong.fetchall() == [(OLD.date(),), ((OLD + DAY).date(),)]


def test_an_erased_contact_changes_no_rollup_and_the_law_still_holds(
    pipeline: Pipeline, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    database = pipeline.database
    load(database, history())
    pipeline.refresh(now=NOW)
    before = rollups(database)
    # The clicks of machines are told by what the erasure takes away.
    assert sum(row["machine_opens"] + row["machine_clicks"] for row in before[1].values()) > 0
    assert run(definitions, instance, "archive_job").success

    for tenant in TENANTS:
        erase_contact(database, {}, tenant, CONTACTS[0])
    assert rollups(database) == before
    with database.transaction() as connection:
        found = "select count(*) from analytics_intermediate.int_message_activity_daily where contact_id = %s"
        assert connection.execute(found, (CONTACTS[0],)).fetchone() == (0,)
        assert connection.execute(found, (CONTACTS[1],)).fetchone() != (0,)
    assert run(definitions, instance, "stale_windows_job").success
    assert rollups(database) == before
    _restore_all(pipeline)
    assert_exact(database, closed_before=CLOSED)
    assert rollups(database) == before


def test_the_erasure_job_erases(definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database) -> None:
    load(database, history())
    names = {"tenant_id": str(TENANTS[0]), "contact_id": str(CONTACTS[0])}
    run_config = {"ops": {"erase_one_contact": {"config": names}}}
    assert run(definitions, instance, "erasure_job", run_config=run_config).success
    with database.transaction() as connection:
        left = "select count(*) from iris.analytics_events where tenant_id = %s and contact_id = %s"
        assert connection.execute(left, (TENANTS[0], CONTACTS[0])).fetchone() == (0,)
