"""The results of one A/B test as they are published: percentages and p-values, exact and rounded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

import numpy as np

from iris_pipelines.domain.experiments.inference import MINIMUM_LIFT, Verdict, evaluate
from iris_pipelines.domain.rates import rate


@dataclass(frozen=True)
class VariantCounts:
    """What was counted of one variant, for one metric."""

    variant: str
    sent: int
    successes: int


@dataclass(frozen=True)
class VariantResult:
    """One variant's line of a test: rates, differences and lift in per cent, everything rounded as it is published."""

    variant: str
    is_control: bool
    sent: int
    successes: int
    rate: Decimal | None
    rate_low: Decimal | None
    rate_high: Decimal | None
    difference: Decimal | None
    difference_low: Decimal | None
    difference_high: Decimal | None
    lift: Decimal | None
    lift_low: Decimal | None
    lift_high: Decimal | None
    p_value: Decimal | None
    uncorrected_p_value: Decimal | None
    mismatch_p_value: Decimal | None
    verdict: Verdict
    sample_size: int | None
    sample_size_needed: int | None


def control_of(variants: Iterable[str]) -> str:
    """The variant that others are compared with: `control`, else `A`, else the first by name."""
    return min(variants, key=lambda variant: (variant != "control", variant != "A", variant.encode()))


def experiment_results(
    counts: Sequence[VariantCounts], *, minimum_lift: float = MINIMUM_LIFT
) -> dict[str, VariantResult]:
    """The results of one test (one campaign and metric) by variant, the control first, the others by name."""
    if not counts:
        return {}
    control = control_of(each.variant for each in counts)
    ordered = sorted(counts, key=lambda each: (each.variant != control, each.variant.encode()))
    found = evaluate(
        np.array([each.sent for each in ordered], dtype=np.float64),
        np.array([each.successes for each in ordered], dtype=np.float64),
        minimum_lift=minimum_lift,
    )
    first = ordered[0]
    return {
        each.variant: VariantResult(
            variant=each.variant,
            is_control=each is first,
            sent=each.sent,
            successes=each.successes,
            rate=rate(each.successes, each.sent),
            rate_low=_percent(found.rate_low[i]),
            rate_high=_percent(found.rate_high[i]),
            difference=None if each is first else _difference(each, first),
            difference_low=_percent(found.difference_low[i]),
            difference_high=_percent(found.difference_high[i]),
            lift=None if each is first else _lift(each, first),
            lift_low=_percent(found.lift_low[i]),
            lift_high=_percent(found.lift_high[i]),
            p_value=_rounded(found.p_value[i], 6),
            uncorrected_p_value=_rounded(found.uncorrected_p_value[i], 6),
            mismatch_p_value=_rounded(found.mismatch_p_value[i], 6),
            verdict=Verdict(found.verdict[i]),
            sample_size=_whole(found.sample_size[i]),
            sample_size_needed=_whole(found.sample_size_needed[i]),
        )
        for i, each in enumerate(ordered)
    }


def _rounded(value: float, places: int) -> Decimal | None:
    if np.isnan(value):
        return None
    # PostgreSQL makes a numeric of the same 15 digits, so both round the same number.
    rounded = Decimal(f"{value:.15g}").quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return abs(rounded) if rounded.is_zero() else rounded


def _percent(part: float) -> Decimal | None:
    return _rounded(100.0 * part, 2)


def _whole(value: float) -> int | None:
    return None if np.isnan(value) else int(value)


def _difference(variant: VariantCounts, control: VariantCounts) -> Decimal | None:
    return rate(_cross_difference(variant, control), variant.sent * control.sent)


def _lift(variant: VariantCounts, control: VariantCounts) -> Decimal | None:
    return rate(_cross_difference(variant, control), variant.sent * min(control.successes, control.sent))


def _cross_difference(variant: VariantCounts, control: VariantCounts) -> int:
    """The difference of the two rates times both numbers of messages."""
    return min(variant.successes, variant.sent) * control.sent - min(control.successes, control.sent) * variant.sent
