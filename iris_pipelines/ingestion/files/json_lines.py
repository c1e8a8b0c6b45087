"""NDJSON: one JSON object a line. A bad line is a malformed record and harms no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from iris_pipelines.ingestion.files.batches import BatchBuilder, invalid_json, too_large
from iris_pipelines.ingestion.files.compression import Readable
from iris_pipelines.ingestion.files.lines import Lines, LongLine, read_lines
from iris_pipelines.ingestion.records import Malformed, ObjectBatch


def read_json_lines(file: Readable, source: str) -> Iterator[ObjectBatch]:
    """The records of an NDJSON file; blank lines are skipped, but counted in the line numbers."""
    batch = BatchBuilder(source)
    for piece in read_lines(file):
        if isinstance(piece, LongLine):
            batch.add(piece.number, too_large("the line", piece.head, piece.size), len(piece.head))
        else:
            _add(batch, piece)
        if batch.is_full:
            yield batch.take()
    if not batch.is_empty:
        yield batch.take()


def _add(batch: BatchBuilder, piece: Lines) -> None:
    loads = orjson.loads
    try:
        records: list[Any] = [loads(line) for line in piece.lines]
    except orjson.JSONDecodeError:
        records = []
    if records and all(type(record) is dict for record in records):
        batch.extend(range(piece.first, piece.first + len(records)), records, sum(map(len, piece.lines)))
        return
    for number, line in enumerate(piece.lines, piece.first):
        if line and not line.isspace():
            batch.add(number, parse_object(line, "the line"), len(line))


def parse_object(text: bytes, what: str) -> dict[str, Any] | Malformed:
    """A JSON object, or why it is none."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return invalid_json(f"{what} is no valid JSON: {error}", text)
    if not isinstance(value, dict):
        return invalid_json(f"{what} is a JSON {_KINDS[type(value)]}, not an object", text)
    return value


_KINDS = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
