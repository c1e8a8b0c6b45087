"""Send what was made: every mail is an attempt that is recorded, and tried again until it is out or hopeless."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.reports.calendar import zone
from iris_pipelines.domain.reports.definition import read_definition
from iris_pipelines.domain.reports.ranges import Period
from iris_pipelines.domain.reports.schedules import Cadence
from iris_pipelines.domain.windows import Window
from iris_pipelines.mail import MailDelayed, MailRefused
from iris_pipelines.reporting.recurring.mail import Mailer, ReportMail, compose
from iris_pipelines.reporting.recurring.runs import EVERY_CADENCE, backoff

_MOST_ATTEMPTS = 12


@dataclass(frozen=True)
class Delivery:
    """A mail that was tried, and how that went: `sent`, `waiting` for the next try, `failed`, or `unsubscribed`."""

    run_id: UUID
    recipient: str
    status: str
    error: str | None = None


@dataclass(frozen=True)
class LeftReport:
    """Who left which report."""

    recipient: str
    report: str


def send_waiting_mails(
    db: Database,
    mailer: Mailer,
    *,
    now: datetime,
    public_url: str | None = None,
    cadences: Collection[Cadence] = EVERY_CADENCE,
    most: int = 1000,
) -> Iterator[Delivery]:
    """Send what waits, each mail in a transaction of its own: a mail is noted as sent when the server has taken it."""
    for _ in range(most):
        with db.transaction() as connection:
            row = queries().claim_report_delivery(connection, schedules=list(cadences), now=now)
            if row is None:
                return
            done = _send(connection, mailer, row, now, public_url)
        yield done


def unsubscribe(db: Database, token: str, *, now: datetime) -> LeftReport | None:
    """Take a recipient off a report, by the secret in their link; None if nobody has it. Twice does no harm."""
    with db.transaction() as connection:
        found = queries().unsubscribe_recipient(connection, token=token, now=now)
        if found is None:
            return None
        report_id, recipient, name = found
        queries().cancel_report_deliveries(connection, report_id=report_id, recipient=recipient)
        return LeftReport(recipient, name)


def _send(
    connection: Connection, mailer: Mailer, row: tuple[Any, ...], now: datetime, public_url: str | None
) -> Delivery:
    run_id, recipient, attempts, report_id = row[:4]
    token = queries().unsubscription_token(connection, report_id=report_id, recipient=recipient)
    status, error = "unsubscribed", None
    if token is not None:
        status = "sent"
        try:
            mailer.send(compose(_mail(row, token), mailer.sender, now=now, public_url=public_url), recipient)
        except MailRefused as refusal:
            status, error = "failed", str(refusal)
        except MailDelayed as delay:
            status, error = "waiting" if attempts + 1 < _MOST_ATTEMPTS else "failed", str(delay)
    queries().note_report_delivery(
        connection,
        run_id=run_id,
        recipient=recipient,
        status=status,
        now=now,
        next_attempt_at=now + backoff(attempts + 1),
        error=error,
    )
    return Delivery(run_id, recipient, status, error)


def _mail(row: tuple[Any, ...], token: str) -> ReportMail:
    run_id, recipient, _, _, document, start, end, notes, file_name, media_type, content, tenant, timezone = row
    definition = read_definition(document)
    window = Window(start, end)
    period = Period(window, window, zone(definition.timezone or timezone))
    return ReportMail(
        message_id=f"report.{run_id}.{sha256(recipient.encode()).hexdigest()[:16]}",
        recipient=recipient,
        tenant=tenant,
        report=definition.name,
        description=definition.description,
        period=str(period),
        notes=notes,
        file_name=file_name,
        media_type=media_type,
        content=bytes(content),
        token=token,
    )
