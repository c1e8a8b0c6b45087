"""54 attempts to get SQL into a report: refused by name, or bound; and the parser's last look, which can fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pglast
import pytest
from psycopg.sql import SQL

from iris_pipelines.domain.reports.calendar import zone
from iris_pipelines.domain.reports.definition import InvalidDefinition, read_definition
from iris_pipelines.domain.reports.ranges import resolve
from iris_pipelines.reporting.compiler.coverage import Ledger
from iris_pipelines.reporting.compiler.plan import choose
from iris_pipelines.reporting.compiler.question import Question
from iris_pipelines.reporting.compiler.sources import SOURCES
from iris_pipelines.reporting.compiler.statement import Statement, compile_statement
from iris_pipelines.reporting.compiler.verification import ForbiddenStatement, verify

BUILT = Ledger({source.consumer: set() for source in SOURCES if source.consumer is not None})
TENANT = UUID(int=1)
PAYLOADS = [
    "x'; drop table iris.tenants; --",
    "' or '1'='1",
    "') union select * from iris.api_keys --",
    "$1",
    "%(p0)s",
    "%s; select 1",
    "{0}",
    "\\'; select pg_sleep(10); --",
    "pg_read_file('/etc/passwd')",
]
PLACES = ["metric", "dimension", "order", "field", "operator", "text value", "list value", "contains", "campaign"]


def test_there_are_enough_attempts() -> None:
    assert len(PAYLOADS) * len(PLACES) >= 54


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("place", PLACES)
def test_an_attempt_is_refused_or_bound(place: str, payload: str) -> None:
    asked: dict[str, Any] = {
        "name": "x",
        "date_range": "last_7_days",
        "metrics": ["messages_sent"],
        "dimensions": ["channel"],
    }
    changes: dict[str, dict[str, Any]] = {
        "metric": {"metrics": [payload]},
        "dimension": {"dimensions": [payload]},
        "order": {"order": [payload]},
        "field": {"filters": [{"field": payload, "op": "=", "value": "x"}]},
        "operator": {"filters": [{"field": "channel", "op": payload, "value": "x"}]},
        "text value": {"filters": [{"field": "provider", "op": "=", "value": payload}]},
        "list value": {"filters": [{"field": "channel", "op": "not in", "value": [payload, "sms"]}]},
        "contains": {"filters": [{"field": "error_code", "op": "contains", "value": payload}]},
        "campaign": {"filters": [{"field": "campaign", "op": "!=", "value": payload}]},
    }
    asked |= changes[place]
    if place in ("metric", "dimension", "order", "field", "operator"):
        with pytest.raises(InvalidDefinition):
            read_definition(asked)
        return
    statement = compiled(asked)
    harmless = {**asked, "filters": [{**asked["filters"][0], "value": ["a", "sms"] if place == "list value" else "a"}]}
    assert verify(statement) == verify(compiled(harmless)), "what was typed changed the statement"
    assert payload in str(list(statement.parameters.values()))


@pytest.mark.parametrize("name", ["x'; drop table iris.tenants; --", "%(p0)s"])
def test_names_and_descriptions_are_no_part_of_the_statement(name: str) -> None:
    plain = {"name": "x", "date_range": "last_7_days", "metrics": ["messages_sent"]}
    assert verify(compiled({**plain, "name": name, "description": name})) == verify(compiled(plain))


@pytest.mark.parametrize(
    "text",
    [
        "select 1; select 2",
        "select pg_sleep(1)",
        "select pg_catalog.pg_read_file('x')",
        "select * from iris.api_keys",
        "select * from pg_catalog.pg_authid",
        "select * from pg_authid",
        "select * from other.iris.analytics_events",
        "select * into t from finished",
        "select * from finished for update",
        "insert into finished values (1)",
        "delete from iris.analytics_events",
        "with x as (delete from iris.analytics_events returning *) select * from finished",
        "copy iris.analytics_events to '/tmp/x'",
        "select 'x'::regclass",
        "select 'a' collate \"en_US\"",
        "values (1)",
        "select current_setting('x')",
        "select session_user",
        "do $$ begin end $$",
        "set role postgres",
    ],
)
def test_the_last_look_sees_what_has_no_place_in_a_report(text: str) -> None:
    statement = compiled({"name": "x", "date_range": "last_7_days", "metrics": ["messages_sent"]})
    verify(statement)
    with pytest.raises(ForbiddenStatement):
        verify(replace(statement, query=SQL("{}").format(SQL(text))))  # type: ignore[arg-type]


def test_every_metric_by_every_dimension_passes_the_last_look() -> None:
    for subject in {source.subject.name: source.subject for source in SOURCES}.values():
        for dimension in [*subject.dimensions, None]:
            for metric in subject.metrics:
                asked = {"name": "x", "date_range": "last_7_days", "metrics": [metric]}
                text = verify(compiled({**asked, "dimensions": [] if dimension is None else [dimension]}))
                assert len(pglast.parse_sql(text)) == 1


def compiled(asked: dict[str, Any]) -> Statement:
    definition = read_definition(asked)
    period = resolve(definition.date_range, zone("UTC"), today=date(2026, 4, 7))
    question = Question(definition, period)
    assert period.window.end <= datetime(2026, 4, 7, tzinfo=UTC)
    return compile_statement(question, choose(question, BUILT), TENANT, rows=100)
