"""Dagster never forgets a run by itself: old ones are deleted, but for those that its view of the assets stands on."""

from datetime import datetime, timedelta

import dagster as dg

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_ABOUT_ASSETS = {
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_OBSERVATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}
# Runs that are kept are not looked at every night for ever.
_LOOK_BACK = timedelta(days=60)


def forget_old_runs(instance: dg.DagsterInstance, *, before: datetime) -> int:
    """Delete runs that were made before an instant, have ended, and told nothing about assets; returns how many.

    Partitions of assets would look missing without the runs that made them.
    """
    filters = dg.RunsFilter(statuses=_FINISHED, created_before=before, created_after=before - _LOOK_BACK)
    runs = [record.dagster_run.run_id for record in instance.get_run_records(filters)]
    forgotten = [run_id for run_id in runs if not instance.all_logs(run_id, of_type=_ABOUT_ASSETS)]
    for run_id in forgotten:
        instance.delete_run(run_id)
    return len(forgotten)
