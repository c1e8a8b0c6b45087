"""What the compiler says in SQL of its own is what dbt's macros say."""

from __future__ import annotations

import pytest
from psycopg.sql import SQL

from iris_pipelines.db.database import Database
from iris_pipelines.domain.metrics import METRICS, Count
from iris_pipelines.reporting.compiler import sources
from tests.integration.dbt_project.macros import rendered

PATHS = [
    *("/v1/messages", "/v1/messages/42", "/v1/messages/42/parts/7?x=/1", "", "?x", "/", "//", "v1", "/a/b@c.example/d"),
    *("/v1/contacts/9f1c2b7a-0000-4000-8000-00000000000a", "/x/%40y", "/k/key_Ab12cdEF34ghIJ56", "/h/0123456789abcdef"),
    *("/t/eyJhbGciOiJIUzI1NiJ9_x-1Aa", "/p/+49-30-12345", "/beef1234/cafe", "/v2/2024-01-01", "/long/" + "x" * 500),
]


def one_line(text: str) -> str:
    return "".join(text.split())


def test_a_path_becomes_the_endpoint_that_the_mart_has(database: Database) -> None:
    macro = rendered("endpoint(path_with_ids_folded(\"coalesce(s.event_data ->> 'path', '')\"))", "endpoints.sql")
    assert one_line(sources.ENDPOINT.replace("%%", "%")) == one_line(macro)
    with database.transaction() as connection:
        compared = SQL(
            "select path, {}, {} from unnest(%s::text[]) path, jsonb_build_object('path', path) event_data"
        ).format(
            SQL(macro.replace("s.event_data", "event_data").replace("%", "%%")),  # type: ignore[arg-type]
            SQL(sources.ENDPOINT.replace("s.event_data", "event_data")),  # type: ignore[arg-type]
        )
        rows = connection.execute(compared, (PATHS,)).fetchall()
    assert len(rows) == len(PATHS)
    assert [(path, ours) for path, mart, ours in rows if ours != mart] == []
    assert {path: ours for path, _, ours in rows}["/v1/messages/42/parts/7?x=/1"] == "/v1/messages/:id/parts/:id"


@pytest.mark.parametrize(
    ("macro", "ours", "column"),
    [
        ("delivery_time_bucket('s.duration_ms')", sources.TIME_BUCKET, "s.duration_ms"),
        ("bucket_time('bucket')", sources.BUCKET_TIME, "bucket"),
    ],
)
def test_a_time_falls_into_the_bucket_that_the_fact_has(database: Database, macro: str, ours: str, column: str) -> None:
    theirs = rendered(macro, "delivery_times.sql")
    assert one_line(ours) == one_line(theirs)
    assert column in ours


def test_every_count_of_the_registry_is_an_expression_of_its_event_types(database: Database) -> None:
    counts = {name: metric for name, metric in METRICS.items() if isinstance(metric, Count)}
    assert counts.keys() <= sources.MESSAGE_EVENTS.measures.keys()
    for name, metric in counts.items():
        expression = sources.MESSAGE_EVENTS.measures[name]
        assert all(f"'{event_type}'" in expression for event_type in metric.event_types), name
        assert expression.count("'") == 2 * len(metric.event_types), name
        assert ("is_machine" in expression) is metric.only_machines, name
        assert sources.DAILY.measures[name] == f"s.{name}"
