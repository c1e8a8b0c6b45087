"""The scores to the digit, the order, and the promise that a few lucky messages never win."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from decimal import Decimal
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_pipelines.domain.provider_ranking import ProviderScore, ProviderTotals, rank_providers, wilson_low

TRIALS = 2000


def totals(
    provider: str = "twilio",
    *,
    sent: int = 1000,
    delivered: int = 950,
    events: int = 2000,
    successful: int = 1900,
    time_ms: int | None = 2500,
    cost: str | None = "0.003000",
) -> ProviderTotals:
    return ProviderTotals(
        provider, sent, delivered, events, successful, time_ms, None if cost is None else Decimal(cost)
    )


def score(each: ProviderTotals) -> ProviderScore:
    (found,) = rank_providers([each])
    return found


def test_the_composite_weighs_delivery_speed_cost_and_reliability() -> None:
    found = score(totals())
    assert (found.delivery_rate, found.success_rate) == (Decimal("95.00"), Decimal("95.00"))
    parts = (found.delivery_score, found.speed_score, found.cost_score, found.reliability_score)
    assert parts == (Decimal(95), Decimal("97.5"), Decimal(70), Decimal(95))
    # 0.4 * 95 + 0.3 * 97.5 + 0.2 * 70 + 0.1 * 95
    assert str(found.composite_score) == "90.75"


def test_scores_come_from_the_figures_as_they_are_published() -> None:
    # 2 of 3 count as 66.67 %: 26.668 + 30 + 20 + 6.667 is 83.335, where the rates themselves would give 83.33.
    found = score(totals(sent=3, delivered=2, events=3, successful=2, time_ms=0, cost="0"))
    assert found.composite_score == Decimal("83.34")


@pytest.mark.parametrize(
    ("each", "part", "expected"),
    [
        (totals(sent=0, delivered=0), "delivery_score", "0"),
        (totals(sent=0, delivered=7), "delivery_score", "0"),
        (totals(sent=10, delivered=12), "delivery_score", "100"),
        (totals(time_ms=None), "speed_score", "0"),
        (totals(time_ms=0), "speed_score", "100"),
        (totals(time_ms=1), "speed_score", "99.999"),
        (totals(time_ms=100_001), "speed_score", "0"),
        (totals(cost=None), "cost_score", "0"),
        (totals(cost="0.000000"), "cost_score", "100"),
        (totals(cost="0.009999"), "cost_score", "0.01"),
        (totals(cost="1.5"), "cost_score", "0"),
        (totals(events=0, successful=0), "reliability_score", "0"),
        (totals(events=3, successful=1), "reliability_score", "33.33"),
    ],
)
def test_each_part_is_defined_at_its_ends(each: ProviderTotals, part: str, expected: str) -> None:
    assert getattr(score(each), part) == Decimal(expected)


def test_the_rate_is_published_as_it_is_where_the_score_is_cut_off() -> None:
    assert score(totals(sent=10, delivered=12)).delivery_rate == Decimal("120.00")
    assert score(totals(sent=0, delivered=12)).delivery_rate is None


def test_a_provider_that_did_nothing_scores_nothing() -> None:
    found = score(totals(sent=0, delivered=0, events=0, successful=0, time_ms=None, cost=None))
    assert found.composite_score == found.adjusted_score == 0


def test_the_lower_bound_is_that_of_wilson() -> None:
    """Known values: 81 of 263 in Newcombe (1998), and the ends."""
    assert round(wilson_low(81, 263), 4) == Decimal("0.2553")
    assert wilson_low(0, 10) == wilson_low(0, 0) == 0
    assert round(wilson_low(3, 3), 6) == Decimal("0.438503")


@settings(deadline=None)
@given(st.integers(1, 10**9), st.data())
def test_the_lower_bound_solves_the_score_test(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(1, trials))
    low = float(wilson_low(successes, trials))
    distance = (successes / trials - low) / math.sqrt(low * (1 - low) / trials)
    assert distance == pytest.approx(NormalDist().inv_cdf(0.975), rel=1e-4)


def test_the_adjusted_score_takes_the_lower_bounds_and_counts_deliveries_as_at_most_sent() -> None:
    exact = score(totals(sent=10, delivered=10))
    assert score(totals(sent=10, delivered=12)).adjusted_score == exact.adjusted_score
    expected = 40 * float(wilson_low(10, 10)) + 29.25 + 14 + 10 * float(wilson_low(1900, 2000))
    assert float(exact.adjusted_score) == pytest.approx(expected, abs=0.00501)


def test_many_messages_leave_the_score_as_it_is() -> None:
    found = score(totals(sent=10**12, delivered=95 * 10**10, events=10**12, successful=95 * 10**10))
    assert found.adjusted_score == found.composite_score


def test_ranks_go_by_score_and_then_by_the_bytes_of_the_name() -> None:
    found = rank_providers([totals("telnyx"), totals("ses", delivered=990), totals("Zeta"), totals("émile")])
    assert [(each.provider, each.rank) for each in found] == [("ses", 1), ("Zeta", 2), ("telnyx", 3), ("émile", 4)]
    assert [each.adjusted_rank for each in found] == [1, 2, 3, 4]


def test_both_rankings_have_an_order_of_their_own() -> None:
    big, lucky = rank_providers([totals("lucky", sent=3, delivered=3, events=3, successful=3), totals("big")])[::-1]
    assert (lucky.provider, lucky.rank, lucky.adjusted_rank) == ("lucky", 1, 2)
    assert (big.provider, big.rank, big.adjusted_rank) == ("big", 2, 1)


def test_nobody_gives_no_ranking() -> None:
    assert rank_providers([]) == []


def drawn(rng: random.Random, provider: str, sent: int, delivery_rate: float) -> ProviderTotals:
    """A provider's window: large numbers by their normal approximation, small ones message by message."""
    if sent > 1000:
        error = math.sqrt(sent * delivery_rate * (1 - delivery_rate))
        delivered = min(sent, round(rng.gauss(sent * delivery_rate, error)))
    else:
        delivered = sum(rng.random() < delivery_rate for _ in range(sent))
    # Every message has two events, sent and delivered or failed; only the failed ones are without success.
    return totals(provider, sent=sent, delivered=delivered, events=2 * sent, successful=sent + delivered)


def share_of_the_best_first(place_of: Callable[[ProviderScore], int], *, tiny_sent: int, tiny_rate: float) -> float:
    """Of the trials, those that put the best of three providers first."""
    rng = random.Random(1)
    first = 0
    for _ in range(TRIALS):
        ranking = rank_providers(
            [
                drawn(rng, "best", 1_000_000, 0.97),
                drawn(rng, "good", 200_000, 0.95),
                drawn(rng, "tiny", tiny_sent, tiny_rate),
            ]
        )
        first += min(ranking, key=place_of).provider == "best"
    return first / TRIALS


@pytest.mark.parametrize(("tiny_sent", "tiny_rate"), [(3, 0.725), (20, 0.953), (60, 0.95)])
def test_the_best_comes_first_by_the_adjusted_score_whatever_luck_a_tiny_provider_has(
    tiny_sent: int, tiny_rate: float
) -> None:
    assert share_of_the_best_first(lambda each: each.adjusted_rank, tiny_sent=tiny_sent, tiny_rate=tiny_rate) >= 0.99


def test_by_the_raw_score_three_lucky_messages_beat_a_million_good_ones_in_three_of_eight_trials() -> None:
    share = share_of_the_best_first(lambda each: each.rank, tiny_sent=3, tiny_rate=0.725)
    assert share == pytest.approx(0.62, abs=0.03)
