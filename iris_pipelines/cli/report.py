"""`iris report`: any metric by any dimension, once or every day, week or month."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from iris_pipelines.cli import report_definition as options
from iris_pipelines.cli.console import fail, open_database, print_json, read_settings, stderr, stdout
from iris_pipelines.domain.reports.definition import Format
from iris_pipelines.domain.reports.schedules import Cadence

if TYPE_CHECKING:
    from iris_pipelines.domain.reports.definition import ReportDefinition
    from iris_pipelines.reporting.making import MadeReport

app = typer.Typer(no_args_is_help=True, help="Reports: once, or every day, week or month by email.")

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]
ReportId = Annotated[UUID, typer.Argument(help="As `iris report list` shows it.")]


@app.command()
def run(
    *,
    tenant: options.Tenant = None,
    template: options.Template = None,
    definition: options.File = None,
    name: options.Name = None,
    metrics: options.Metrics = None,
    dimensions: options.Dimensions = None,
    date_range: options.Range = None,
    start: options.Start = None,
    end: options.End = None,
    filters: options.Filters = None,
    order: options.Sort = None,
    limit: options.Limit = None,
    timezone: options.TimeZone = None,
    file_format: options.FileFormat = None,
    out: Annotated[
        Path | None, typer.Option(help="File or folder to write to; `-` for standard output (CSV and JSON).")
    ] = None,
    bom: Annotated[bool, typer.Option("--bom", help="Begin CSV with a byte order mark, for Excel.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a report now and write it to a file."""
    wanted = options.definition_from(
        template_name=template,
        file=definition,
        filters=filters,
        start=start,
        end=end,
        name=name,
        metrics=metrics,
        dimensions=dimensions,
        date_range=date_range,
        order=order,
        limit=limit,
        timezone=timezone,
        format=file_format,
    )
    if str(out) == "-":
        _print_report(wanted, tenant, bom=bom)
        return
    made = _make(wanted, tenant, out, bom=bom)
    if as_json:
        print_json(
            {
                "file": made.path,
                "rows": made.rows,
                "truncated": made.is_truncated,
                "period": {"start": made.period.window.start.isoformat(), "end": made.period.window.end.isoformat()},
                "timezone": made.period.zone.key,
                "sources": made.sources,
                "notes": made.notes,
                "bytes": made.bytes,
                "sha256": made.sha256,
            }
        )
        return
    stdout.print(f"{made.path}: {made.rows:,} rows of {made.period}, from {', '.join(made.sources)}", markup=False)
    for note in made.notes:
        stderr.print(f"note: {note}", markup=False)


@app.command()
def preview(
    *,
    tenant: options.Tenant = None,
    template: options.Template = None,
    definition: options.File = None,
    name: options.Name = None,
    metrics: options.Metrics = None,
    dimensions: options.Dimensions = None,
    date_range: options.Range = None,
    start: options.Start = None,
    end: options.End = None,
    filters: options.Filters = None,
    order: options.Sort = None,
    limit: options.Limit = None,
    timezone: options.TimeZone = None,
    rows: Annotated[int, typer.Option(min=1, max=1000, help="How many rows to show.")] = 20,
    show_sql: Annotated[bool, typer.Option("--sql", help="Show the statement too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the first rows of a report, and what it is answered from; nothing is written."""
    from iris_pipelines.reporting.previews import preview_report

    wanted = options.definition_from(
        template_name=template,
        file=definition,
        filters=filters,
        start=start,
        end=end,
        name=name,
        metrics=metrics,
        dimensions=dimensions,
        date_range=date_range,
        order=order,
        limit=limit,
        timezone=timezone,
    )
    with open_database(read_settings()) as database:
        seen = preview_report(
            database, options.chosen_tenant(database, tenant), wanted, now=datetime.now(UTC), rows=rows
        )
    names = [column.name for column in seen.columns]
    if as_json:
        print_json(
            {
                "period": str(seen.period),
                "columns": names,
                "rows": [dict(zip(names, row, strict=True)) for row in seen.rows],
                "truncated": seen.is_truncated,
                "sources": seen.sources,
                **({"sql": seen.sql} if show_sql else {}),
            }
        )
        return
    _print_table([column.title for column in seen.columns], [column.is_metric for column in seen.columns], seen.rows)
    more = " and more" if seen.is_truncated else ""
    stdout.print(f"{len(seen.rows):,} rows{more}, {seen.period}, from {', '.join(seen.sources)}", markup=False)
    if show_sql:
        stdout.print(seen.sql, markup=False)


@app.command()
def schedule(
    *,
    every: Annotated[Cadence, typer.Option(help="How often.")],
    to: Annotated[list[str], typer.Option("--recipient", help="Who gets it by email; several are possible.")],
    on: Annotated[str | None, typer.Option(help="Weekly: monday ... sunday. Monthly: 1 ... 31, or last.")] = None,
    at: Annotated[str, typer.Option(help="Local time.")] = "08:00",
    deadline: Annotated[int, typer.Option(min=0, help="Minutes to wait for a complete period.")] = 120,
    tenant: options.Tenant = None,
    template: options.Template = None,
    definition: options.File = None,
    name: options.Name = None,
    metrics: options.Metrics = None,
    dimensions: options.Dimensions = None,
    date_range: options.Range = None,
    filters: options.Filters = None,
    order: options.Sort = None,
    limit: options.Limit = None,
    timezone: options.TimeZone = None,
    file_format: options.FileFormat = None,
    as_json: AsJson = False,
) -> None:
    """Make a report again and again, and mail it."""
    from iris_pipelines.reporting.recurring.schedules import schedule_report

    wanted = options.definition_from(
        template_name=template,
        file=definition,
        filters=filters,
        start=None,
        end=None,
        name=name,
        metrics=metrics,
        dimensions=dimensions,
        date_range=date_range,
        order=order,
        limit=limit,
        timezone=timezone,
        format=file_format,
    )
    when = options.schedule_from(every, on, at)
    settings = read_settings()
    with open_database(settings) as database:
        report_id = schedule_report(
            database,
            options.chosen_tenant(database, tenant),
            wanted,
            when,
            to,
            now=datetime.now(UTC),
            deadline=timedelta(minutes=deadline),
        )
    if as_json:
        print_json({"id": report_id, "schedule": options.described(when), "recipients": to})
    else:
        typer.echo(str(report_id))
    if settings.smtp_url is None:
        stderr.print("note: IRIS_SMTP_URL is not set: reports will be made, and mailed once it is", markup=False)


@app.command("list")
def list_reports(tenant: options.Tenant = None, as_json: AsJson = False) -> None:
    """Recurring reports."""
    from iris_pipelines.reporting.recurring.schedules import scheduled_reports

    with open_database(read_settings()) as database:
        found = scheduled_reports(database, None if tenant is None else options.chosen_tenant(database, tenant))
    rows: list[dict[str, object]] = [
        {
            "id": each.id,
            "name": each.name,
            "schedule": options.described(each.schedule),
            "format": each.definition.format,
            "range": each.definition.date_range,
            "recipients": list(each.recipients),
            "active": each.is_active,
        }
        for each in found
    ]
    _print_rows(rows, as_json=as_json, nothing="no recurring report: `iris report schedule` makes one")


@app.command()
def history(
    report_id: Annotated[UUID | None, typer.Argument(help="One recurring report; all runs by default.")] = None,
    tenant: options.Tenant = None,
    most: Annotated[int, typer.Option("--last", min=1, max=10_000, help="How many runs.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Runs of reports, the latest first, with their files and deliveries."""
    from iris_pipelines.reporting.recurring.runs import report_history

    with open_database(read_settings()) as database:
        found = report_history(database, options.chosen_tenant(database, tenant), report_id, most=most)
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
    _print_rows(rows, as_json=False, nothing="no report has been made yet")


@app.command("file")
def fetch_file(
    run_id: Annotated[UUID, typer.Argument(help="A run, as `iris report history` shows it.")],
    tenant: options.Tenant = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False)] = Path(),
) -> None:
    """Write the file of a recurring report's run to a folder."""
    from iris_pipelines.reporting.recurring.runs import read_file

    with open_database(read_settings()) as database:
        name, content = read_file(database, options.chosen_tenant(database, tenant), run_id)
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_bytes(content)
    stdout.print(str(out / name), markup=False)


@app.command()
def stop(report_id: ReportId, tenant: options.Tenant = None) -> None:
    """End a recurring report."""
    from iris_pipelines.reporting.recurring.schedules import stop_report

    with open_database(read_settings()) as database:
        stop_report(database, options.chosen_tenant(database, tenant), report_id)
    stdout.print("stopped")


@app.command()
def unsubscribe(token: Annotated[str, typer.Argument(help="The secret at the end of the link in the mail.")]) -> None:
    """Take whoever got a mail off its report."""
    from iris_pipelines.reporting.recurring.deliveries import unsubscribe

    with open_database(read_settings()) as database:
        left = unsubscribe(database, token, now=datetime.now(UTC))
    if left is None:
        fail("nobody has this link")
    stdout.print(f"{left.recipient} no longer gets {left.report}", markup=False)


@app.command()
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
        stdout.print("{name} of {for}: {outcome} {reason}".format(**report).rstrip(), markup=False)
    for mail in sent:
        stdout.print(f"mail to {mail.recipient}: {mail.status} {mail.error or ''}".rstrip(), markup=False)
    if not reports and not mails:
        stdout.print("nothing is due")


@app.command()
def templates(as_json: AsJson = False) -> None:
    """Reports that are ready to run."""
    from iris_pipelines.domain.reports.templates import TEMPLATES

    if as_json:
        print_json({name: each.model_dump(mode="json") for name, each in TEMPLATES.items()})
        return
    for name, each in TEMPLATES.items():
        stdout.print(f"{name:<20} {each.description}", markup=False)


@app.command()
def schema() -> None:
    """The JSON schema of a definition."""
    from iris_pipelines.domain.reports.definition import ReportDefinition

    print_json(ReportDefinition.model_json_schema())


def _make(wanted: ReportDefinition, tenant: str | None, out: Path | None, *, bom: bool) -> MadeReport:
    from iris_pipelines.reporting.answers import period_of
    from iris_pipelines.reporting.making import file_name, local_day, read_tenant
    from iris_pipelines.reporting.recurring.runs import run_report

    now = datetime.now(UTC)
    with open_database(read_settings()) as database:
        tenant_id = options.chosen_tenant(database, tenant)
        with database.transaction() as connection:
            whose = read_tenant(connection, tenant_id)
        period = period_of(wanted, timezone=whose.timezone, today=local_day(wanted, whose, now))
        path = out if out is not None else Path()
        if path.is_dir():
            path /= file_name(wanted, period)
        if not path.parent.is_dir():
            fail(f"there is no folder {path.parent}")
        return run_report(database, tenant_id, wanted, path, now=now, bom=bom)


def _print_report(wanted: ReportDefinition, tenant: str | None, *, bom: bool) -> None:
    import tempfile

    if wanted.format not in (Format.CSV, Format.JSON):
        fail(f"{wanted.format} is nothing for standard output: give --out a file", code=2)
    with tempfile.TemporaryDirectory(prefix="iris-report-") as folder:
        made = _make(wanted, tenant, Path(folder) / "report", bom=bom)
        with made.path.open("rb") as file:
            while part := file.read(1 << 20):
                sys.stdout.buffer.write(part)
    for note in made.notes:
        stderr.print(f"note: {note}", markup=False)


def _print_rows(rows: list[dict[str, object]], *, as_json: bool, nothing: str) -> None:
    if as_json:
        print_json(rows)
    elif not rows:
        stdout.print(nothing)
    else:
        names = list(rows[0])
        values = [
            [", ".join(map(str, each)) if isinstance(each, list) else each for each in row.values()] for row in rows
        ]
        _print_table(names, [False] * len(names), values)


def _print_table(titles: list[str], are_numbers: list[bool], rows: object) -> None:
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    from iris_pipelines.reporting.renderers.safe_text import readable

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, is_number in zip(titles, are_numbers, strict=True):
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:  # type: ignore[attr-defined]
        table.add_row(*(Text("" if cell is None else readable(str(cell))) for cell in row))
    # Where nobody looks there is no width to keep to, and a broken line is of no use to a program.
    widest = Measurement.get(stdout, stdout.options.update(max_width=5_000), table).maximum
    console = stdout if stdout.is_terminal else Console(width=max(widest, 1), highlight=False)
    console.print(table)
