"""Watches for exported days that late events have changed since."""

import dagster as dg

from iris_pipelines.defs.jobs import stale_exports_job
from iris_pipelines.defs.resources import Clock, DatabaseResource, WarehouseResource
from iris_pipelines.defs.sensors.late_events import UNFINISHED
from iris_pipelines.exports.events import SETTLING, Destination
from iris_pipelines.exports.targets import targets


@dg.sensor(job_name=stale_exports_job.name, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def stale_exports_sensor(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[DatabaseResource],
    exports: dg.ResourceParam[Destination],
    warehouse: dg.ResourceParam[WarehouseResource],
    clock: dg.ResourceParam[Clock],
) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run when days are due and none is being exported; a day that has just ended is the schedule's."""
    if context.instance.get_runs_count(dg.RunsFilter(job_name=stale_exports_job.name, statuses=UNFINISHED)):
        return dg.SkipReason("days are being exported")
    db, now = database.get(), clock.now() - SETTLING
    days = [day for target in targets(exports, warehouse.warehouse) for day in target.due(db, now=now)]
    if not days:
        return dg.SkipReason("every exported day equals the event log")
    return dg.RunRequest(tags={"iris/stale_exports": str(len(days))})
