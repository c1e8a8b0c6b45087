"""Events as a writer hands them over, before any rule was applied to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

MAX_RECORD_BYTES = 65_536
KEPT_BYTES = 1 << 23
"""A rejected record is kept whole up to here, as much as a batch may hold; of a longer one, its beginning is."""
Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Malformed:
    """A record that could not even be read as a JSON object, kept as it came."""

    reason: str
    """`invalid_json` or `too_large`."""
    detail: str
    payload: str


@dataclass(frozen=True, slots=True)
class ObjectBatch:
    """Events as JSON objects: from NDJSON, JSON arrays, CSV, HTTP or a Python call."""

    source: str
    """Where they came from, for whoever looks at a rejected one: a file, `track`, `http`."""
    lines: Sequence[int]
    """Line or row number of each record in its source, from 1."""
    records: Sequence[dict[str, Any] | Malformed]

    def __len__(self) -> int:
        return len(self.records)


@dataclass(frozen=True, slots=True)
class LineBatch:
    """Events as lines of NDJSON that nobody has looked into yet."""

    source: str
    numbers: Sequence[int]
    """Number of each line in its source, from 1."""
    lines: pa.BinaryArray
    too_long: Mapping[int, Malformed] = field(default_factory=dict)
    """By position from 0: what is kept of lines that are longer than a record may be; in `lines` they are empty."""

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True, slots=True)
class ColumnBatch:
    """Events as columns: from Parquet or the simulator. Column names are those of an event's fields."""

    source: str
    first_line: int
    """Row number of the first event in its source, from 1."""
    columns: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.columns.num_rows)


EventBatch = ObjectBatch | LineBatch | ColumnBatch


def record_at(batch: EventBatch, position: int) -> Record | Malformed:
    """One record of a batch as a JSON object, counted from 0."""
    if isinstance(batch, ObjectBatch):
        return batch.records[position]
    if isinstance(batch, LineBatch):
        return batch.too_long.get(position) or parse_object(batch.lines[position].as_py(), "the line")
    row: Record = batch.columns.slice(position, 1).to_pylist()[0]
    return row


def line_at(batch: EventBatch, position: int) -> int:
    """Where in its source a record stands, from 1."""
    if isinstance(batch, ObjectBatch):
        return batch.lines[position]
    return batch.numbers[position] if isinstance(batch, LineBatch) else batch.first_line + position


def text_at(batch: EventBatch, position: int) -> str | None:
    """The text that a record came as, where each has a text of its own."""
    return batch.lines[position].as_py().decode() if isinstance(batch, LineBatch) else None


def numbered_records(batch: EventBatch) -> Iterator[tuple[int, Record | Malformed]]:
    """Every record of a batch and where in its source it stands."""
    if isinstance(batch, ColumnBatch):
        return enumerate(batch.columns.to_pylist(), batch.first_line)
    return ((line_at(batch, position), record_at(batch, position)) for position in range(len(batch)))


def parse_object(text: bytes, what: str) -> Record | Malformed:
    """A JSON object, or why it is none."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return invalid_json(f"{what} is no valid JSON: {error}", text)
    if not isinstance(value, dict):
        return invalid_json(f"{what} is a JSON {_KINDS[type(value)]}, not an object", text)
    return value


def too_large(what: str, head: bytes, size: int) -> Malformed:
    """A record over the limit, with as much of it as was kept."""
    detail = f"{what} has {size:,} bytes, an event may have {MAX_RECORD_BYTES:,}"
    if size > len(head):
        detail = f"{detail}; the first {len(head):,} are kept"
    return Malformed("too_large", detail, _as_text(head))


def invalid_json(detail: str, payload: bytes) -> Malformed:
    """A record that is no JSON object, as it came."""
    return Malformed("invalid_json", detail, _as_text(payload))


def _as_text(payload: bytes) -> str:
    """Bytes as text that PostgreSQL can store: what is not UTF-8, and NUL, is written as an escape."""
    return payload.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


_KINDS = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}
