"""Tables of the platform that dbt reads and nothing here makes: written by its services and by commands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import dagster as dg

from iris_pipelines.defs.assets.rollups import TRANSLATOR


def platform_tables(manifest: Mapping[str, Any], *, known: Collection[dg.AssetKey]) -> list[dg.AssetSpec]:
    """An asset for each source of the dbt project but those that are known already."""
    keys = {TRANSLATOR.get_asset_key(source): source for source in manifest["sources"].values()}
    return [
        dg.AssetSpec(
            key,
            group_name=source["source_name"],
            owners=["team:data"],
            kinds={"postgres"},
            description=source["description"],
            metadata={"dagster/table_name": ".".join(key.path)},
        )
        for key, source in keys.items()
        if key not in known
    ]
