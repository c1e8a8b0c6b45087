"""Jobs: what schedules and sensors ask for, and what `iris refresh` and `iris backfill` run."""

from __future__ import annotations

import dagster as dg

from iris_pipelines.defs.assets.baselines import DELIVERY_BASELINES
from iris_pipelines.defs.assets.machines import MACHINE_VERDICTS, USER_AGENTS
from iris_pipelines.defs.ops import ingest_landing_files, maintain_event_partitions, rebuild_stale_windows

# A run that hangs would hold back every rebuild after it: run monitoring ends it.
_MAX_RUNTIME = {"dagster/max_runtime": str(4 * 3600)}


@dg.job(tags=_MAX_RUNTIME)
def stale_windows_job() -> None:
    """Rebuild what late, corrected or erased events made stale, and the hours that have just closed."""
    rebuild_stale_windows()


@dg.job(tags=_MAX_RUNTIME)
def landing_files_job() -> None:
    """Load the event files that are new in the landing zone."""
    ingest_landing_files()


@dg.job(tags=_MAX_RUNTIME)
def event_partitions_job() -> None:
    """Keep the event log's daily partitions ahead of the clock."""
    maintain_event_partitions()


hourly_rollups_job = dg.define_asset_job("hourly_rollups_job", dg.AssetSelection.tag("hourly", ""), tags=_MAX_RUNTIME)
"""Every model rebuilt by hour, with its checks."""

daily_rollups_job = dg.define_asset_job("daily_rollups_job", dg.AssetSelection.tag("daily", ""), tags=_MAX_RUNTIME)
"""Every model rebuilt by day, with its checks."""

trailing_marts_job = dg.define_asset_job("trailing_marts_job", dg.AssetSelection.tag("as_of", ""), tags=_MAX_RUNTIME)
"""Every model as of a day that is over: rankings, scores."""

campaign_marts_job = dg.define_asset_job(
    "campaign_marts_job", dg.AssetSelection.tag("by_campaign", ""), tags=_MAX_RUNTIME
)
"""Every model rebuilt campaign by campaign."""

_MODELS = dg.AssetSelection.key_prefixes("analytics_staging", "analytics_intermediate", "analytics")
_TABLES = (
    dg.AssetSelection.tag("hourly", "")
    | dg.AssetSelection.tag("daily", "")
    | dg.AssetSelection.tag("as_of", "")
    | dg.AssetSelection.tag("by_campaign", "")
)
views_job = dg.define_asset_job("views_job", _MODELS - _TABLES, tags=_MAX_RUNTIME)
"""Every view. A rebuild makes those that are missing or have changed by itself."""

machine_verdicts_job = dg.define_asset_job(
    "machine_verdicts_job", dg.AssetSelection.assets(MACHINE_VERDICTS), tags=_MAX_RUNTIME
)
"""The opens and clicks of days, judged by the present rules."""

user_agents_job = dg.define_asset_job("user_agents_job", dg.AssetSelection.assets(USER_AGENTS), tags=_MAX_RUNTIME)
"""User agents that are new, or that an older release of the parser has described."""

delivery_baselines_job = dg.define_asset_job(
    "delivery_baselines_job", dg.AssetSelection.assets(DELIVERY_BASELINES), tags=_MAX_RUNTIME
)
"""What is normal, as of days that are over."""
