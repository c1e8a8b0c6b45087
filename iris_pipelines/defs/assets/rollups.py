"""dbt models as assets, a definition per cadence: by hour, by day, as of a day that is over, by campaign; and views."""

import warnings
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, dbt_assets
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage
from pydantic import Field

from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs.column_lineage import ColumnSources, column_lineage_metadata, read_column_lineage
from iris_pipelines.defs.dbt import PROJECT_FOLDER, DbtBuild, DbtProject
from iris_pipelines.defs.plots import plots_of
from iris_pipelines.defs.rebuild_metadata import rebuild_metadata, rebuild_plot
from iris_pipelines.defs.rebuilds import Model, RebuildPlan, build_views, closed_part, rebuild, rebuilt_models
from iris_pipelines.defs.resources import Clock, DatabaseResource
from iris_pipelines.domain.windows import Window

# How old the newest rows may be, by the tag that says when a model is rebuilt: warned of, and failed. Campaigns are
# rebuilt when something happened to them, and views are never stale: these have no such policy.
_FRESHNESS = {
    "hourly": dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=2), fail_window=timedelta(hours=4)),
    "daily": dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=30)),
    "as_of": dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=30)),
}


class IrisDbtTranslator(DagsterDbtTranslator):
    """Asset keys say where the rows are: `[schema, relation]`. A mart's group is its dbt folder."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """`[schema, relation]` for a model, what its meta says for a source."""
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["alias"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The innermost folder."""
        return str(dbt_resource_props["fqn"][-2])

    def get_tags(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, str]:
        """Those of the model, and its layer, to filter by: staging, intermediate or marts."""
        return {**super().get_tags(dbt_resource_props), "iris/layer": str(dbt_resource_props["fqn"][1])}

    def get_partition_mapping(
        self, dbt_resource_props: Mapping[str, Any], dbt_parent_resource_props: Mapping[str, Any]
    ) -> dg.PartitionMapping | None:
        """A row over trailing days depends on all of them."""
        reach = _meta(dbt_resource_props).get("reach_days")
        if reach and "reach_days" not in _meta(dbt_parent_resource_props):
            return dg.TimeWindowPartitionMapping(start_offset=-reach)
        return None

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """The team that keeps the models."""
        return ["team:data"]


def _meta(dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
    meta: Mapping[str, Any] = dbt_resource_props["config"].get("meta", {})
    return meta


TRANSLATOR = IrisDbtTranslator()


class CampaignModelsConfig(dg.Config):
    """What a run of the models of campaigns replaces; the rebuild of what is stale has no need of such a run."""

    only_stale: bool = Field(
        default=False,
        description="Leave alone the campaigns that are up to date, instead of computing all of them anew.",
    )


def rollup_assets(
    manifest: Mapping[str, Any],
    hourly: dg.HourlyPartitionsDefinition,
    daily: dg.DailyPartitionsDefinition,
    closed_days: dg.DailyPartitionsDefinition,
) -> list[dg.AssetsDefinition]:
    """The dbt models: those rebuilt by hour, by day, as of a day that is over, by campaign, and the views."""

    @dbt_assets(
        manifest=manifest,
        select="tag:by_campaign",
        name="campaign_models",
        dagster_dbt_translator=TRANSLATOR,
    )
    def campaign_models(
        context: dg.AssetExecutionContext,
        config: CampaignModelsConfig,
        database: dg.ResourceParam[DatabaseResource],
        dbt: dg.ResourceParam[DbtProject],
    ) -> Iterator[Any]:
        models = _selected_models(context, dbt)
        plan = RebuildPlan(Grain.CAMPAIGN, models, (), every_campaign=not config.only_stale)
        yield from _rebuild(context, plan, database, dbt)

    @dbt_assets(
        manifest=manifest,
        exclude="tag:hourly tag:daily tag:as_of tag:by_campaign",
        name="views",
        dagster_dbt_translator=TRANSLATOR,
    )
    def views(
        context: dg.AssetExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        dbt: dg.ResourceParam[DbtProject],
    ) -> Iterator[Any]:
        names = [node["name"] for node in _selected(context, dbt)]
        build = build_views(database.get(), dbt, names)
        plots = plots_of(database.get(), [".".join(key.path) for key in context.selected_asset_keys])
        for event in dagster_events(build, dbt, context):
            yield _with_plots(event, context, plots)

    models = (
        _partitioned_models(manifest, "hourly", "hourly_models", Grain.HOUR, hourly),
        _partitioned_models(manifest, "daily", "daily_models", Grain.DAY, daily),
        _partitioned_models(manifest, "as_of", "trailing_models", Grain.CLOSED_DAY, closed_days),
        campaign_models,
        views,
    )
    lineage = read_column_lineage()
    return [each.map_asset_specs(lambda spec: _with_facts(spec, manifest, lineage)) for each in models]


def _partitioned_models(
    manifest: Mapping[str, Any], tag: str, name: str, grain: Grain, partitions: dg.TimeWindowPartitionsDefinition
) -> dg.AssetsDefinition:
    """The models with a tag, of which a run rebuilds a range of partitions in one invocation of dbt."""

    @dbt_assets(
        manifest=manifest,
        select=f"tag:{tag}",
        name=name,
        partitions_def=partitions,
        dagster_dbt_translator=TRANSLATOR,
    )
    def models(
        context: dg.AssetExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        dbt: dg.ResourceParam[DbtProject],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Any]:
        asked = Window(*context.partition_time_window)
        plan = RebuildPlan(grain, _selected_models(context, dbt), closed_part(asked, now=clock.now()))
        yield from _rebuild(context, plan, database, dbt)

    return models


def _with_facts(spec: dg.AssetSpec, manifest: Mapping[str, Any], lineage: Mapping[str, ColumnSources]) -> dg.AssetSpec:
    """Beside what dagster-dbt says of a model: how fresh it has to be, its file, and what its columns come from."""
    model = manifest["nodes"][spec.metadata["dagster_dbt/unique_id"]]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Class `.*CodeReference", dg.BetaWarning)
        file = dg.LocalFileCodeReference(file_path=str(PROJECT_FOLDER / model["original_file_path"]))
        references = dg.CodeReferencesMetadataValue(code_references=[file])
    policies = [_FRESHNESS[tag] for tag in model["tags"] if tag in _FRESHNESS]
    columns = column_lineage_metadata(lineage.get(".".join(spec.key.path), {}))
    return spec.merge_attributes(metadata={"dagster/code_references": references, **columns}).replace_attributes(
        freshness_policy=policies[0] if policies else None
    )


def dagster_events(
    build: DbtBuild, dbt: DbtProject, context: dg.AssetExecutionContext | dg.OpExecutionContext
) -> Iterator[Any]:
    """What dbt reported, as dagster-dbt translates it: outputs or materializations of models, results of tests."""
    manifest = dbt.manifest()
    for raw in build.events:
        message = DbtCoreCliEventMessage(raw_event=dict(raw), event_history_metadata={})
        yield from message.to_default_asset_events(manifest, TRANSLATOR, context=context)


def _rebuild(
    context: dg.AssetExecutionContext, plan: RebuildPlan, database: DatabaseResource, dbt: DbtProject
) -> Iterator[Any]:
    done = rebuild(database.get(), dbt, plan, requested_by=context.run.run_id)
    sent = rebuild_plot(database.get(), done)
    plots = plots_of(database.get(), done.rebuilt)
    for event in dagster_events(done.build, dbt, context):
        if isinstance(event, dg.Output):
            key = context.asset_key_for_output(event.output_name)
            relation = ".".join(key.path)
            plot = {**sent, **plots.get(relation, {})}
            metadata = {**event.metadata, **rebuild_metadata(done, relation)}
            if plot and plan.grain is not Grain.CAMPAIGN:
                context.add_asset_metadata(plot, asset_key=key, partition_key=context.partition_key_range.end)
            else:
                metadata.update(plot)
            yield dg.Output(None, output_name=event.output_name, metadata=metadata)
        else:
            yield event
    done.build.raise_failures()


def _with_plots(event: Any, context: dg.AssetExecutionContext, plots: Mapping[str, Mapping[str, Any]]) -> Any:
    if not isinstance(event, dg.Output):
        return event
    relation = ".".join(context.asset_key_for_output(event.output_name).path)
    return dg.Output(None, output_name=event.output_name, metadata={**event.metadata, **plots.get(relation, {})})


def _selected_models(context: dg.AssetExecutionContext, dbt: DbtProject) -> tuple[Model, ...]:
    selected = {node["name"] for node in _selected(context, dbt)}
    return tuple(model for model in rebuilt_models(dbt.manifest()) if model.name in selected)


def _selected(context: dg.AssetExecutionContext, dbt: DbtProject) -> list[Mapping[str, Any]]:
    keys = context.selected_asset_keys
    models = (node for node in dbt.manifest()["nodes"].values() if node["resource_type"] == "model")
    return [node for node in models if TRANSLATOR.get_asset_key(node) in keys]
