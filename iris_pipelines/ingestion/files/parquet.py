"""Parquet: columns are passed on as they are, where a plain column can say it; else as one record a row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence, Set
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from iris_pipelines.ingestion.files.batches import BATCH_BYTES, BATCH_RECORDS
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.files.lines import READ_BYTES
from iris_pipelines.ingestion.records import ColumnBatch, EventBatch, ObjectBatch

MAGIC = b"PAR1"
# Arrow counts further than datetime: from year 1 to year 9999, in microseconds since 1970.
_FIRST_MICROSECOND, _LAST_MICROSECOND = -62_135_596_800_000_000, 253_402_300_799_999_999


class _NeedsRows(Exception):
    """A column holds something that only a record of its own can say, such as text that is not UTF-8."""


def read_parquet(
    path: Path, source: str, *, expected: Sequence[str], plain_columns: Set[str] | None, object_columns: Set[str]
) -> Iterator[tuple[EventBatch, float]]:
    """The rows of a Parquet file, a bounded number at a time however large its row groups are.

    At least one of the `expected` columns must be there. Nested values in `object_columns` become JSON text. Rows
    that have values in other than these and the `plain_columns` (None: every column is plain) come as records. Each
    batch comes with the share of all rows that is read after it.
    """
    try:
        # A column of a row group is read page by page through a small buffer, instead of at once.
        with pq.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False) as file:
            _check(file.schema_arrow, source, expected)
            line = 1
            for rows in file.iter_batches(batch_size=_batch_size(file.metadata), use_threads=False):
                batch = _batch(source, line, rows, plain_columns, object_columns)
                line += rows.num_rows
                yield batch, (line - 1) / file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UnreadableFile(source, f"is damaged or no Parquet file ({first_line})") from error


def _check(schema: pa.Schema, source: str, expected: Sequence[str]) -> None:
    for name in schema.names:
        if schema.names.count(name) > 1:
            raise UnreadableFile(source, f"has the column {name} twice")
    if not set(expected) & set(schema.names):
        found = ", ".join(schema.names[:10]) or "none"
        raise UnreadableFile(source, f"has none of the columns {', '.join(expected)}, but: {found}")


def _batch_size(metadata: pq.FileMetaData) -> int:
    bytes_per_row = 1.0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        bytes_per_row = max(bytes_per_row, group.total_byte_size / max(group.num_rows, 1))
    return max(1, min(BATCH_RECORDS, int(BATCH_BYTES / bytes_per_row)))


def _batch(
    source: str, line: int, rows: pa.RecordBatch, plain_columns: Set[str] | None, object_columns: Set[str]
) -> EventBatch:
    arrays = []
    try:
        for name, column in zip(rows.schema.names, rows.columns, strict=True):
            is_object = name in object_columns
            if plain_columns is not None and name not in plain_columns and not is_object:
                _require_nulls(column)
            arrays.append(_plain_column(column, is_object=is_object))
    except _NeedsRows:
        return ObjectBatch(source, range(line, line + rows.num_rows), _records(rows))
    return ColumnBatch(source, line, pa.RecordBatch.from_arrays(arrays, names=rows.schema.names))


def _require_nulls(column: pa.Array[Any]) -> None:
    if column.null_count < len(column):
        raise _NeedsRows


def _plain_column(column: pa.Array[Any], *, is_object: bool) -> pa.Array[Any]:
    """The column in one of the few types that a reader of columns has to know."""
    column = _decoded(column)
    kind = column.type
    if pa.types.is_nested(kind):
        if not is_object:
            raise _NeedsRows
        return pa.array([_json_text(value, kind) for value in column.to_pylist()], pa.string())
    if pa.types.is_string(kind):
        _require_valid(column)
    elif pa.types.is_timestamp(kind):
        return _in_microseconds(column, pa.timestamp("us", tz=kind.tz))
    elif pa.types.is_duration(kind):
        return _in_microseconds(column, pa.duration("us"))
    elif pa.types.is_time64(kind):
        return column.cast(pa.time64("us"), safe=False)
    return column


def _decoded(column: pa.Array[Any]) -> pa.Array[Any]:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return column.cast(pa.binary())
    return column


def _require_valid(column: pa.Array[Any]) -> None:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise _NeedsRows from error


def _in_microseconds(column: pa.Array[Any], kind: pa.DataType) -> pa.Array[Any]:
    try:
        converted = column.cast(kind, safe=column.type.unit != "ns")
    except pa.ArrowInvalid as error:
        raise _NeedsRows from error
    low, high = pc.min_max(converted.cast(pa.int64())).values()
    if low.is_valid and (low.as_py() < _FIRST_MICROSECOND or high.as_py() > _LAST_MICROSECOND):
        raise _NeedsRows
    return converted


def _records(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    columns = [(name, _values(column)) for name, column in zip(rows.schema.names, rows.columns, strict=True)]
    return [{name: values[row] for name, values in columns if values[row] is not None} for row in range(rows.num_rows)]


def _values(column: pa.Array[Any]) -> list[Any]:
    column = _decoded(column)
    kind = column.type
    if pa.types.is_nested(kind):
        return [_without_nulls(_value(scalar), kind) for scalar in column]
    if pa.types.is_string(kind):
        return [value if value is None else _text_or_bytes(value) for value in column.cast(pa.binary()).to_pylist()]
    return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar[Any]) -> Any:
    """The value as Python has it; where Python has no such moment or text, words that no rule accepts."""
    try:
        if pa.types.is_temporal(scalar.type) and getattr(scalar.type, "unit", "") == "ns":
            return _plain_column(pa.array([scalar]), is_object=False)[0].as_py()
        return scalar.as_py()
    except (ValueError, OverflowError, _NeedsRows, pa.ArrowInvalid):
        return f"{scalar.type} {getattr(scalar, 'value', 'out of range')}"


def _text_or_bytes(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _json_text(value: Any, kind: pa.DataType) -> str | None:
    if value is None:
        return None
    try:
        return json.dumps(_without_nulls(value, kind), default=_as_json, allow_nan=False)
    except ValueError as error:  # a number that is not finite
        raise _NeedsRows from error


def _without_nulls(value: Any, kind: Any) -> Any:
    """A nested value as JSON has it. A struct has every member in every row: a null one was not there."""
    if value is None:
        return None
    if pa.types.is_struct(kind):
        members = ((kind.field(index).name, kind.field(index).type) for index in range(kind.num_fields))
        return {name: _without_nulls(value[name], each) for name, each in members if value.get(name) is not None}
    if pa.types.is_map(kind):
        return {str(key): _without_nulls(each, kind.item_type) for key, each in value}
    if isinstance(value, list):
        return [_without_nulls(each, kind.value_type) for each in value]
    return value


def _as_json(value: object) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date) else str(value)
