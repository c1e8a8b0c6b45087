"""Watches the landing zone for event files."""

from __future__ import annotations

import dagster as dg

from iris_pipelines.defs.jobs import landing_files_job
from iris_pipelines.defs.resources import DatabaseResource, LandingZone
from iris_pipelines.defs.sensors.late_events import UNFINISHED
from iris_pipelines.ingestion.landing import new_landing_files


@dg.sensor(job=landing_files_job, minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def landing_files_sensor(
    context: dg.SensorEvaluationContext, database: DatabaseResource, landing_zone: LandingZone
) -> dg.RunRequest | dg.SkipReason:
    """Ask for one run when files are new and none is being loaded."""
    if landing_zone.url is None:
        return dg.SkipReason("IRIS_LANDING_URL is not set: there is no landing zone to watch")
    if context.instance.get_runs_count(dg.RunsFilter(job_name=landing_files_job.name, statuses=UNFINISHED)):
        return dg.SkipReason("files are being loaded")
    found = new_landing_files(database.get(), landing_zone.url)
    if not found:
        return dg.SkipReason("no new file")
    return dg.RunRequest(tags={"iris/new_files": str(len(found))})
