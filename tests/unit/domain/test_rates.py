from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_pipelines.domain.rates import rate


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (1, 3, "33.33"),
        (2, 3, "66.67"),
        (1, 32, "3.13"),
        (-1, 32, "-3.13"),
        (1, -32, "-3.13"),
        (1001, 1, "100100.00"),
        (0, 5, "0.00"),
    ],
)
def test_a_rate_is_rounded_half_away_from_zero(numerator: int, denominator: int, expected: str) -> None:
    assert str(rate(numerator, denominator)) == expected


def test_there_is_no_rate_of_nothing() -> None:
    assert rate(5, 0) is None


@settings(deadline=None)
@given(st.integers(-(10**18), 10**18), st.integers(1, 10**18))
def test_a_rate_is_the_nearest_that_two_decimals_can_say(numerator: int, denominator: int) -> None:
    found = rate(numerator, denominator)
    assert found is not None
    assert abs(Fraction(found) - Fraction(100 * numerator, denominator)) <= Fraction(1, 200)
