"""The promises of the method, by simulation: 2,000 tests of each kind, each looked at 50 times."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from iris_pipelines.domain.experiments import inference
from iris_pipelines.domain.experiments.inference import ERROR_RATE, Floats, Verdict, evaluate, holm

TESTS, LOOKS = 2000, 50


def sent_bit_by_bit(
    rates: tuple[float, ...], messages: int, *, seed: int, is_random: bool = False
) -> tuple[Floats, Floats]:
    """Messages of each variant and their successes at every look, while the campaign is being sent."""
    rng = np.random.default_rng(seed)
    batches = np.diff(np.geomspace(20, messages, LOOKS).astype(int), prepend=0)
    if is_random:
        shares = np.full(len(rates), 1 / len(rates))
        sent = rng.multinomial(batches * len(rates), shares, size=(TESTS, LOOKS))
    else:
        sent = np.broadcast_to(batches[:, None], (TESTS, LOOKS, len(rates)))
    successes = rng.binomial(sent, rates)
    return sent.cumsum(axis=1).astype(float), successes.cumsum(axis=1).astype(float)


def answered_bit_by_bit(rate: float, messages: int, *, seed: int) -> tuple[Floats, Floats]:
    """The same after everything was sent at once: the looks see answers coming in over days."""
    rng = np.random.default_rng(seed)
    answered = np.diff(1 - np.exp(-np.linspace(0, 6, LOOKS + 1)))
    shares = np.append(rate * answered / answered.sum(), 1 - rate)
    successes = np.stack([rng.multinomial(messages, shares, size=TESTS)[:, :LOOKS] for _ in "AB"], axis=-1)
    return np.full((TESTS, LOOKS, 2), float(messages)), successes.cumsum(axis=1).astype(float)


def share_naming_a_winner(sent: Floats, successes: Floats) -> float:
    """Of the tests, those that name a winner at any look."""
    return float((evaluate(sent, successes).verdict == Verdict.WINNER).any(axis=(1, 2)).mean())


def share_naming_a_winner_naively(sent: Floats, successes: Floats) -> float:
    """The same by the z-test of two proportions, read at every look as if it were the only one."""
    pooled = successes.sum(axis=-1) / sent.sum(axis=-1)
    error = np.sqrt(np.maximum(pooled * (1 - pooled) * (1 / sent).sum(axis=-1), 1e-12))
    distance = np.abs(np.diff(successes / sent, axis=-1)[..., 0])
    return float((distance / error > 1.959964).any(axis=1).mean())


@pytest.mark.parametrize(
    ("rate", "messages"), [(0.03, 500), (0.03, 20_000), (0.2, 500), (0.2, 20_000), (0.5, 20_000), (0.95, 20_000)]
)
@pytest.mark.parametrize("is_random", [False, True])
def test_tests_without_a_difference_rarely_name_a_winner_however_often_they_are_looked_at(
    rate: float, messages: int, is_random: bool
) -> None:
    looks = sent_bit_by_bit((rate, rate), messages, seed=1, is_random=is_random)
    assert share_naming_a_winner(*looks) <= ERROR_RATE
    assert share_naming_a_winner_naively(*looks) > 0.2


@pytest.mark.parametrize(("rate", "messages"), [(0.03, 20_000), (0.2, 500), (0.2, 20_000), (0.95, 500)])
def test_no_false_winner_comes_of_looking_while_answers_come_in(rate: float, messages: int) -> None:
    looks = answered_bit_by_bit(rate, messages, seed=2)
    assert share_naming_a_winner(*looks) <= ERROR_RATE
    # Early answers are read as a low rate, which spares the naive reading some mistakes: one in five, not one in three.
    assert share_naming_a_winner_naively(*looks) > 0.15


@pytest.mark.parametrize(("rate", "messages"), [(0.0005, 500), (0.0005, 20_000), (0.005, 20_000), (0.995, 2000)])
def test_rare_successes_name_no_false_winner_either(rate: float, messages: int) -> None:
    assert share_naming_a_winner(*sent_bit_by_bit((rate, rate), messages, seed=3)) <= ERROR_RATE


@pytest.mark.parametrize(("rates", "messages"), [((0.2, 0.23), 15_000), ((0.02, 0.03), 15_000), ((0.5, 0.6), 2000)])
def test_a_real_difference_names_the_better_variant_whichever_is_the_control(
    rates: tuple[float, float], messages: int
) -> None:
    for order in (rates, rates[::-1]):
        won = (evaluate(*sent_bit_by_bit(order, messages, seed=4)).verdict == Verdict.WINNER).any(axis=1).mean(axis=0)
        assert won[np.argmax(order)] > 0.95
        assert won[np.argmin(order)] < 0.005


@pytest.mark.parametrize("rate", [0.02, 0.2, 0.6])
def test_the_sample_size_finds_the_lift_that_it_was_made_for_in_four_of_five_tests(rate: float) -> None:
    size = int(evaluate(np.array([1e6, 1e6]), np.array([rate, rate]) * 1e6).sample_size[0])
    sent, successes = sent_bit_by_bit((rate, rate * 1.1), size, seed=5)
    winners = evaluate(sent, successes).verdict[..., 1] == Verdict.WINNER
    assert 0.77 <= winners[:, -1].mean() <= 0.86
    assert winners.any(axis=1).mean() >= 0.8


@pytest.mark.parametrize(
    ("rates", "messages"),
    [((0.02, 0.04), 1000), ((0.02, 0.03), 20_000), ((0.2, 0.1), 20_000), ((0.2, 0.6), 1000), ((0.9, 0.95), 20_000)],
)
def test_intervals_hold_the_truth_at_every_look(rates: tuple[float, float], messages: int) -> None:
    found = evaluate(*sent_bit_by_bit(rates, messages, seed=6))
    control, variant = rates

    def ever_missed(low: Floats, high: Floats, truth: float) -> float:
        return float(((low > truth) | (high < truth)).any(axis=1).mean())

    for i, rate in enumerate(rates):
        assert ever_missed(found.rate_low[..., i], found.rate_high[..., i], rate) <= ERROR_RATE
    assert ever_missed(found.difference_low[..., 1], found.difference_high[..., 1], variant - control) <= ERROR_RATE
    assert ever_missed(found.lift_low[..., 1], found.lift_high[..., 1], variant / control - 1) <= ERROR_RATE


def test_intervals_become_narrow_enough_to_be_of_use() -> None:
    """What watching all the time costs: less than twice the width of an interval that may be read once."""
    found = evaluate(np.array([20_000.0, 20_000.0]), np.array([4000.0, 4400.0]))
    once = 1.959964 * np.sqrt(0.2 * 0.8 / 20_000)
    assert 1.0 < (found.rate_high[0] - found.rate_low[0]) / (2 * once) < 2.0
    assert 1.0 < (found.difference_high[1] - found.difference_low[1]) / (2 * once * np.sqrt(2.0)) < 2.0


def test_four_variants_together_rarely_name_a_false_winner() -> None:
    same = (0.2, 0.2, 0.2, 0.2)
    assert share_naming_a_winner(*sent_bit_by_bit(same, 20_000, seed=7)) <= ERROR_RATE
    assert share_naming_a_winner(*sent_bit_by_bit(same, 20_000, seed=8, is_random=True)) <= ERROR_RATE


def test_a_true_winner_helps_none_of_its_neighbours_to_a_false_one() -> None:
    verdict = evaluate(*sent_bit_by_bit((0.2, 0.2, 0.2, 0.26), 20_000, seed=9)).verdict
    ever = (verdict == Verdict.WINNER).any(axis=1)
    assert ever[:, :3].any(axis=1).mean() <= ERROR_RATE
    assert ever[:, 3].mean() > 0.95


def test_holm_corrects_as_by_hand() -> None:
    corrected = holm(np.array([np.nan, 0.01, 0.04, 0.03, 0.5]))
    assert corrected[1:] == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert np.isnan(corrected[0])
    assert holm(np.array([0.6, 0.6, 0.001])) == pytest.approx([1.0, 1.0, 0.003])


@pytest.mark.parametrize("variants", [2, 3, 5])
def test_an_even_split_is_rarely_called_a_mismatch(variants: int) -> None:
    sent, successes = sent_bit_by_bit((0.2,) * variants, 50_000, seed=10, is_random=True)
    assert (evaluate(sent, successes).verdict == Verdict.MISMATCH).any(axis=(1, 2)).mean() <= 0.01


@pytest.mark.parametrize(
    ("shares", "messages"),
    [((0.6, 0.4), 2000), ((0.53, 0.47), 20_000), ((0.51, 0.49), 200_000), ((0.4, 0.3, 0.3), 4000)],
)
def test_a_broken_split_is_called_a_mismatch(shares: tuple[float, ...], messages: int) -> None:
    sent = np.random.default_rng(11).multinomial(messages, shares, size=TESTS).astype(float)
    assert (evaluate(sent, sent // 5).verdict == Verdict.MISMATCH).all(axis=1).mean() > 0.97


def test_interval_and_p_value_of_a_comparison_never_contradict_each_other() -> None:
    rng = np.random.default_rng(12)
    sent = 10 ** rng.uniform(0, 6, size=(20_000, 1)) * rng.uniform(0.8, 1, size=(20_000, 2))
    sent = np.ceil(sent)
    successes = np.floor(sent * rng.uniform(0, 1, size=(20_000, 1)) * rng.uniform(0.7, 1, size=(20_000, 2)))
    found = evaluate(sent, successes)
    significant = found.uncorrected_p_value[:, 1] <= ERROR_RATE
    assert 0.1 < significant.mean() < 0.9
    excludes_zero = (found.difference_low[:, 1] > 0) | (found.difference_high[:, 1] < 0)
    assert (significant == excludes_zero).all()
    with_successes = successes[:, 0] > 0
    excludes_zero_lift = (found.lift_low[:, 1] > 0) | (found.lift_high[:, 1] < 0)
    assert (significant == excludes_zero_lift)[with_successes].all()


def test_a_look_at_many_tests_gives_what_a_look_at_each_gives() -> None:
    rng = np.random.default_rng(13)
    sent = rng.integers(0, 50, size=(200, 3)).astype(float)
    successes = rng.binomial(sent.astype(int), 0.4).astype(float)
    together = evaluate(sent, successes)
    for i in range(len(sent)):
        alone = evaluate(sent[i], successes[i])
        for name, values in vars(alone).items():
            np.testing.assert_array_equal(getattr(together, name)[i], values, err_msg=name)


def test_the_document_shows_every_constant_as_it_is() -> None:
    document = (Path(__file__).parents[4] / "docs" / "experiments.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", document, re.MULTILINE))
    constants = ("ERROR_RATE", "MIXTURE_VARIANCE", "MISMATCH_MIXTURE", "MISMATCH_THRESHOLD", "MINIMUM_LIFT")
    assert documented == {name: str(getattr(inference, name)) for name in constants}
