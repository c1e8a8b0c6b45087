"""Events for the tests of marts: simulated traffic, and single events with whatever is rare in life."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any
from uuid import UUID

from psycopg import sql

from iris_pipelines.db.database import Database
from iris_pipelines.simulator import TrafficPlan, simulate
from iris_pipelines.simulator.loading import load_simulation

TENANTS = [UUID(int=1), UUID(int=2)]


def load(database: Database, start: datetime, end: datetime, *, events_per_day: int, seed: int) -> None:
    """Two tenants' traffic."""
    plan = TrafficPlan(start, end, tenants=2, events_per_day=events_per_day, seed=seed)
    load_simulation(database, simulate(plan), now=end, history_start=date(2020, 1, 1))


def insert(database: Database, timestamp: datetime, *events: dict[str, Any], tenant_id: UUID = TENANTS[0]) -> None:
    """Events at one instant, by plain SQL as other services do."""
    with database.transaction() as connection:
        for event in events:
            row = {"tenant_id": tenant_id, "timestamp": timestamp, **event}
            if "event_data" in row:
                row["event_data"] = json.dumps(row["event_data"])
            if "geo_location" in row:
                row["geo_location"] = json.dumps(row["geo_location"])
            connection.execute(
                sql.SQL("insert into iris.analytics_events ({}) values ({})").format(
                    sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join([sql.Placeholder()] * len(row))
                ),
                list(row.values()),
            )


def execute(database: Database, statement: str, *parameters: object) -> int:
    """One statement; returns how many rows it touched."""
    with database.transaction() as connection:
        return connection.execute(statement, parameters).rowcount  # type: ignore[arg-type]
