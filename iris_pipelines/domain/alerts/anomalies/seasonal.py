"""Is what was sent a while ago delivered as usual? An exact test on windows of one slot, one hour and six hours.

A window is an anomaly when so few deliveries, or fewer, would happen by chance once in `1 / FALSE_ALARMS` windows. With
three windows every quarter of an hour that is less than 0.1 false alarms in 30 days for each tenant and channel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from iris_pipelines.domain.alerts.anomalies.baselines import Baseline
from iris_pipelines.domain.alerts.anomalies.cohorts import SLOT, Cohort, hour_of_week

WINDOWS = (1, 4, 24)
"""In slots."""
FALSE_ALARMS = 1e-5
RECOVERED = 0.05
"""An incident ends when its window looks like one of twenty usual ones, or better."""
MINIMUM_SENT = 20
SMALLEST_DROP = 0.01
"""A hundredth less is not worth waking anybody, however sure it is."""
SILENCE_FACTOR = 2.0
LEAST_SILENCE = 25.0
_INTERVAL = 1.959963984540054


@dataclass(frozen=True)
class Judgement:
    """What a window says; shares are between 0 and 1."""

    holds: bool | None
    window: int
    """In slots."""
    start: datetime
    end: datetime
    sent: int
    delivered: int
    expected: float
    low: float
    high: float
    chance: float
    """How likely so few deliveries are when all is well."""


def judge(
    baseline: Baseline, cohorts: Sequence[Cohort], end: datetime, *, open_window: int | None = None
) -> Judgement | None:
    """The window before `end` that looks least usual, or, of an incident, the one that it began with.

    `cohorts` are final, in order, and empty slots are left out. None when nothing was sent in any window.
    """
    judged = [
        found
        for window in ([open_window] if open_window is not None else WINDOWS)
        if (found := _window(baseline, cohorts, end, window)) is not None
    ]
    if not judged:
        return None
    worst = min(judged, key=lambda each: each.chance)
    enough = worst.sent >= MINIMUM_SENT
    if open_window is not None:
        holds = worst.chance < RECOVERED if enough else None
    else:
        actual = worst.delivered / worst.sent
        holds = enough and worst.chance < FALSE_ALARMS and worst.expected - actual >= SMALLEST_DROP
    return Judgement(**{**vars(worst), "holds": holds})


def _window(baseline: Baseline, cohorts: Sequence[Cohort], end: datetime, window: int) -> Judgement | None:
    start = end - window * SLOT
    within = [cohort for cohort in cohorts if start <= cohort.slot < end]
    sent = sum(cohort.sent for cohort in within)
    if sent == 0:
        return None
    delivered = sum(cohort.delivered for cohort in within)
    hours = [hour_of_week(cohort.slot) for cohort in within]
    expected = sum(cohort.sent * float(baseline.rates[hour]) for cohort, hour in zip(within, hours, strict=True)) / sent
    weight = sum(cohort.sent * float(baseline.weights[hour]) for cohort, hour in zip(within, hours, strict=True)) / sent
    correlation = baseline.long_correlation if window > 4 else baseline.hourly_correlation
    # What is not known of the rate adds to what varies.
    correlation = min(correlation + 1 / (weight + 2), 0.9)
    spread = _INTERVAL * math.sqrt(expected * (1 - expected) * (1 + (sent - 1) * correlation) / sent)
    return Judgement(
        holds=None,
        window=window,
        start=start,
        end=end,
        sent=sent,
        delivered=delivered,
        expected=expected,
        low=max(0.0, expected - spread),
        high=min(1.0, expected + spread),
        chance=lower_tail(delivered, sent, expected, correlation),
    )


def lower_tail(successes: int, trials: int, share: float, correlation: float) -> float:
    """P(X <= successes) for a beta-binomial X with this mean share and correlation between trials."""
    if successes >= trials:
        return 1.0
    precision = 1 / correlation - 1
    a, b = share * precision, (1 - share) * precision
    if successes >= trials * share:
        return 0.5 + 0.5 * min(1.0, successes / trials)  # better than expected: nobody needs to know how much
    log_term = (
        math.lgamma(trials + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(trials - successes + 1)
        + math.lgamma(successes + a)
        + math.lgamma(trials - successes + b)
        - math.lgamma(trials + a + b)
        - math.lgamma(a)
        - math.lgamma(b)
        + math.lgamma(a + b)
    )
    # Downwards from `successes`, each term from the one above it, until the rest cannot matter.
    term = total = 1.0
    for k in range(successes, 0, -1):
        term *= k * (trials - k + b) / ((trials - k + 1) * (k - 1 + a))
        total += term
        if term < total * 1e-12:
            break
    return min(1.0, math.exp(log_term + math.log(total)))


@dataclass(frozen=True)
class Silence:
    """How long nothing was sent, and how much usually would have been."""

    holds: bool
    since: datetime
    lacking: float
    usual: float
    """The most that a silence lacked before."""


def judge_silence(baseline: Baseline, last_sent: datetime, end: datetime) -> Silence:
    """Whether nothing was sent since the slot `last_sent` for longer than it ever is."""
    since = last_sent + SLOT
    slots = max(0, (end - since) // SLOT)
    lacking = sum(float(baseline.volumes[hour_of_week(since + n * SLOT)]) for n in range(slots))
    least = max(LEAST_SILENCE, SILENCE_FACTOR * baseline.longest_silence)
    return Silence(lacking > least, since, lacking, baseline.longest_silence)
