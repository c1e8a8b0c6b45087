"""Values as people read them: rates with a per cent sign, money in the tenant's currency."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from iris_pipelines.domain.metrics import Cost, MeanTime, Metric, PercentileTime, Rate

_SYMBOLS: Mapping[str, str] = {
    "USD": "$",
    "EUR": "€",
    "GBP": "£",
    "JPY": "¥",
    "INR": "₹",
    "KRW": "₩",
    "BRL": "R$",
    "CAD": "CA$",
    "AUD": "A$",
    "NZD": "NZ$",
    "MXN": "MX$",
}
_WHOLE = frozenset({"JPY", "KRW", "VND", "CLP", "ISK", "XAF", "XOF", "UGX", "RWF", "PYG"})
"""Currencies without a smaller unit."""


def money(value: Decimal, currency: str) -> str:
    """`$450.00`, `€12.30`, `CHF 5.00`, `¥300`."""
    places = Decimal(1) if currency in _WHOLE else Decimal("0.01")
    rounded = abs(value).quantize(places, ROUND_HALF_UP)
    sign = "-" if value < 0 and rounded else ""
    symbol = _SYMBOLS.get(currency)
    return f"{sign}{symbol}{rounded}" if symbol else f"{currency} {sign}{rounded}"


def amount(metric: Metric, value: Decimal, currency: str) -> str:
    """A value of a metric."""
    match metric:
        case Rate():
            return f"{value.quantize(Decimal('0.01'), ROUND_HALF_UP)}%"
        case Cost():
            return money(value, currency)
        case MeanTime() | PercentileTime():
            return f"{value:,.0f} ms"
    return f"{value.normalize():,f}"


def metric_name(name: str) -> str:
    """`delivery_rate` as people say it."""
    spoken = name.removesuffix("_ms").replace("_", " ")
    return spoken.replace("avg ", "mean ").replace("p95 ", "95th percentile of ").replace("api ", "API ")
