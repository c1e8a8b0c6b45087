"""Ops: work that is no asset of its own, because it concerns any set of partitions or the world outside."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import dagster as dg

from iris_pipelines.alerting.retention import forget_old_alerts
from iris_pipelines.analytics.recount import recount
from iris_pipelines.db.contact_scores import write_contact_scores
from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.event_partitions import compact_primary_keys, maintain_partitions
from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs.announcements import announce
from iris_pipelines.defs.assets import contacts
from iris_pipelines.defs.assets.archive import archived_announcement
from iris_pipelines.defs.assets.event_log import EVENT_LOG
from iris_pipelines.defs.assets.exports import EXPORT_KEYS, announcement
from iris_pipelines.defs.assets.machines import announcements
from iris_pipelines.defs.assets.rollups import dagster_events
from iris_pipelines.defs.checks import NAMES, ROLLUPS, recount_metadata
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.export_checks import NAME as EXPORT_CHECK
from iris_pipelines.defs.export_checks import compared_metadata, is_equal
from iris_pipelines.defs.plots import plots_of
from iris_pipelines.defs.rebuild_metadata import rebuild_metadata, rebuild_plot
from iris_pipelines.defs.rebuilds import Rebuild, RebuildPlan, rebuild_everything_stale
from iris_pipelines.defs.resources import Archive, Clock, DatabaseResource, LandingZone, WarehouseResource
from iris_pipelines.defs.run_history import forget_old_runs
from iris_pipelines.domain.windows import HOUR
from iris_pipelines.exports.archive import DayInUse, archive_day, restore_days, restore_stale
from iris_pipelines.exports.erasure import erase_contact, finish_erasures
from iris_pipelines.exports.events import SETTLING, Destination
from iris_pipelines.exports.retention import plan_retention
from iris_pipelines.exports.targets import Target, targets
from iris_pipelines.ingestion.machines.verdicts import judge_stale_machines

_KEEP_REBUILDS = timedelta(days=30)


@dg.op
def rebuild_stale_windows(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[DatabaseResource],
    dbt: dg.ResourceParam[DbtProject],
    exports: dg.ResourceParam[Destination],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Rebuild exactly what no longer equals the event log: the hours that were touched, and their days."""
    now = clock.now()
    db = database.get()
    # First: a late event of an archived day is judged and counted with its neighbours.
    restore_stale(db, exports.environment)
    # Then: what the verdicts change is among what is rebuilt.
    announce(context, announcements(judge_stale_machines(db, now=now)))
    for done in rebuild_everything_stale(db, dbt, now=now, requested_by=context.run_id):
        plan = done.plan
        if plan.grain is Grain.HOUR:
            announce(context, [dg.AssetMaterialization(EVENT_LOG, partition=key) for key in _partition_keys(plan)])
        sent, plots = rebuild_plot(db, done), plots_of(db, done.rebuilt)
        for event in dagster_events(done.build, dbt, context):
            if isinstance(event, dg.AssetMaterialization):
                plot = {**sent, **plots.pop(".".join(event.asset_key.path), {})}
                announce(context, _materializations(event, done, plot))
            else:
                _log(context, event)
        # The views on what was rebuilt show it too: they are as new as that.
        views = [dg.AssetMaterialization(view.split("."), metadata=plot) for view, plot in plots.items()]
        announce(context, views)
        done.build.raise_failures()
        if plan.grain in ROLLUPS and ".".join(ROLLUPS[plan.grain].path) in {each.relation for each in plan.models}:
            _check(context, db, plan)
    announce(context, contacts.announcements(write_contact_scores(db, now=now)))


@dg.op
def ingest_landing_files(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[DatabaseResource],
    landing_zone: dg.ResourceParam[LandingZone],
    history_start: dg.ResourceParam[date],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Load every event file that is new in the landing zone, each once."""
    from iris_pipelines.ingestion.landing import ingest_new_landing_files

    if landing_zone.url is None:
        raise dg.Failure("IRIS_LANDING_URL is not set: there is no landing zone to look at", allow_retries=False)
    for result in ingest_new_landing_files(
        database.get(),
        landing_zone.url,
        environment=landing_zone.environment,
        now=clock.now(),
        history_start=history_start,
        restore_days=lambda db, days: restore_days(db, landing_zone.environment, days),
    ):
        context.log.info(str(result))


@dg.op
def maintain_event_partitions(
    context: dg.OpExecutionContext, database: dg.ResourceParam[DatabaseResource], clock: dg.ResourceParam[Clock]
) -> None:
    """Make the partitions of the next days, compact those of closed days, and forget rebuilds of long ago."""
    db = database.get()
    made = maintain_partitions(db, now=clock.now())
    with db.transaction() as connection:
        queries().forget_rebuilds(connection, before=clock.now() - _KEEP_REBUILDS)
    compacted = compact_primary_keys(db, now=clock.now())
    context.log.info(f"made {len(made)} partitions, compacted the primary keys of {len(compacted)}")


@dg.op
def export_stale_days(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[DatabaseResource],
    exports: dg.ResourceParam[Destination],
    warehouse: dg.ResourceParam[WarehouseResource],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Export the days again that late, corrected or erased events changed after they were exported."""
    db = database.get()
    for target in targets(exports, warehouse.warehouse):
        days = target.due(db, now=clock.now() - SETTLING)
        for day in days:
            announce(context, [announcement(target.write(db, day))])
        if days:
            _check_exports(context, db, target, days)


@dg.op
def archive_expired_days(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[DatabaseResource],
    archive: dg.ResourceParam[Archive],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Archive the days that are past their retention; one whose events are in use is left for the next time.

    Erasures that were killed are finished first: what they left must not go into the archive.
    """
    db = database.get()
    for receipt in finish_erasures(db, archive.environment):
        context.log.info(f"finished the erasure {receipt.erasure_id}")
    for planned in plan_retention(db, default_days=archive.retention_days, now=clock.now()):
        try:
            files = archive_day(db, archive.url, archive.environment, planned.date, planned.events)
        except DayInUse as reason:
            context.log.warning(str(reason))
            continue
        announce(context, [archived_announcement(planned.date, files)])


@dg.op
def forget_run_history(
    context: dg.OpExecutionContext, run_retention_days: dg.ResourceParam[int], clock: dg.ResourceParam[Clock]
) -> None:
    """Delete Dagster's runs of long ago."""
    before = clock.now() - timedelta(days=run_retention_days)
    context.log.info(f"deleted {forget_old_runs(context.instance, before=before)} runs made before {before:%Y-%m-%d}")


@dg.op
def forget_alerts(
    context: dg.OpExecutionContext,
    database: dg.ResourceParam[DatabaseResource],
    alert_retention_days: dg.ResourceParam[int],
    clock: dg.ResourceParam[Clock],
) -> None:
    """Delete the alerts of long ago that are over, and the messages that were delivered; what waits stays."""
    gone = forget_old_alerts(database.get(), before=clock.now() - timedelta(days=alert_retention_days))
    context.log.info(f"deleted {gone.messages} messages, {gone.incidents} alerts and {gone.silences} silences")


class ErasureConfig(dg.Config):
    """Whom to erase."""

    tenant_id: str
    contact_id: str


@dg.op
def erase_one_contact(
    context: dg.OpExecutionContext,
    config: ErasureConfig,
    database: dg.ResourceParam[DatabaseResource],
    archive: dg.ResourceParam[Archive],
) -> None:
    """Erase a contact; what was built from its events is rebuilt by the sensor, with the same numbers."""
    names = UUID(config.tenant_id), UUID(config.contact_id)
    receipt = erase_contact(database.get(), archive.environment, *names)
    context.log.info(f"receipt {receipt.erasure_id}: {dict(receipt.touched)}")
    context.add_output_metadata({"erasure_id": str(receipt.erasure_id), "days": len(receipt.days)})


def _check_exports(context: dg.OpExecutionContext, db: Database, target: Target, days: Sequence[date]) -> None:
    compared = target.compare(db, days)
    passed = is_equal(compared)
    key = EXPORT_KEYS[target.export]
    _log(
        context,
        dg.AssetCheckEvaluation(
            asset_key=key,
            check_name=EXPORT_CHECK,
            passed=passed,
            metadata=compared_metadata(compared),
            blocking=True,
        ),
    )
    if not passed:
        raise dg.Failure(f"{key.to_user_string()} differs from the event log")


def _check(context: dg.OpExecutionContext, db: Database, plan: RebuildPlan) -> None:
    """Recount what was rebuilt; a difference is reported as the failed check that it is, and fails the run."""
    found = recount(db, plan.grain, plan.windows)
    passed = found.differences == 0
    _log(
        context,
        dg.AssetCheckEvaluation(
            asset_key=ROLLUPS[plan.grain],
            check_name=NAMES[plan.grain],
            passed=passed,
            metadata=recount_metadata(found, plan.windows),
            blocking=True,
        ),
    )
    if not passed:
        raise dg.Failure(f"{found.differences} groups of {ROLLUPS[plan.grain].to_user_string()} differ from the events")


def _log(context: dg.OpExecutionContext, event: dg.AssetCheckEvaluation | dg.AssetObservation) -> None:
    # It takes the results of checks too; only its annotation does not say so.
    context.log_event(event)  # type: ignore[arg-type]


def _materializations(
    built: dg.AssetMaterialization, rebuild: Rebuild, plot: Mapping[str, Any]
) -> list[dg.AssetMaterialization]:
    """One for each partition of the rebuild, the last one with the plot; one in all for models of campaigns."""
    metadata = {**built.metadata, **rebuild_metadata(rebuild, ".".join(built.asset_key.path))}
    if rebuild.plan.grain is Grain.CAMPAIGN:
        return [dg.AssetMaterialization(built.asset_key, metadata={**metadata, **plot})]
    keys = _partition_keys(rebuild.plan)
    return [
        dg.AssetMaterialization(
            built.asset_key, partition=key, metadata={**metadata, **(plot if key == keys[-1] else {})}
        )
        for key in keys
    ]


def _partition_keys(plan: RebuildPlan) -> list[str]:
    if plan.grain is Grain.HOUR:
        return [f"{hour:%Y-%m-%d-%H:%M}" for hour in _hours(plan)]
    return [f"{window.start:%Y-%m-%d}" for window in plan.windows]


def _hours(plan: RebuildPlan) -> list[datetime]:
    return [hour.start for window in plan.windows for hour in window.split(HOUR)]
