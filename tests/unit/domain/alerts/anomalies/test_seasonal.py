"""The seasonal model: an exact tail, few false alarms on simulated healthy channels, drops and outages seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from iris_pipelines.domain.alerts.anomalies.baselines import DAYS, SLOTS, fit
from iris_pipelines.domain.alerts.anomalies.cohorts import MATURITY, SLOT, Cohort, hour_of_week, matured_before
from iris_pipelines.domain.alerts.anomalies.seasonal import judge, judge_silence, lower_tail
from tests.benchmarks.anomalies import START, baseline_at, delays, false_alarms, guide_alarms_a_day, healthy


@pytest.mark.parametrize(
    ("trials", "share", "correlation"), [(10, 0.9, 0.1), (50, 0.97, 0.01), (200, 0.5, 0.001), (37, 0.99, 0.4)]
)
def test_the_tail_is_the_sum_of_the_beta_binomial(trials: int, share: float, correlation: float) -> None:
    precision = 1 / correlation - 1
    a, b = share * precision, (1 - share) * precision

    def beta(x: float, y: float) -> float:
        return math.lgamma(x) + math.lgamma(y) - math.lgamma(x + y)

    total = 0.0
    for k in range(trials + 1):
        total += math.comb(trials, k) * math.exp(beta(k + a, trials - k + b) - beta(a, b))
        if k < trials * share:
            assert lower_tail(k, trials, share, correlation) == pytest.approx(total, rel=1e-9)
    assert lower_tail(trials, trials, share, correlation) == 1.0


def test_healthy_channels_raise_fewer_false_alarms_than_stated() -> None:
    alarms = false_alarms(20, 10)
    # A tenth in 30 days would be less than one in all of these 200 days.
    assert sum(alarms) <= 1
    # The control: the rule that it stands beside raises some every day on the same traffic.
    assert min(guide_alarms_a_day(3, 3)) > 1


@pytest.mark.parametrize(
    ("volume", "to", "minutes"), [(50.0, 0.9, 240), (50.0, 0.8, 60), (50.0, 0.5, 45), (10.0, 0.5, 60), (10.0, 0.0, 45)]
)
def test_drops_are_seen(volume: float, to: float, minutes: int) -> None:
    for delay in delays(volume, to=to, trials=3):
        assert delay is not None
        assert delay <= minutes


def test_silence_is_seen() -> None:
    for delay in delays(10.0, to=None, sends=False, trials=3):
        assert delay is not None
        assert delay <= 90


def test_an_incident_of_the_past_does_not_make_incidents_normal() -> None:
    calm = healthy(3, DAYS, volume=50, rate=0.97)
    shaken = healthy(3, DAYS, volume=50, rate=0.97)
    for day in (5, 12, 20):
        shaken.delivered[day * 96 + 40 : day * 96 + 52] //= 2
    usual, after = baseline_at(calm, DAYS), baseline_at(shaken, DAYS)
    assert usual is not None
    assert after is not None
    assert after.hourly_correlation < 2 * usual.hourly_correlation
    assert float(np.abs(after.rates - usual.rates).max()) < 0.01


def test_too_little_to_say_says_nothing() -> None:
    few = np.zeros(SLOTS, dtype=np.int64)
    few[:100] = 4
    assert fit(few, few) is None
    baseline = baseline_at(healthy(1, DAYS, volume=50, rate=0.97), DAYS)
    assert baseline is not None
    end = START + DAYS * 96 * SLOT
    found = judge(baseline, [Cohort(end - SLOT, 19, 0)], end)
    assert found is not None
    assert found.holds is False
    assert judge(baseline, [], end) is None
    assert judge(baseline, [Cohort(end - SLOT, 20, 0)], end).holds is True  # type: ignore[union-attr]


def test_a_silence_is_measured_by_what_it_lacks() -> None:
    baseline = baseline_at(healthy(1, DAYS, volume=50, rate=0.97), DAYS)
    assert baseline is not None
    end = START + (DAYS * 96 + 48) * SLOT  # Monday noon
    assert not judge_silence(baseline, end - SLOT, end).holds
    assert judge_silence(baseline, end - 8 * SLOT, end).holds


def test_slots_are_final_after_a_quarter_of_an_hour() -> None:
    assert matured_before(START + SLOT + MATURITY) == START + SLOT
    assert matured_before(START + SLOT + MATURITY - SLOT / 100) == START
    assert [hour_of_week(START + n * 24 * 4 * SLOT) for n in range(8)] == [0, 24, 48, 72, 96, 120, 144, 0]
