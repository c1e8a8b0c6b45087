"""Checks between systems: is the rollup what the event log says? Checks of rows alone are dbt tests."""

from collections.abc import Sequence

import dagster as dg

from iris_pipelines.analytics.recount import Recount, recount
from iris_pipelines.db.database import queries
from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs.resources import Clock, DatabaseResource
from iris_pipelines.domain.windows import DAY, Window, closed_before

ROLLUPS = {
    Grain.HOUR: dg.AssetKey(["analytics", "analytics_hourly"]),
    Grain.DAY: dg.AssetKey(["analytics", "analytics_daily"]),
}
NAMES = {Grain.HOUR: "hourly_counts_match_the_event_log", Grain.DAY: "daily_counts_match_the_event_log"}


def recount_check(grain: Grain) -> dg.AssetChecksDefinition:
    """The check that recounts what a run rebuilt; what stands downstream waits for it."""

    @dg.asset_check(
        asset=ROLLUPS[grain],
        name=NAMES[grain],
        blocking=True,
        description="Counts and cost of every rebuilt partition equal a recount of its events. "
        "Hours that got events since they were rebuilt are left out: their rebuild is due.",
    )
    def counts_match_the_event_log(
        context: dg.AssetCheckExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        clock: dg.ResourceParam[Clock],
    ) -> dg.AssetCheckResult:
        db = database.get()
        with db.transaction() as connection:
            rows = queries().requested_windows(connection, requested_by=context.run.run_id)
            windows = [Window(start, end) for start, end in rows]
        if not windows:  # a run of the check alone, from the UI
            closed = closed_before(clock.now())
            windows = [Window(closed - 7 * DAY, closed)]
        found = recount(db, grain, windows)
        return dg.AssetCheckResult(passed=found.differences == 0, metadata=recount_metadata(found, windows))

    return counts_match_the_event_log


def recount_metadata(found: Recount, windows: Sequence[Window]) -> dict[str, int]:
    """What a recount saw, for the UI."""
    return {
        "events": found.events,
        "groups": found.groups,
        "differences": found.differences,
        "waiting_hours": found.waiting_hours,
        "windows": len(windows),
    }
