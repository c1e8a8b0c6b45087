"""Make a report: ask, write the file, and say what came out."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from uuid import UUID

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.reports.calendar import zone
from iris_pipelines.domain.reports.definition import Format, ReportDefinition
from iris_pipelines.domain.reports.ranges import Period
from iris_pipelines.reporting.answers import ask, period_of, snapshot
from iris_pipelines.reporting.compiler.question import Question
from iris_pipelines.reporting.renderers import xlsx
from iris_pipelines.reporting.renderers.csv_file import write_csv
from iris_pipelines.reporting.renderers.head import Brand, Head
from iris_pipelines.reporting.renderers.json_file import write_json
from iris_pipelines.reporting.renderers.pdf import document as pdf

MOST_ROWS = {
    Format.CSV: 5_000_000,
    Format.JSON: 5_000_000,
    Format.XLSX: xlsx.MOST_ROWS,
    Format.PDF: pdf.MOST_ROWS,
}
"""The row cap of each format: what was cut off is stated in the report."""

MEDIA_TYPES = {
    Format.CSV: "text/csv",
    Format.JSON: "application/json",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.PDF: "application/pdf",
}
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_LARGEST_LOGO = 1024 * 1024


class UnknownTenant(IrisError):
    """Nobody has this id."""


@dataclass(frozen=True)
class MadeReport:
    """A report that was written, and what it holds."""

    path: Path
    period: Period
    rows: int
    is_truncated: bool
    notes: Sequence[str]
    sources: Sequence[str]
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ReportTenant:
    """What a report must know of whose it is."""

    id: UUID
    name: str
    timezone: str
    currency: str
    brand: Brand


def read_tenant(connection: Connection, tenant_id: UUID) -> ReportTenant:
    """The tenant, with colour and logo from its settings; raises UnknownTenant."""
    found = queries().report_tenant(connection, tenant_id=tenant_id)
    if found is None:
        raise UnknownTenant(f"there is no tenant {tenant_id}: `iris tenants list` shows them")
    name, timezone, currency, colour, logo = found
    return ReportTenant(tenant_id, name, timezone, currency, _brand(colour, logo))


def local_day(definition: ReportDefinition, tenant: ReportTenant, now: datetime) -> date:
    """Today, where the report is made."""
    return now.astimezone(zone(definition.timezone or tenant.timezone)).date()


def make_report(
    db: Database,
    tenant_id: UUID,
    definition: ReportDefinition,
    path: Path,
    *,
    now: datetime,
    today: date | None = None,
    notes: Sequence[str] = (),
    bom: bool = False,
) -> MadeReport:
    """Write a report to a file, complete or not at all. Relative ranges are seen from `today`, else from `now`."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with snapshot(db) as connection:
            tenant = read_tenant(connection, tenant_id)
            day = today or local_day(definition, tenant, now)
            period = period_of(definition, timezone=tenant.timezone, today=day)
            if period.window.end > now:
                local = now.astimezone(period.zone)
                notes = (*notes, f"This period is not over: it was counted on {local:%-d %B %Y at %H:%M}.")
            head = Head(tenant.name, tenant.currency, definition, period, now, notes, tenant.brand)
            is_text = definition.format in (Format.CSV, Format.JSON)
            question = Question(definition, period)
            answer = ask(connection, tenant_id, question, cap=MOST_ROWS[definition.format], as_text=is_text)
            if definition.format is Format.PDF:
                pdf.write_pdf(connection, tenant_id, answer, head, unfinished)
            elif definition.format is Format.XLSX:
                xlsx.write_xlsx(answer, head, unfinished)
            else:
                with unfinished.open("wb") as file:
                    if definition.format is Format.CSV:
                        write_csv(answer, file, bom=bom)
                    else:
                        write_json(answer, head, file)
        with unfinished.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        size = unfinished.stat().st_size
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    said = (*notes, *answer.notes)
    return MadeReport(path, period, answer.row_count, answer.is_truncated, said, answer.statement.sources, size, sha256)


def file_name(definition: ReportDefinition, period: Period) -> str:
    """What to call the file: `weekly-summary_2026-03-02_2026-03-08.pdf`."""
    words = _NOT_IN_NAMES.sub("-", definition.name.lower()).strip("-")[:80] or "report"
    return f"{words}_{period.first_day}_{period.last_day}.{definition.format}"


def _brand(colour: str | None, logo: str | None) -> Brand:
    """What a tenant's settings say, as far as it can be used: a report goes out also with a broken logo."""
    usable = colour if colour is not None and _COLOUR.match(colour) else Brand.colour
    if logo is None:
        return Brand(usable)
    try:
        content = base64.b64decode(logo.rpartition("base64,")[2], validate=True)
    except binascii.Error:
        return Brand(usable)
    is_usable = len(content) <= _LARGEST_LOGO and pdf.image_kind(content) is not None
    return Brand(usable, content if is_usable else None)
