from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa

from iris_pipelines.simulator.text import decimals, instant_text, joined, joined_present, kept, looked_up


def test_instants_read_as_iso_8601() -> None:
    instants = [
        datetime(1990, 1, 1, tzinfo=UTC),
        datetime(2024, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2026, 11, 2, 10, 3, 22, 7_000, tzinfo=UTC),
    ]
    text = instant_text(np.array([round(each.timestamp() * 1000) for each in instants]))
    assert text.to_pylist() == ["1990-01-01T00:00:00.000Z", "2024-02-29T23:59:59.999Z", "2026-11-02T10:03:22.007Z"]
    assert [datetime.fromisoformat(each) for each in text.to_pylist()] == instants


def test_decimals_are_exact_and_negative_units_are_null() -> None:
    column = decimals(np.array([0, 7_900, -1, 9_999_999_999]), precision=10, scale=6)
    assert column.to_pylist() == [Decimal("0"), Decimal("0.0079"), None, Decimal("9999.999999")]


def test_a_text_is_null_where_a_part_is_and_present_parts_are_joined_even_if_there_are_none() -> None:
    left, right = pa.array(["a", None, None]), pa.array(["b", "b", None])
    assert joined(left, "-", right).to_pylist() == ["a-b", None, None]
    assert joined_present(left, right).to_pylist() == ["ab", "b", ""]


def test_a_negative_code_stands_for_nothing() -> None:
    found = looked_up(pa.array(["x", "y"]), np.array([1, -1, 0]))
    assert found.to_pylist() == ["y", None, "x"]
    assert kept(found, np.array([False, True, True])).to_pylist() == [None, None, "x"]
