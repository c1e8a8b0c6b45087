"""CSV as RFC 4180 has it: commas, double quotes, a header row, UTF-8. A bad row is a malformed record of its own."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence, Set
from typing import Any, NamedTuple

import orjson

from iris_pipelines.ingestion.files.batches import BatchBuilder
from iris_pipelines.ingestion.files.compression import Readable
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.files.lines import LongLine, read_lines
from iris_pipelines.ingestion.records import (
    KEPT_BYTES,
    MAX_RECORD_BYTES,
    Malformed,
    ObjectBatch,
    invalid_json,
    too_large,
)

_FOREIGN_DELIMITERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
_JSON_STARTS = frozenset('{["-0123456789tfnTF')
# As Python and spreadsheets write them.
_BOOLEANS = {"True": True, "TRUE": True, "False": False, "FALSE": False}
# Quotes are doubled: whether a row in between is too large for an event is seen when it is read.
_ROW_BYTES = 2 * MAX_RECORD_BYTES
_CUT_OFF = "unexpected end of data"
_TOO_LARGE = "field larger than field limit"


def read_csv(
    file: Readable, source: str, *, expected: Sequence[str], text_columns: Set[str] | None
) -> Iterator[ObjectBatch]:
    """The rows of a CSV file as records; an empty cell is a missing value.

    At least one of the `expected` columns must be there. Columns other than `text_columns` (None: all are text) may
    hold JSON: what parses as JSON, or is a capitalized true or false, is taken as such.
    """
    rows = _rows(file, source)
    header = _header(rows, source, expected)
    typed = [text_columns is not None and name not in text_columns for name in header]
    batch = BatchBuilder(source)
    for row in rows:
        if isinstance(row.cells, Malformed):
            batch.add(row.line, row.cells, row.size)
        elif len(row.cells) == len(header):
            batch.add(row.line, _record(header, typed, row.cells), row.size)
        elif row.cells:
            detail = f"the row has {len(row.cells)} cells, the header row has {len(header)}"
            batch.add(row.line, invalid_json(detail, row.text.encode()), row.size)
        if batch.is_full:
            yield batch.take()
    if not batch.is_empty:
        yield batch.take()


class _Row(NamedTuple):
    """A row and the line it begins in: its cells (none if it is blank), or why it has none."""

    line: int
    cells: list[str] | Malformed
    text: str
    size: int


def _header(rows: Iterator[_Row], source: str, expected: Sequence[str]) -> list[str]:
    row = next((row for row in rows if row.cells), None)
    if row is None:
        return []
    if isinstance(row.cells, Malformed):
        raise UnreadableFile(source, f"has no header row that can be read: {row.cells.detail}")
    names = [name.strip() for name in row.cells]
    if not set(expected) & set(names):
        found = f"the header row has none of the columns {', '.join(expected)}"
        for delimiter, what in _FOREIGN_DELIMITERS.items():
            if delimiter in row.text:
                raise UnreadableFile(source, f"{found}, but {what}: write the file with commas between the columns")
        shown = ", ".join(names)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        raise UnreadableFile(source, f"{found}, but: {shown}; the first row must name the columns")
    for column, name in enumerate(names, 1):
        if not name:
            raise UnreadableFile(source, f"column {column} has no name in the header row")
        if name in names[: column - 1]:
            raise UnreadableFile(source, f"the header row has the column {name} twice")
    return names


def _record(header: list[str], typed: list[bool], cells: list[str]) -> dict[str, Any]:
    return {
        name: _json_or_text(cell) if is_typed and cell[0] in _JSON_STARTS else cell
        for name, cell, is_typed in zip(header, cells, typed, strict=True)
        if cell
    }


def _json_or_text(cell: str) -> Any:
    try:
        value = orjson.loads(cell)
    except orjson.JSONDecodeError:
        return _BOOLEANS.get(cell, cell)
    # A whole number of more than 64 bits would come back as another number.
    if isinstance(value, float) and cell.lstrip("-").isdecimal():
        return cell
    return value


def _rows(file: Readable, source: str) -> Iterator[_Row]:
    """The rows of the file, in bounded memory whatever a quote opens."""
    begun = _BegunRow()
    for piece in read_lines(file, limit=_ROW_BYTES):
        if isinstance(piece, LongLine):
            begun.add(piece.number, piece.head, piece.size, piece.quotes)
            if not begun.in_quotes:
                yield begun.reject()
            continue
        first, lines = piece.first, piece.lines
        if begun.is_too_large:
            skipped = begun.add_all(first, lines) if begun.in_quotes else 0
            if begun.in_quotes:
                continue
            yield begun.reject()
            first, lines = first + skipped, lines[skipped:]
        elif begun.lines:
            first, lines = begun.first, begun.lines + lines
            begun.clear()
        rows = _simple_rows(first, lines)
        yield from _mixed_rows(first, lines, begun) if rows is None else rows
    if begun.is_too_large:
        raise UnreadableFile(
            source, f"the quote that opens in line {begun.first:,} is never closed: the file is cut off or broken"
        )
    if begun.lines:
        yield from _mixed_rows(begun.first, begun.lines, None)


class _BegunRow:
    """A row that did not end with the lines so far; of one that is much too large, only the beginning is kept."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """No row is begun."""
        self.first = 0
        self.lines: list[bytes] = []
        self.size = 0
        self._quotes = 0

    def add(self, number: int, line: bytes, size: int, quotes: int) -> None:
        """One more line of the row."""
        if not self.lines:
            self.first = number
        if self.size <= KEPT_BYTES:
            self.lines.append(line)
        self.size += size + 1
        self._quotes += quotes

    def add_all(self, first: int, lines: Sequence[bytes]) -> int:
        """Lines up to the one that closes the quote; returns how many they were."""
        for index, line in enumerate(lines):
            self.add(first + index, line, len(line), line.count(b'"'))
            if not self.in_quotes:
                return index + 1
        return len(lines)

    @property
    def is_too_large(self) -> bool:
        """Whether the row is too large for an event."""
        return self.size > _ROW_BYTES

    @property
    def in_quotes(self) -> bool:
        """Whether a quoted cell is open after the lines so far."""
        return self._quotes % 2 == 1

    def reject(self) -> _Row:
        """The row, which has ended and is too large."""
        head = b"\n".join(self.lines)[:KEPT_BYTES]
        row = _Row(self.first, too_large("the row", head, self.size - 1), "", len(head))
        self.clear()
        return row


def _simple_rows(first: int, lines: list[bytes]) -> list[_Row] | None:
    """The rows of lines of which each is a whole, well-formed row; None if they are not that simple."""
    try:
        texts = b"\n".join(lines).decode().split("\n")
        rows = list(csv.reader(texts, strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    if len(rows) != len(lines):
        return None
    sizes = map(len, lines)
    return list(map(_Row, range(first, first + len(lines)), rows, texts, sizes))


def _mixed_rows(first: int, lines: list[bytes], begun: _BegunRow | None) -> Iterator[_Row]:
    """The rows of any lines; the last one, if it does not end, is left in `begun`, or is malformed where that is None.

    After a malformed row, reading goes on in the line after its first one: a quote too many harms no other row.
    """
    start = 0
    while start < len(lines):
        reader, base = csv.reader(map(_text, lines[start:]), strict=True), start
        try:
            for cells in reader:
                end = base + reader.line_num
                yield _checked(first + start, cells, lines[start:end])
                start = end
        except csv.Error as error:
            problem = str(error)
        else:
            return
        if problem == _CUT_OFF and begun is not None:
            for index in range(start, len(lines)):
                begun.add(first + index, lines[index], len(lines[index]), lines[index].count(b'"'))
            return
        if _TOO_LARGE in problem and begun is not None:
            skipped = begun.add_all(first + start, lines[start:])
            if begun.in_quotes:
                return
            yield begun.reject()
            start += skipped
        else:
            why = "a double quote opens a cell and is never closed" if problem == _CUT_OFF else problem
            malformed = invalid_json(f"the row is no valid CSV: {why}", lines[start])
            yield _Row(first + start, malformed, "", len(lines[start]))
            start += 1


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape") + "\n"


def _checked(number: int, cells: list[str], lines: list[bytes]) -> _Row:
    row = lines[0] if len(lines) == 1 else b"\n".join(lines)
    if len(row) > _ROW_BYTES:
        return _Row(number, too_large("the row", row[:KEPT_BYTES], len(row)), "", len(row))
    try:
        return _Row(number, cells, row.decode(), len(row))
    except UnicodeDecodeError as error:
        return _Row(number, invalid_json(f"the row is not UTF-8: {error}", row), "", len(row))
