"""NDJSON: one JSON object a line. A bad line is a malformed record and harms no other."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from iris_pipelines.ingestion.files.batches import is_full
from iris_pipelines.ingestion.files.compression import Readable
from iris_pipelines.ingestion.files.lines import Lines, LongLine, read_lines
from iris_pipelines.ingestion.records import LineBatch, Malformed, too_large


def read_json_lines(file: Readable, source: str) -> Iterator[LineBatch]:
    """The lines of an NDJSON file; blank ones are skipped, but counted in the line numbers."""
    batch = _Lines(source)
    for piece in read_lines(file):
        batch.add(piece)
        if is_full(len(batch.lines), batch.size):
            yield batch.take()
            batch = _Lines(source)
    if batch.lines:
        yield batch.take()


class _Lines:
    """The lines of a batch so far."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._numbers: list[int] = []
        self._too_long: dict[int, Malformed] = {}
        self.lines: list[bytes] = []
        self.size = 0

    def add(self, piece: Lines | LongLine) -> None:
        if isinstance(piece, LongLine):
            self._too_long[len(self.lines)] = too_large("the line", piece.head, piece.size)
            self._numbers.append(piece.number)
            self.lines.append(b"")
            self.size += len(piece.head)
            return
        lines, numbers = piece.lines, range(piece.first, piece.first + len(piece.lines))
        if not all(map(bytes.strip, lines)):
            kept = [(number, line) for number, line in zip(numbers, lines, strict=True) if line.strip()]
            self._numbers.extend(number for number, _ in kept)
            lines = [line for _, line in kept]
        else:
            self._numbers.extend(numbers)
        self.lines.extend(lines)
        self.size += sum(map(len, lines))

    def take(self) -> LineBatch:
        return LineBatch(self._source, self._numbers, pa.array(self.lines, pa.binary()), self._too_long)
