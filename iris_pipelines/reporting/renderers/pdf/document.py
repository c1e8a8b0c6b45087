"""What a PDF shows beside the rows of the report, asked in the same snapshot; and its making."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from iris_pipelines.db.database import Connection
from iris_pipelines.domain.metrics import Unit
from iris_pipelines.domain.reports.definition import Order, ReportDefinition
from iris_pipelines.domain.reports.ranges import Period
from iris_pipelines.domain.reports.subjects import REPORT_METRICS, Time, plain_title, title
from iris_pipelines.reporting.answers import Answer, Cell, ask
from iris_pipelines.reporting.compiler.question import Question
from iris_pipelines.reporting.renderers.head import Head
from iris_pipelines.reporting.renderers.pdf.charts import bar_chart, line_chart, series
from iris_pipelines.reporting.renderers.pdf.numbers import NOTHING, change, figure, table_cell
from iris_pipelines.reporting.renderers.safe_text import readable

MOST_ROWS = 2_000
_TEMPLATE = Path(__file__).with_name("report.typ")
_BARS = 10
_CHARTS = 3
_WIDE_COLUMNS = 8


def write_pdf(connection: Connection, tenant_id: UUID, answer: Answer, head: Head, path: Path) -> None:
    """Set the report; Typst reads its data from a folder of its own, and nothing else."""
    import typst

    document = _document(connection, tenant_id, answer, head)
    with tempfile.TemporaryDirectory(prefix="iris-report-") as name:
        folder = Path(name)
        shutil.copyfile(_TEMPLATE, folder / "report.typ")
        if head.brand.logo is not None:
            document["logo"] = f"logo.{image_kind(head.brand.logo)}"
            (folder / document["logo"]).write_bytes(head.brand.logo)
        try:
            _typeset(folder, document, path, head)
        except typst.TypstError:
            if document["logo"] is None:
                raise
            # Only trying tells whether an image is one: a report goes out also with a broken logo.
            document |= {"logo": None, "notes": [*document["notes"], "The logo of the settings cannot be drawn."]}
            _typeset(folder, document, path, head)


def _typeset(folder: Path, document: dict[str, Any], path: Path, head: Head) -> None:
    import typst

    (folder / "data.json").write_text(json.dumps(document))
    typst.compile(
        str(folder / "report.typ"),
        output=str(path),
        root=str(folder),
        font_paths=[str(_fonts())],
        format="pdf",
        timestamp=int(head.made_at.timestamp()),
    )


def image_kind(content: bytes) -> str | None:
    """Whether an image is a PNG, a JPEG or an SVG; None if it is neither."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpg"
    return "svg" if b"<svg" in content[:1000] else None


def _fonts() -> Path:
    import font_source_sans_pro

    return Path(font_source_sans_pro.__file__).parent / "files"


def _document(connection: Connection, tenant_id: UUID, answer: Answer, head: Head) -> dict[str, Any]:
    definition = head.definition
    rows = [[table_cell(column, cell) for column, cell in zip(answer.columns, row, strict=True)] for row in answer.rows]
    shown = [place for place, column in enumerate(answer.columns) if column.name != "campaign_id"]
    figures, charts = _figures(connection, tenant_id, head), _charts(connection, tenant_id, head)
    is_wide = len(shown) >= _WIDE_COLUMNS
    made = f"Made {head.made_at.astimezone(head.period.zone):%-d %B %Y, %H:%M} ({head.period.zone.key})"
    columns = [{"title": answer.columns[p].title, "is_number": answer.columns[p].is_metric} for p in shown]
    table = {
        "title": _table_title(definition),
        "columns": columns,
        "rows": [[row[place] for place in shown] for row in rows],
        "note": "" if rows else "Nothing happened in this period.",
        "size": 9 if len(shown) <= _WIDE_COLUMNS else 8 if len(shown) <= 12 else 6.5,
    }
    return {
        "tenant": readable(head.tenant),
        "title": readable(definition.name),
        "description": readable(definition.description),
        "period": str(head.period),
        "previous": str(head.previous),
        "made": made,
        "colour": head.brand.colour,
        "logo": None,
        "is_wide": is_wide,
        "figures": figures,
        "charts": charts,
        "table": table if definition.dimensions else None,
        "notes": [readable(note) for note in [*head.notes, *answer.notes]],
        "facts": [
            [name, readable(value)] for name, value in head.facts.items() if name not in ("Report", "Description")
        ],
        "meanings": [[title(name), REPORT_METRICS[name].description] for name in definition.metrics],
    }


def _table_title(definition: ReportDefinition) -> str:
    return "By " + " and ".join(title(name).lower() for name in definition.dimensions)


def _asked(connection: Connection, tenant_id: UUID, head: Head, period: Period, **parts: Any) -> list[dict[str, Cell]]:
    """The same report with other dimensions or metrics. Its conditions on metrics are about its own rows, and go."""
    filters = tuple(each for each in head.definition.filters if each.field not in REPORT_METRICS)
    changed = {"dimensions": (), "order": (), "limit": None, **parts, "filters": filters}
    definition = head.definition.model_copy(update=changed)
    answer = ask(connection, tenant_id, Question(definition, period), cap=20_000)
    return [dict(zip((column.name for column in answer.columns), row, strict=True)) for row in answer.rows]


def _figures(connection: Connection, tenant_id: UUID, head: Head) -> list[dict[str, str]]:
    now, before = (_asked(connection, tenant_id, head, period)[0] for period in (head.period, head.previous))
    cards = []
    for name in head.definition.metrics:
        changed = change(name, now[name], before[name])
        was = figure(name, before[name], head.currency)
        value = figure(name, now[name], head.currency)
        after = (
            f"  was {was}" if changed.text and was != NOTHING else "no value before" if value != NOTHING else "no value"
        )
        cards.append(
            {"title": plain_title(name), "value": value, "change": changed.text, "tone": changed.tone, "before": after}
        )
    return cards


def _charts(connection: Connection, tenant_id: UUID, head: Head) -> list[dict[str, Any]]:
    metrics = _charted(head.definition.metrics)
    grain = _grain(head.period)
    charts = _trends(connection, tenant_id, head, metrics, grain)
    texts = [name for name in head.definition.dimensions if name not in list(Time)]
    if texts:
        order = (Order(field=metrics[0], direction="desc"),)
        rows = _asked(
            connection,
            tenant_id,
            head,
            head.period,
            dimensions=(texts[0],),
            metrics=metrics[:1],
            order=order,
            limit=_BARS,
        )
        bars = [(str(row[texts[0]]), row[metrics[0]]) for row in rows]
        if len(bars) > 1:
            charts.append(bar_chart(metrics[0], texts[0], bars, head.currency))
    return charts


def _trends(
    connection: Connection, tenant_id: UUID, head: Head, metrics: Sequence[str], grain: Time
) -> list[dict[str, Any]]:
    found, labels = [], []
    for period in (head.period, head.previous):
        rows = _asked(connection, tenant_id, head, period, dimensions=(grain,), metrics=tuple(metrics))
        question = Question(head.definition.model_copy(update={"dimensions": (grain,), "filters": ()}), period)
        local = [
            label.astimezone(period.zone) if grain is Time.HOUR else label  # type: ignore[union-attr]
            for (label,) in question.labels
        ]
        labels.append([(str(label), label) for label in local])
        found.append({str(row[grain]): row for row in rows})
    if len(labels[0]) < 2:
        return []
    charts = []
    for name in metrics:
        is_count = REPORT_METRICS[name].unit in (Unit.COUNT, Unit.COST)
        now, before = (
            series([key for key, _ in each], {key: row[name] for key, row in rows.items()}, is_count=is_count)
            for each, rows in zip(labels, found, strict=True)
        )
        # A month before may be longer: it is cut off where this one ends.
        charts.append(line_chart(name, [label for _, label in labels[0]], now, before[: len(now)], head.currency))
    return charts


def _charted(metrics: Sequence[str]) -> list[str]:
    """One metric of each kind, in the order of the report: three lines of the same shape say no more than one."""
    kinds: dict[Unit, str] = {}
    for name in metrics:
        kinds.setdefault(REPORT_METRICS[name].unit, name)
    chosen = list(kinds.values())
    return (chosen + [name for name in metrics if name not in chosen])[:_CHARTS]


def _grain(period: Period) -> Time:
    days = (period.window.end - period.window.start) / timedelta(days=1)
    return Time.HOUR if days <= 2.1 else Time.DATE if days <= 93 else Time.WEEK if days <= 400 else Time.MONTH
