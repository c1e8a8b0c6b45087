"""Make what is due: claimed one at a time, in the order of the periods, when the period is complete."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from psycopg.types.json import Jsonb

from iris_pipelines.db.database import Connection, Database, DatabaseUnavailable, queries
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.reports.ranges import Period
from iris_pipelines.domain.reports.schedules import Cadence
from iris_pipelines.domain.windows import HOUR, closed_before, floor
from iris_pipelines.reporting.answers import period_of
from iris_pipelines.reporting.compiler.coverage import built_consumers
from iris_pipelines.reporting.history import finish_run, in_words, start_run
from iris_pipelines.reporting.making import MEDIA_TYPES, MadeReport, make_report, read_tenant
from iris_pipelines.reporting.recurring.schedules import (
    ScheduledReport,
    put_aside,
    read_scheduled_report,
)

_LEASE = timedelta(minutes=30)
_LOOK_AGAIN = timedelta(minutes=2)
_MOST_ATTEMPTS = 6
EVERY_CADENCE = tuple(Cadence)


class Outcome(StrEnum):
    """What came of a claim."""

    MADE = "made"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True)
class DueReport:
    """An occurrence that was looked at, and what came of it."""

    report: ScheduledReport
    day: date
    outcome: Outcome
    run_id: UUID | None = None
    made: MadeReport | None = None
    content: bytes = b""
    reason: str = ""


@dataclass(frozen=True)
class _Claim:
    report: ScheduledReport
    day: date
    occurs_at: datetime
    planned_at: datetime
    attempts: int


def make_due_reports(
    db: Database, *, now: datetime, cadences: Collection[Cadence] = EVERY_CADENCE, most: int = 100
) -> Iterator[DueReport]:
    """Make reports that are due until there is none left to make now."""
    for _ in range(most):
        claim = _claim(db, now, cadences)
        if claim is None:
            return
        yield _look_at(db, claim, now)


def due_cadences(db: Database, *, now: datetime, can_mail: bool) -> set[Cadence]:
    """The cadences that have a report to make now, or a mail to send where that is possible."""
    with db.transaction() as connection:
        rows = list(queries().due_cadences(connection, now=now))
        if can_mail:
            rows += queries().waiting_delivery_cadences(connection, now=now)
        return {Cadence(name) for (name,) in rows}


def _claim(db: Database, now: datetime, cadences: Collection[Cadence]) -> _Claim | None:
    with db.transaction() as connection:
        row = queries().claim_occurrence(connection, schedules=list(cadences), now=now, claimed_until=now + _LEASE)
        if row is None:
            return None
        report_id, day, occurs_at, planned_at, attempts = row
        queries().fail_interrupted_runs(connection, report_id=report_id, occurrence_date=day, finished_at=now)
        try:
            return _Claim(read_scheduled_report(connection, report_id), day, occurs_at, planned_at, attempts)
        except IrisError as error:
            put_aside(connection, report_id, error)
    return _claim(db, now, cadences)


def _look_at(db: Database, claim: _Claim, now: datetime) -> DueReport:
    with db.transaction() as connection:
        tenant = read_tenant(connection, claim.report.tenant_id)
        period = period_of(claim.report.definition, timezone=tenant.timezone, today=claim.day)
        unfinished = _unfinished_hours(connection, period, claim.occurs_at)
        # After downtime everything is late: time to wait counts from when the occurrence was first seen.
        deadline = max(claim.occurs_at, claim.planned_at) + claim.report.deadline
        if unfinished and now < deadline:
            reason = f"waits for {_hours(unfinished)} of its period to be rebuilt, until {deadline:%Y-%m-%d %H:%M} UTC"
            queries().postpone_occurrence(
                connection,
                report_id=claim.report.id,
                occurrence_date=claim.day,
                next_attempt_at=min(now + _LOOK_AGAIN, deadline),
                is_attempt=False,
                note=reason,
            )
            return DueReport(claim.report, claim.day, Outcome.WAITING, reason=reason)
        run_id = start_run(
            connection,
            claim.report.tenant_id,
            claim.report.definition,
            now=now,
            occurrence=(claim.report.id, claim.day),
        )
    notes = (
        [
            f"{_hours(unfinished)} of this period still had to be rebuilt when this report had to go out: "
            "their figures were counted from the event log, and events that arrive later are not in it."
        ]
        if unfinished
        else []
    )
    try:
        return _make(db, claim, run_id, notes, now)
    except DatabaseUnavailable:
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, the other reports must not wait for this one)
        _fail(db, claim, run_id, error, now)
        return DueReport(claim.report, claim.day, Outcome.FAILED, run_id, reason=in_words(error))


def _make(db: Database, claim: _Claim, run_id: UUID, notes: list[str], now: datetime) -> DueReport:
    report = claim.report
    with tempfile.TemporaryDirectory(prefix="iris-report-") as folder:
        path = Path(folder) / f"report.{report.definition.format}"
        made = make_report(db, report.tenant_id, report.definition, path, now=now, today=claim.day, notes=notes)
        content = path.read_bytes()
    with db.transaction() as connection:
        finish_run(connection, run_id, report.definition, made, now)
        queries().store_report_file(
            connection, run_id=run_id, media_type=MEDIA_TYPES[report.definition.format], content=content
        )
        queries().add_report_delivery(
            connection,
            [
                {"run_id": run_id, "report_id": report.id, "recipient": each, "next_attempt_at": now}
                for each in report.recipients
            ],
        )
        queries().finish_occurrence(
            connection, report_id=report.id, occurrence_date=claim.day, status="done", note="; ".join(notes) or None
        )
    return DueReport(report, claim.day, Outcome.MADE, run_id, made, content)


def _fail(db: Database, claim: _Claim, run_id: UUID, error: Exception, now: datetime) -> None:
    """Try again later; after some attempts, give up and let the next period have its turn."""
    words = in_words(error)
    with db.transaction() as connection:
        queries().fail_report_run(connection, run_id=run_id, finished_at=now, error=words)
        if claim.attempts < _MOST_ATTEMPTS:
            queries().postpone_occurrence(
                connection,
                report_id=claim.report.id,
                occurrence_date=claim.day,
                next_attempt_at=now + backoff(claim.attempts),
                is_attempt=True,
                note=words,
            )
            return
        queries().finish_occurrence(
            connection, report_id=claim.report.id, occurrence_date=claim.day, status="failed", note=words
        )
        queries().note_report_failure(
            connection,
            tenant_id=claim.report.tenant_id,
            message=f"the report {claim.report.name} of {claim.day} could not be made: {words}",
            data=Jsonb({"scheduled_report_id": str(claim.report.id), "occurrence_date": str(claim.day)}),
        )


def backoff(attempts: int) -> timedelta:
    """How long to wait after so many attempts: 1, 2, 4 ... minutes, at most 2 hours."""
    return min(timedelta(minutes=2 ** (attempts - 1)), timedelta(hours=2))


def _unfinished_hours(connection: Connection, period: Period, occurs_at: datetime) -> int:
    """How many hours of the period that were over when the report was due are not rebuilt yet."""
    end = min(floor(period.window.end + HOUR - timedelta(microseconds=1), HOUR), closed_before(occurs_at))
    start = floor(period.window.start, HOUR)
    built = built_consumers(connection)
    return int(queries().unfinished_report_hours(connection, names=built, range_start=start, range_end=end))


def _hours(number: int) -> str:
    return "1 hour" if number == 1 else f"{number:,} hours"
