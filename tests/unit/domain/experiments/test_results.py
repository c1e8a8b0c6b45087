"""One test's results: who is the control, what each verdict means, and what happens where nothing can be said."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_pipelines.domain.experiments import VariantCounts, VariantResult, Verdict, control_of, experiment_results


def results_of(**counts: tuple[int, int]) -> dict[str, VariantResult]:
    """Results by variant, from messages and successes."""
    return experiment_results(
        [VariantCounts(variant, sent, successes) for variant, (sent, successes) in counts.items()]
    )


def verdicts_of(**counts: tuple[int, int]) -> dict[str, str]:
    return {variant: result.verdict.value for variant, result in results_of(**counts).items()}


@pytest.mark.parametrize(
    ("variants", "control"),
    [
        (["A", "control", "B"], "control"),
        (["B", "A", "0"], "A"),
        (["b", "a", "C"], "C"),
        (["é", "z"], "z"),
        (["Control", "CONTROL"], "CONTROL"),
    ],
)
def test_the_control_is_called_control_or_a_or_comes_first_by_its_bytes(variants: list[str], control: str) -> None:
    assert control_of(variants) == control
    assert control_of(variants[::-1]) == control


def test_a_clear_difference_has_a_winner_with_its_lift() -> None:
    control, variant = results_of(A=(10_000, 2000), B=(10_000, 2300)).values()
    assert (control.is_control, control.lift, control.p_value, control.difference) == (True, None, None, None)
    assert (control.rate, variant.rate) == (Decimal("20.00"), Decimal("23.00"))
    assert (variant.difference, variant.lift) == (Decimal("3.00"), Decimal("15.00"))
    assert variant.lift_low is not None and variant.lift_high is not None and variant.p_value is not None
    assert 0 < variant.lift_low < 15 < variant.lift_high
    assert variant.p_value < Decimal("0.001")
    assert (control.verdict, variant.verdict) == (Verdict.INCONCLUSIVE, Verdict.WINNER)
    assert (control.sample_size_needed, variant.sample_size_needed) == (0, 0)


def test_the_control_wins_when_every_other_variant_is_proven_worse() -> None:
    assert verdicts_of(control=(9000, 1800), x=(9000, 1300)) == {"control": "winner", "x": "inconclusive"}
    assert verdicts_of(control=(9000, 1800), x=(9000, 1300), y=(9000, 1790))["control"] == "no_difference_yet"


def test_every_variant_proven_better_than_the_control_wins() -> None:
    verdicts = verdicts_of(A=(9000, 1500), B=(9000, 1900), C=(9000, 2300), D=(9000, 1100))
    assert verdicts == {"A": "inconclusive", "B": "winner", "C": "winner", "D": "inconclusive"}


def test_a_test_without_a_difference_waits_until_it_has_its_size() -> None:
    running = results_of(A=(5000, 1000), B=(5000, 1010))["B"]
    assert (running.verdict, running.sample_size) == (Verdict.NO_DIFFERENCE_YET, 14_214)
    assert running.sample_size_needed == 14_214 - 5000
    done = results_of(A=(15_000, 3000), B=(15_000, 3010))["B"]
    assert (done.verdict, done.sample_size_needed) == (Verdict.INCONCLUSIVE, 0)


def test_more_variants_and_smaller_lifts_need_more_messages() -> None:
    two = results_of(A=(100, 20), B=(100, 20))["B"].sample_size
    four = results_of(A=(100, 20), B=(100, 20), C=(100, 20), D=(100, 20))["B"].sample_size
    counts = [VariantCounts("A", 100, 20), VariantCounts("B", 100, 20)]
    finer = experiment_results(counts, minimum_lift=0.05)["B"].sample_size
    assert two is not None and four is not None and finer is not None
    assert two < four < 1.5 * two
    assert 3.5 * two < finer < 5 * two


def test_an_uneven_split_is_a_mismatch_for_all_and_no_size_helps() -> None:
    results = results_of(A=(5000, 1000), B=(2500, 900))
    assert {result.verdict for result in results.values()} == {Verdict.MISMATCH}
    assert {result.sample_size_needed for result in results.values()} == {None}
    assert {result.mismatch_p_value for result in results.values()} == {Decimal("0.000000")}


def test_a_variant_that_nothing_was_sent_of_has_no_figures() -> None:
    control, variant = results_of(A=(8, 2), B=(0, 0)).values()
    assert (variant.rate, variant.rate_low, variant.rate_high, variant.lift, variant.p_value) == (None,) * 5
    assert (control.verdict, variant.verdict) == (Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE)
    assert (control.rate, control.sample_size_needed) == (Decimal("25.00"), None)


def test_a_variant_that_got_no_share_of_many_messages_is_a_mismatch() -> None:
    assert set(verdicts_of(A=(1000, 200), B=(0, 0)).values()) == {"mismatch"}


def test_a_variant_that_nothing_was_sent_of_does_not_count_as_a_comparison() -> None:
    two = results_of(A=(8, 2), B=(8, 7))["B"]
    three = results_of(A=(8, 2), B=(8, 7), C=(0, 0))["B"]
    assert three.p_value == two.p_value


def test_a_variant_without_a_rival_is_inconclusive() -> None:
    (only,) = results_of(B=(1000, 200)).values()
    assert (only.is_control, only.verdict, only.mismatch_p_value) == (True, Verdict.INCONCLUSIVE, None)
    assert only.rate_low is not None and only.rate_high is not None
    assert only.rate_low < 20 < only.rate_high


def test_there_is_no_lift_over_nothing_but_there_can_be_a_winner() -> None:
    variant = results_of(A=(1000, 0), B=(1000, 60))["B"]
    assert (variant.lift, variant.lift_low, variant.lift_high) == (None, None, None)
    assert (variant.difference, variant.verdict) == (Decimal("6.00"), Verdict.WINNER)


def test_a_lift_that_has_no_upper_limit_yet_says_so_with_none() -> None:
    variant = results_of(A=(1000, 3), B=(1000, 30))["B"]
    assert variant.lift == Decimal("900.00")
    assert variant.lift_high is None
    assert variant.lift_low is not None


def test_three_lucky_messages_win_nothing() -> None:
    assert verdicts_of(A=(3, 0), B=(3, 3)) == {"A": "no_difference_yet", "B": "no_difference_yet"}


def test_more_successes_than_messages_count_as_all_of_them_but_show_in_the_rate() -> None:
    odd, full = results_of(A=(100, 150), B=(100, 90)), results_of(A=(100, 100), B=(100, 90))
    assert odd["A"].rate == Decimal("150.00")
    assert odd["A"].rate_high == full["A"].rate_high == Decimal("100.00")
    assert odd["B"].lift == full["B"].lift == Decimal("-10.00")
    assert odd["B"].p_value == full["B"].p_value


def test_rates_are_rounded_half_away_from_zero() -> None:
    # 5 of 32 are 15.625 %, and the lift from 32 to 31 of 32 is -3.125 %.
    results = results_of(A=(32, 32), B=(32, 31), C=(32, 5))
    assert results["C"].rate == Decimal("15.63")
    assert results["B"].lift == Decimal("-3.13")


@pytest.mark.parametrize("minimum_lift", [0.0, -0.1, 10.0])
def test_a_test_is_sized_for_a_lift_that_is_a_part_of_the_rate(minimum_lift: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        experiment_results([VariantCounts("A", 10, 1), VariantCounts("B", 10, 1)], minimum_lift=minimum_lift)


def test_nothing_counted_gives_no_results() -> None:
    assert experiment_results([]) == {}


@st.composite
def variants_counted(draw: st.DrawFn) -> list[VariantCounts]:
    names = draw(st.lists(st.sampled_from(["control", "A", "B", "C", "é"]), min_size=1, max_size=4, unique=True))
    sent = st.integers(0, 30) | st.integers(0, 10**12)
    counts = []
    for name in names:
        messages = draw(sent)
        counts.append(VariantCounts(name, messages, draw(st.integers(0, messages))))
    return counts


@settings(deadline=None)
@given(variants_counted())
def test_whatever_is_counted_figures_are_in_order(counts: list[VariantCounts]) -> None:
    results = experiment_results(counts)
    assert sorted(results) == sorted(each.variant for each in counts)
    assert [result.is_control for result in results.values()] == [True] + [False] * (len(counts) - 1)
    for result in results.values():
        if result.rate is None:
            assert result.sent == 0
            continue
        assert result.rate_low is not None and result.rate_high is not None
        assert 0 <= result.rate_low <= result.rate <= result.rate_high <= 100
        for low, value, high in (
            (result.difference_low, result.difference, result.difference_high),
            (result.lift_low, result.lift, result.lift_high),
        ):
            assert low is None or value is None or low <= value
            assert high is None or value is None or value <= high
        if result.p_value is not None and result.uncorrected_p_value is not None:
            assert 0 <= result.uncorrected_p_value <= result.p_value <= 1
        if result.verdict is Verdict.WINNER and not result.is_control:
            assert result.p_value is not None
            assert result.p_value <= Decimal("0.05")
            assert result.difference is not None
            assert result.difference >= 0
