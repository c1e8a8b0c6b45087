"""The traffic that `iris demo` shows: three tenants, up to the running hour."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from iris_pipelines.db.database import Database, queries
from iris_pipelines.domain.windows import closed_before
from iris_pipelines.ingestion.loader import LoadResult
from iris_pipelines.simulator.loading import load_simulation
from iris_pipelines.simulator.plan import TrafficPlan
from iris_pipelines.simulator.simulation import DayTraffic, simulate

TENANTS = 3
EVENTS_PER_DAY = 20_000
SEED = 1


def demo_plan(*, days: int, now: datetime) -> TrafficPlan:
    """The last days up to the running hour."""
    return TrafficPlan.of_last_days(
        days, until=closed_before(now), tenants=TENANTS, events_per_day=EVENTS_PER_DAY, seed=SEED
    )


def load_demo(
    db: Database,
    *,
    days: int,
    now: datetime,
    history_start: date,
    on_day: Callable[[DayTraffic], None] | None = None,
) -> LoadResult | None:
    """Load the demo's traffic; None, and nothing loaded, if that was done before. A load that broke off is taken up."""
    simulation = simulate(demo_plan(days=days, now=now))
    largest = simulation.tenants[0].id
    with db.transaction() as connection:
        if queries().demo_loaded_until(connection, tenant_id=largest) is not None:
            return None
    loaded = load_simulation(db, simulation, now=now, history_start=history_start, on_day=on_day)
    with db.transaction() as connection:
        queries().note_demo_loaded(connection, tenant_id=largest, until=simulation.plan.end.isoformat())
    return loaded.events
