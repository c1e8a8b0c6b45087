"""Small pictures for the UI: charts without axes as data URIs of SVG, readable on a light and on a dark page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _MOST_BARS = 480, 80, 120
_LINE, _NAMES = 18, 200
_COLORS = ("#4f43dd", "#17a2a2", "#e8804c", "#b59cff", "#7a8b99", "#d64f7f", "#8bbf56")
_TEXT = 'fill="#808a94" font-family="sans-serif" font-size="11"'


@dataclass(frozen=True)
class Interval:
    """A value with what it may as well be."""

    low: float
    value: float
    high: float


def bar_chart(values: Sequence[int]) -> str:
    """A bar for each value; neighbours are summed where there is no room for all."""
    per_bar = -(-len(values) // _MOST_BARS)
    bars = [sum(values[i : i + per_bar]) for i in range(0, len(values), per_bar)]
    highest = max(*bars, 1)
    width = _WIDTH / len(bars)
    outline = "".join(
        f"M{i * width:.1f} {_HEIGHT}v-{_HEIGHT * bar / highest:.1f}h{width * 0.8:.1f}V{_HEIGHT}z"
        for i, bar in enumerate(bars)
    )
    return _uri(_HEIGHT, f'<path fill="{_COLORS[0]}" d="{outline}"/>')


def stacked_bars(columns: Sequence[Mapping[str, float]]) -> str:
    """A bar for each column, made of its parts, with a legend under them."""
    names = list(dict.fromkeys(name for column in columns for name in column))
    highest = max((sum(column.values()) for column in columns), default=0) or 1
    width = _WIDTH / max(len(columns), 1)
    shapes = []
    for i, column in enumerate(columns):
        top = float(_HEIGHT)
        for name in names:
            height = _HEIGHT * column.get(name, 0) / highest
            top -= height
            shapes.append(
                f'<rect x="{i * width:.1f}" y="{top:.1f}" width="{width * 0.8:.1f}" height="{height:.1f}" '
                f'fill="{_color(names, name)}"/>'
            )
    return _uri(_HEIGHT + _LINE + 4, *shapes, *_legend(names, _HEIGHT + _LINE))


def named_bars(rows: Sequence[tuple[str, Mapping[str, float]]]) -> str:
    """A line for each row: its name, and a bar for each of its values, the smaller ones in front of the larger."""
    names = list(dict.fromkeys(name for _, values in rows for name in values))
    highest = max((value for _, values in rows for value in values.values()), default=0) or 1
    shapes = []
    for i, (label, values) in enumerate(rows):
        shapes.append(_label(label, i))
        for name, value in sorted(values.items(), key=lambda each: -each[1]):
            shapes.append(
                f'<rect x="{_NAMES}" y="{i * _LINE + 3}" width="{(_WIDTH - _NAMES) * value / highest:.1f}" '
                f'height="{_LINE - 6}" fill="{_color(names, name)}"/>'
            )
    bottom = len(rows) * _LINE
    return _uri(bottom + _LINE + 4, *shapes, *_legend(names, bottom + _LINE))


def intervals(rows: Sequence[tuple[str, Interval]]) -> str:
    """A line for each row: its name, a dot at its value, and a line from the low to the high end."""
    highest = max((interval.high for _, interval in rows), default=0) or 1
    scale = (_WIDTH - _NAMES - 50) / highest
    shapes = []
    for i, (label, interval) in enumerate(rows):
        middle = i * _LINE + _LINE / 2
        low, value, high = (_NAMES + scale * each for each in (interval.low, interval.value, interval.high))
        shapes += [
            _label(label, i),
            f'<path stroke="{_COLORS[0]}" stroke-width="2" d="M{low:.1f} {middle}H{high:.1f}"/>',
            f'<circle cx="{value:.1f}" cy="{middle}" r="4" fill="{_COLORS[0]}"/>',
            f'<text x="{high + 6:.1f}" y="{middle + 4}" {_TEXT}>{interval.value:g} %</text>',
        ]
    return _uri(len(rows) * _LINE + 4, *shapes)


def _label(text: str, line: int) -> str:
    shown = text if len(text) <= 34 else text[:33] + "…"
    return f'<text x="0" y="{line * _LINE + 13}" {_TEXT}>{escape(shown)}</text>'


def _legend(names: Sequence[str], baseline: int) -> list[str]:
    shapes, left = [], 0.0
    for name in names:
        shapes += [
            f'<rect x="{left:.0f}" y="{baseline - 8}" width="8" height="8" fill="{_color(names, name)}"/>',
            f'<text x="{left + 12:.0f}" y="{baseline}" {_TEXT}>{escape(name)}</text>',
        ]
        left += 30 + 6 * len(name)
    return shapes


def _color(names: Sequence[str], name: str) -> str:
    return _COLORS[list(names).index(name) % len(_COLORS)]


def _uri(height: int, *shapes: str) -> str:
    size = f'width="{_WIDTH}" height="{height}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(shapes)}</svg>'
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
