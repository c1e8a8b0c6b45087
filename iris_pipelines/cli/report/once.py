"""A report made once: written to a file, or looked at."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iris_pipelines.cli.console import fail, open_database, print_json, progress, read_settings, stderr, stdout
from iris_pipelines.cli.report.definition import Tenant, chosen_tenant, described_by_options
from iris_pipelines.cli.report.tables import print_table
from iris_pipelines.domain.reports.definition import Format, ReportDefinition

if TYPE_CHECKING:
    from iris_pipelines.reporting.making import MadeReport

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


@described_by_options()
def run(
    *,
    wanted: ReportDefinition,
    tenant: Tenant = None,
    out: Annotated[
        Path | None, typer.Option(help="File or folder to write to; `-` for standard output (CSV and JSON).")
    ] = None,
    bom: Annotated[bool, typer.Option("--bom", help="Begin CSV with a byte order mark, for Excel.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a report now and write it to a file."""
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
    stdout.print(f"{made.path}: {made.rows:,} rows of {made.period}, from {', '.join(made.sources)}")
    for note in made.notes:
        stderr.print(f"note: {note}")


@described_by_options(without=["file_format"])
def preview(
    *,
    wanted: ReportDefinition,
    tenant: Tenant = None,
    rows: Annotated[int, typer.Option(min=1, max=1000, help="How many rows to show.")] = 20,
    show_sql: Annotated[bool, typer.Option("--sql", help="Show the statement too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the first rows of a report, and what it is answered from; nothing is written."""
    from iris_pipelines.reporting.previews import preview_report

    with open_database(read_settings()) as database:
        seen = preview_report(database, chosen_tenant(database, tenant), wanted, now=datetime.now(UTC), rows=rows)
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
    print_table([column.title for column in seen.columns], [column.is_metric for column in seen.columns], seen.rows)
    more = " and more" if seen.is_truncated else ""
    stdout.print(f"{len(seen.rows):,} rows{more}, {seen.period}, from {', '.join(seen.sources)}")
    if show_sql:
        stdout.print(seen.sql)


def templates(as_json: AsJson = False) -> None:
    """Reports that are ready to run."""
    from iris_pipelines.domain.reports.templates import TEMPLATES

    if as_json:
        print_json({name: each.model_dump(mode="json") for name, each in TEMPLATES.items()})
        return
    for name, each in TEMPLATES.items():
        stdout.print(f"{name:<20} {each.description}")


def schema() -> None:
    """The JSON schema of a definition."""
    from iris_pipelines.domain.reports.definition import ReportDefinition

    print_json(ReportDefinition.model_json_schema())


def _make(wanted: ReportDefinition, tenant: str | None, out: Path | None, *, bom: bool) -> MadeReport:
    from iris_pipelines.reporting.answers import period_of
    from iris_pipelines.reporting.history import run_report
    from iris_pipelines.reporting.making import file_name, local_day, read_tenant

    now = datetime.now(UTC)
    with open_database(read_settings()) as database:
        tenant_id = chosen_tenant(database, tenant)
        with database.transaction() as connection:
            whose = read_tenant(connection, tenant_id)
        period = period_of(wanted, timezone=whose.timezone, today=local_day(wanted, whose, now))
        path = out if out is not None else Path()
        if path.is_dir():
            path /= file_name(wanted, period)
        if not path.parent.is_dir():
            fail(f"there is no folder {path.parent}")
        with progress() as bar:
            bar.add_task(f"making {path.name}", total=None)
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
        stderr.print(f"note: {note}")
