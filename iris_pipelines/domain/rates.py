"""Rates as every table publishes them: per cent with 2 decimals, half away from zero."""

from __future__ import annotations

from decimal import Decimal


def rate(numerator: int, denominator: int) -> Decimal | None:
    """`numerator` in per cent of `denominator`; None when there is nothing to divide by."""
    if denominator == 0:
        return None
    # In whole numbers: a quotient of decimals is rounded once before it is rounded to 2 places.
    hundredths, rest = divmod(abs(numerator) * 10_000, abs(denominator))
    rounded = hundredths + (2 * rest >= abs(denominator))
    return Decimal(-rounded if (numerator < 0) != (denominator < 0) else rounded).scaleb(-2)
