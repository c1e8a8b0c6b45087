"""Figures as people read them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from iris_pipelines.domain.metrics import Unit
from iris_pipelines.reporting.answers import Column
from iris_pipelines.reporting.renderers.pdf.numbers import figure, table_cell


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("total_cost", Decimal("2.125"), "$2.13"),
        ("total_cost", Decimal("-2.125"), "$-2.13"),
        ("total_cost", Decimal("0.00005"), "$0.0001"),
        ("avg_cost_per_message", Decimal("0.01005"), "$0.0101"),
        ("avg_delivery_time_ms", 10_250, "10.3 s"),
        ("delivery_rate", Decimal("1237.50"), "1,237.50 %"),
        ("total_cost", None, "\N{EN DASH}"),
    ],
)
def test_halves_are_rounded_away_from_zero(metric: str, value: Decimal | int | None, shown: str) -> None:
    assert figure(metric, value, "USD") == shown


def test_cells_are_rounded_like_figures() -> None:
    assert table_cell(Column("total_cost", "Total cost", Unit.COST), Decimal("1000.125")) == "1,000.13"
