"""A look at a PDF without opening it."""

from __future__ import annotations

import base64
import io

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
