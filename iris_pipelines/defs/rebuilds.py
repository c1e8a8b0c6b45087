"""Rebuild windows of the models that stand on the event log: what partition runs and `iris refresh` have in common."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.staleness import (
    EVENT_LOG,
    Consumer,
    Grain,
    consumers_with_stale_campaigns,
    hand_out_touched_hours,
    plan_stale,
    register_consumers,
    request_rebuild,
)
from iris_pipelines.defs.dbt import DbtBuild, DbtProject
from iris_pipelines.domain.windows import Window, closed_before
from iris_pipelines.exports.archive import restore


@dataclass(frozen=True)
class Model:
    """A dbt model of which a run replaces parts: windows, or campaigns."""

    name: str
    relation: str
    """`schema.table`; the consumer's name in the ledger."""
    consumer: Consumer

    @property
    def grain(self) -> Grain:
        """What is replaced at a time."""
        return self.consumer.grain


@dataclass(frozen=True)
class RebuildPlan:
    """Models of one grain that need the same windows; those of campaigns know themselves which are stale."""

    grain: Grain
    models: tuple[Model, ...]
    windows: tuple[Window, ...]
    every_campaign: bool = False
    """Whether models of campaigns compute all of them anew."""


@dataclass(frozen=True)
class RebuiltModel:
    """How many rows a model got in how many windows, or for how many campaigns."""

    parts: int
    rows: int


@dataclass(frozen=True)
class Rebuild:
    """What a rebuild did."""

    rebuild_id: UUID
    plan: RebuildPlan
    build: DbtBuild
    seconds: float
    rebuilt: Mapping[str, RebuiltModel]
    """By relation."""


def rebuilt_models(manifest: Mapping[str, Any]) -> list[Model]:
    """The models of the project that are tables, each with what it stands on."""
    return [
        Model(node["name"], _relation(node), _consumer(manifest, node))
        for node in manifest["nodes"].values()
        if _is_rebuilt(node)
    ]


def _is_rebuilt(node: Mapping[str, Any]) -> bool:
    return node["resource_type"] == "model" and node["config"]["materialized"] in ("windowed", "by_campaign")


def _relation(node: Mapping[str, Any]) -> str:
    return f"{node['schema']}.{node['alias']}"


def _consumer(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> Consumer:
    meta = node["config"]["meta"]
    if node["config"]["materialized"] == "by_campaign":
        grain = Grain.CAMPAIGN
    elif "reach_days" in meta:
        grain = Grain.CLOSED_DAY
    else:
        grain = Grain(meta["grain"])
    return Consumer(grain, tuple(sorted(_inputs(manifest, node))), meta.get("reach_days", 0))


# The sources that tell those who read them what became stale: hours, or campaigns whose name or variants changed.
_TELLING_SOURCES = {EVENT_LOG, "iris.campaigns", "iris.messages"}


def _inputs(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> set[str]:
    """What makes a model stale: the tables that it reads, also through views, as far as they tell when they change."""
    found: set[str] = set()
    for parent_id in node["depends_on"]["nodes"]:
        if parent_id in manifest["sources"]:
            found |= {_source_relation(manifest["sources"][parent_id])} & _TELLING_SOURCES
        elif _is_rebuilt(parent := manifest["nodes"][parent_id]):
            found.add(_relation(parent))
        else:
            found |= _inputs(manifest, parent)
    return found


def _source_relation(source: Mapping[str, Any]) -> str:
    return f"{source['schema']}.{source['name']}"


def plan_rebuilds(db: Database, models: Sequence[Model], *, now: datetime) -> list[RebuildPlan]:
    """What is stale now, hours before days, both before what stands on them; models with the same windows go together.

    What stands on a table becomes stale when that is rebuilt, so there may be more to plan after these.
    """
    register_consumers(db, {model.relation: model.consumer for model in models})
    by_relation = {model.relation: model for model in models}
    together: defaultdict[tuple[Grain, tuple[Window, ...]], list[Model]] = defaultdict(list)
    for stale in plan_stale(db, now=now):
        # A consumer of another release or of an export is somebody else's to serve.
        model, windows = by_relation.get(stale.consumer), stale.windows(now=now)
        if model is not None and windows:
            together[stale.grain, tuple(windows)].append(model)
    for consumer in sorted(consumers_with_stale_campaigns(db)):
        if (model := by_relation.get(consumer)) is not None:
            together[Grain.CAMPAIGN, ()].append(model)
    planned = {model for found in together.values() for model in found}
    for missing in _missing_tables(db, models):
        if missing not in planned:
            together[missing.grain, ()].append(missing)
            planned.add(missing)
    plans = [
        RebuildPlan(grain, _with_dependents(ready, models), windows)
        for (grain, windows), found in together.items()
        if (ready := [model for model in found if not _waits_for_others(model, found, planned)])
    ]
    return sorted(plans, key=lambda plan: list(Grain).index(plan.grain))


def _waits_for_others(model: Model, together: Sequence[Model], planned: Collection[Model]) -> bool:
    """Whether it stands on a model of its grain of which other windows are rebuilt first; there is a next round."""
    first = {each.relation for each in planned if each.grain is model.grain and each not in together}
    return not first.isdisjoint(model.consumer.inputs)


def _with_dependents(planned: Sequence[Model], models: Sequence[Model]) -> tuple[Model, ...]:
    """The models and those of the same grain on top of them, which need the same windows as soon as these are done."""
    found = list(planned)
    for model in models:
        stands_on_them = {each.relation for each in found} & set(model.consumer.inputs)
        if model not in found and model.grain is found[0].grain and stands_on_them:
            return _with_dependents([*found, model], models)
    return tuple(sorted(found, key=lambda model: model.relation))


def _missing_tables(db: Database, models: Sequence[Model]) -> list[Model]:
    """Models without a table: it must be there, if empty, also before the first event."""
    with db.transaction() as connection:
        missing = {name for (name,) in queries().missing_relations(connection, names=[m.relation for m in models])}
    return [model for model in models if model.relation in missing]


def closed_part(window: Window, *, now: datetime) -> tuple[Window, ...]:
    """What of a window can be built: nothing beyond the last closed hour."""
    end = min(window.end, closed_before(now))
    return (Window(window.start, end),) if window.start < end else ()


def rebuild(db: Database, dbt: DbtProject, plan: RebuildPlan, *, requested_by: str | None = None) -> Rebuild:
    """Replace the windows in the models, one transaction a window, and run their tests.

    Models that read events need them: those of archived days are restored first.
    """
    if any(EVENT_LOG in model.consumer.inputs for model in plan.models):
        for window in plan.windows:
            restore(db, os.environ, window)
    names = [model.name for model in plan.models]
    _build_outdated_views(db, dbt, _views_under(dbt.manifest(), names))
    register_consumers(db, {model.relation: model.consumer for model in plan.models})
    with db.transaction() as connection:
        # What is known to be touched by now is made good by this rebuild: it must not be asked for again.
        hand_out_touched_hours(connection)
        rebuild_id = request_rebuild(connection, plan.windows, requested_by=requested_by)
    started = time.monotonic()
    build = dbt.build(db.url, names, rebuild_id=rebuild_id, every_campaign=plan.every_campaign)
    seconds = time.monotonic() - started
    with db.transaction() as connection:
        rebuilt = {
            relation: RebuiltModel(windows + campaigns, rows)
            for relation, windows, campaigns, rows in queries().rebuilt_rows(connection, rebuild_ids=[rebuild_id])
        }
    if not build.failures and not _missing_tables(db, rebuilt_models(dbt.manifest())):
        _build_outdated_views(db, dbt)
    return Rebuild(rebuild_id, plan, build, seconds, rebuilt)


def rebuild_everything_stale(
    db: Database, dbt: DbtProject, *, now: datetime, requested_by: str | None = None
) -> Iterator[Rebuild]:
    """Rebuild until nothing is stale; stops after the first rebuild that fails, whose failures are not raised."""
    models = rebuilt_models(dbt.manifest())
    # What stands on a table is stale after that, and so on: there are no more rounds than models on top of each other.
    for _ in models:
        plans = plan_rebuilds(db, models, now=now)
        for plan in plans:
            done = rebuild(db, dbt, plan, requested_by=requested_by)
            yield done
            if done.build.failures:
                return
        if not plans:
            return


def build_views(db: Database, dbt: DbtProject, names: Collection[str] | None = None) -> DbtBuild:
    """Make every view and every table, if empty; or the views of these names and the tables that they read."""
    manifest = dbt.manifest()
    views = [view for view in _views(manifest) if names is None or view.name in names]
    read = None if names is None else _tables_under(manifest, names)
    missing = _missing_tables(db, [each for each in rebuilt_models(manifest) if read is None or each.name in read])
    for grain in Grain:
        if of_grain := tuple(model for model in missing if model.grain is grain):
            rebuild(db, dbt, RebuildPlan(grain, of_grain, ())).build.raise_failures()
    build = dbt.build(db.url, [view.name for view in views], command="run")
    build.raise_failures()
    with db.transaction() as connection:
        for view in views:
            queries().note_built_view(connection, relation=view.relation, checksum=view.checksum)
    return build


def _build_outdated_views(db: Database, dbt: DbtProject, among: Collection[str] | None = None) -> None:
    """Make the views, all or among these names, where one is missing or its file has changed.

    dbt replaces a view by dropping it with everything on top of it, so this is not done at every run.
    """
    with db.transaction() as connection:
        built = dict(queries().built_views(connection))
    views = [view for view in _views(dbt.manifest()) if among is None or view.name in among]
    outdated = {view.name for view in views if built.get(view.relation) != view.checksum}
    if outdated:
        build_views(db, dbt, outdated)


@dataclass(frozen=True)
class _View:
    name: str
    relation: str
    checksum: str


def _views(manifest: Mapping[str, Any]) -> Iterator[_View]:
    for node in manifest["nodes"].values():
        if _is_view(node):
            yield _View(node["name"], _relation(node), node["checksum"]["checksum"])


def _is_view(node: Mapping[str, Any]) -> bool:
    return bool(node["resource_type"] == "model" and node["config"]["materialized"] == "view")


def _views_under(manifest: Mapping[str, Any], names: Collection[str]) -> set[str]:
    """The views that these models read, also through other views."""
    read = {node["name"] for node in _read_by(manifest, names) if _is_view(node)}
    return read | _views_under(manifest, read) if read else read


def _tables_under(manifest: Mapping[str, Any], names: Collection[str]) -> set[str]:
    """The tables that these views read, also through other views."""
    through = {*names, *_views_under(manifest, names)}
    return {node["name"] for node in _read_by(manifest, through) if _is_rebuilt(node)}


def _read_by(manifest: Mapping[str, Any], names: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """The models that these models read."""
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["name"] in names:
            yield from (manifest["nodes"][each] for each in node["depends_on"]["nodes"] if each in manifest["nodes"])
