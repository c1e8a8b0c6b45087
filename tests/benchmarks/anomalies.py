"""How often the detectors cry wolf, and how soon they see a wolf: simulated tenants, healthy and not.

`python -m tests.benchmarks.anomalies` prints the tables of docs/alerts.md (100 tenants, 30 days; some minutes).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from iris_pipelines.domain.alerts.anomalies.baselines import DAYS, Baseline, Ints, fit
from iris_pipelines.domain.alerts.anomalies.cohorts import MATURITY, SLOT, Cohort
from iris_pipelines.domain.alerts.anomalies.seasonal import Judgement, judge, judge_silence

START = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
DAY_SLOTS = 96
_HOURS = np.array(
    [
        0.2,
        0.1,
        0.1,
        0.1,
        0.1,
        0.3,
        0.7,
        1.2,
        1.7,
        1.9,
        1.9,
        1.7,
        1.6,
        1.6,
        1.6,
        1.6,
        1.5,
        1.5,
        1.5,
        1.3,
        1.1,
        0.8,
        0.5,
        0.3,
    ]
)
_WEEKDAYS = np.array([1.1, 1.1, 1.1, 1.1, 1.05, 0.75, 0.7])


@dataclass(frozen=True)
class Traffic:
    """A tenant's channel, slot by slot."""

    sent: Ints
    delivered: Ints

    def cohorts(self, first: int, end: int) -> list[Cohort]:
        return [
            Cohort(START + n * SLOT, int(self.sent[n]), int(self.delivered[n]))
            for n in range(max(first, 0), end)
            if self.sent[n]
        ]


def healthy(seed: int, days: int, *, volume: float | None = None, rate: float | None = None) -> Traffic:
    """Busy days and quiet nights, campaigns, rates with a daily and weekly course, and the luck of hours and days."""
    chance = np.random.default_rng(seed)
    slots = days * DAY_SLOTS
    hour = np.arange(slots) // 4
    mean = np.exp(chance.uniform(np.log(2), np.log(200))) if volume is None else volume
    course = _HOURS[hour % 24] * _WEEKDAYS[hour // 24 % 7]
    bursts = 1 + (chance.random(slots // 4 + 1)[hour] < 0.03) * chance.uniform(2, 8, slots // 4 + 1)[hour]
    noise = np.exp(chance.normal(0, 0.3, slots // 4 + 1))[hour]
    sent = chance.poisson(mean * course * bursts * noise)
    base = chance.uniform(0.9, 0.985) if rate is None else rate
    logit = np.log(base / (1 - base))
    logit = (
        logit
        + chance.uniform(0, 0.3) * np.sin(2 * np.pi * (hour % 24) / 24 + chance.uniform(0, 6))
        + chance.normal(0, 0.1, 168)[hour % 168]
        + chance.normal(0, 0.12, slots // 4 + 1)[hour]
        + chance.normal(0, 0.06, days + 1)[hour // 24]
    )
    delivered = chance.binomial(sent, 1 / (1 + np.exp(-logit)))
    return Traffic(sent, delivered)


def baseline_at(traffic: Traffic, day: int) -> Baseline | None:
    """From the 28 days before a day, turned so that they begin on a Monday."""
    end = day * DAY_SLOTS
    first = end - DAYS * DAY_SLOTS
    turn = first % (7 * DAY_SLOTS)
    return fit(np.roll(traffic.sent[first:end], turn), np.roll(traffic.delivered[first:end], turn))


@dataclass
class Watch:
    """Judges a channel slot by slot as the sensor does, and keeps the slots at which something began."""

    traffic: Traffic
    alarms: list[tuple[int, str]]
    _open_window: int | None = None
    _silent: bool = False
    _restart: int = 0

    def run(self, first_day: int, days: int) -> Watch:
        for day in range(first_day, first_day + days):
            baseline = baseline_at(self.traffic, day)
            if baseline is not None:
                for end in range(day * DAY_SLOTS + 1, (day + 1) * DAY_SLOTS + 1):
                    self._look(baseline, end)
        return self

    def _look(self, baseline: Baseline, end: int) -> None:
        recent = self.traffic.cohorts(max(end - 24, self._restart), end)
        found: Judgement | None = judge(baseline, recent, START + end * SLOT, open_window=self._open_window)
        if found is not None and found.holds and self._open_window is None:
            self.alarms.append((end, "delivery"))
            self._open_window = found.window
        elif found is not None and found.holds is False and self._open_window is not None:
            self._open_window, self._restart = None, end
        last = np.flatnonzero(self.traffic.sent[max(0, end - DAY_SLOTS) : end])
        if len(last) == 0:
            return
        silence = judge_silence(baseline, START + (max(0, end - DAY_SLOTS) + int(last[-1])) * SLOT, START + end * SLOT)
        if silence.holds and not self._silent:
            self.alarms.append((end, "silence"))
        self._silent = silence.holds


def false_alarms(tenants: int, days: int, *, seed: int = 0) -> list[int]:
    """Incidents of each healthy channel in so many days."""
    return [len(Watch(healthy(seed + n, DAYS + days), []).run(DAYS, days).alarms) for n in range(tenants)]


def guide_alarms_a_day(tenants: int, days: int, *, seed: int = 0) -> list[float]:
    """The guide's rule on the same channels, looking every quarter of an hour: unweighted, without a floor."""
    found = []
    for n in range(tenants):
        traffic = healthy(seed + n, DAYS + days)
        hourly_sent = traffic.sent.reshape(-1, 4).sum(axis=1)
        hourly_delivered = traffic.delivered.reshape(-1, 4).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            rates = 100 * hourly_delivered / hourly_sent
        alarms = 0
        for slot in range(DAYS * DAY_SLOTS, (DAYS + days) * DAY_SLOTS):
            hour = slot // 4
            sent = traffic.sent[hour * 4 : slot + 1].sum()
            if sent:
                rate = 100 * traffic.delivered[hour * 4 : slot + 1].sum() / sent
                week = rates[hour - 168 : hour]
                alarms += rate < np.nanmean(week) - 2 * np.nanstd(week)
        found.append(alarms / days)
    return found


def delays(
    volume: float, *, to: float | None, sends: bool = True, trials: int = 20, days: int = 3, seed: int = 10_000
) -> list[float | None]:
    """Minutes from the beginning of trouble at 10:00 on a Tuesday until it is seen; None if not within `days`."""
    found: list[float | None] = []
    for n in range(trials):
        traffic = healthy(seed + n, DAYS + days + 2, volume=volume, rate=0.97)
        begin = (DAYS + 1) * DAY_SLOTS + 40
        chance = np.random.default_rng(n)
        sent, delivered = traffic.sent.copy(), traffic.delivered.copy()
        if not sends:
            sent[begin:] = delivered[begin:] = 0
        elif to is not None:
            delivered[begin:] = chance.binomial(delivered[begin:], to / 0.97)
        watch = Watch(Traffic(sent, delivered), []).run(DAYS + 1, days)
        seen = [slot for slot, _ in watch.alarms if slot > begin]
        found.append(None if not seen else (seen[0] - begin) * 15 + MATURITY.total_seconds() / 60)
    return found


def shown(found: Sequence[float | None]) -> str:
    """The median and how many were seen."""
    seen = [each for each in found if each is not None]
    median = f"{statistics.median(seen):.0f} min" if seen else "never"
    return median if len(seen) == len(found) else f"{median} ({len(seen)} of {len(found)})"


def main() -> None:
    """Print both tables."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tenants", type=int, default=100)
    arguments.add_argument("--days", type=int, default=30)
    arguments.add_argument("--trials", type=int, default=20)
    chosen = arguments.parse_args()
    alarms = false_alarms(chosen.tenants, chosen.days)
    print(f"false alarms of the seasonal model: mean {statistics.mean(alarms):.3f}, most {max(alarms)}")
    guide = guide_alarms_a_day(min(chosen.tenants, 20), chosen.days)
    print(f"the guide's rule, a day: mean {statistics.mean(guide):.1f}, most {max(guide):.1f}")
    for volume in (2.0, 10.0, 50.0, 250.0):
        cells = [shown(delays(volume, to=to, trials=chosen.trials)) for to in (0.9, 0.8, 0.5, 0.0)]
        silent = shown(delays(volume, to=None, sends=False, trials=chosen.trials))
        print(f"| {volume:.0f} | {' | '.join(cells)} | {silent} |")


if __name__ == "__main__":
    main()
