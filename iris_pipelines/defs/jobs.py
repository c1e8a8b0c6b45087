"""Jobs: what schedules and sensors ask for, and what `iris refresh` and `iris backfill` run."""

from __future__ import annotations

import dagster as dg

from iris_pipelines.defs.assets.baselines import DELIVERY_BASELINES
from iris_pipelines.defs.assets.contacts import CONTACTS
from iris_pipelines.defs.assets.exports import EXPORT_KEYS, FILE_KEYS
from iris_pipelines.defs.assets.machines import MACHINE_VERDICTS, USER_AGENTS
from iris_pipelines.defs.assets.reports import REPORT_KEYS
from iris_pipelines.defs.assets.warehouse import MARTS
from iris_pipelines.defs.ops import (
    archive_expired_days,
    erase_one_contact,
    export_stale_days,
    forget_alerts,
    forget_run_history,
    ingest_landing_files,
    maintain_event_partitions,
    rebuild_stale_windows,
)
from iris_pipelines.exports.bigquery import EXPORT as BIGQUERY

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


@dg.job(tags=_MAX_RUNTIME)
def stale_exports_job() -> None:
    """Export the days again that changed after they were exported."""
    export_stale_days()


@dg.job(tags=_MAX_RUNTIME)
def archive_job() -> None:
    """What is past its retention: days of events to the archive, and the runs and alerts of long ago."""
    archive_expired_days()
    forget_run_history()
    forget_alerts()


@dg.job(tags=_MAX_RUNTIME)
def erasure_job() -> None:
    """Erase a contact from events, messages, contacts, rejected events, archives and exports."""
    erase_one_contact()


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

contact_scores_job = dg.define_asset_job("contact_scores_job", dg.AssetSelection.assets(CONTACTS), tags=_MAX_RUNTIME)
"""Engagement scores, written back to the contacts. A rebuild of what is stale does it by itself."""

due_reports_job = dg.define_asset_job(
    "due_reports_job", dg.AssetSelection.assets(*REPORT_KEYS.values()), tags=_MAX_RUNTIME
)
"""The recurring reports that are due, in one run, with their mails."""

daily_exports_job = dg.define_asset_job("daily_exports_job", dg.AssetSelection.assets(*FILE_KEYS), tags=_MAX_RUNTIME)
"""The files of days, with the check that compares them with the event log."""

daily_warehouse_job = dg.define_asset_job(
    "daily_warehouse_job", dg.AssetSelection.assets(EXPORT_KEYS[BIGQUERY]), tags=_MAX_RUNTIME
)
"""Days of the event log in BigQuery, with the check that compares them with the event log."""

warehouse_marts_job = dg.define_asset_job("warehouse_marts_job", dg.AssetSelection.assets(MARTS), tags=_MAX_RUNTIME)
"""The marts in BigQuery."""

delivery_baselines_job = dg.define_asset_job(
    "delivery_baselines_job", dg.AssetSelection.assets(DELIVERY_BASELINES), tags=_MAX_RUNTIME
)
"""What is normal, as of days that are over."""
