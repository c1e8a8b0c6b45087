"""The rules of `domain.events` for a whole batch at once, where every record is as most are.

`domain.events.judge` is the law. `judge_columns` accepts only records that it is sure of, with the very result that
the law gives (a property test compares them), and leaves all others to the law.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute

from iris_pipelines.domain.events import CHANNELS, MAX_AHEAD, MAX_BYTES, OBJECT_FIELDS, succeeded
from iris_pipelines.domain.windows import EPOCH
from iris_pipelines.ingestion.columns.raw import RawColumns
from iris_pipelines.ingestion.columns.readers import read_column, read_objects
from iris_pipelines.ingestion.columns.schema import SCHEMA
from iris_pipelines.ingestion.records import EventBatch

pc: Any = pyarrow.compute
Column = Any
Mask = npt.NDArray[np.bool_]

# Without an id, one is derived from the content: the law does that.
_REQUIRED = ("id", "tenant_id", "event_type", "timestamp")
_LONG_TEXTS = ("provider", "user_agent", "error_code", "error_message")
# An escaped character has up to six bytes, and the short fields and all names have some too.
_BYTES_PER_CHARACTER = 6
_SURELY_SMALL = MAX_BYTES - 4096


def judge_columns(batch: EventBatch, *, now: datetime, history_start: date) -> tuple[pa.RecordBatch, Mask]:
    """The accepted events, and which records of the batch they are; all others are for `judge` to decide."""
    raw = RawColumns(batch)
    columns: dict[str, Column] = {}
    for name in SCHEMA.names:
        read = read_objects if name in OBJECT_FIELDS else read_column
        columns[name], sure = read(name, raw.column(name))
        raw.sure &= sure
    for name in _REQUIRED:
        if columns[name].null_count:
            raw.sure &= np.asarray(columns[name].is_valid())
    raw.sure &= _is_in_time(columns["timestamp"], now=now, history_start=history_start)
    raw.sure &= _is_known_channel(columns["channel"])
    raw.sure &= _is_small(columns)
    if columns["success"].null_count:
        columns["success"] = _with_default_success(columns, raw.sure)
    events = pa.RecordBatch.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)
    return events if raw.sure.all() else events.filter(pa.array(raw.sure)), raw.sure


def _is_in_time(timestamps: Column, *, now: datetime, history_start: date) -> Mask:
    microseconds = np.asarray(pc.fill_null(timestamps.cast(pa.int64()), 0))
    earliest = _microseconds(datetime.combine(history_start, time(), tzinfo=UTC))
    mask: Mask = (microseconds >= earliest) & (microseconds <= _microseconds(now + MAX_AHEAD))
    return mask


def _microseconds(instant: datetime) -> int:
    since = instant - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _is_known_channel(channels: Column) -> Mask:
    if channels.null_count == len(channels):
        return np.ones(len(channels), dtype=bool)
    known = pc.is_in(channels, value_set=pa.array(sorted(CHANNELS)))
    return np.asarray(pc.or_(known, channels.is_null()))


def _is_small(columns: Mapping[str, Column]) -> Mask:
    size = np.zeros(len(columns["id"]), dtype=np.int64)
    for name in (*_LONG_TEXTS, *OBJECT_FIELDS):
        column = columns[name]
        if column.null_count < len(column):
            width = 1 if name in OBJECT_FIELDS else _BYTES_PER_CHARACTER
            size += width * np.asarray(pc.fill_null(pc.binary_length(column), 0), dtype=np.int64)
    return size < _SURELY_SMALL


def _with_default_success(columns: Mapping[str, Column], sure: Mask) -> Column:
    """What the law says of events that say nothing about it: their type decides, and for requests their status.

    Only of rows that are sure: the data of others may be anything, and somebody else judges them.
    """
    encoded = columns["event_type"].dictionary_encode()
    by_type = pa.array([succeeded(each, None) for each in encoded.dictionary.to_pylist()], pa.bool_())
    success = pc.coalesce(columns["success"], by_type.take(encoded.indices))
    requests = sure & np.asarray(
        pc.fill_null(pc.and_(columns["success"].is_null(), pc.equal(columns["event_type"], "api.request")), False)
    )
    if requests.any():
        texts = columns["event_data"].filter(pa.array(requests)).to_pylist()
        judged = [succeeded("api.request", None if text is None else orjson.loads(text)) for text in texts]
        success = pc.replace_with_mask(success, pa.array(requests), pa.array(judged, pa.bool_()))
    return success
