"""The Dagster rim: assets, checks, jobs, schedules and sensors, each a few lines around a call of the library."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs import jobs, schedules
from iris_pipelines.defs.assets.baselines import delivery_baselines, every_sending_channel_has_a_possible_baseline
from iris_pipelines.defs.assets.event_log import event_log
from iris_pipelines.defs.assets.machines import machine_verdicts, user_agents
from iris_pipelines.defs.assets.rollups import rollup_assets
from iris_pipelines.defs.checks import recount_check
from iris_pipelines.defs.partitions import closed_days, daily, hourly
from iris_pipelines.defs.resources import dbt_project, production_resources
from iris_pipelines.defs.sensors.alerts import (
    alert_rules_sensor,
    anomaly_sensor,
    budget_sensor,
    notification_sensor,
)
from iris_pipelines.defs.sensors.landing import landing_files_sensor
from iris_pipelines.defs.sensors.late_events import late_events_sensor
from iris_pipelines.defs.sensors.run_failures import run_failure_sensor
from iris_pipelines.settings import Settings


def build_defs(settings: Settings, resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """Assemble the code location; a test passes its fakes by resource name."""
    hours, days = hourly(settings.history_start), daily(settings.history_start)
    return dg.Definitions(
        assets=[
            event_log(hours),
            user_agents,
            machine_verdicts(days),
            delivery_baselines(closed_days(settings.history_start)),
            *rollup_assets(dbt_project(settings).manifest(), hours, days, closed_days(settings.history_start)),
        ],
        asset_checks=[
            recount_check(Grain.HOUR),
            recount_check(Grain.DAY),
            every_sending_channel_has_a_possible_baseline,
        ],
        jobs=[
            jobs.hourly_rollups_job,
            jobs.daily_rollups_job,
            jobs.trailing_marts_job,
            jobs.campaign_marts_job,
            jobs.machine_verdicts_job,
            jobs.user_agents_job,
            jobs.views_job,
            jobs.stale_windows_job,
            jobs.landing_files_job,
            jobs.event_partitions_job,
            jobs.delivery_baselines_job,
        ],
        schedules=[
            schedules.hourly_rollups_schedule,
            schedules.daily_rollups_schedule,
            schedules.daily_event_partitions_schedule,
            schedules.daily_user_agents_schedule,
            schedules.daily_delivery_baselines_schedule,
        ],
        sensors=[
            late_events_sensor,
            landing_files_sensor,
            run_failure_sensor,
            alert_rules_sensor,
            budget_sensor,
            anomaly_sensor,
            notification_sensor,
        ],
        resources={**production_resources(settings), **(resources or {})},
        executor=dg.in_process_executor,
    )
