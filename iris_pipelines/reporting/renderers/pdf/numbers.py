"""Figures as people read them, and how they changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal

from iris_pipelines.domain.metrics import Unit
from iris_pipelines.domain.reports.subjects import REPORT_METRICS
from iris_pipelines.reporting.answers import Cell, Column
from iris_pipelines.reporting.renderers.safe_text import readable

NOTHING = "\N{EN DASH}"
_LONGEST = 120
_LONG_WORD = re.compile(r"(\S{24})(?=\S)")
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
# More of it is neither good nor bad news: it is as much as was sent.
_NEUTRAL = {"messages_sent", "unique_recipients", "total_requests", "machine_opens", "machine_clicks"}
_BAD = {
    *("messages_failed", "messages_bounced", "messages_complained", "messages_unsubscribed", "error_rate"),
    *("bounce_rate", "complaint_rate", "total_cost", "avg_cost_per_message", "failed_requests", "client_errors"),
    *("server_errors", "api_error_rate"),
}


@dataclass(frozen=True)
class Change:
    """How a figure changed: in words, and whether that is good news."""

    text: str
    tone: str


def fixed(value: Decimal, places: int) -> str:
    """With so many decimals, rounded half away from zero: Python's own formats round half to even."""
    return f"{value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):,}"


def money(value: Decimal, currency: str, places: int = 2) -> str:
    """An amount with its currency; more places where two would show nothing."""
    amount = fixed(value, places)
    symbol = _SYMBOLS.get(currency)
    return f"{amount} {currency}" if symbol is None else f"{symbol}{amount}"


def figure(metric: str, cell: Cell, currency: str) -> str:
    """A figure on its own, with its unit."""
    unit = REPORT_METRICS[metric].unit
    if not isinstance(cell, int | Decimal):
        return NOTHING
    value = Decimal(cell)
    if unit is Unit.PERCENT:
        return f"{fixed(value, 2)} %"
    if unit is Unit.COST:
        return money(value, currency, 2 if abs(value) >= 1 or value == 0 else 4)
    if unit is Unit.MEAN_COST:
        return money(value, currency, 4 if abs(value) >= Decimal("0.01") or value == 0 else 6)
    if unit is Unit.MILLISECONDS:
        return f"{value:,} ms" if abs(value) < 10_000 else f"{fixed(value / 1000, 1)} s"
    return f"{value:,}"


def table_cell(column: Column, value: Cell) -> str:
    """A cell of the table: its unit is in the heading."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return f"{value:%Y-%m}" if column.name == "month" else value.isoformat()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Decimal):
        return fixed(value, {Unit.PERCENT: 2, Unit.COST: 2, Unit.MEAN_COST: 6}.get(column.unit or Unit.COUNT, 0))
    return breakable(readable(str(value)))


def breakable(text: str) -> str:
    """Text for a narrow column: not too long, and with places where a long word may be broken."""
    short = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
    return _LONG_WORD.sub("\\1\N{ZERO WIDTH SPACE}", short)


def change(metric: str, value: Cell, before: Cell) -> Change:
    """From the period before: rates in points, all else in per cent."""
    if not isinstance(value, int | Decimal) or not isinstance(before, int | Decimal):
        return Change("", "neutral")
    difference = Decimal(value) - Decimal(before)
    if REPORT_METRICS[metric].unit is Unit.PERCENT:
        text = f"{difference:+,.2f} points"
    elif before == 0:
        return Change("new" if value else "unchanged", "neutral")
    else:
        share = 100 * difference / abs(Decimal(before))
        places = "0.1" if abs(share) >= Decimal("0.05") else "0.01"
        text = f"{share.quantize(Decimal(places), ROUND_HALF_UP):+,} %"
    if difference == 0:
        return Change("unchanged", "neutral")
    return Change(text.replace("-", "\N{MINUS SIGN}"), _tone(metric, rises=difference > 0))


def _tone(metric: str, *, rises: bool) -> str:
    if metric in _NEUTRAL:
        return "neutral"
    is_bad = metric in _BAD or metric.endswith("_time_ms")
    return "bad" if rises is is_bad else "good"
