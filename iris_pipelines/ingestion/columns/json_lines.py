"""The fields of NDJSON events as columns, without a Python object for any of them: DuckDB parses the lines."""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute

from iris_pipelines.domain.events import FIELDS
from iris_pipelines.ingestion.columns.values import Column, Mask, most_common_type

pc: Any = pyarrow.compute

# What is VARCHAR here needs no look at what it was in JSON: no number, boolean or object, written as text, is a UUID,
# an address or a channel.
_PARSE = """
    select
        unnest(json_transform(line, '{
            "id": "VARCHAR",
            "tenant_id": "VARCHAR",
            "event_type": "JSON",
            "timestamp": "JSON",
            "message_id": "VARCHAR",
            "campaign_id": "VARCHAR",
            "contact_id": "VARCHAR",
            "channel": "VARCHAR",
            "provider": "JSON",
            "event_data": "JSON",
            "ip_address": "VARCHAR",
            "user_agent": "JSON",
            "geo_location": "JSON",
            "cost": "JSON",
            "duration_ms": "JSON",
            "success": "JSON",
            "error_code": "JSON",
            "error_message": "JSON",
            "is_machine": "JSON"
        }')),
        json_keys(line) as keys
    from (select case when json_valid(line) then line end as line from lines)
"""
_AS_TEXT = frozenset({"id", "tenant_id", "message_id", "campaign_id", "contact_id", "channel", "ip_address"})
_OBJECTS = frozenset({"event_data", "geo_location"})
# DuckDB reads JSON as generously as this; the law does not.
_GENEROUS = r",\s*[}\]]"
# Numbers that DuckDB and the law may write differently, or only one of them reads.
_ODD_NUMBER = r"[:,\[]-?([0-9.]{17}|0\.0000|[0-9]+(\.[0-9]+)?[eE]|[nN][aA]|[iI][nN])"

_local = threading.local()


def fields_of_lines(lines: Column) -> tuple[dict[str, Column], Mask]:
    """The fields of JSON objects, one a line, and which lines hold just these.

    A field is a column of text, numbers or booleans, null where a value is of another kind than most of its column;
    one that holds objects is a column of JSON in bytes. Lines with such a value, with an unknown field or the same
    field twice, and lines that are no JSON object are not sure.
    """
    texts, sure = _utf8(lines)
    table = _parsed(texts)
    keys = table.column("keys").chunk(0)
    sure &= _has_only_known_keys(keys) & ~_is_read_generously(lines)
    columns: dict[str, Column] = {}
    for name in FIELDS:
        column = table.column(name).chunk(0)
        if name in _OBJECTS:
            columns[name], is_sure = _objects(column)
        elif name in _AS_TEXT or column.null_count == len(column):
            columns[name], is_sure = column, None
        else:
            columns[name], is_sure = _plain_values(column)
        if is_sure is not None:
            sure &= is_sure
    return columns, sure


def _parsed(texts: Column) -> pa.Table:
    if not hasattr(_local, "connection"):
        import duckdb

        _local.connection = duckdb.connect(config={"threads": 1})
    lines = _local.connection.from_arrow(pa.table({"line": texts}))
    parsed: pa.Table = lines.query("lines", _PARSE).to_arrow_table(len(texts))
    return parsed.combine_chunks()


def _utf8(lines: Column) -> tuple[Column, Mask]:
    """Lines as text, null where they are none."""
    try:
        return lines.cast(pa.string()), np.ones(len(lines), dtype=bool)
    except pa.ArrowInvalid:
        texts = [_decoded(line) for line in lines.to_pylist()]
        return pa.array(texts, pa.string()), np.array([text is not None for text in texts])


def _decoded(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def _has_only_known_keys(keys: Column) -> Mask:
    """Which lists of keys name only fields of an event, each at most once."""
    encoded = keys.values.dictionary_encode()
    bits = np.array([_BIT.get(key, 0) for key in encoded.dictionary.to_pylist()], dtype=np.int64)
    offsets = np.asarray(keys.offsets)
    counts = np.diff(offsets)
    known = np.asarray(keys.is_valid()) & (counts > 0)
    if not known.any():
        return known
    starts = offsets[:-1][known]
    of_keys = bits[np.asarray(encoded.indices)]
    # A key that comes twice is added twice, and its bit moves on; an unknown one adds nothing to the count of bits.
    together = np.bitwise_or.reduceat(of_keys, starts)
    known[known] = np.bitwise_count(together) == counts[known]
    return known


_BIT = {name: 1 << position for position, name in enumerate(FIELDS)}


def _is_read_generously(lines: Column) -> Mask:
    return np.asarray(pc.match_substring_regex(lines, _GENEROUS))


def _objects(column: Column) -> tuple[Column, Mask]:
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.binary()), np.ones(len(column), dtype=bool)
    usual = pc.and_not(pc.starts_with(column, "{"), pc.match_substring_regex(column, _ODD_NUMBER))
    return column.cast(pa.binary()), np.asarray(pc.fill_null(usual, True))


def _plain_values(column: Column) -> tuple[Column, Mask | None]:
    """What values of JSON text say: text, numbers or booleans."""
    kind = _kind(column)
    try:
        if kind == "text":
            return pc.binary_slice(column.cast(pa.binary()), 1, -1).cast(pa.string()), None
        if kind == "number":
            return column.cast(pa.float64()), None
    except pa.ArrowInvalid:
        pass
    encoded = column.dictionary_encode()
    values, sure = most_common_type([_loaded(text) for text in encoded.dictionary.to_pylist()])
    return values.take(encoded.indices), np.asarray(pc.fill_null(pa.array(sure).take(encoded.indices), True))


def _kind(column: Column) -> str:
    """What all values are, as far as their beginnings and the lack of escapes show it; else nothing."""
    _, offsets, data = column.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32, count=column.offset + len(column) + 1)[column.offset :]
    text = memoryview(data)[int(ends[0]) : int(ends[-1])]
    starts = np.frombuffer(text, dtype=np.uint8)[(ends[:-1] - ends[0])[np.diff(ends) > 0]]
    if (starts == ord('"')).all():
        return "" if b"\\" in text.tobytes() else "text"
    return "number" if _IS_NUMBER[starts].all() else ""


_IS_NUMBER = np.zeros(256, dtype=bool)
_IS_NUMBER[list(b"-0123456789")] = True


@functools.lru_cache(maxsize=4096)
def _loaded(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _NONE_AT_ALL


_NONE_AT_ALL = object()
