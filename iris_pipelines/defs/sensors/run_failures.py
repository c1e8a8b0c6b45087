"""Watches for runs that failed: each leaves one alert, whoever looks and however often."""

import dagster as dg
from psycopg.types.json import Jsonb

from iris_pipelines.db.database import queries
from iris_pipelines.defs.resources import DatabaseResource


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=30)
def run_failure_sensor(context: dg.RunFailureSensorContext, database: dg.ResourceParam[DatabaseResource]) -> None:
    """Note a failed run in `iris.system_alerts`. What it left stale is rebuilt by the next tick of its sensor."""
    run = context.dagster_run
    with database.get().transaction() as connection:
        queries().note_run_failure(
            connection,
            message=f"{run.job_name} failed: {context.failure_event.message or 'no reason was given'}",
            data=Jsonb({"run_id": run.run_id, "job": run.job_name}),
        )
