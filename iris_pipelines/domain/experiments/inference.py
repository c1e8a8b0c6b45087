"""Always-valid inference for many tests at once: arrays of messages and successes in, arrays of results out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ERROR_RATE = 0.05
"""The share of tests without a difference that may ever name a winner, and of intervals that may ever miss."""
MIXTURE_VARIANCE = 10.0
"""Where the sequential tests are sharpest: at a variance of about nine times this, in successes."""
MISMATCH_MIXTURE = 20.0
"""The same for the check of the split, in messages."""
MISMATCH_THRESHOLD = 0.01
"""The share of evenly split tests that may ever be called a mismatch."""
MINIMUM_LIFT = 0.1
"""The difference that a test is sized for, as a part of the control's rate."""
POWER_QUANTILE = 0.8416212335729143
"""The standard normal quantile of 80 %: four of five tests with that difference find it by the size stated."""
SIZE_ITERATIONS = 6
_LARGEST_EXPONENT = 700.0


class Verdict(StrEnum):
    """What a test says about one variant so far."""

    WINNER = "winner"
    """Proven better than the control; the control: every other variant is proven worse."""
    NO_DIFFERENCE_YET = "no_difference_yet"
    """No difference is proven, and messages are still missing."""
    INCONCLUSIVE = "inconclusive"
    """No winner, and more messages will not make it one: nothing to compare, proven worse, or all messages sent."""
    MISMATCH = "mismatch"
    """The messages are not split evenly: something decides who gets which variant, so no comparison is fair."""


@dataclass(frozen=True)
class Evaluation:
    """Many tests at once: arrays of tests by variants, the control first; NaN where nothing can be said, parts of 1."""

    rate_low: Floats
    rate_high: Floats
    difference_low: Floats
    difference_high: Floats
    lift_low: Floats
    lift_high: Floats
    p_value: Floats
    uncorrected_p_value: Floats
    mismatch_p_value: Floats
    verdict: npt.NDArray[np.str_]
    sample_size: Floats
    sample_size_needed: Floats


def evaluate(sent: Floats, successes: Floats, *, minimum_lift: float = MINIMUM_LIFT) -> Evaluation:
    """Evaluate tests: the last axis is that of variants, the control first; axes before it are tests or looks."""
    if not 0.0 < minimum_lift < 1.0:
        raise ValueError(f"the minimum lift is a part of the control's rate, between 0 and 1, not {minimum_lift}")
    # An event may arrive before the sending that it belongs to: no more than everybody can have succeeded.
    successes = np.minimum(successes, sent)
    # A comparison with nothing is NaN from here on, and NaN compares as false: that is how "cannot be said" travels.
    with np.errstate(divide="ignore", invalid="ignore"):
        uncorrected, margin = _comparison(sent, successes)
        difference = successes / sent - successes[..., :1] / sent[..., :1]
        p_value = holm(uncorrected)
        lift_low, lift_high = _lift_interval(sent, successes)
        size = _sample_size(sent, successes, p_value, minimum_lift=minimum_lift)

    proven = p_value <= ERROR_RATE
    comparable = ~np.isnan(p_value)
    better, worse = proven & (difference > 0), proven & (difference < 0)
    # The control is compared with everybody at once: it needs all of them to be worse, and only one to be better.
    better[..., 0] = comparable.any(axis=-1) & (worse | ~comparable).all(axis=-1)
    worse[..., 0] = better[..., 1:].any(axis=-1)
    comparable[..., 0] = comparable.any(axis=-1)

    mismatch_p_value = _mismatch_p_value(sent)
    mismatch = mismatch_p_value < MISMATCH_THRESHOLD
    needed = np.where(better | worse, 0.0, np.maximum(size - sent, 0.0))
    # More messages that are split unfairly prove nothing.
    needed = np.where(mismatch | ~comparable, np.nan, needed)
    verdict = np.select(
        [mismatch, better, worse | ~comparable | (needed == 0)],
        [Verdict.MISMATCH.value, Verdict.WINNER.value, Verdict.INCONCLUSIVE.value],
        Verdict.NO_DIFFERENCE_YET.value,
    )
    return Evaluation(
        rate_low=_rate_low(sent, successes),
        rate_high=1.0 - _rate_low(sent, sent - successes),
        difference_low=np.maximum(difference - margin, -1.0),
        difference_high=np.minimum(difference + margin, 1.0),
        lift_low=lift_low,
        lift_high=lift_high,
        p_value=p_value,
        uncorrected_p_value=uncorrected,
        mismatch_p_value=mismatch_p_value,
        verdict=verdict,
        sample_size=size,
        sample_size_needed=needed,
    )


def holm(p_values: Floats) -> Floats:
    """Holm's step-down correction over the last axis; NaN is no comparison and stays NaN."""
    order = np.argsort(p_values, axis=-1)
    comparisons = np.sum(~np.isnan(p_values), axis=-1, keepdims=True)
    factors = comparisons - np.arange(p_values.shape[-1])
    steps = np.maximum.accumulate(np.take_along_axis(p_values, order, axis=-1) * factors, axis=-1)
    corrected = np.empty_like(p_values)
    np.put_along_axis(corrected, order, np.minimum(steps, 1.0), axis=-1)
    return corrected


def _variance(sent: Floats, successes: Floats) -> Floats:
    """The variance of an observed rate; one success and one failure more keep it above zero (Agresti and Caffo)."""
    return (successes + 1.0) * (sent - successes + 1.0) / ((sent + 2.0) * (sent + 2.0) * sent)


def _threshold(variance: Floats) -> Floats:
    """How far from zero, in squared deviations of the mixture, a sum of this variance ever gets in 5 % of cases."""
    return np.log((variance + MIXTURE_VARIANCE) / (MIXTURE_VARIANCE * ERROR_RATE * ERROR_RATE))


def _weight(sent: Floats) -> Floats:
    """Half the harmonic mean of both numbers of messages: turns rates into sums, whose variance serves as time."""
    return sent * sent[..., :1] / (sent + sent[..., :1])


def _comparison(sent: Floats, successes: Floats) -> tuple[Floats, Floats]:
    """The p-value of each variant's difference from the control, and half the width of its interval."""
    weight = _weight(sent)
    rate, rate_variance = successes / sent, _variance(sent, successes)
    distance = weight * (rate - rate[..., :1])
    variance = weight * weight * (rate_variance + rate_variance[..., :1])
    spread = variance + MIXTURE_VARIANCE
    exponent = 0.5 * np.log(spread / MIXTURE_VARIANCE) - distance * distance / (2.0 * spread)
    p_value = np.exp(np.clip(exponent, -_LARGEST_EXPONENT, 0.0))
    margin = np.sqrt(spread * _threshold(variance)) / weight
    p_value[..., 0] = np.nan
    margin[..., 0] = np.nan
    return p_value, margin


def _rate_low(sent: Floats, successes: Floats) -> Floats:
    """The lower end of the interval of a rate: the smaller root of a score interval, as Wilson's, but always valid."""
    with np.errstate(divide="ignore", invalid="ignore"):
        threshold = _threshold(sent * (sent * _variance(sent, successes)))
        middle = 2.0 * successes + threshold
        constant = (successes * successes - MIXTURE_VARIANCE * threshold) / sent
        root = middle + np.sqrt(np.maximum(middle * middle - 4.0 * (sent + threshold) * constant, 0.0))
        low = np.maximum(2.0 * constant / root, 0.0)
    return np.where(sent > 0, low, np.nan)


def _lift_interval(sent: Floats, successes: Floats) -> tuple[Floats, Floats]:
    """The ratios to the control's rate that are not ruled out, less 1 (Fieller); NaN above means without end.

    At a ratio of 1 this is the test of the difference, so that interval and p-value never contradict each other.
    """
    weight = _weight(sent)
    rate, rate_variance = successes / sent, _variance(sent, successes)
    variant, control = weight * rate, weight * rate[..., :1]
    variant_variance = weight * weight * rate_variance
    control_variance = weight * weight * rate_variance[..., :1]
    threshold = _threshold(variant_variance + control_variance)
    square = control * control - threshold * (control_variance + 0.5 * MIXTURE_VARIANCE)
    middle = 2.0 * variant * control + threshold * 0.5 * MIXTURE_VARIANCE
    constant = variant * variant - threshold * variant_variance
    root = middle + np.sqrt(np.maximum(middle * middle - 4.0 * square * constant, 0.0))
    low = np.maximum(2.0 * constant / root, 0.0) - 1.0
    high = np.where(square > 0.0, root / (2.0 * square), np.nan) - 1.0
    # Against nothing there is no lift, and none of the control over itself.
    known = np.broadcast_to(control > 0.0, low.shape).copy()
    known[..., 0] = False
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def _sample_size(sent: Floats, successes: Floats, p_value: Floats, *, minimum_lift: float) -> Floats:
    """Messages per variant by which four of five tests find a true lift of `minimum_lift`; many find it sooner."""
    comparisons = np.sum(~np.isnan(p_value), axis=-1, keepdims=True)
    control = successes[..., :1] / sent[..., :1]
    # Where there is no room above the control's rate, the difference is looked for below.
    other = np.where(
        control * (1.0 + minimum_lift) <= 1.0, control * (1.0 + minimum_lift), control * (1.0 - minimum_lift)
    )
    variance = 0.5 * (control * (1.0 - control) + other * (1.0 - other))
    slope = np.abs(other - control) / variance
    spread = np.full_like(slope, MIXTURE_VARIANCE)
    error_rate = ERROR_RATE / comparisons
    # The spread stands in a logarithm only: each step makes its error some twenty times smaller.
    for _ in range(SIZE_ITERATIONS):
        reach = np.sqrt(np.log(spread / (MIXTURE_VARIANCE * error_rate * error_rate))) + POWER_QUANTILE
        step = (reach + np.sqrt(reach * reach + 4.0 * MIXTURE_VARIANCE * slope * slope)) / (2.0 * slope)
        spread = step * step
    size = np.ceil(2.0 * (spread - MIXTURE_VARIANCE) / variance)
    known = (control > 0.0) & (comparisons > 0)
    return np.broadcast_to(np.where(known, size, np.nan), sent.shape)


def _mismatch_p_value(sent: Floats) -> Floats:
    """The always-valid p-value of an even split: a normal mixture over Pearson's chi-square."""
    variants = sent.shape[-1]
    total = sent.sum(axis=-1, keepdims=True)
    if variants == 1:
        return np.full_like(sent, np.nan)
    expected = total / variants
    squares = ((sent - expected) * (sent - expected)).sum(axis=-1, keepdims=True)
    chi_square = squares / np.where(total > 0, expected, 1.0)
    exponent = 0.5 * (variants - 1) * np.log((total + MISMATCH_MIXTURE) / MISMATCH_MIXTURE) - 0.5 * chi_square * (
        total / (total + MISMATCH_MIXTURE)
    )
    return np.broadcast_to(np.exp(np.clip(exponent, -_LARGEST_EXPONENT, 0.0)), sent.shape)
