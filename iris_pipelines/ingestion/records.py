"""Events as a writer hands them over, before any rule was applied to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


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
class ColumnBatch:
    """Events as columns: from Parquet or the simulator. Column names are those of an event's fields."""

    source: str
    first_line: int
    """Row number of the first event in its source, from 1."""
    columns: pa.RecordBatch

    def __len__(self) -> int:
        return int(self.columns.num_rows)


EventBatch = ObjectBatch | ColumnBatch


def record_at(batch: EventBatch, position: int) -> dict[str, Any] | Malformed:
    """One record of a batch as a JSON object, counted from 0."""
    if isinstance(batch, ObjectBatch):
        return batch.records[position]
    row: dict[str, Any] = batch.columns.slice(position, 1).to_pylist()[0]
    return row


def line_at(batch: EventBatch, position: int) -> int:
    """Where in its source a record stands, from 1."""
    return batch.lines[position] if isinstance(batch, ObjectBatch) else batch.first_line + position
