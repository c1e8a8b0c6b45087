"""Watches for runs that failed: each leaves one alert, whoever looks and however often."""

import dagster as dg

from iris_pipelines.alerting.run_failures import FailedRun, note_run_failure
from iris_pipelines.defs.resources import Clock, DatabaseResource, NotificationsResource


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=30)
def run_failure_sensor(
    context: dg.RunFailureSensorContext,
    database: dg.ResourceParam[DatabaseResource],
    notifications: dg.ResourceParam[NotificationsResource],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Note a failed run in `iris.system_alerts`. What it left stale is rebuilt by the next tick of its sensor."""
    run = context.dagster_run
    failed = FailedRun(run.run_id, run.job_name, context.failure_event.message or "no reason was given")
    note_run_failure(database.get(), failed, actions=notifications.settings.operator_actions, now=clock.now())
