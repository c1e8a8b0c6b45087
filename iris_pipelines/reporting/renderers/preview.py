"""A look at a report without opening it: the first page of a PDF, or the first rows."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence

from iris_pipelines.reporting.answers import Cell, Column
from iris_pipelines.reporting.renderers.pdf.numbers import table_cell

_WIDTH = 420


def first_page(content: bytes, *, width: int = _WIDTH, page: int = 0) -> bytes:
    """A page of a PDF as PNG."""
    import pypdfium2

    document = pypdfium2.PdfDocument(content)
    try:
        sheet = document[page]
        bitmap = sheet.render(scale=width / sheet.get_width())
        image = bitmap.to_pil().convert("P", palette=1, colors=64)
        file = io.BytesIO()
        image.save(file, "PNG", optimize=True)
        return file.getvalue()
    finally:
        document.close()


def markdown_image(png: bytes, alternative: str) -> str:
    """An image that stands in a text, for Dagster's UI."""
    return f"![{alternative}](data:image/png;base64,{base64.b64encode(png).decode()})"


def markdown_table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> str:
    """Rows as a table; what would be markup in a cell is taken out."""
    lines = [_line(column.title for column in columns), _line("---:" if each.is_metric else "---" for each in columns)]
    lines += [_line(table_cell(*pair) for pair in zip(columns, row, strict=True)) for row in rows]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.translate(_MARKUP) for cell in cells) + " |"


_MARKUP = str.maketrans(dict.fromkeys("|<>[]`*\\"))
