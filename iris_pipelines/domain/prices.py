"""Prices of providers, each from a day on: what a new list does to the prices that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import groupby
from uuid import UUID

Key = tuple[UUID | None, str, str | None, str, str]


@dataclass(frozen=True)
class Price:
    """What a message costs by a provider, on the days from `valid_from` to before `valid_to`."""

    tenant_id: UUID | None
    """None for everybody who has no price of their own."""
    channel: str
    country: str | None
    """None for all countries that have no price of their own."""
    provider: str
    price: Decimal
    currency: str
    valid_from: date
    valid_to: date | None = None
    """None for as long as nothing else is said."""

    @property
    def key(self) -> Key:
        """What is priced: of each, one price is valid on a day."""
        return self.tenant_id, self.channel, self.country, self.provider, self.currency

    def overlaps(self, other: Price) -> bool:
        """Whether both are about the same, on the same day."""
        return self.key == other.key and _starts_before(self, other.valid_to) and _starts_before(other, self.valid_to)

    def without(self, other: Price) -> list[Price]:
        """What is left of this price when another one takes its days."""
        if not self.overlaps(other):
            return [self]
        left = []
        if self.valid_from < other.valid_from:
            left.append(replace(self, valid_to=other.valid_from))
        if other.valid_to is not None and (self.valid_to is None or other.valid_to < self.valid_to):
            left.append(replace(self, valid_from=other.valid_to))
        return left


class Overlap(ValueError):
    """Two prices of one list are about the same days; holds their places in the list, the later one first."""

    def __init__(self, place: int, other: int) -> None:
        super().__init__(place, other)
        self.place = place
        self.other = other


def arranged(prices: Sequence[Price]) -> list[Price]:
    """A list of which each day has one price: one without an end makes room for those that begin later.

    Raises Overlap where two with an end, or two that begin on the same day, are about the same days.
    """
    found: list[Price] = []
    places = sorted(range(len(prices)), key=lambda place: (_sortable(prices[place].key), prices[place].valid_from))
    for _, same in groupby(places, key=lambda place: prices[place].key):
        of_key = list(same)
        for position, place in enumerate(of_key):
            price = prices[place]
            later = [other for other in of_key[position + 1 :] if price.overlaps(prices[other])]
            for other in later:
                if price.valid_to is not None or price.valid_from == prices[other].valid_from:
                    raise Overlap(max(place, other), min(place, other))
            found += left_of(price, [prices[other] for other in later])
    return found


def left_of(price: Price, newer: Iterable[Price]) -> list[Price]:
    """What newer prices leave of one that was there; nothing but itself when they say the same."""
    left = [price]
    for other in newer:
        left = [part for each in left for part in each.without(other)]
    return left


def _starts_before(price: Price, end: date | None) -> bool:
    return end is None or price.valid_from < end


def _sortable(key: Key) -> tuple[str, ...]:
    return tuple("" if part is None else str(part) for part in key)
