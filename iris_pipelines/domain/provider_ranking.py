"""Which provider of a channel does best: the composite score, and the one that few messages cannot win by luck.

The dbt macro `provider_scores` has the same formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext

from iris_pipelines.domain.rates import rate

DELIVERY_WEIGHT = Decimal("0.4")
SPEED_WEIGHT = Decimal("0.3")
COST_WEIGHT = Decimal("0.2")
RELIABILITY_WEIGHT = Decimal("0.1")
WILSON_QUANTILE = Decimal("1.959964")
"""The standard normal quantile of an interval of 95 %."""

_CENT = Decimal("0.01")
_NOTHING, _ALL = Decimal(0), Decimal(100)
# Enough for every sum and product to be exact; only the square roots and quotients of Wilson's bound are cut off.
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class ProviderTotals:
    """What one provider did in one channel during the window, in the figures that are published."""

    provider: str
    total_sent: int
    total_delivered: int
    total_events: int
    successful_events: int
    """Events with `success` true; neither false nor unknown ones."""
    avg_delivery_time_ms: int | None
    avg_cost_per_message: Decimal | None


@dataclass(frozen=True)
class ProviderScore:
    """The scores of one provider, each from 0 for useless to 100 for perfect, and its places in the ranking."""

    provider: str
    delivery_rate: Decimal | None
    success_rate: Decimal | None
    delivery_score: Decimal
    speed_score: Decimal
    cost_score: Decimal
    reliability_score: Decimal
    composite_score: Decimal
    rank: int
    adjusted_score: Decimal
    adjusted_rank: int


def rank_providers(totals: Iterable[ProviderTotals]) -> list[ProviderScore]:
    """The providers of one channel and window, the best by composite score first; each name at most once."""
    by_name = {each.provider: each for each in totals}
    with localcontext(_EXACT):
        parts = {provider: _parts_of(each) for provider, each in by_name.items()}
        composite = {provider: _composite(*parts[provider]) for provider in by_name}
        adjusted = {provider: _adjusted(each, parts[provider]) for provider, each in by_name.items()}
    adjusted_places = _places(adjusted)
    return [
        ProviderScore(
            provider,
            rate(by_name[provider].total_delivered, by_name[provider].total_sent),
            rate(by_name[provider].successful_events, by_name[provider].total_events),
            *parts[provider],
            composite_score=composite[provider],
            rank=place,
            adjusted_score=adjusted[provider],
            adjusted_rank=adjusted_places[provider],
        )
        for provider, place in _places(composite).items()
    ]


def wilson_low(successes: int, trials: int) -> Decimal:
    """The lower end of the 95 % interval of a rate (Wilson 1927), as a part of 1; 0 when there was no trial."""
    if trials == 0:
        return _NOTHING
    with localcontext(_EXACT):
        square = WILSON_QUANTILE * WILSON_QUANTILE
        root = (square + Decimal(4 * successes * (trials - successes)) / trials).sqrt()
        return (2 * successes + square - WILSON_QUANTILE * root) / (2 * (trials + square))


def _parts_of(totals: ProviderTotals) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """The scores for delivery, speed, cost and reliability."""
    delivery = min(_ALL, rate(totals.total_delivered, totals.total_sent) or _NOTHING)
    speed = cost = _NOTHING
    if totals.avg_delivery_time_ms is not None:
        speed = max(_NOTHING, _ALL - Decimal(totals.avg_delivery_time_ms).scaleb(-3))
    if totals.avg_cost_per_message is not None:
        cost = max(_NOTHING, _ALL - totals.avg_cost_per_message * 10_000)
    return delivery, speed, cost, rate(totals.successful_events, totals.total_events) or _NOTHING


def _composite(delivery: Decimal, speed: Decimal, cost: Decimal, reliability: Decimal) -> Decimal:
    score = DELIVERY_WEIGHT * delivery + SPEED_WEIGHT * speed + COST_WEIGHT * cost + RELIABILITY_WEIGHT * reliability
    return score.quantize(_CENT, ROUND_HALF_UP)


def _adjusted(totals: ProviderTotals, parts: tuple[Decimal, Decimal, Decimal, Decimal]) -> Decimal:
    """The same score with the rates that are certain instead of the ones that were seen."""
    _, speed, cost, _ = parts
    # A message sent before the window may be delivered in it.
    delivered = min(totals.total_delivered, totals.total_sent)
    return _composite(
        100 * wilson_low(delivered, totals.total_sent),
        speed,
        cost,
        100 * wilson_low(totals.successful_events, totals.total_events),
    )


def _places(scores: Mapping[str, Decimal]) -> dict[str, int]:
    """The place of each provider from 1 on, in order: by score, and by the bytes of the name where scores are equal."""
    ordered = sorted(scores, key=lambda provider: (-scores[provider], provider.encode()))
    return {provider: place for place, provider in enumerate(ordered, start=1)}
