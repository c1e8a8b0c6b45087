"""One price a day: what lists leave of each other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_pipelines.domain.prices import Overlap, Price, arranged, left_of

FIRST = date(2024, 2, 26)


def price(start: int, end: int | None = None, amount: str = "0.01", *, provider: str = "twilio") -> Price:
    return Price(
        None,
        "sms",
        "US",
        provider,
        Decimal(amount),
        "USD",
        FIRST + timedelta(days=start),
        None if end is None else FIRST + timedelta(days=end),
    )


def days_of(prices: Sequence[Price]) -> dict[int, Decimal]:
    """The price of each of some days."""
    found: dict[int, Decimal] = {}
    for each in prices:
        for day in range(12):
            today = FIRST + timedelta(days=day)
            if each.valid_from <= today and (each.valid_to is None or today < each.valid_to):
                assert day not in found, "a day has two prices"
                found[day] = each.price
    return found


def test_a_price_without_an_end_makes_room_for_those_that_begin_later() -> None:
    found = arranged([price(5, 7, "0.03"), price(0, None, "0.01"), price(9, None, "0.02")])
    assert [(each.price, (each.valid_from - FIRST).days) for each in found] == [
        (Decimal("0.01"), 0),
        (Decimal("0.01"), 7),
        (Decimal("0.03"), 5),
        (Decimal("0.02"), 9),
    ]


@pytest.mark.parametrize("pair", [(price(0, 5), price(4, 9)), (price(0), price(0)), (price(0), price(0, 3))])
def test_two_prices_for_a_day_are_no_list(pair: tuple[Price, Price]) -> None:
    other = price(0, provider="telnyx")
    with pytest.raises(Overlap) as raised:
        arranged([pair[0], other, pair[1]])
    assert (raised.value.place, raised.value.other) == (2, 0)


def test_prices_that_touch_or_are_of_others_do_not_overlap() -> None:
    prices = [price(0, 3), price(3, 5), price(0, provider="telnyx")]
    assert sorted(arranged(prices), key=prices.index) == prices


_ENDS = st.one_of(st.none(), st.integers(1, 6))


@given(st.integers(0, 8), _ENDS, st.lists(st.tuples(st.integers(0, 8), _ENDS)))
def test_what_is_left_has_the_days_that_nobody_took(
    start: int, length: int | None, taken: list[tuple[int, int | None]]
) -> None:
    old = price(start, None if length is None else start + length)
    newer = [price(day, None if days is None else day + days, "0.09") for day, days in taken]
    lost = {day for each in newer for day in days_of([each])}
    assert days_of(left_of(old, newer)) == {day: amount for day, amount in days_of([old]).items() if day not in lost}
