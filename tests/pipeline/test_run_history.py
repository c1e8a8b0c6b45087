"""Runs of long ago are deleted, and what Dagster knows about assets is not."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from iris_pipelines.db.database import Database
from iris_pipelines.defs.run_history import forget_old_runs


@dg.op
def nothing() -> None:
    """Do nothing."""


@dg.job
def nothing_job() -> None:
    nothing()


@dg.asset
def something() -> None:
    """Be there."""


def test_only_runs_that_told_nothing_about_assets_are_deleted(database: Database) -> None:
    now = datetime.now(UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        idle = nothing_job.execute_in_process(instance=instance).run_id
        made = dg.materialize([something], instance=instance).run_id
        running = instance.create_run_for_job(nothing_job, status=dg.DagsterRunStatus.STARTED).run_id
        assert forget_old_runs(instance, before=now - timedelta(hours=1)) == 0
        assert forget_old_runs(instance, before=now + timedelta(hours=1)) == 1
        assert instance.get_run_by_id(idle) is None
        assert {run.run_id for run in instance.get_runs()} == {made, running}
        assert instance.get_latest_materialization_event(dg.AssetKey("something")) is not None
