"""Schedules: what time alone starts. Late events are no matter of time: a sensor sees to them."""

from __future__ import annotations

import dagster as dg

from iris_pipelines.defs.assets.reports import REPORT_KEYS
from iris_pipelines.defs.jobs import (
    archive_job,
    daily_exports_job,
    daily_rollups_job,
    daily_warehouse_job,
    delivery_baselines_job,
    due_reports_job,
    event_partitions_job,
    hourly_rollups_job,
    user_agents_job,
    warehouse_marts_job,
)
from iris_pipelines.defs.resources import WarehouseResource
from iris_pipelines.domain.reports.schedules import Cadence
from iris_pipelines.domain.windows import DAY

_NO_WAREHOUSE = "IRIS_BIGQUERY_PROJECT is not set: there is no warehouse"

# The hour and the day that have just ended are rebuilt also when nothing happened in them: none looks missing.
hourly_rollups_schedule = dg.build_schedule_from_partitioned_job(
    hourly_rollups_job,
    name="hourly_rollups_schedule",
    minute_of_hour=2,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

daily_rollups_schedule = dg.build_schedule_from_partitioned_job(
    daily_rollups_job,
    name="daily_rollups_schedule",
    hour_of_day=0,
    minute_of_hour=10,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

daily_event_partitions_schedule = dg.ScheduleDefinition(
    name="daily_event_partitions_schedule",
    job=event_partitions_job,
    cron_schedule="30 0 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

# New user agents come in with the verdicts on their events: this is for a new release of the parser.
daily_user_agents_schedule = dg.ScheduleDefinition(
    name="daily_user_agents_schedule",
    job=user_agents_job,
    cron_schedule="45 0 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


def _reports_schedule(cadence: Cadence, cron: str) -> dg.ScheduleDefinition:
    """Reports are due at local times, which a sensor watches: this is for when that sensor is off."""

    @dg.schedule(
        name=f"{cadence}_reports_schedule",
        job=due_reports_job,
        cron_schedule=cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def due_reports(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        run_key = f"{context.scheduled_execution_time:%Y-%m-%d}"
        return dg.RunRequest(run_key=run_key, asset_selection=[REPORT_KEYS[cadence]])

    return due_reports


daily_reports_schedule = _reports_schedule(Cadence.DAILY, "0 6 * * *")
weekly_reports_schedule = _reports_schedule(Cadence.WEEKLY, "15 6 * * 1")
monthly_reports_schedule = _reports_schedule(Cadence.MONTHLY, "30 6 1 * *")

# Days without events too: whoever reads the files finds one for each day.
daily_exports_schedule = dg.build_schedule_from_partitioned_job(
    daily_exports_job,
    name="daily_exports_schedule",
    hour_of_day=1,
    minute_of_hour=0,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)

daily_archive_schedule = dg.ScheduleDefinition(
    name="daily_archive_schedule",
    job=archive_job,
    cron_schedule="30 2 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)


@dg.schedule(job=daily_warehouse_job, cron_schedule="30 1 * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def daily_warehouse_schedule(
    context: dg.ScheduleEvaluationContext, warehouse: dg.ResourceParam[WarehouseResource]
) -> dg.RunRequest | dg.SkipReason:
    """The day that has ended, to BigQuery."""
    if warehouse.warehouse is None:
        return dg.SkipReason(_NO_WAREHOUSE)
    return dg.RunRequest(partition_key=f"{context.scheduled_execution_time - DAY:%Y-%m-%d}")


@dg.schedule(job=warehouse_marts_job, cron_schedule="45 1 * * *", default_status=dg.DefaultScheduleStatus.RUNNING)
def daily_warehouse_marts_schedule(
    warehouse: dg.ResourceParam[WarehouseResource],
) -> dg.RunRequest | dg.SkipReason:
    """The marts, to BigQuery."""
    return dg.SkipReason(_NO_WAREHOUSE) if warehouse.warehouse is None else dg.RunRequest()


# When the last messages of the day have had their quarter of an hour to be delivered.
daily_delivery_baselines_schedule = dg.build_schedule_from_partitioned_job(
    delivery_baselines_job,
    name="daily_delivery_baselines_schedule",
    hour_of_day=0,
    minute_of_hour=40,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
