"""Schedules: what time alone starts. Late events are no matter of time: a sensor sees to them."""

from __future__ import annotations

import dagster as dg

from iris_pipelines.defs.jobs import (
    daily_rollups_job,
    delivery_baselines_job,
    event_partitions_job,
    hourly_rollups_job,
    user_agents_job,
)

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

# When the last messages of the day have had their quarter of an hour to be delivered.
daily_delivery_baselines_schedule = dg.build_schedule_from_partitioned_job(
    delivery_baselines_job,
    name="daily_delivery_baselines_schedule",
    hour_of_day=0,
    minute_of_hour=40,
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
