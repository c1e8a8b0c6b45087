"""What a data engineer wants to see of a rebuild: rows, windows, seconds, and a small plot of what was sent."""

from __future__ import annotations

from typing import Any

import dagster as dg

from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs.charts import bar_chart
from iris_pipelines.defs.rebuilds import Rebuild, RebuiltModel

_EVERY = "every campaign"
_STALE = "the campaigns that events, names or variants had changed since; the others are up to date"


def rebuild_metadata(rebuild: Rebuild, relation: str) -> dict[str, Any]:
    """How much was rebuilt, and how long it took."""
    rebuilt = rebuild.rebuilt.get(relation, RebuiltModel(0, 0))
    replaced: dict[str, Any] = {"windows": rebuilt.parts}
    if rebuild.plan.grain is Grain.CAMPAIGN:
        replaced = {"campaigns": rebuilt.parts, "replaced": _EVERY if rebuild.plan.every_campaign else _STALE}
    return {
        "dagster/row_count": rebuilt.rows,
        **replaced,
        "seconds": round(rebuild.seconds, 3),
        "rebuild_id": str(rebuild.rebuild_id),
    }


def rebuild_plot(db: Database, rebuild: Rebuild) -> dict[str, Any]:
    """What was sent in the time that was rebuilt; for the last partition only, since each keeps what it is given."""
    if not rebuild.plan.windows:
        return {}
    ask = queries().sent_by_hour if rebuild.plan.grain is Grain.HOUR else queries().sent_by_day
    start, end = rebuild.plan.windows[0].start, rebuild.plan.windows[-1].end
    with db.transaction() as connection:
        sent = [count for _, count in ask(connection, window_start=start, window_end=end)]
    if not sent:
        return {}
    title = f"messages sent per {rebuild.plan.grain}, {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    return {"messages_sent": dg.MetadataValue.md(f"![{title}]({bar_chart(sent)})\n\n{title}")}
