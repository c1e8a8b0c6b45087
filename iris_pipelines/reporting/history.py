"""The record of reports: every making of one, with its file and where it went."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

from psycopg.types.json import Jsonb

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.reports.definition import ReportDefinition
from iris_pipelines.reporting.making import MEDIA_TYPES, MadeReport, file_name, make_report, read_tenant


class UnknownRun(IrisError):
    """No such run of a report, or none that kept its file."""


def start_run(
    connection: Connection,
    tenant_id: UUID,
    definition: ReportDefinition,
    *,
    now: datetime,
    occurrence: tuple[UUID, date] | None = None,
) -> UUID:
    """Note that a report is being made: once, or for the occurrence of a recurring report on a local day."""
    run_id = queries().start_report_run(
        connection,
        tenant_id=tenant_id,
        report_id=None if occurrence is None else occurrence[0],
        occurrence_date=None if occurrence is None else occurrence[1],
        name=definition.name,
        definition=Jsonb(definition.model_dump(mode="json")),
        format=definition.format,
        started_at=now,
    )
    return UUID(str(run_id))


def finish_run(
    connection: Connection, run_id: UUID, definition: ReportDefinition, made: MadeReport, now: datetime
) -> None:
    """Note what was made."""
    queries().finish_report_run(
        connection,
        run_id=run_id,
        now=now,
        starts=made.period.window.start,
        ends=made.period.window.end,
        rows=made.rows,
        is_truncated=made.is_truncated,
        notes=Jsonb(list(made.notes)),
        file_name=file_name(definition, made.period),
        bytes=made.bytes,
        sha256=made.sha256,
    )


def run_report(
    db: Database, tenant_id: UUID, definition: ReportDefinition, path: Path, *, now: datetime, bom: bool = False
) -> MadeReport:
    """Make a report once, and note it among the runs; the file is the caller's to keep."""
    return _run(db, tenant_id, definition, path, now=now, bom=bom)[1]


def _run(
    db: Database, tenant_id: UUID, definition: ReportDefinition, path: Path, *, now: datetime, bom: bool = False
) -> tuple[UUID, MadeReport]:
    with db.transaction() as connection:
        read_tenant(connection, tenant_id)
        run_id = start_run(connection, tenant_id, definition, now=now)
    try:
        made = make_report(db, tenant_id, definition, path, now=now, bom=bom)
    except Exception as error:
        with db.transaction() as connection:
            queries().fail_report_run(connection, run_id=run_id, finished_at=now, error=in_words(error))
        raise
    with db.transaction() as connection:
        finish_run(connection, run_id, definition, made, now)
    return run_id, made


def keep_report(db: Database, tenant_id: UUID, definition: ReportDefinition, *, now: datetime) -> UUID:
    """Make a report once, and keep its file with its run, for whoever asks for it by the id returned."""
    with tempfile.TemporaryDirectory(prefix="iris-report-") as folder:
        path = Path(folder) / f"report.{definition.format}"
        run_id = _run(db, tenant_id, definition, path, now=now)[0]
        with db.transaction() as connection:
            queries().store_report_file(
                connection, run_id=run_id, media_type=MEDIA_TYPES[definition.format], content=path.read_bytes()
            )
    return run_id


def read_file(db: Database, tenant_id: UUID, run_id: UUID) -> tuple[str, bytes]:
    """The name and the content of a file that was kept; raises UnknownRun."""
    with db.transaction() as connection:
        found = queries().report_file(connection, tenant_id=tenant_id, run_id=run_id)
    if found is None:
        raise UnknownRun(f"there is no file of a run {run_id}: `iris report history` shows the runs")
    return str(found[0]), bytes(found[2])


@dataclass(frozen=True)
class ReportRun:
    """One making of a report, as it is recorded."""

    id: UUID
    scheduled_report_id: UUID | None
    occurrence_date: date | None
    name: str
    format: str
    status: str
    started_at: datetime
    finished_at: datetime | None
    period_start: datetime | None
    period_end: datetime | None
    row_count: int | None
    file_name: str | None
    file_bytes: int | None
    sha256: str | None
    notes: Sequence[str]
    error: str | None
    deliveries: Mapping[str, str]
    """The state of the mail to each recipient."""


def report_history(db: Database, tenant_id: UUID, report_id: UUID | None = None, *, most: int = 100) -> list[ReportRun]:
    """The latest runs of a tenant, or of one recurring report."""
    with db.transaction() as connection:
        rows = queries().report_history(connection, tenant_id=tenant_id, report_id=report_id, most=most)
        return [ReportRun(*row) for row in rows]


def in_words(error: Exception) -> str:
    """What went wrong, for a record: errors that a person can do something about say so themselves."""
    return str(error) if isinstance(error, IrisError) else f"{type(error).__name__}: {error}"
