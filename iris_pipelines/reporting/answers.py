"""Ask the database: a question in, rows out, within one snapshot, a time limit and a row cap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.string import TextLoader

from iris_pipelines.db.database import Connection, Database
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.metrics import Unit
from iris_pipelines.domain.reports.calendar import zone
from iris_pipelines.domain.reports.definition import ReportDefinition
from iris_pipelines.domain.reports.ranges import Period, resolve
from iris_pipelines.domain.reports.subjects import REPORT_METRICS, Time, title
from iris_pipelines.reporting.compiler.coverage import read_ledger
from iris_pipelines.reporting.compiler.plan import choose
from iris_pipelines.reporting.compiler.question import Question
from iris_pipelines.reporting.compiler.statement import Statement, compile_statement
from iris_pipelines.reporting.compiler.verification import verify

Cell = str | int | Decimal | date | datetime | UUID | None
Row = tuple[Cell, ...]
STATEMENT_SECONDS = 300
_BATCH = 5_000
_FEW = 20_000


class ReportTooSlow(IrisError):
    """The database did not answer in time."""


@dataclass(frozen=True)
class Column:
    """A column of an answer: its name, how it is headed, and what it holds."""

    name: str
    title: str
    unit: Unit | None = None
    """Of a metric; None for a dimension."""

    @property
    def is_metric(self) -> bool:
        """Whether it holds figures."""
        return self.unit is not None


@dataclass
class Answer:
    """The columns, and the rows as they come; whether there were more of them is known after the last."""

    columns: Sequence[Column]
    rows: Iterator[Row]
    statement: Statement
    cap: int
    row_count: int = 0
    is_truncated: bool = False
    notes: list[str] = field(default_factory=list)


def period_of(definition: ReportDefinition, *, timezone: str, today: date) -> Period:
    """The period of a definition, in its own time zone or else the tenant's, as seen on a local day."""
    return resolve(definition.date_range, zone(definition.timezone or timezone), today=today)


@contextmanager
def snapshot(db: Database, *, seconds: int = STATEMENT_SECONDS) -> Iterator[Connection]:
    """A transaction that only reads, and sees one state of everything: all answers asked in it agree."""
    with db.transaction() as connection:
        connection.execute("set transaction isolation level repeatable read, read only")
        # By a cursor, PostgreSQL would plan for a tenth of the rows; all of them are wanted.
        settings = "select set_config('statement_timeout', %s, true), set_config('cursor_tuple_fraction', '1', true)"
        connection.execute(settings, (f"{seconds}s",))
        try:
            yield connection
        except psycopg.errors.QueryCanceled as error:
            raise ReportTooSlow(
                f"the report took the database more than {seconds} s: ask for a shorter range or fewer dimensions"
            ) from error


def compiled(connection: Connection, tenant_id: UUID, question: Question, *, rows: int) -> Statement:
    """The statement of a question as things stand in this snapshot, checked."""
    plan = choose(question, read_ledger(connection, question.period.window))
    statement = compile_statement(question, plan, tenant_id, rows=rows)
    verify(statement)
    return statement


def ask(connection: Connection, tenant_id: UUID, question: Question, *, cap: int, as_text: bool = False) -> Answer:
    """Answer a question; the rows are fetched as they are read, some thousands at a time.

    With `as_text`, cells come as PostgreSQL writes them: to parse numbers only to write them again takes time.
    """
    limit = question.definition.limit
    most = cap if limit is None else min(limit, cap)
    is_capped = limit is None or limit > cap
    # One more than is shown tells whether there are more.
    statement = compiled(connection, tenant_id, question, rows=most + 1 if is_capped else most)
    columns = [_column(name) for name in statement.columns]
    answer = Answer(columns, iter(()), statement, most)
    answer.rows = _rows(connection, answer, question, as_text=as_text)
    return answer


def _rows(connection: Connection, answer: Answer, question: Question, *, as_text: bool) -> Iterator[Row]:
    hours = [place for place, column in enumerate(answer.columns) if column.name == Time.HOUR]
    with _cursor(connection, answer.cap) as cursor:
        if as_text:
            for kind in ("numeric", "int8", "uuid", "date"):
                cursor.adapters.register_loader(kind, TextLoader)
        cursor.execute(answer.statement.query, answer.statement.parameters)
        for row in cursor:
            if answer.row_count == answer.cap:
                answer.is_truncated = True
                answer.notes.append(f"Only the first {answer.cap:,} rows are shown: there are more.")
                return
            answer.row_count += 1
            yield _local(row, hours, question, as_text=as_text) if hours else row


def _cursor(connection: Connection, cap: int) -> psycopg.Cursor[tuple[Any, ...]]:
    """Few rows are fetched at once, as only then PostgreSQL works in parallel; many by a cursor of the server."""
    if cap <= _FEW:
        return connection.cursor()
    cursor = connection.cursor(name="report")
    cursor.itersize = _BATCH
    return cursor


def _local(row: Row, hours: Sequence[int], question: Question, *, as_text: bool) -> Row:
    """Hours as the local clock shows them, with their offset."""
    cells: list[Any] = list(row)
    for place in hours:
        local = cells[place].astimezone(question.zone)
        cells[place] = local.isoformat() if as_text else local
    return tuple(cells)


def _column(name: str) -> Column:
    metric = REPORT_METRICS.get(name)
    return Column(name, title(name), None if metric is None else metric.unit)
