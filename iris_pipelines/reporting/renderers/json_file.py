"""JSON: what the report is, then its rows as objects, one a line, streamed; numbers are numbers."""

from __future__ import annotations

from typing import BinaryIO

import orjson

from iris_pipelines.reporting.answers import Answer, Cell
from iris_pipelines.reporting.renderers.head import Head
from iris_pipelines.reporting.renderers.safe_text import readable

_LINES = 2_000
# What numeric holds beside numbers; JSON has no word for them.
_NO_NUMBERS = {"NaN", "Infinity", "-Infinity"}


def write_json(answer: Answer, head: Head, file: BinaryIO) -> None:
    """Write the rows, of cells as text, as they come."""
    file.write(b'{"report": ' + orjson.dumps(head.document()))
    file.write(b',\n"columns": ' + orjson.dumps([_column(answer, place) for place in range(len(answer.columns))]))
    file.write(b',\n"rows": [')
    names = [orjson.dumps(column.name) + b": " for column in answer.columns]
    is_metric = [column.is_metric for column in answer.columns]
    known: dict[Cell, bytes] = {}
    separator, lines = b"\n", []
    for row in answer.rows:
        cells = [
            name + (_number(cell) if metric else _dimension(cell, known))
            for name, metric, cell in zip(names, is_metric, row, strict=True)
        ]
        lines.append(b"{" + b", ".join(cells) + b"}")
        if len(lines) == _LINES:
            file.write(separator + b",\n".join(lines))
            separator = b",\n"
            lines.clear()
    if lines:
        file.write(separator + b",\n".join(lines))
    notes = [*head.notes, *answer.notes]
    end = {"row_count": answer.row_count, "truncated": answer.is_truncated, "notes": notes}
    file.write(b'\n],\n"result": ' + orjson.dumps(end) + b"}\n")


def _column(answer: Answer, place: int) -> dict[str, str | None]:
    column = answer.columns[place]
    return {"name": column.name, "title": column.title, "unit": None if column.unit is None else str(column.unit)}


def _number(cell: Cell) -> bytes:
    return b"null" if cell is None or cell in _NO_NUMBERS else str(cell).encode()


def _dimension(cell: Cell, known: dict[Cell, bytes]) -> bytes:
    looks = known.get(cell)
    if looks is None:
        if len(known) > 100_000:
            known.clear()
        looks = known[cell] = orjson.dumps(None if cell is None else readable(str(cell)))
    return looks
