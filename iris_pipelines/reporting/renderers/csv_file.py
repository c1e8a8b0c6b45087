"""CSV as RFC 4180 has it: every text in quotes, numbers bare, lines ended by CR LF, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from iris_pipelines.reporting.answers import Answer, Cell
from iris_pipelines.reporting.renderers.safe_text import spreadsheet_text

_BOM = b"\xef\xbb\xbf"
_LINES = 2_000


def write_csv(answer: Answer, file: BinaryIO, *, bom: bool = False) -> None:
    """Write the rows, of cells as text, as they come; Excel takes the file for UTF-8 if it begins with a BOM."""
    if bom:
        file.write(_BOM)
    file.write(",".join(_quoted(column.name) for column in answer.columns).encode() + b"\r\n")
    lines: list[str] = []
    for line in _lines(answer):
        lines.append(line)
        if len(lines) == _LINES:
            file.write(("\r\n".join(lines) + "\r\n").encode())
            lines.clear()
    if lines:
        file.write(("\r\n".join(lines) + "\r\n").encode())


def _lines(answer: Answer) -> Iterator[str]:
    """Texts repeat, figures do not: what a dimension's cell looks like is worked out once a value."""
    known: dict[Cell, str] = {}
    first_metric = sum(not column.is_metric for column in answer.columns)
    for row in answer.rows:
        cells = []
        for cell in row[:first_metric]:
            looks = known.get(cell)
            if looks is None:
                if len(known) > 100_000:
                    known.clear()
                looks = known[cell] = _dimension(cell)
            cells.append(looks)
        cells += ["" if cell is None else cell for cell in row[first_metric:]]  # type: ignore[misc]
        yield ",".join(cells)


def _dimension(cell: Cell) -> str:
    if cell is None:
        return ""
    return _quoted(str(cell))


def _quoted(text: str) -> str:
    # In quotes also without need: where lists are separated by semicolons, one in a text would start a cell.
    return '"' + spreadsheet_text(text).replace('"', '""') + '"'
