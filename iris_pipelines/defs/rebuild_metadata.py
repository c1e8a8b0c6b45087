"""What a data engineer wants to see of a rebuild: rows, windows, seconds, and a small plot of what was sent."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs.rebuilds import Rebuild, RebuiltModel

_WIDTH, _HEIGHT = 480, 80


def rebuild_metadata(db: Database, rebuild: Rebuild) -> Mapping[dg.AssetKey, Mapping[str, Any]]:
    """Metadata for the materialization of each model of a rebuild."""
    plot = _plot(db, rebuild)
    return {
        dg.AssetKey(model.relation.split(".")): {
            "dagster/row_count": rebuild.rebuilt.get(model.relation, RebuiltModel(0, 0)).rows,
            "windows": rebuild.rebuilt.get(model.relation, RebuiltModel(0, 0)).windows,
            "seconds": round(rebuild.seconds, 3),
            "rebuild_id": str(rebuild.rebuild_id),
            **plot,
        }
        for model in rebuild.plan.models
    }


def _plot(db: Database, rebuild: Rebuild) -> Mapping[str, dg.MetadataValue[Any]]:
    if not rebuild.plan.windows:
        return {}
    ask = queries().sent_by_hour if rebuild.plan.grain is Grain.HOUR else queries().sent_by_day
    with db.transaction() as connection:
        sent = list(
            ask(
                connection,
                window_start=rebuild.plan.windows[0].start,
                window_end=rebuild.plan.windows[-1].end,
            )
        )
    if not sent:
        return {}
    title = (
        f"messages sent per {rebuild.plan.grain} from {sent[0][0]:%Y-%m-%d %H:%M} to {sent[-1][0]:%Y-%m-%d %H:%M} UTC"
    )
    return {"messages_sent": dg.MetadataValue.md(f"![{title}]({bar_chart([count for _, count in sent])})\n\n{title}")}


def bar_chart(values: Sequence[int]) -> str:
    """A bar chart without axes as the data URI of an SVG; neighbours are summed where there is no room for all."""
    per_bar = -(-len(values) // _WIDTH)
    bars = [sum(values[i : i + per_bar]) for i in range(0, len(values), per_bar)]
    highest = max(*bars, 1)
    width = _WIDTH / len(bars)
    rectangles = "".join(
        f'<rect x="{i * width:.2f}" y="{_HEIGHT - _HEIGHT * bar / highest:.2f}" '
        f'width="{max(width - 1, 1):.2f}" height="{_HEIGHT * bar / highest:.2f}"/>'
        for i, bar in enumerate(bars)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" fill="#4f43dd">{rectangles}</svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
