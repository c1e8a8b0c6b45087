"""Reports that are made again and again, what became of them, and their files."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from iris_pipelines.cli.console import fail, open_database, print_json, read_settings, stderr, stdout
from iris_pipelines.cli.report.definition import (
    Tenant,
    chosen_tenant,
    described_by_options,
    in_words,
    schedule_from,
)
from iris_pipelines.cli.report.tables import print_rows
from iris_pipelines.domain.reports.definition import ReportDefinition
from iris_pipelines.domain.reports.schedules import Cadence

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
ReportId = Annotated[UUID, typer.Argument(help="As `iris report list` shows it.")]


@described_by_options(without=["start", "end"])
def schedule(
    *,
    wanted: ReportDefinition,
    every: Annotated[Cadence, typer.Option(help="How often.")],
    to: Annotated[list[str], typer.Option("--recipient", help="Who gets it by email; several are possible.")],
    on: Annotated[str | None, typer.Option(help="Weekly: monday ... sunday. Monthly: 1 ... 31, or last.")] = None,
    at: Annotated[str, typer.Option(help="Local time.")] = "08:00",
    deadline: Annotated[int, typer.Option(min=0, help="Minutes to wait for a complete period.")] = 120,
    tenant: Tenant = None,
    as_json: AsJson = False,
) -> None:
    """Make a report again and again, and mail it."""
    from iris_pipelines.reporting.recurring.schedules import schedule_report

    when = schedule_from(every, on, at)
    settings = read_settings()
    with open_database(settings) as database:
        report_id = schedule_report(
            database,
            chosen_tenant(database, tenant),
            wanted,
            when,
            to,
            now=datetime.now(UTC),
            deadline=timedelta(minutes=deadline),
        )
    if as_json:
        print_json({"id": report_id, "schedule": in_words(when), "recipients": to})
    else:
        typer.echo(str(report_id))
    if settings.smtp_url is None:
        stderr.print("note: IRIS_SMTP_URL is not set: reports will be made, and mailed once it is")


def list_reports(tenant: Tenant = None, as_json: AsJson = False) -> None:
    """Recurring reports."""
    from iris_pipelines.reporting.recurring.schedules import scheduled_reports

    with open_database(read_settings()) as database:
        found = scheduled_reports(database, None if tenant is None else chosen_tenant(database, tenant))
    rows: list[dict[str, object]] = [
        {
            "id": each.id,
            "name": each.name,
            "schedule": in_words(each.schedule),
            "format": each.definition.format,
            "range": each.definition.date_range,
            "recipients": list(each.recipients),
            "active": each.is_active,
        }
        for each in found
    ]
    print_rows(rows, as_json=as_json, nothing="no recurring report: `iris report schedule` makes one")


def history(
    report_id: Annotated[UUID | None, typer.Argument(help="One recurring report; all runs by default.")] = None,
    tenant: Tenant = None,
    most: Annotated[int, typer.Option("--last", min=1, max=10_000, help="How many runs.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Runs of reports, the latest first, with their files and deliveries."""
    from iris_pipelines.reporting.history import report_history

    with open_database(read_settings()) as database:
        found = report_history(database, chosen_tenant(database, tenant), report_id, most=most)
    if as_json:
        print_json([asdict(each) for each in found])
        return
    rows: list[dict[str, object]] = [
        {
            "run": each.id,
            "name": each.name,
            "for": each.occurrence_date or "once",
            "status": each.status,
            "rows": "" if each.row_count is None else f"{each.row_count:,}",
            "file": each.file_name or "",
            "sent to": ", ".join(f"{who} ({state})" for who, state in each.deliveries.items()),
            "notes": "; ".join([*each.notes, *([each.error] if each.error else [])]),
        }
        for each in found
    ]
    print_rows(rows, as_json=False, nothing="no report has been made yet")


def fetch_file(
    run_id: Annotated[UUID, typer.Argument(help="A run, as `iris report history` shows it.")],
    tenant: Tenant = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False)] = Path(),
) -> None:
    """Write the file of a recurring report's run to a folder."""
    from iris_pipelines.reporting.history import read_file

    with open_database(read_settings()) as database:
        name, content = read_file(database, chosen_tenant(database, tenant), run_id)
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(content)
    stdout.print(str(out / name))


def stop(report_id: ReportId, tenant: Tenant = None) -> None:
    """End a recurring report."""
    from iris_pipelines.reporting.recurring.schedules import stop_report

    with open_database(read_settings()) as database:
        stop_report(database, chosen_tenant(database, tenant), report_id)
    stdout.print("stopped")


def unsubscribe(token: Annotated[str, typer.Argument(help="The secret at the end of the link in the mail.")]) -> None:
    """Take whoever got a mail off its report."""
    from iris_pipelines.reporting.recurring.deliveries import unsubscribe

    with open_database(read_settings()) as database:
        left = unsubscribe(database, token, now=datetime.now(UTC))
    if left is None:
        fail("nobody has this link")
    stdout.print(f"{left.recipient} no longer gets {left.report}")


def due(as_json: AsJson = False) -> None:
    """Make and mail what is due now, as the daemon would."""
    from iris_pipelines.reporting.recurring.deliveries import send_waiting_mails
    from iris_pipelines.reporting.recurring.mail import mailer_from
    from iris_pipelines.reporting.recurring.runs import make_due_reports
    from iris_pipelines.reporting.recurring.schedules import plan_occurrences

    settings, now = read_settings(), datetime.now(UTC)
    mailer = mailer_from(settings.configured_smtp_url(), settings.mail_from)
    with open_database(settings) as database:
        plan_occurrences(database, now=now)
        looked_at = list(make_due_reports(database, now=now))
        sent = (
            []
            if mailer is None
            else list(send_waiting_mails(database, mailer, now=now, public_url=settings.public_url))
        )
    reports = [
        {"name": each.report.name, "for": each.day, "outcome": each.outcome, "reason": each.reason}
        for each in looked_at
    ]
    mails = [asdict(each) for each in sent]
    if as_json:
        print_json({"reports": reports, "mails": mails})
        return
    for report in reports:
        stdout.print("{name} of {for}: {outcome} {reason}".format(**report).rstrip())
    for mail in sent:
        stdout.print(f"mail to {mail.recipient}: {mail.status} {mail.error or ''}".rstrip())
    if not reports and not mails:
        stdout.print("nothing is due")
