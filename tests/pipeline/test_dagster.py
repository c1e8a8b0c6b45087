"""The code location at work: partition runs, ranges, the late-event path, blocking checks, failures that are noted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import dagster as dg
import pytest

from iris_pipelines.analytics.recount import recount
from iris_pipelines.cli.pipeline import Pipeline, RebuiltRelation, run_backfill
from iris_pipelines.db.database import Database
from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs import build_defs
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.resources import Clock, DatabaseResource, NotificationsResource
from iris_pipelines.defs.sensors.late_events import late_events_sensor
from iris_pipelines.defs.sensors.run_failures import run_failure_sensor
from iris_pipelines.domain.windows import DAY, HOUR, Window, closed_before
from iris_pipelines.ingestion.loader import load_events
from iris_pipelines.ingestion.records import ObjectBatch
from iris_pipelines.settings import Settings
from tests.pipeline.recount import assert_exact

NOW = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)
CLOSED = closed_before(NOW)
MINUTE = timedelta(minutes=1)
TENANT = UUID(int=1)
HOURLY = dg.AssetKey(["analytics", "analytics_hourly"])
DAILY = dg.AssetKey(["analytics", "analytics_daily"])
EVENT_LOG = dg.AssetKey(["iris", "analytics_events"])


def load(database: Database, *timestamps: datetime) -> None:
    records = [
        {"tenant_id": str(TENANT), "event_type": "message.sent", "channel": "sms", "timestamp": instant.isoformat()}
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
def resources(database: Database, dbt: DbtProject) -> dict[str, object]:
    return {
        "database": DatabaseResource(lambda: database.url),
        "dbt": dbt,
        "clock": Clock(lambda: NOW),
        "notifications": NotificationsResource(Settings()),
    }


@pytest.fixture
def definitions(resources: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(Settings(home=tmp_path_factory.getbasetemp() / "home"), resources)


def run(
    definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, **options: object
) -> dg.ExecuteInProcessResult:
    return definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False, **options)  # type: ignore[arg-type]


def partitions(instance: dg.DagsterInstance, key: dg.AssetKey) -> set[str]:
    return set(instance.get_materialized_partitions(key))


def test_a_partition_run_builds_its_hour_and_leaves_nothing_stale(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database
) -> None:
    load(database, NOW - 2 * HOUR, NOW - 3 * HOUR)
    result = run(definitions, instance, "hourly_rollups_job", partition_key="2026-11-20-13:00")

    assert result.success
    assert partitions(instance, HOURLY) == {"2026-11-20-13:00"}
    (materialization,) = (
        each for each in result.asset_materializations_for_node("hourly_models") if each.asset_key == HOURLY
    )
    assert materialization.metadata["dagster/row_count"].value == 1
    assert "data:image/svg+xml" in str(materialization.metadata["messages_sent"].value)
    with database.transaction() as connection:
        hours = connection.execute("select timestamp from analytics.analytics_hourly").fetchall()
    assert hours == [(datetime(2026, 11, 20, 13, tzinfo=UTC),)]


def test_a_range_is_one_run_of_dbt_with_every_partition_materialized(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database
) -> None:
    load(database, *(NOW - hours * HOUR for hours in range(1, 40)))
    tags = {
        "dagster/asset_partition_range_start": "2026-11-18-22:00",
        "dagster/asset_partition_range_end": "2026-11-20-14:00",
    }
    assert run(definitions, instance, "hourly_rollups_job", tags=tags).success
    assert len(partitions(instance, HOURLY)) == 41
    tags = {"dagster/asset_partition_range_start": "2026-11-18", "dagster/asset_partition_range_end": "2026-11-20"}
    assert run(definitions, instance, "daily_rollups_job", tags=tags).success
    assert partitions(instance, DAILY) == {"2026-11-18", "2026-11-19", "2026-11-20"}
    assert_exact(database, closed_before=CLOSED)

    with database.transaction() as connection:
        rebuilds = connection.execute("select count(distinct rebuild_id) from iris.rebuilt_windows").fetchone()
    assert rebuilds == (2,)


def test_the_sensor_asks_for_one_run_that_announces_and_rebuilds_scattered_hours(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database, resources: dict[str, object]
) -> None:
    def tick() -> object:
        context = dg.build_sensor_context(instance=instance, resources=resources)
        return late_events_sensor(context)

    load(database, NOW - 2 * HOUR, NOW - 30 * DAY, NOW - 700 * DAY, NOW)
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert run(definitions, instance, "stale_windows_job").success

    hours = {"2026-11-20-13:00", "2026-10-21-15:00", "2024-12-20-15:00"}
    assert partitions(instance, EVENT_LOG) == hours
    assert partitions(instance, HOURLY) == hours
    assert partitions(instance, DAILY) == {hour[:10] for hour in hours}
    assert_exact(database, closed_before=CLOSED)
    assert isinstance(tick(), dg.SkipReason)


def test_the_sensor_does_not_ask_while_a_rebuild_is_at_work(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database, resources: dict[str, object]
) -> None:
    load(database, NOW - DAY)
    at_work = instance.create_run_for_job(
        definitions.resolve_job_def("stale_windows_job"), status=dg.DagsterRunStatus.STARTED
    )
    context = dg.build_sensor_context(instance=instance, resources=resources)
    assert isinstance(late_events_sensor(context), dg.SkipReason)

    instance.report_run_failed(at_work)
    assert isinstance(late_events_sensor(context), dg.RunRequest)


def test_the_check_passes_on_what_was_built_and_fails_on_what_was_tampered_with(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database
) -> None:
    load(database, NOW - 2 * HOUR, NOW - 3 * HOUR)
    assert run(definitions, instance, "stale_windows_job").success

    def check() -> dg.AssetCheckEvaluation:
        job = definitions.resolve_implicit_global_asset_job_def()
        key = dg.AssetCheckKey(HOURLY, "hourly_counts_match_the_event_log")
        subset = job.get_subset(asset_selection=set(), asset_check_selection={key})
        result = subset.execute_in_process(instance=instance, raise_on_error=False)
        (evaluation,) = result.get_asset_check_evaluations()
        return evaluation

    assert check().passed
    with database.transaction() as connection:
        connection.execute("update analytics.analytics_hourly set messages_sent = messages_sent + 1")
    evaluation = check()
    assert not evaluation.passed
    assert evaluation.metadata["differences"].value == 2


def test_events_that_come_after_the_rebuild_do_not_fail_its_check(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database
) -> None:
    load(database, NOW - 2 * HOUR)
    assert run(definitions, instance, "stale_windows_job").success
    load(database, NOW - 2 * HOUR - MINUTE, NOW - 4 * HOUR)
    found = recount(database, Grain.HOUR, [Window(CLOSED - DAY, CLOSED)])
    assert (found.differences, found.waiting_hours) == (0, 2)
    # The control: the same difference without its note in the ledger is one.
    with database.transaction() as connection:
        connection.execute("delete from iris.touched_hours")
    assert recount(database, Grain.HOUR, [Window(CLOSED - DAY, CLOSED)]).differences > 0


def test_a_failed_run_leaves_one_alert_and_its_windows_stale(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database, resources: dict[str, object]
) -> None:
    load(database, NOW - 2 * HOUR)
    with database.transaction() as connection:
        # Something in the way of the rebuild: a table of that name with other columns.
        connection.execute("create schema if not exists analytics")
        connection.execute("create view analytics.analytics_hourly as select 1 as wrong")
    result = run(definitions, instance, "stale_windows_job")
    assert not result.success

    for _ in range(2):
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failure_sensor",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            resources=resources,
        ).for_run_failure()
        run_failure_sensor(context)
    with database.transaction() as connection:
        alerts = connection.execute("select alert_type, data ->> 'job' from iris.system_alerts").fetchall()
        stale = connection.execute("select consumer from iris.stale_hours order by 1").fetchall()
        connection.execute("drop view analytics.analytics_hourly")
    assert alerts == [("run_failure", "stale_windows_job")]
    assert ("analytics.analytics_hourly",) in stale

    assert run(definitions, instance, "stale_windows_job").success
    assert_exact(database, closed_before=CLOSED)


def test_a_backfill_runs_each_cadence_and_leaves_out_what_is_as_of_a_day_in_progress(
    definitions: dg.Definitions,
) -> None:
    class Runs(Pipeline):
        """Notes the partitions that it is asked for."""

        def __init__(self) -> None:
            self.definitions = definitions
            self.asked: dict[str, tuple[str, str]] = {}

        def run(self, job: str, *, tags: dict[str, str] | None = None, **_: object) -> list[RebuiltRelation]:
            assert tags is not None
            start, end = (tags[f"dagster/asset_partition_range_{which}"] for which in ("start", "end"))
            self.asked[job] = start, end
            return []

    over, in_progress = Runs(), Runs()
    run_backfill(over, Window(CLOSED - 3 * DAY, CLOSED))
    assert over.asked == {
        "machine_verdicts_job": ("2026-11-17", "2026-11-20"),
        "hourly_rollups_job": ("2026-11-17-15:00", "2026-11-20-14:00"),
        "daily_rollups_job": ("2026-11-17", "2026-11-20"),
        "trailing_marts_job": ("2026-11-17", "2026-11-19"),
    }
    run_backfill(in_progress, Window(CLOSED - 3 * HOUR, CLOSED), select="provider_rankings,analytics_daily")
    assert in_progress.asked == {"daily_rollups_job": ("2026-11-20", "2026-11-20")}


def test_a_ranking_is_a_partition_of_its_own_and_views_follow(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database
) -> None:
    load(database, NOW - DAY, NOW - 12 * DAY)
    with database.transaction() as connection:
        connection.execute("update iris.analytics_events set provider = 'twilio'")
    assert run(definitions, instance, "daily_rollups_job", partition_key="2026-11-19").success
    assert run(definitions, instance, "daily_rollups_job", partition_key="2026-11-08").success
    result = run(definitions, instance, "trailing_marts_job", partition_key="2026-11-19")
    assert result.success
    ranking = dg.AssetKey(["analytics", "provider_rankings"])
    (materialization,) = [
        each for each in result.asset_materializations_for_node("trailing_models") if each.asset_key == ranking
    ]
    assert materialization.metadata["dagster/row_count"].value == 2
    assert partitions(instance, ranking) == {"2026-11-19"}
    assert run(definitions, instance, "views_job").success
    with database.transaction() as connection:
        sent = connection.execute("select sum(messages_sent) from analytics.channel_daily").fetchone()
    assert sent == (2,)


def test_a_run_of_campaign_models_by_hand_replaces_every_campaign_unless_it_is_told_otherwise(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database
) -> None:
    load(database, NOW - 2 * HOUR)
    performance = dg.AssetKey(["analytics", "campaign_performance"])
    with database.transaction() as connection:
        connection.execute("update iris.analytics_events set campaign_id = %s", (UUID(int=7),))
    assert run(definitions, instance, "stale_windows_job").success

    def by_hand(**options: object) -> tuple[dict[str, object], object]:
        with database.transaction() as connection:
            connection.execute("update analytics.campaign_performance set total_sent = 99")
        result = run(definitions, instance, "campaign_marts_job", **options)
        assert result.success
        (built,) = (
            each for each in result.asset_materializations_for_node("campaign_models") if each.asset_key == performance
        )
        with database.transaction() as connection:
            sent = connection.execute("select total_sent from analytics.campaign_performance").fetchone()
        return {name: built.metadata[name].value for name in ("campaigns", "replaced")}, sent

    metadata, sent = by_hand(run_config={"ops": {"campaign_models": {"config": {"only_stale": True}}}})
    assert (metadata["campaigns"], sent) == (0, (99,))
    assert "up to date" in str(metadata["replaced"])
    assert by_hand() == ({"campaigns": 1, "replaced": "every campaign"}, (1,))


def test_costs_levels_and_campaigns_are_drawn_for_their_tables_and_for_the_views_on_them(
    definitions: dg.Definitions, instance: dg.DagsterInstance, database: Database
) -> None:
    load(database, NOW - 2 * HOUR, NOW - DAY)
    with database.transaction() as connection:
        connection.execute(
            "update iris.analytics_events set cost = 0.5, campaign_id = %s, contact_id = %s",
            (UUID(int=7), UUID(int=8)),
        )
    assert run(definitions, instance, "stale_windows_job").success

    def shown(asset: str) -> dict[str, str]:
        event = instance.get_latest_materialization_event(dg.AssetKey.from_user_string(asset))
        assert event is not None and event.asset_materialization is not None
        return {name: str(value.value) for name, value in event.asset_materialization.metadata.items()}

    for asset, plot in {
        "analytics_intermediate/int_channel_activity_daily": "costs",
        "analytics/cost_daily": "costs",
        "analytics_intermediate/int_engagement_levels": "levels",
        "analytics/engagement_segments": "levels",
        "analytics/campaign_performance": "latest_campaigns",
        "analytics/campaign_costs": "latest_campaigns",
    }.items():
        assert "data:image/svg+xml" in shown(asset)[plot], asset
    assert "latest_tests" not in shown("analytics/campaign_variants")
    text = shown("analytics/cost_daily")["costs"]
    assert "USD 1.00 from 2026-11-19 to 2026-11-20, by day and channel" in text

    built = run(definitions, instance, "views_job")
    (view,) = [
        each
        for each in built.asset_materializations_for_node("views")
        if each.asset_key == dg.AssetKey(["analytics", "cost_daily"])
    ]
    assert view.metadata["costs"].value == text
