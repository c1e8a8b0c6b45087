"""What is normal, learnt anew for each day from the four weeks up to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

import numpy as np

from iris_pipelines.alerting.cohorts import count_days, forget_old
from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.alerts.anomalies.baselines import DAYS, MINIMUM_SENT, SLOTS, Baseline, Ints, fit
from iris_pipelines.domain.alerts.anomalies.cohorts import SLOTS_A_WEEK, hour_of_week
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.windows import DAY, Window


class DayNotOver(IrisError):
    """A baseline is asked for of a day whose messages have not all matured."""


@dataclass(frozen=True)
class LearntDay:
    """What learning a day came to."""

    day: date
    channels: int
    days_counted: int


@dataclass(frozen=True)
class BaselineProblems:
    """What is wrong with the baselines of a day."""

    missing: int
    """Channels that sent enough and have none."""
    impossible: int
    """Baselines with rates that are none."""


def learn_day(db: Database, day: date, *, now: datetime) -> LearntDay:
    """Count the day's messages anew, and those of days before that nobody has counted; then learn from four weeks."""
    window = four_weeks(day)
    if now < window.end + timedelta(minutes=15):
        raise DayNotOver(f"messages sent on {day} may still be delivered: come back at {window.end:%Y-%m-%d} 00:15 UTC")
    counted = count_days(db, Window(window.start, window.end - DAY), again=False)
    counted += count_days(db, Window(window.end - DAY, window.end), again=True)
    with db.transaction() as connection:
        queries().forget_baselines(connection, day=day)
        rows = [row for tenant_id in _tenants(connection, window) for row in _learnt(connection, tenant_id, day)]
        if rows:
            queries().insert_baseline(connection, rows)
    forget_old(db, now=now)
    return LearntDay(day, len(rows), counted)


def check_day(db: Database, day: date) -> BaselineProblems:
    """Whether every channel that needs a baseline has one that can be."""
    window = four_weeks(day)
    with db.transaction() as connection:
        found = {
            (tenant_id, channel): rates
            for tenant_id, channel, rates, _ in queries().baselines_of_day(connection, day=day)
        }
        needed = set(
            queries().channels_that_send(
                connection, window_start=window.start, window_end=window.end, least=MINIMUM_SENT
            )
        )
    impossible = sum(not all(0 < rate < 1 for rate in rates) for rates in found.values())
    return BaselineProblems(missing=len(needed - found.keys()), impossible=impossible)


def latest_baselines(connection: Connection, *, now: datetime) -> dict[tuple[UUID, str], Baseline]:
    """The newest baseline of each tenant and channel that is at most a week old."""
    rows = queries().latest_baselines(connection, since=(now - timedelta(days=8)).date())
    return {(row[0], row[1]): _baseline(row[2:]) for row in rows}


def four_weeks(day: date) -> Window:
    """The days up to and including this one that it is learnt from."""
    end = datetime.combine(day, time(), tzinfo=UTC) + DAY
    return Window(end - DAYS * DAY, end)


def _tenants(connection: Connection, window: Window) -> list[UUID]:
    rows = queries().tenants_with_cohorts(connection, window_start=window.start, window_end=window.end)
    return [tenant_id for (tenant_id,) in rows]


def _learnt(connection: Connection, tenant_id: UUID, day: date) -> Iterator[dict[str, Any]]:
    window = four_weeks(day)
    rows = queries().cohorts_of_tenant(
        connection, tenant_id=tenant_id, window_start=window.start, window_end=window.end
    )
    slots: defaultdict[str, tuple[Ints, Ints]] = defaultdict(lambda: (_zeros(), _zeros()))
    for channel, number, sent, delivered in rows:
        of_sent, of_delivered = slots[channel]
        of_sent[number], of_delivered[number] = sent, delivered
    # Arrays begin on a Monday: four weeks hold every hour of the week four times, wherever they begin.
    turn = hour_of_week(window.start) * 4 % SLOTS_A_WEEK
    for channel, (of_sent, of_delivered) in sorted(slots.items()):
        baseline = fit(np.roll(of_sent, turn), np.roll(of_delivered, turn))
        if baseline is not None:
            yield {
                "tenant_id": tenant_id,
                "day": day,
                "channel": channel,
                "rates": baseline.rates.tolist(),
                "weights": baseline.weights.tolist(),
                "volumes": baseline.volumes.tolist(),
                "hourly_correlation": baseline.hourly_correlation,
                "long_correlation": baseline.long_correlation,
                "longest_silence": baseline.longest_silence,
                "sent": baseline.sent,
            }


def _zeros() -> Ints:
    return np.zeros(SLOTS, dtype=np.int64)


def _baseline(row: Sequence[Any]) -> Baseline:
    rates, weights, volumes, *rest = row
    return Baseline(np.array(rates), np.array(weights), np.array(volumes), *rest)
