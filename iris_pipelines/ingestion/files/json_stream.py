"""JSON that is not in lines: an array of objects, or objects one after the other, read without holding the whole.

Almost always an element ends where `}` is followed by `,` and `{`: if the text up to there is valid JSON, it is the
element, because no JSON object is the beginning of another. Where it is not, brackets and strings are followed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from iris_pipelines.ingestion.files.batches import BatchBuilder
from iris_pipelines.ingestion.files.compression import Readable
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.files.lines import PIECE_RECORDS, READ_BYTES
from iris_pipelines.ingestion.records import (
    KEPT_BYTES,
    MAX_RECORD_BYTES,
    Malformed,
    ObjectBatch,
    parse_object,
    too_large,
)

_SPACE = re.compile(rb"[ \t\r\n]*")
_BETWEEN_OBJECTS = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*(?=\{)")
_STRUCTURE = re.compile(rb'["\[\]{},]')
_STRING_END = re.compile(rb'["\\]')


def read_json_array(file: Readable, source: str) -> Iterator[ObjectBatch]:
    """The elements of one JSON array; raises UnreadableFile if it is broken off or not followed by the end."""
    return _batches(_elements_of_array(_Text(file, source)), source)


def read_json_objects(file: Readable, source: str) -> Iterator[ObjectBatch]:
    """JSON objects that follow each other with or without white space, over as many lines as they like."""
    return _batches(_objects(_Text(file, source)), source)


class _Text:
    """A window on the file: what lies before `at` is done with."""

    def __init__(self, file: Readable, source: str) -> None:
        self._file = file
        self._source = source
        self.window = b""
        self.at = 0
        self.is_complete = False

    def extend(self) -> bool:
        """Read on; False at the end of the file."""
        piece = self._file.read(READ_BYTES)
        self.is_complete = not piece
        self.window = self.window[self.at :] + piece
        self.at = 0
        return not self.is_complete

    def next_byte(self) -> bytes:
        """The next byte that is no white space, without taking it; empty at the end of the file."""
        while True:
            found = _SPACE.match(self.window, self.at)
            self.at = found.end() if found else self.at
            if self.at < len(self.window):
                return self.window[self.at : self.at + 1]
            if not self.extend():
                return b""

    def broken(self, problem: str) -> UnreadableFile:
        return UnreadableFile(self._source, f"is broken JSON: {problem}")


_Record = dict[str, Any] | Malformed
_Run = tuple[list[_Record], int]
"""Records that follow each other, and the bytes they took."""


def _batches(runs: Iterator[_Run], source: str) -> Iterator[ObjectBatch]:
    batch = BatchBuilder(source)
    number = 1
    for records, size in runs:
        batch.extend(range(number, number + len(records)), records, size)
        number += len(records)
        if batch.is_full:
            yield batch.take()
    if not batch.is_empty:
        yield batch.take()


def _elements_of_array(text: _Text) -> Iterator[_Run]:
    if text.next_byte() != b"[":
        raise text.broken("an array was expected")
    text.at += 1
    if text.next_byte() == b"]":
        text.at += 1
    else:
        yield from _elements_to_the_end(text)
    if text.next_byte():
        raise text.broken(f"something follows the end of the array: {text.window[text.at : text.at + 40]!r}")


def _elements_to_the_end(text: _Text) -> Iterator[_Run]:
    number = 1
    while True:
        start = text.next_byte()
        if not start:
            raise text.broken(f"the array is cut off after {number - 1:,} elements")
        if start in b",]}":
            raise text.broken(f"element {number:,} is missing")
        if start == b"{" and (run := _simple_objects(text))[0]:
            yield run
            number += len(run[0])
            continue
        head, size = _skip_value(text, number)
        yield _parsed(head, size, f"element {number:,}")
        number += 1
        separator = text.next_byte()
        if separator == b"]":
            text.at += 1
            return
        if separator != b",":
            raise text.broken(
                f"a comma or ] was expected after element {number - 1:,}"
                if separator
                else f"the array is cut off after {number - 1:,} elements"
            )
        text.at += 1


def _objects(text: _Text) -> Iterator[_Run]:
    number = 1
    while start := text.next_byte():
        if start != b"{":
            raise text.broken(f"an object was expected after {number - 1:,} objects, not {start!r}")
        yield _parsed(*_skip_value(text, number), f"object {number:,}")
        number += 1


def _simple_objects(text: _Text) -> _Run:
    """The objects at the front, with their commas, up to the last one in the window or the first special one."""
    if len(text.window) - text.at <= MAX_RECORD_BYTES and not text.is_complete:
        text.extend()
    records: list[_Record] = []
    window, loads, begin = text.window, orjson.loads, text.at
    for found in _BETWEEN_OBJECTS.finditer(window, begin):
        end = found.start() + 1
        if end - begin > MAX_RECORD_BYTES or len(records) == PIECE_RECORDS:
            break
        try:
            records.append(loads(window[begin:end]))
        except orjson.JSONDecodeError:
            break
        begin = found.end()
    size, text.at = begin - text.at, begin
    return records, size


def _skip_value(text: _Text, number: int) -> tuple[bytes, int]:
    """Follow one value to its end; returns it, or as much as is kept of one that is too large, and its size."""
    head, size, depth, position, in_string = b"", 0, 0, text.at, False
    while True:
        found = (_STRING_END if in_string else _STRUCTURE).search(text.window, position)
        if found is None:
            skipped = max(position - len(text.window), 0)
            head, size = _taken(text, len(text.window), head, size)
            if not text.extend():
                raise text.broken(f"the file ends in the middle of element {number:,}")
            position = skipped
            continue
        byte, position = found.group(), found.end()
        if in_string:
            if byte == b"\\":
                position += 1
            else:
                in_string = False
        elif byte == b'"':
            in_string = True
        elif byte in b"[{":
            depth += 1
        elif depth == 0:  # a comma or bracket after a scalar belongs to the array
            return _taken(text, found.start(), head, size)
        elif byte in b"]}":
            depth -= 1
            if depth == 0:
                return _taken(text, found.end(), head, size)


def _taken(text: _Text, end: int, head: bytes, size: int) -> tuple[bytes, int]:
    """Add the window up to `end` to a value whose beginning was taken before."""
    size += end - text.at
    head += text.window[text.at : min(end, text.at + KEPT_BYTES - len(head))]
    text.at = end
    return head, size


def _parsed(head: bytes, size: int, what: str) -> _Run:
    value = head.rstrip()
    if len(value) > MAX_RECORD_BYTES:
        return [too_large(what, value, size)], len(value)
    return [parse_object(value, what)], size
