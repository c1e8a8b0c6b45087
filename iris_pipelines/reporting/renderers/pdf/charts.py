"""Charts as Typst draws them: points between 0 and 1, and what stands on the axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from iris_pipelines.domain.metrics import Unit
from iris_pipelines.domain.reports.subjects import REPORT_METRICS, plain_title, title
from iris_pipelines.reporting.answers import Cell
from iris_pipelines.reporting.renderers.pdf.numbers import figure, money
from iris_pipelines.reporting.renderers.safe_text import readable

Series = Sequence[Decimal | int | None]
_MOST_DOTS = 45
_LABELS = 7


def line_chart(
    metric: str, labels: Sequence[date | datetime], values: Series, before: Series, currency: str
) -> dict[str, Any]:
    """A metric over time, with the period before it behind; where it has no value, the line is broken."""
    known = [float(value) for value in [*values, *before] if value is not None]
    low, top, step = _scale(known, REPORT_METRICS[metric].unit)
    ticks = [low + step * number for number in range(round((top - low) / step) + 1)]
    return {
        "kind": "line",
        "title": plain_title(metric),
        "points": _parts(values, low, top),
        "previous": _parts(before, low, top) if any(before) else [],
        "dots": len(values) <= _MOST_DOTS,
        "is_filled": low == 0,
        "y": [{"at": (tick - low) / (top - low), "label": _tick(metric, tick, currency)} for tick in ticks],
        "x": _time_axis(labels),
    }


def bar_chart(metric: str, dimension: str, bars: Sequence[tuple[str, Cell]], currency: str) -> dict[str, Any]:
    """The largest groups of a dimension."""
    largest = max([abs(float(value)) for _, value in bars if isinstance(value, int | Decimal)] or [0.0]) or 1.0
    return {
        "kind": "bars",
        "title": f"{plain_title(metric)} by {title(dimension).lower()}",
        "bars": [
            {
                "label": _shortened(readable(label)),
                "value": figure(metric, value, currency),
                "share": abs(float(value)) / largest if isinstance(value, int | Decimal) else 0.0,
            }
            for label, value in bars
        ],
    }


def series(labels: Sequence[Any], found: Mapping[Any, Cell], *, is_count: bool) -> Series:
    """A value for each label: a count of what did not happen is 0, a rate of nothing is missing."""
    nothing = 0 if is_count else None
    values = [found.get(label, nothing) for label in labels]
    return [value if isinstance(value, int | Decimal) else nothing for value in values]


def _parts(values: Series, low: float, top: float) -> list[list[list[float]]]:
    """The points, in parts between the missing ones."""
    width = max(len(values) - 1, 1)
    parts: list[list[list[float]]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            parts.append([])
        else:
            at = 0.5 if len(values) == 1 else place / width
            parts[-1].append([round(at, 5), round((float(value) - low) / (top - low), 5)])
    return [part for part in parts if part]


def _scale(known: Sequence[float], unit: Unit) -> tuple[float, float, float]:
    """Both ends of an axis and its steps: 1, 2 or 5 times a power of ten.

    Amounts start at 0, so that twice as much looks like it; rates that hardly move are looked at more closely.
    """
    largest, smallest = max(known, default=0.0), min(known, default=0.0)
    if largest <= 0:
        return 0.0, 1.0, 1.0
    is_close = unit is Unit.PERCENT and smallest > largest / 2 and largest > smallest
    rough = ((largest - smallest) if is_close else largest) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    if unit in (Unit.COUNT, Unit.MILLISECONDS):
        step = max(step, 1.0)
    low = step * math.floor(smallest / step + 1e-9) if is_close else 0.0
    return low, step * math.ceil(largest / step - 1e-9), step


def _tick(metric: str, value: float, currency: str) -> str:
    unit = REPORT_METRICS[metric].unit
    if unit in (Unit.COST, Unit.MEAN_COST):
        places = 0 if value >= 10 or value == 0 else 2 if value >= 0.1 else 4
        return money(Decimal(str(round(value, 6))), currency, places)
    short = next(
        (f"{round(value / size, 6):g}{letter}" for size, letter in ((1e6, "M"), (1e3, "k")) if value >= size),
        f"{value:g}",
    )
    return f"{short} %" if unit is Unit.PERCENT else short


def _time_axis(labels: Sequence[date | datetime]) -> list[dict[str, Any]]:
    width = max(len(labels) - 1, 1)
    every = max(math.ceil(len(labels) / _LABELS), 1)
    return [
        {"at": 0.5 if len(labels) == 1 else place / width, "label": _time_label(label)}
        for place, label in enumerate(labels)
        if place % every == 0
    ]


def _time_label(label: date | datetime) -> str:
    return f"{label:%H:%M}" if isinstance(label, datetime) else f"{label:%-d %b}"


def _shortened(text: str) -> str:
    return text if len(text) <= 34 else f"{text[:33]}…"
