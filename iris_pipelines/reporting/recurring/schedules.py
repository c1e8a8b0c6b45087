"""Schedules as they are stored, and the occurrences that are planned from them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.reports.calendar import zone
from iris_pipelines.domain.reports.definition import ReportDefinition, read_definition
from iris_pipelines.domain.reports.ranges import AbsoluteRange
from iris_pipelines.domain.reports.schedules import Cadence, InvalidSchedule, Schedule, occurrences
from iris_pipelines.reporting.making import read_tenant

# One plain mailbox: no display name, no list, nothing that a mail header could be made of.
_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@([A-Za-z0-9-]+\.)+[A-Za-z]{2,63}\Z"
)
_LONGEST_ADDRESS = 254
_MOST_RECIPIENTS = 100


class UnknownReport(IrisError):
    """No such recurring report, or run of one."""


@dataclass(frozen=True)
class ScheduledReport:
    """A recurring report."""

    id: UUID
    tenant_id: UUID
    definition: ReportDefinition
    schedule: Schedule
    recipients: tuple[str, ...]
    deadline: timedelta
    is_active: bool
    planned_until: date

    @property
    def name(self) -> str:
        """The report's name."""
        return self.definition.name


def schedule_report(
    db: Database,
    tenant_id: UUID,
    definition: ReportDefinition,
    schedule: Schedule,
    recipients: Sequence[str],
    *,
    now: datetime,
    deadline: timedelta = timedelta(hours=2),
) -> UUID:
    """Make a report recur from now on: the first one is the next that falls due. Returns its id."""
    if isinstance(definition.date_range, AbsoluteRange):
        raise InvalidSchedule(
            "a recurring report needs a relative date range such as last_7_days: "
            "with a start and an end it would show the same period for ever"
        )
    addresses = validated_recipients(recipients)
    with db.transaction() as connection:
        tenant = read_tenant(connection, tenant_id)
        local = zone(definition.timezone or tenant.timezone)
        today = now.astimezone(local).date()
        yesterday = today - timedelta(days=1)
        is_over = any(occurrences(schedule, local, after=yesterday, until=now))
        return UUID(
            str(
                queries().schedule_report(
                    connection,
                    tenant_id=tenant_id,
                    definition=Jsonb(definition.model_dump(mode="json")),
                    schedule=schedule.cadence,
                    weekday=schedule.weekday,
                    month_day=schedule.month_day,
                    at=schedule.at,
                    recipients=Jsonb(list(addresses)),
                    minutes=deadline // timedelta(minutes=1),
                    planned_until=today if is_over else yesterday,
                )
            )
        )


def change_report(
    db: Database,
    tenant_id: UUID,
    report_id: UUID,
    *,
    definition: ReportDefinition | None = None,
    schedule: Schedule | None = None,
    recipients: Sequence[str] | None = None,
    deadline: timedelta | None = None,
) -> None:
    """Change parts of a recurring report, from its next occurrence on. Raises UnknownReport."""
    if definition is not None and isinstance(definition.date_range, AbsoluteRange):
        raise InvalidSchedule("a recurring report needs a relative date range such as last_7_days")
    addresses = None if recipients is None else validated_recipients(recipients)
    with db.transaction() as connection:
        before = read_scheduled_report(connection, report_id)
        if before.tenant_id != tenant_id:
            raise UnknownReport(f"there is no recurring report {report_id}: `iris report list` shows them")
        new = schedule or before.schedule
        queries().change_report(
            connection,
            report_id=report_id,
            definition=Jsonb((definition or before.definition).model_dump(mode="json")),
            schedule=new.cadence,
            weekday=new.weekday,
            month_day=new.month_day,
            at=new.at,
            recipients=Jsonb(list(addresses or before.recipients)),
            minutes=(deadline if deadline is not None else before.deadline) // timedelta(minutes=1),
        )


def validated_recipients(recipients: Sequence[str]) -> tuple[str, ...]:
    """The addresses, each once; raises InvalidSchedule for what is no address."""
    wrong = [each for each in recipients if len(each) > _LONGEST_ADDRESS or not _ADDRESS.match(each)]
    if wrong:
        raise InvalidSchedule(f"not an email address: {', '.join(repr(each[:100]) for each in wrong)}")
    unique = tuple({each.lower(): each for each in recipients}.values())
    if not 1 <= len(unique) <= _MOST_RECIPIENTS:
        raise InvalidSchedule(f"a recurring report needs 1 to {_MOST_RECIPIENTS} recipients")
    return unique


def scheduled_reports(db: Database, tenant_id: UUID | None = None) -> list[ScheduledReport]:
    """The recurring reports of a tenant, or of all, by name."""
    with db.transaction() as connection:
        return [_read(row) for row in queries().scheduled_reports(connection, tenant_id=tenant_id, report_ids=None)]


def read_scheduled_report(connection: Connection, report_id: UUID) -> ScheduledReport:
    """One recurring report; raises UnknownReport."""
    found = list(queries().scheduled_reports(connection, tenant_id=None, report_ids=[report_id]))
    if not found:
        raise UnknownReport(f"there is no recurring report {report_id}: `iris report list` shows them")
    return _read(found[0])


def stop_report(db: Database, tenant_id: UUID, report_id: UUID) -> None:
    """End a recurring report; what is due and not made yet is cancelled. Raises UnknownReport."""
    with db.transaction() as connection:
        if not queries().stop_report(connection, tenant_id=tenant_id, report_id=report_id):
            raise UnknownReport(f"there is no active recurring report {report_id}: `iris report list` shows them")
        queries().cancel_occurrences(connection, report_id=report_id)


def plan_occurrences(db: Database, *, now: datetime) -> int:
    """Write down every occurrence that has come since the last look, however long ago that was; returns how many.

    The local day is an occurrence's name: planned twice, or after clocks were changed, it is still one.
    """
    planned = 0
    with db.transaction() as connection:
        zones = dict(queries().tenant_zones(connection))
        locked = [report_id for (report_id,) in queries().lock_reports_to_plan(connection)]
        for row in list(queries().scheduled_reports(connection, tenant_id=None, report_ids=locked)):
            try:
                planned += _plan(connection, _read(row), zones, now)
            except IrisError as error:
                put_aside(connection, row[0], error)
    return planned


def put_aside(connection: Connection, report_id: UUID, error: IrisError) -> None:
    """End a recurring report that cannot be read, as another program may have left it: no other one may suffer."""
    tenant_id, name = queries().put_report_aside(connection, report_id=report_id)
    queries().cancel_occurrences(connection, report_id=report_id)
    queries().note_report_failure(
        connection,
        tenant_id=tenant_id,
        message=f"the recurring report {name} was stopped, because it cannot be read: {error}",
        data=Jsonb({"scheduled_report_id": str(report_id)}),
    )


def _plan(connection: Connection, report: ScheduledReport, zones: dict[UUID, str], now: datetime) -> int:
    local = zone(report.definition.timezone or zones[report.tenant_id])
    found = list(occurrences(report.schedule, local, after=report.planned_until, until=now))
    if not found:
        return 0
    queries().plan_occurrence(
        connection,
        [
            {"report_id": report.id, "occurrence_date": each.day, "occurs_at": each.at, "planned_at": now}
            for each in found
        ],
    )
    queries().note_planned(connection, report_id=report.id, planned_until=found[-1].day)
    return len(found)


def _read(row: Any) -> ScheduledReport:
    report_id, tenant_id, document, cadence, weekday, month_day, at, recipients, minutes, is_active, planned_until = row
    return ScheduledReport(
        report_id,
        tenant_id,
        read_definition(document),
        _schedule(Cadence(cadence), at, weekday, month_day),
        tuple(recipients),
        timedelta(minutes=minutes),
        is_active,
        planned_until,
    )


def _schedule(cadence: Cadence, at: time, weekday: int | None, month_day: int | None) -> Schedule:
    """Other programs insert rows of name, definition, schedule and recipients alone: Mondays, and the 1st."""
    if cadence is Cadence.WEEKLY:
        return Schedule(cadence, at, weekday=weekday or 0)
    return Schedule(cadence, at, month_day=month_day or 1) if cadence is Cadence.MONTHLY else Schedule(cadence, at)
