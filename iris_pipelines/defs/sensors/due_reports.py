"""Watches the clock for recurring reports: plans their occurrences, and asks for one run for all that is due."""

import dagster as dg

from iris_pipelines.defs.assets.reports import REPORT_KEYS
from iris_pipelines.defs.jobs import due_reports_job
from iris_pipelines.defs.resources import Clock, DatabaseResource, MailResource
from iris_pipelines.defs.sensors.late_events import UNFINISHED


@dg.sensor(job_name=due_reports_job.name, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def due_reports_sensor(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[DatabaseResource],
    mail: dg.ResourceParam[MailResource],
    clock: dg.ResourceParam[Clock],
) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run for every report and mail that is due, unless one is at work."""
    from iris_pipelines.reporting.recurring.runs import due_cadences
    from iris_pipelines.reporting.recurring.schedules import plan_occurrences

    db, now = database.get(), clock.now()
    plan_occurrences(db, now=now)
    if context.instance.get_runs_count(dg.RunsFilter(job_name=due_reports_job.name, statuses=UNFINISHED)):
        return dg.SkipReason("reports are being made")
    due = due_cadences(db, now=now, can_mail=mail.smtp_url is not None)
    if not due:
        return dg.SkipReason("no report is due")
    return dg.RunRequest(asset_selection=[REPORT_KEYS[cadence] for cadence in sorted(due)])
