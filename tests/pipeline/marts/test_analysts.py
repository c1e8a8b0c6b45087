"""What analysts find: queries to begin with that run, comments on every column, and a role that only reads marts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.defs.rebuilds import build_views
from iris_pipelines.domain.windows import DAY
from iris_pipelines.simulator import TrafficPlan, simulate
from iris_pipelines.simulator.loading import load_simulation
from tests.pipeline.conftest import Pipeline

NOW = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)
PAGE = Path(__file__).parents[3] / "docs" / "analysts.md"
# What these say depends on tests, prices and budgets that tenants have.
MAY_BE_EMPTY = {"budget_status", "campaign_variants", "lcr_savings"}


def marts(manifest: Mapping[str, Any]) -> list[str]:
    return [node["name"] for node in manifest["nodes"].values() if node["schema"] == "analytics" and is_model(node)]


def is_model(node: Mapping[str, Any]) -> bool:
    return bool(node["resource_type"] == "model")


def test_the_queries_of_the_page_run_as_an_analyst_and_find_something(pipeline: Pipeline, database: Database) -> None:
    plan = TrafficPlan(NOW - 3 * DAY, NOW - timedelta(hours=2), tenants=2, events_per_day=1500, seed=8)
    load_simulation(database, simulate(plan), now=NOW, history_start=date(2020, 1, 1))
    pipeline.refresh(now=NOW)
    existing = set(marts(pipeline.dbt.manifest()))
    asked: set[str] = set()
    for query in re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE):
        relations = set(re.findall(r"analytics\.(\w+)", query)) - {"engagement_as_of"}
        asked |= relations
        with database.transaction() as connection:
            connection.execute("set local role iris_analyst")
            rows = connection.execute(query).fetchall()
        assert rows or relations & MAY_BE_EMPTY, query
    by_campaign = {name for name in existing if name.startswith("campaign_")}
    assert existing - by_campaign <= asked, "the page has a query on every mart"


def test_every_column_of_every_mart_has_a_comment_in_the_database(pipeline: Pipeline, database: Database) -> None:
    build_views(database, pipeline.dbt)
    with database.transaction() as connection:
        found = connection.execute(
            "select relation.relname::text, attribute.attname::text,"
            " col_description(relation.oid, attribute.attnum) is null,"
            " obj_description(relation.oid, 'pg_class') is null"
            " from pg_class as relation join pg_attribute as attribute on attribute.attrelid = relation.oid"
            " where relation.relnamespace = 'analytics'::regnamespace and relation.relkind in ('r', 'v')"
            " and attribute.attnum > 0 and not attribute.attisdropped"
        ).fetchall()
    assert {relation for relation, *_ in found} == set(marts(pipeline.dbt.manifest()))
    assert [(relation, column) for relation, column, *lacking in found if any(lacking)] == []


def test_an_analyst_reads_the_marts_and_nothing_else(pipeline: Pipeline, database: Database) -> None:
    build_views(database, pipeline.dbt)
    with database.transaction() as connection:
        connection.execute("set local role iris_analyst")
        for mart in marts(pipeline.dbt.manifest()):
            connection.execute(f"select * from analytics.{mart} limit 1".encode())
    for forbidden in (
        "select * from iris.analytics_events",
        "select * from iris.contacts",
        "select * from analytics_intermediate.int_contact_points_daily",
        "delete from analytics.engagement_scores",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), database.transaction() as connection:
            connection.execute("set local role iris_analyst")
            connection.execute(forbidden.encode())
