"""The first rows of a report, and how they were found, without a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from iris_pipelines.db.database import Database
from iris_pipelines.domain.reports.definition import ReportDefinition
from iris_pipelines.domain.reports.ranges import Period
from iris_pipelines.reporting.answers import Column, Row, ask, period_of, snapshot
from iris_pipelines.reporting.compiler.question import Question
from iris_pipelines.reporting.compiler.verification import verify
from iris_pipelines.reporting.making import local_day, read_tenant


@dataclass(frozen=True)
class Preview:
    """A look at a report."""

    period: Period
    columns: Sequence[Column]
    rows: Sequence[Row]
    is_truncated: bool
    sources: Sequence[str]
    sql: str


def preview_report(
    db: Database, tenant_id: UUID, definition: ReportDefinition, *, now: datetime, rows: int = 20
) -> Preview:
    """The first rows of a report as it would be made now, with the sources and the statement they come from."""
    with snapshot(db) as connection:
        tenant = read_tenant(connection, tenant_id)
        period = period_of(definition, timezone=tenant.timezone, today=local_day(definition, tenant, now))
        answer = ask(connection, tenant_id, Question(definition, period), cap=rows)
        found = list(islice(answer.rows, rows + 1))
        return Preview(
            period, answer.columns, found, answer.is_truncated, answer.statement.sources, verify(answer.statement)
        )
