"""Schedules: what time alone starts. Late events are no matter of time: a sensor sees to them."""

from __future__ import annotations

import dagster as dg

from iris_pipelines.defs.jobs import event_partitions_job


def schedules(
    hourly_rollups: dg.UnresolvedAssetJobDefinition, daily_rollups: dg.UnresolvedAssetJobDefinition
) -> list[dg.ScheduleDefinition | dg.UnresolvedPartitionedAssetScheduleDefinition]:
    """The hour and the day that have just ended are rebuilt also when nothing happened in them: none looks missing."""
    return [
        dg.build_schedule_from_partitioned_job(
            hourly_rollups,
            name="hourly_rollups_schedule",
            minute_of_hour=2,
            default_status=dg.DefaultScheduleStatus.RUNNING,
        ),
        dg.build_schedule_from_partitioned_job(
            daily_rollups,
            name="daily_rollups_schedule",
            hour_of_day=0,
            minute_of_hour=10,
            default_status=dg.DefaultScheduleStatus.RUNNING,
        ),
        dg.ScheduleDefinition(
            name="daily_event_partitions_schedule",
            job=event_partitions_job,
            cron_schedule="30 0 * * *",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        ),
    ]
