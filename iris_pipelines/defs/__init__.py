"""The Dagster rim: assets, checks, jobs, schedules and sensors, each a few lines around a call of the library."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs import jobs, schedules
from iris_pipelines.defs.assets.archive import archived_events
from iris_pipelines.defs.assets.baselines import delivery_baselines, every_sending_channel_has_a_possible_baseline
from iris_pipelines.defs.assets.contacts import CONTACTS, contacts, seen_contacts
from iris_pipelines.defs.assets.event_log import EVENT_LOG, event_log
from iris_pipelines.defs.assets.exports import export_assets
from iris_pipelines.defs.assets.machines import MACHINE_VERDICTS, USER_AGENTS, machine_verdicts, user_agents
from iris_pipelines.defs.assets.platform_tables import platform_tables
from iris_pipelines.defs.assets.reports import report_assets
from iris_pipelines.defs.assets.rollups import rollup_assets
from iris_pipelines.defs.assets.warehouse import events_in_bigquery, marts_in_bigquery
from iris_pipelines.defs.checks import recount_check
from iris_pipelines.defs.export_checks import export_checks
from iris_pipelines.defs.partitions import closed_days, daily, hourly
from iris_pipelines.defs.resources import dbt_project, production_resources
from iris_pipelines.defs.sensors.alerts import (
    alert_rules_sensor,
    anomaly_sensor,
    budget_sensor,
    notification_sensor,
)
from iris_pipelines.defs.sensors.due_reports import due_reports_sensor
from iris_pipelines.defs.sensors.landing import landing_files_sensor
from iris_pipelines.defs.sensors.late_events import late_events_sensor
from iris_pipelines.defs.sensors.run_failures import run_failure_sensor
from iris_pipelines.defs.sensors.stale_exports import stale_exports_sensor
from iris_pipelines.settings import Settings


def build_defs(settings: Settings, resources: Mapping[str, object] | None = None) -> dg.Definitions:
    """Assemble the code location; a test passes its fakes by resource name."""
    hours, days = hourly(settings.history_start), daily(settings.history_start)
    closed = closed_days(settings.history_start)
    manifest = dbt_project(settings).manifest()
    return dg.Definitions(
        assets=[
            event_log(hours),
            user_agents,
            machine_verdicts(days),
            delivery_baselines(closed),
            contacts,
            seen_contacts,
            *platform_tables(manifest, known={EVENT_LOG, USER_AGENTS, MACHINE_VERDICTS, CONTACTS, seen_contacts.key}),
            *rollup_assets(manifest, hours, days, closed),
            *report_assets(),
            *export_assets(closed),
            events_in_bigquery(closed),
            marts_in_bigquery(manifest),
            archived_events(closed),
        ],
        asset_checks=[
            recount_check(Grain.HOUR),
            recount_check(Grain.DAY),
            *export_checks(),
            every_sending_channel_has_a_possible_baseline,
        ],
        jobs=[
            jobs.hourly_rollups_job,
            jobs.daily_rollups_job,
            jobs.trailing_marts_job,
            jobs.campaign_marts_job,
            jobs.machine_verdicts_job,
            jobs.user_agents_job,
            jobs.contact_scores_job,
            jobs.views_job,
            jobs.stale_windows_job,
            jobs.landing_files_job,
            jobs.event_partitions_job,
            jobs.due_reports_job,
            jobs.daily_exports_job,
            jobs.stale_exports_job,
            jobs.daily_warehouse_job,
            jobs.warehouse_marts_job,
            jobs.archive_job,
            jobs.erasure_job,
            jobs.delivery_baselines_job,
        ],
        schedules=[
            schedules.hourly_rollups_schedule,
            schedules.daily_rollups_schedule,
            schedules.daily_event_partitions_schedule,
            schedules.daily_user_agents_schedule,
            schedules.daily_reports_schedule,
            schedules.weekly_reports_schedule,
            schedules.monthly_reports_schedule,
            schedules.daily_exports_schedule,
            schedules.daily_warehouse_schedule,
            schedules.daily_warehouse_marts_schedule,
            schedules.daily_archive_schedule,
            schedules.daily_delivery_baselines_schedule,
        ],
        sensors=[
            late_events_sensor,
            landing_files_sensor,
            due_reports_sensor,
            stale_exports_sensor,
            run_failure_sensor,
            alert_rules_sensor,
            budget_sensor,
            anomaly_sensor,
            notification_sensor,
        ],
        resources={**production_resources(settings), **(resources or {})},
        executor=dg.in_process_executor,
    )
