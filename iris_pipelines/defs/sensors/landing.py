"""Watches the landing zone for event files."""

import dagster as dg

from iris_pipelines.defs.jobs import landing_files_job
from iris_pipelines.defs.resources import Clock, DatabaseResource, LandingZone
from iris_pipelines.defs.sensors.late_events import UNFINISHED


@dg.sensor(job_name=landing_files_job.name, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def landing_files_sensor(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[DatabaseResource],
    landing_zone: dg.ResourceParam[LandingZone],
    clock: dg.ResourceParam[Clock],
) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run when files are new and none is being loaded."""
    from iris_pipelines.ingestion.landing import new_landing_files

    if landing_zone.url is None:
        return dg.SkipReason("IRIS_LANDING_URL is not set: there is no landing zone to watch")
    if context.instance.get_runs_count(dg.RunsFilter(job_name=landing_files_job.name, statuses=UNFINISHED)):
        return dg.SkipReason("files are being loaded")
    found = new_landing_files(database.get(), landing_zone.url, now=clock.now(), environment=landing_zone.environment)
    if not found:
        return dg.SkipReason("no new file")
    return dg.RunRequest(tags={"iris/new_files": str(len(found))})
