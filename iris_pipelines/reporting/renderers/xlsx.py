"""XLSX: typed cells under a frozen header with filters, a chart, and a sheet that says what the report is."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from iris_pipelines.domain.metrics import Unit
from iris_pipelines.domain.reports.subjects import REPORT_METRICS, Time
from iris_pipelines.reporting.answers import Answer, Cell, Column
from iris_pipelines.reporting.renderers.head import Head
from iris_pipelines.reporting.renderers.safe_text import spreadsheet_text

MOST_ROWS = 1_000_000
_NUMBERS = {
    Unit.COUNT: "#,##0",
    Unit.PERCENT: "0.00",
    Unit.MILLISECONDS: "#,##0",
    Unit.COST: "#,##0.00####",
    Unit.MEAN_COST: "0.000000",
}
_CHART_ROWS = 60
_WIDEST = 48


def write_xlsx(answer: Answer, head: Head, path: Path) -> None:
    """Write the rows as they come, each flushed before the next."""
    import xlsxwriter

    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    with xlsxwriter.Workbook(str(path), options) as workbook:
        # Without it, the file would differ each time it is made from the same rows.
        workbook.set_properties({"title": head.definition.name, "created": head.made_at.replace(tzinfo=None)})
        sheet = workbook.add_worksheet("Report")
        _write_rows(workbook, sheet, answer, head)
        _write_chart(workbook, answer)
        _write_definition(workbook, answer, head)


def _write_rows(workbook: Any, sheet: Any, answer: Answer, head: Head) -> None:
    heading = workbook.add_format(
        {"bold": True, "bg_color": head.brand.colour, "font_color": "#ffffff", "text_wrap": True, "valign": "vcenter"}
    )
    formats: dict[Any, Any] = {
        **{unit: workbook.add_format({"num_format": number}) for unit, number in _NUMBERS.items()},
        Time.DATE: workbook.add_format({"num_format": "yyyy-mm-dd", "align": "left"}),
        Time.HOUR: workbook.add_format({"num_format": "yyyy-mm-dd hh:mm", "align": "left"}),
        "text": workbook.add_format(),
    }
    sheet.freeze_panes(1, 0)
    sheet.set_row(0, 32)
    widths = [min(max(len(column.title) * 0.7 + 3, 12), 24) for column in answer.columns]
    for place, column in enumerate(answer.columns):
        sheet.write_string(0, place, column.title, heading)
    for number, row in enumerate(answer.rows, start=1):
        for place, (column, cell) in enumerate(zip(answer.columns, row, strict=True)):
            _write_cell(sheet, (number, place), column, cell, formats)
            if not column.is_metric and number <= 1_000 and isinstance(cell, str | UUID):
                widths[place] = min(max(widths[place], len(str(cell)) + 2), _WIDEST)
    for place, width in enumerate(widths):
        sheet.set_column(place, place, width)
    sheet.autofilter(0, 0, max(answer.row_count, 1), len(answer.columns) - 1)
    sheet.set_landscape()
    sheet.repeat_rows(0)
    sheet.fit_to_pages(1, 0)


def _write_cell(sheet: Any, at: tuple[int, int], column: Column, cell: Cell, formats: dict[Any, Any]) -> None:
    if cell is None:
        return
    if isinstance(cell, datetime):
        # A spreadsheet knows no zones: it gets what the local clock shows.
        sheet.write_datetime(*at, cell.replace(tzinfo=None), formats[Time.HOUR])
    elif isinstance(cell, date):
        sheet.write_datetime(*at, cell, formats[Time.DATE])
    elif isinstance(cell, int | Decimal):
        sheet.write_number(*at, cell, formats[column.unit])
    else:
        sheet.write_string(*at, spreadsheet_text(str(cell)), formats["text"])


def _write_chart(workbook: Any, answer: Answer) -> None:
    """The first metric by the dimension that comes first; over time as a line, else as bars."""
    shown = [
        place for place, column in enumerate(answer.columns) if not column.is_metric and column.name != "campaign_id"
    ]
    metrics = [place for place, column in enumerate(answer.columns) if column.is_metric]
    if not shown or not answer.row_count:
        return
    is_time = answer.columns[shown[0]].name in list(Time)
    rows = answer.row_count if is_time else min(answer.row_count, _CHART_ROWS)
    chart = workbook.add_chart({"type": "line" if is_time and len(shown) == 1 else "column"})
    metric = metrics[0]
    chart.add_series(
        {
            "name": ["Report", 0, metric],
            # Of several dimensions, Excel nests the labels.
            "categories": ["Report", 1, shown[0], rows, shown[-1]]
            if shown == list(range(shown[0], shown[-1] + 1))
            else ["Report", 1, shown[0], rows, shown[0]],
            "values": ["Report", 1, metric, rows, metric],
        }
    )
    chart.set_title({"name": answer.columns[metric].title, "name_font": {"size": 12}})
    chart.set_legend({"none": True})
    chart.set_size({"width": 960, "height": 480})
    workbook.add_worksheet("Chart").insert_chart("B2", chart)


def _write_definition(workbook: Any, answer: Answer, head: Head) -> None:
    sheet = workbook.add_worksheet("Definition")
    bold = workbook.add_format({"bold": True, "valign": "top"})
    wrapped = workbook.add_format({"text_wrap": True, "valign": "top"})
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 100)
    facts = {
        **head.facts,
        "Rows": f"{answer.row_count:,}",
        "Answered from": ", ".join(answer.statement.sources),
        **{f"Note {number}": note for number, note in enumerate([*head.notes, *answer.notes], start=1)},
    }
    for row, (name, value) in enumerate(facts.items()):
        sheet.write_string(row, 0, name, bold)
        sheet.write_string(row, 1, spreadsheet_text(value), wrapped)
    start = len(facts) + 1
    for row, column in enumerate((each for each in answer.columns if each.is_metric), start=start):
        sheet.write_string(row, 0, column.name, bold)
        sheet.write_string(row, 1, REPORT_METRICS[column.name].description, wrapped)
