"""Rebuild windows of the models that stand on the event log: what partition runs and `iris refresh` have in common."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.staleness import (
    Grain,
    hand_out_touched_hours,
    plan_stale,
    register_consumers,
    request_rebuild,
)
from iris_pipelines.defs.dbt import DbtBuild, DbtProject
from iris_pipelines.domain.windows import Window, closed_before


@dataclass(frozen=True)
class WindowedModel:
    """A dbt model that is rebuilt window by window."""

    name: str
    relation: str
    """`schema.table`; the consumer's name in the ledger."""
    grain: Grain


@dataclass(frozen=True)
class RebuildPlan:
    """Models of one grain that need the same windows."""

    grain: Grain
    models: tuple[WindowedModel, ...]
    windows: tuple[Window, ...]


@dataclass(frozen=True)
class RebuiltModel:
    """How many rows a model got in how many windows."""

    windows: int
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


def windowed_models(manifest: Mapping[str, Any]) -> list[WindowedModel]:
    """The models of the project that stand on the event log."""
    return [
        WindowedModel(node["name"], f"{node['schema']}.{node['alias']}", Grain(node["config"]["meta"]["grain"]))
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] == "windowed"
    ]


def plan_rebuilds(db: Database, models: Sequence[WindowedModel], *, now: datetime) -> list[RebuildPlan]:
    """What is stale now, hours before days; models of a grain with the same windows go together."""
    register_consumers(db, {model.relation: model.grain for model in models})
    by_relation = {model.relation: model for model in models}
    together: defaultdict[tuple[Grain, tuple[Window, ...]], list[WindowedModel]] = defaultdict(list)
    for stale in plan_stale(db, now=now):
        # A consumer of another release or of an export is somebody else's to serve.
        if (model := by_relation.get(stale.consumer)) is not None:
            together[stale.grain, tuple(stale.windows(now=now))].append(model)
    planned = {model for found in together.values() for model in found}
    for missing in _missing_tables(db, models):
        if missing not in planned:
            together[missing.grain, ()].append(missing)
    plans = [RebuildPlan(grain, tuple(found), windows) for (grain, windows), found in together.items()]
    return sorted(plans, key=lambda plan: plan.grain is Grain.DAY)


def _missing_tables(db: Database, models: Sequence[WindowedModel]) -> list[WindowedModel]:
    """Models without a table: it must be there, if empty, also before the first event."""
    with db.transaction() as connection:
        missing = {name for (name,) in queries().missing_relations(connection, names=[m.relation for m in models])}
    return [model for model in models if model.relation in missing]


def closed_part(window: Window, *, now: datetime) -> tuple[Window, ...]:
    """What of a window can be built: nothing beyond the last closed hour."""
    end = min(window.end, closed_before(now))
    return (Window(window.start, end),) if window.start < end else ()


def rebuild(db: Database, dbt: DbtProject, plan: RebuildPlan, *, requested_by: str | None = None) -> Rebuild:
    """Replace the windows in the models, one transaction a window, and run their tests."""
    _build_outdated_views(db, dbt)
    register_consumers(db, {model.relation: model.grain for model in plan.models})
    with db.transaction() as connection:
        # What is known to be touched by now is made good by this rebuild: it must not be asked for again.
        hand_out_touched_hours(connection)
        rebuild_id = request_rebuild(connection, plan.windows, requested_by=requested_by)
    started = time.monotonic()
    build = dbt.build(db.url, [model.name for model in plan.models], rebuild_id=rebuild_id)
    seconds = time.monotonic() - started
    rebuilt: defaultdict[str, RebuiltModel] = defaultdict(lambda: RebuiltModel(0, 0))
    with db.transaction() as connection:
        for relation, windows, rows in queries().rebuilt_rows(connection, rebuild_id=rebuild_id):
            rebuilt[relation] = RebuiltModel(windows, rows)
    return Rebuild(rebuild_id, plan, build, seconds, rebuilt)


def build_views(db: Database, dbt: DbtProject) -> DbtBuild:
    """Make every view that the models read."""
    wanted = dict(_views(dbt.manifest()))
    build = dbt.build(db.url, ["config.materialized:view"], command="run")
    build.raise_failures()
    with db.transaction() as connection:
        for relation, checksum in wanted.items():
            queries().note_built_view(connection, relation=relation, checksum=checksum)
    return build


def _build_outdated_views(db: Database, dbt: DbtProject) -> None:
    """Make the views where one is missing or its file has changed.

    dbt replaces a view by dropping it with everything on top of it, so this is not done at every run.
    """
    with db.transaction() as connection:
        built = dict(queries().built_views(connection))
    if any(built.get(relation) != checksum for relation, checksum in _views(dbt.manifest())):
        build_views(db, dbt)


def _views(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for node in manifest["nodes"].values():
        if node["resource_type"] == "model" and node["config"]["materialized"] == "view":
            yield f"{node['schema']}.{node['alias']}", node["checksum"]["checksum"]
