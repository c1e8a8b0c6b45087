"""Columns as rows of PostgreSQL's binary COPY format, made column by column instead of row by row."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

# The stubs know each function for each type of array; here any column goes through them.
pc: Any = pyarrow.compute
Column = Any

_Bytes = npt.NDArray[np.uint8]
_ARRAY: Any = pa.Array
_buffer: Any = pa.py_buffer
# PostgreSQL counts microseconds from 2000.
_EPOCH_2000 = 946_684_800_000_000


def encode(batch: pa.RecordBatch) -> memoryview:
    """The rows of a batch, to be sent between HEADER and TRAILER.

    Each field of a row is its length and its bytes. Both are made for a whole column at a time, and Arrow glues the
    columns' pieces together row by row.
    """
    if batch.num_rows == 0:
        return memoryview(b"")
    fields = [
        piece
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
        for piece in _FORMATS.get(name, _pieces)(column)
    ]
    field_count = pa.scalar(batch.num_columns.to_bytes(2, "big"), pa.binary())
    separator = pa.scalar(b"", pa.binary())
    rows = pc.binary_join_element_wise(field_count, *fields, separator)
    _, offsets, data = rows.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[rows.offset : rows.offset + len(rows) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]


def _pieces(column: Column) -> list[Column]:
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_string(kind):
        return _texts(column)
    return [_fixed(column, _bytes_of(column))]


def _bytes_of(column: Column) -> _Bytes:
    """The values of a column that all have the same width; what stands for a null does not matter."""
    kind = column.type
    if pa.types.is_fixed_size_binary(kind):
        return _uuid_bytes(column)
    if pa.types.is_boolean(kind):
        return _without_nulls(column.cast(pa.uint8())).reshape(-1, 1)
    if pa.types.is_timestamp(kind):
        return _big_endian(_without_nulls(column.cast(pa.int64())) - _EPOCH_2000, "i8")
    if pa.types.is_int64(kind):
        return _big_endian(_without_nulls(column), "i8")
    if pa.types.is_int32(kind):
        return _big_endian(_without_nulls(column), "i4")
    if pa.types.is_decimal(kind):
        return _numeric(column)
    raise TypeError(f"no binary COPY format for {kind}")


def _texts(column: Column) -> list[Column]:
    """The lengths, -1 for a null, and the texts."""
    lengths = pc.fill_null(pc.binary_length(column), -1)
    headers = _big_endian(lengths.to_numpy(zero_copy_only=False), "i4")
    return [_rows_of(headers), _without_null_texts(column)]


def _jsonb(column: Column) -> list[Column]:
    """Texts with the number of the format, 1, before them."""
    lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    headers = np.ones((len(column), 5), dtype=np.uint8)
    headers[:, :4] = _big_endian(lengths + 1, "i4")
    return [_or_null(column, headers), _without_null_texts(column)]


def _inet(column: Column) -> list[Column]:
    """Family, length of the network, not a network, length of the address, address."""
    encoded = column.dictionary_encode()
    addresses = [_inet_bytes(each) for each in encoded.dictionary.to_pylist()]
    return _texts(pa.array(addresses, pa.binary()).take(encoded.indices))


def _inet_bytes(address: str) -> bytes:
    if ":" in address:
        return b"\x03\x80\x00\x10" + socket.inet_pton(socket.AF_INET6, address)
    return b"\x02\x20\x00\x04" + socket.inet_pton(socket.AF_INET, address)


# Columns that are text here and something else in the database.
_FORMATS: Mapping[str, Callable[[Column], list[Column]]] = {
    "event_data": _jsonb,
    "geo_location": _jsonb,
    "ip_address": _inet,
}


def _without_null_texts(column: Column) -> Column:
    texts = column.cast(pa.binary())
    return pc.fill_null(texts, b"") if texts.null_count else texts


def _fixed(column: Column, values: _Bytes) -> Column:
    """Length and bytes of values that are all of one width."""
    count, width = values.shape
    rows = np.empty((count, 4 + width), dtype=np.uint8)
    rows[:, :4] = np.frombuffer(width.to_bytes(4, "big"), dtype=np.uint8)
    rows[:, 4:] = values
    return _or_null(column, rows)


def _or_null(column: Column, rows: _Bytes) -> Column:
    """Rows of bytes; where the column is null, the length -1 and nothing else."""
    if column.null_count == 0:
        return _rows_of(rows)
    count, width = rows.shape
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    rows[~valid, :4] = 0xFF
    kept = np.ones(rows.shape, dtype=bool)
    kept[:, 4:] = valid[:, np.newaxis]
    ends = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(np.where(valid, width, 4), out=ends[1:])
    return _ARRAY.from_buffers(pa.binary(), count, [None, _buffer(ends), _buffer(rows[kept])])


def _rows_of(rows: _Bytes) -> Column:
    """A binary array with one element for each row of bytes."""
    count, width = rows.shape
    ends = np.arange(0, (count + 1) * width, width, dtype=np.int32)[: count + 1]
    return _ARRAY.from_buffers(pa.binary(), count, [None, _buffer(ends), _buffer(np.ascontiguousarray(rows))])


def _without_nulls(column: Column) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = (pc.fill_null(column, 0) if column.null_count else column).to_numpy(zero_copy_only=False)
    return values


def _big_endian(values: npt.NDArray[Any], kind: str) -> _Bytes:
    return values.astype(f">{kind}").view(np.uint8).reshape(len(values), int(kind[1:]))


def _uuid_bytes(column: Column) -> _Bytes:
    width = column.type.byte_width
    data = np.frombuffer(column.buffers()[1], dtype=np.uint8)
    return data[column.offset * width : (column.offset + len(column)) * width].reshape(-1, width)


def _numeric(column: Column) -> _Bytes:
    """A decimal of 6 places below 10,000: PostgreSQL's digits are in base 10,000, here one before the point."""
    words = np.frombuffer(column.buffers()[1], dtype="<i8").reshape(-1, 2)
    micros = words[column.offset : column.offset + len(column), 0]
    if column.null_count:
        micros = np.where(column.is_valid().to_numpy(zero_copy_only=False), micros, 0)
    digits = np.empty((len(column), 7), dtype=">i2")
    # Number of digits, weight of the first, sign, decimal places.
    digits[:, :4] = (3, 0, 0, 6)
    whole, fraction = np.divmod(micros, 1_000_000)
    digits[:, 4] = whole
    digits[:, 5] = fraction // 100
    digits[:, 6] = fraction % 100 * 100
    return digits.view(np.uint8).reshape(len(column), 14)
