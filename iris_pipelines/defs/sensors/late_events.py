"""Watches the ledger of touched hours: what is stale and closed is asked to be rebuilt, all of it in one run."""

import dagster as dg

from iris_pipelines.db.contact_scores import scores_are_due
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.jobs import stale_windows_job
from iris_pipelines.defs.rebuilds import plan_rebuilds, rebuilt_models
from iris_pipelines.defs.resources import Clock, DatabaseResource
from iris_pipelines.ingestion.machines.verdicts import unjudged_windows

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(job_name=stale_windows_job.name, minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def late_events_sensor(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[DatabaseResource],
    dbt: dg.ResourceParam[DbtProject],
    clock: dg.ResourceParam[Clock],
) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run when windows are stale and none is at work; what is left after it is asked for again."""
    at_work = context.instance.get_runs_count(dg.RunsFilter(job_name=stale_windows_job.name, statuses=UNFINISHED))
    if at_work:
        return dg.SkipReason("a rebuild is at work")
    db, now = database.get(), clock.now()
    plans = plan_rebuilds(db, rebuilt_models(dbt.manifest()), now=now)
    if not plans and not unjudged_windows(db, now=now) and not scores_are_due(db, now=now):
        return dg.SkipReason("every rollup equals the event log")
    windows = sum(len(plan.windows) for plan in plans)
    return dg.RunRequest(tags={"iris/stale_windows": str(windows)})
