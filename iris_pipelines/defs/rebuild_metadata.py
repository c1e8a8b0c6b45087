"""What a data engineer wants to see of a rebuild: rows, windows, seconds, and a small plot of what was sent."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import dagster as dg

from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs.rebuilds import Rebuild, RebuiltModel

_WIDTH, _HEIGHT, _MOST_BARS = 480, 80, 120
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


def bar_chart(values: Sequence[int]) -> str:
    """A bar chart without axes as the data URI of an SVG; neighbours are summed where there is no room for all."""
    per_bar = -(-len(values) // _MOST_BARS)
    bars = [sum(values[i : i + per_bar]) for i in range(0, len(values), per_bar)]
    highest = max(*bars, 1)
    width = _WIDTH / len(bars)
    outline = "".join(
        f"M{i * width:.1f} {_HEIGHT}v-{_HEIGHT * bar / highest:.1f}h{width * 0.8:.1f}V{_HEIGHT}z"
        for i, bar in enumerate(bars)
    )
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><path fill="#4f43dd" d="{outline}"/></svg>'
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
