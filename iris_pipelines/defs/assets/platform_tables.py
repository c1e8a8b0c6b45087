"""Tables of the platform that models read beside the events: written by others, never materialized."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from iris_pipelines.defs.assets.event_log import EVENT_LOG
from iris_pipelines.defs.assets.machines import MACHINE_VERDICTS, USER_AGENTS


def platform_tables(manifest: Mapping[str, Any]) -> list[dg.AssetSpec]:
    """dbt's sources, but for those that are assets by themselves."""
    assets = {EVENT_LOG, USER_AGENTS, MACHINE_VERDICTS}
    sources = {dg.AssetKey([each["schema"], each["name"]]): each for each in manifest["sources"].values()}
    return [
        dg.AssetSpec(
            key,
            group_name="iris",
            owners=["team:data"],
            kinds={"postgres"},
            description=source["description"],
            metadata={"dagster/table_name": ".".join(key.path)},
        )
        for key, source in sources.items()
        if key not in assets
    ]
