"""What is normal for a tenant and channel, from four weeks: the share delivered in time for each hour of the week, how
much more such shares vary than chance alone would make them, how much is sent, and how long it is silent.

Shares vary because messages are not independent: an hour has its own luck (a provider, a list of numbers). That is the
correlation within an hour of the beta-binomial distribution. It is estimated from how far hours were from what the
other weeks said of them, so it holds what we do not know of the share, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAYS = 28
HOURS = DAYS * 24
SLOTS = HOURS * 4
LONG_HOURS = 6
"""The long window that a small drop in a small channel needs to show."""
SMOOTHING = 200.0
"""The hour of the day is worth so many messages of the hour of the week; all hours together, so many of the former."""
LEAST_CORRELATION = 3e-4
MOST_CORRELATION = 0.5
MINIMUM_SENT = 500
"""Below this in four weeks, nothing is normal."""
_INCIDENT = 12.0
"""Squared deviations beyond this are incidents: they must not teach that incidents are normal."""


@dataclass(frozen=True)
class Baseline:
    """What is normal: arrays by hour of the week from Monday midnight UTC."""

    rates: Floats
    """The share delivered in time, between 0 and 1."""
    weights: Floats
    """How many independent messages that is known from."""
    volumes: Floats
    """Messages sent in a slot."""
    hourly_correlation: float
    """Of messages within an hour or a slot."""
    long_correlation: float
    """Of messages within six hours."""
    longest_silence: float
    """How many messages the longest silence lacked, by these volumes."""
    sent: int


def fit(sent: Ints, delivered: Ints) -> Baseline | None:
    """From the slots of four weeks, the first on a Monday at midnight or any other hour boundary of `DAYS` days.

    Both arrays have SLOTS entries, and entry 0 is hour 0 of the week: rotate before. None with too few messages.
    """
    if int(sent.sum()) < MINIMUM_SENT:
        return None
    hourly_sent, hourly_delivered = _by_hour(sent), _by_hour(delivered)
    usual = np.ones(HOURS, dtype=bool)
    for _ in range(2):
        expected = _left_out(hourly_sent, hourly_delivered, usual)
        correlation = _correlation(hourly_sent[usual], hourly_delivered[usual], expected[usual])
        usual = _deviation(hourly_sent, hourly_delivered, expected, correlation) < _INCIDENT
    expected = _left_out(hourly_sent, hourly_delivered, usual)
    slots_usual = np.repeat(usual, 4)
    slot_expected = np.repeat(expected, 4)
    hourly = max(
        _correlation(hourly_sent[usual], hourly_delivered[usual], expected[usual]),
        _correlation(sent[slots_usual].astype(float), delivered[slots_usual].astype(float), slot_expected[slots_usual]),
    )
    long = _block_correlation(hourly_sent * usual, hourly_delivered * usual, expected)
    rates, weights = _rates(hourly_sent * usual, hourly_delivered * usual, hourly)
    volumes = _by_hour(sent).reshape(4, 168).mean(axis=0) / 4
    return Baseline(
        rates=rates,
        weights=weights,
        volumes=volumes,
        hourly_correlation=_bounded(hourly),
        long_correlation=_bounded(long),
        longest_silence=_longest_silence(sent, volumes),
        sent=int(sent.sum()),
    )


def _by_hour(slots: Ints) -> Floats:
    summed: Floats = slots.reshape(HOURS, 4).sum(axis=1).astype(np.float64)
    return summed


def _left_out(sent: Floats, delivered: Floats, usual: npt.NDArray[np.bool_]) -> Floats:
    """What the other hours say of each: its hour of the week, smoothed by its hour of the day, smoothed by all."""
    known_sent, known_delivered = sent * usual, delivered * usual
    overall = (known_delivered.sum() + 1) / (known_sent.sum() + 2)
    of_week = np.arange(HOURS) % 168
    of_day = np.arange(HOURS) % 24
    day_sent = np.bincount(of_day, known_sent, 24)[of_day] - known_sent
    day_delivered = np.bincount(of_day, known_delivered, 24)[of_day] - known_delivered
    by_day = (day_delivered + SMOOTHING * overall) / (day_sent + SMOOTHING)
    week_sent = np.bincount(of_week, known_sent, 168)[of_week] - known_sent
    week_delivered = np.bincount(of_week, known_delivered, 168)[of_week] - known_delivered
    found: Floats = (week_delivered + SMOOTHING * by_day) / (week_sent + SMOOTHING)
    return _inside(found)


def _rates(sent: Floats, delivered: Floats, correlation: float) -> tuple[Floats, Floats]:
    """The rates by hour of the week, and from how many independent messages each is known."""
    overall = (delivered.sum() + 1) / (sent.sum() + 2)
    of_week, of_day = np.arange(HOURS) % 168, np.arange(HOURS) % 24
    independent = sent / (1 + np.maximum(sent - 1, 0) * _bounded(correlation))
    day_sent, day_delivered = np.bincount(of_day, sent, 24), np.bincount(of_day, delivered, 24)
    by_day = (day_delivered + SMOOTHING * overall) / (day_sent + SMOOTHING)
    week_sent, week_delivered = np.bincount(of_week, sent, 168), np.bincount(of_week, delivered, 168)
    hour_of_day = np.arange(168) % 24
    rates = (week_delivered + SMOOTHING * by_day[hour_of_day]) / (week_sent + SMOOTHING)
    day_independent = np.bincount(of_day, independent, 24)[hour_of_day]
    smoothed = SMOOTHING * day_independent / (day_independent + SMOOTHING)
    weights: Floats = np.bincount(of_week, independent, 168).astype(np.float64) + smoothed
    return _inside(rates), weights


def _deviation(sent: Floats, delivered: Floats, expected: Floats, correlation: float) -> Floats:
    """Squared standardised deviations below what was expected; zero where nothing was sent or it was better."""
    variance = sent * expected * (1 - expected) * (1 + np.maximum(sent - 1, 0) * _bounded(correlation))
    short = np.maximum(sent * expected - delivered, 0)
    squared: Floats = np.divide(short**2, variance, out=np.zeros(len(sent)), where=variance > 0)
    return squared


def _correlation(sent: Floats, delivered: Floats, expected: Floats) -> float:
    """By moments: squared deviations beyond those of independent messages, in what wholly dependent ones would add."""
    variance = sent * expected * (1 - expected)
    more = ((delivered - sent * expected) ** 2 - variance)[sent > 1].sum()
    most = (variance * (sent - 1))[sent > 1].sum()
    return float(more / most) if most > 0 else 0.0


def _block_correlation(sent: Floats, delivered: Floats, expected: Floats) -> float:
    """The same for blocks of six hours, each with the rates of its hours."""
    blocks = HOURS // LONG_HOURS
    total = sent.reshape(blocks, LONG_HOURS).sum(axis=1)
    hoped = (sent * expected).reshape(blocks, LONG_HOURS).sum(axis=1)
    got = delivered.reshape(blocks, LONG_HOURS).sum(axis=1)
    share = np.divide(hoped, total, out=np.full(blocks, 0.5), where=total > 0)
    return _correlation(total, got, share)


def _longest_silence(sent: Ints, volumes: Floats) -> float:
    """The most that any stretch without a message lacked."""
    of_week = np.arange(SLOTS) // 4 % 168
    lacking = np.where(sent == 0, volumes[of_week], 0.0)
    total = np.cumsum(lacking)
    # What was lacking before the stretch began is what was lacking at the last slot with a message.
    before = np.maximum.accumulate(np.where(sent > 0, total, 0.0))
    return float((total - before).max())


def _inside(rates: Floats) -> Floats:
    inside: Floats = np.clip(rates, 1e-4, 1 - 1e-4)
    return inside


def _bounded(correlation: float) -> float:
    return min(max(correlation, LEAST_CORRELATION), MOST_CORRELATION)
