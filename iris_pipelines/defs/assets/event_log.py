"""The event log as Dagster sees it: written by the platform's services, announced hour by hour, never materialized."""

from __future__ import annotations

import dagster as dg

EVENT_LOG = dg.AssetKey(["iris", "analytics_events"])


def event_log(hourly: dg.HourlyPartitionsDefinition) -> dg.AssetSpec:
    """Every event of every message's life, as it was accepted. An hour is announced when events of it came in."""
    return dg.AssetSpec(
        EVENT_LOG,
        partitions_def=hourly,
        group_name="iris",
        owners=["team:data"],
        kinds={"postgres"},
        description=event_log.__doc__,
        metadata={"dagster/table_name": "iris.analytics_events"},
    )
