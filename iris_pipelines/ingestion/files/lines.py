"""Text in lines, in bounded memory whatever the length of a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iris_pipelines.ingestion.files.compression import Readable
from iris_pipelines.ingestion.records import KEPT_BYTES, MAX_RECORD_BYTES

READ_BYTES = 1 << 20
# Very short records would otherwise come by the hundred thousand in one piece.
PIECE_RECORDS = 5_000


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines that follow each other, without their ends."""

    first: int
    """The number of the first one, from 1."""
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line longer than a record can be."""

    number: int
    head: bytes
    """As much of it as is kept."""
    size: int
    quotes: int
    """How many double quotes the whole line has: whether a CSV field is still open after it."""


def read_lines(file: Readable, *, limit: int = MAX_RECORD_BYTES) -> Iterator[Lines | LongLine]:
    """The lines of a file in their order; the last one may lack its end. Those over the limit are long."""
    number = 1
    rest = b""
    while chunk := file.read(READ_BYTES):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        yield from _without_long(lines, number, limit)
        number += len(lines)
        if len(rest) > limit:
            long, rest = _skip_long(file, rest, number)
            yield long
            number += 1
    if rest:
        yield Lines(number, [rest])


def _without_long(lines: list[bytes], number: int, limit: int) -> Iterator[Lines | LongLine]:
    if not lines:
        return
    if max(map(len, lines)) <= limit:
        for start in range(0, len(lines), PIECE_RECORDS):
            yield Lines(number + start, lines[start : start + PIECE_RECORDS])
        return
    start = 0
    for index, line in enumerate(lines):
        if len(line) > limit:
            yield from _without_long(lines[start:index], number + start, limit)
            yield LongLine(number + index, line[:KEPT_BYTES], len(line), line.count(b'"'))
            start = index + 1
    yield from _without_long(lines[start:], number + start, limit)


def _skip_long(file: Readable, begun: bytes, number: int) -> tuple[LongLine, bytes]:
    """Read on to the end of a line that has become too long; returns it and what follows."""
    head, size, quotes, after = [begun[:KEPT_BYTES]], len(begun), begun.count(b'"'), b""
    while chunk := file.read(READ_BYTES):
        line, end, after = chunk.partition(b"\n")
        if size < KEPT_BYTES:
            head.append(line[: KEPT_BYTES - size])
        size += len(line)
        quotes += line.count(b'"')
        if end:
            break
    return LongLine(number, b"".join(head), size, quotes), after
