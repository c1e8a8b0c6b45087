"""Each field's rule for a whole column at once.

A reader gives the column in its normal form, and which of its values it is sure of: those are missing (null), or the
law gives the same. Values that repeat go through the law itself, once each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute

from iris_pipelines.domain.events import COST_LIMIT, FieldRejected, read_field
from iris_pipelines.ingestion.columns.schema import COST_TYPE, SCHEMA, UUID_TYPE
from iris_pipelines.ingestion.columns.text import iso_timestamps, uuids

pc: Any = pyarrow.compute
Column = Any
Mask = npt.NDArray[np.bool_]
Read = tuple[Column, Mask]
Reader = Callable[[str, Column], Read]

_array: Any = pa.Array
_buffer: Any = pa.py_buffer

_JSON_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
# In JSON text: numbers that have a shorter form, what NaN is written as, and NUL.
_UNSURE_JSON = (".0,", ".0}", ".0]", "e+", "null", "\\u0000")
_MANY_LEVELS = 100
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"^{_OCTET}(\.{_OCTET}){{3}}$"
_MAX_EPOCH_MS = 10**14
_MAX_EXACT = 2**53


def read_column(name: str, column: Column) -> Read:
    """A field's column in its normal form."""
    if pa.types.is_string(column.type):
        column = _without_empty(column)
    if column.null_count == len(column):
        return pa.nulls(len(column), SCHEMA.field(name).type), np.ones(len(column), dtype=bool)
    return _READERS[name](name, column)


def read_objects(name: str, values: list[Any] | Column) -> Read:
    """JSON objects as text: from Python values, from a column of text, or from one that is known to hold objects."""
    if not isinstance(values, list):
        if values.null_count == len(values):
            return read_column(name, values)
        if pa.types.is_binary(values.type):
            return values, _usual_json(values)
        values = _without_empty(values)
        encoded = values.dictionary_encode()
        column, sure = _json_texts(encoded.dictionary.to_pylist())
        indices = encoded.indices
        return column.take(indices), np.asarray(pc.fill_null(pa.array(sure).take(indices), True))
    return _json_texts(values)


def _without_empty(column: Column) -> Column:
    empty = pc.equal(pc.binary_length(column), 0)
    return pc.if_else(empty, None, column) if pc.any(empty).as_py() else column


def _unsure(name: str, column: Column) -> Read:
    return pa.nulls(len(column), SCHEMA.field(name).type), np.asarray(column.is_null())


def _by_value(name: str, column: Column) -> Read:
    """For columns of few different values: the law decides on each of them once."""
    encoded = column.dictionary_encode()
    values: list[Any] = []
    accepted: list[bool] = []
    for value in encoded.dictionary.to_pylist():
        try:
            values.append(read_field(name, value))
        except FieldRejected:
            values.append(None)
            accepted.append(False)
        else:
            accepted.append(True)
    column = pa.array(values, SCHEMA.field(name).type).take(encoded.indices)
    return column, np.asarray(pc.fill_null(pa.array(accepted).take(encoded.indices), True))


def _uuid(name: str, column: Column) -> Read:
    if pa.types.is_string(column.type):
        return uuids(column)
    if column.type == UUID_TYPE:
        return column, np.ones(len(column), dtype=bool)
    return _unsure(name, column)


def _timestamp(name: str, column: Column) -> Read:
    kind = SCHEMA.field(name).type
    if pa.types.is_string(column.type):
        microseconds, sure = iso_timestamps(column)
        return microseconds.cast(kind), sure
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        milliseconds, sure = _whole(column, _MAX_EPOCH_MS)
        return pc.multiply(milliseconds, 1000).cast(kind), sure
    if pa.types.is_timestamp(column.type) and column.type.unit == "us" and column.type.tz is not None:
        return column.cast(kind), np.ones(len(column), dtype=bool)
    return _unsure(name, column)


def _text(name: str, column: Column) -> Read:
    if not pa.types.is_string(column.type):
        return _unsure(name, column)
    return column, ~_contains(column, "\x00")


def _contains(column: Column, text: str) -> Mask:
    """Which texts contain a text; null texts contain none. Most often none does, and one look at all shows it."""
    data = column.buffers()[2]
    if data is None or text.encode() not in memoryview(data).tobytes():
        return np.zeros(len(column), dtype=bool)
    return np.asarray(pc.fill_null(pc.match_substring(column, text), False))


def _cost(name: str, column: Column) -> Read:
    if pa.types.is_string(column.type):
        return _by_value(name, column)
    if pa.types.is_integer(column.type):
        column = column.cast(pa.float64(), safe=False)
    if not pa.types.is_float64(column.type):
        return _by_value(name, column) if pa.types.is_decimal(column.type) else _unsure(name, column)
    valid = np.asarray(column.is_valid())
    amounts = np.asarray(pc.fill_null(column, 0.0))
    with np.errstate(invalid="ignore", over="ignore"):
        micros = np.rint(amounts * 1e6)
        # Exactly then the shortest text of the number has at most 6 decimals, and these are they.
        sure = (amounts >= 0) & (amounts < COST_LIMIT) & (micros / 1e6 == amounts)
    words = np.zeros((len(column), 2), dtype=np.int64)
    words[:, 0] = np.where(sure, micros, 0)
    kept = valid & sure
    validity = _buffer(np.packbits(kept, bitorder="little"))
    return _array.from_buffers(COST_TYPE, len(column), [validity, _buffer(words)]), sure | ~valid


def _duration(name: str, column: Column) -> Read:
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _whole(column, _MAX_EXACT)
    if pa.types.is_string(column.type):
        return _by_value(name, column)
    return _unsure(name, column)


def _whole(column: Column, limit: int) -> Read:
    """Whole numbers from 0 to a limit, up to which floats are exact."""
    valid = np.asarray(column.is_valid())
    numbers = np.asarray(pc.fill_null(column, 0))
    with np.errstate(invalid="ignore"):
        sure = (numbers >= 0) & (numbers < limit) & (np.floor(numbers) == numbers)
    integers = np.where(sure, numbers, 0).astype(np.int64)
    return pa.array(integers, mask=~(valid & sure)), sure | ~valid


def _boolean(name: str, column: Column) -> Read:
    if pa.types.is_boolean(column.type):
        return column, np.ones(len(column), dtype=bool)
    if pa.types.is_string(column.type) or pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return _by_value(name, column)
    return _unsure(name, column)


def _name(name: str, column: Column) -> Read:
    return _by_value(name, column) if pa.types.is_string(column.type) else _unsure(name, column)


def _ip_address(name: str, column: Column) -> Read:
    """An IPv4 address is its own normal form; the law decides on others."""
    if not pa.types.is_string(column.type):
        return _unsure(name, column)
    is_ipv4 = pc.fill_null(pc.match_substring_regex(column, _IPV4), False)
    if pc.all(pc.or_(is_ipv4, column.is_null())).as_py():
        return column, np.ones(len(column), dtype=bool)
    others, sure = _by_value(name, pc.if_else(is_ipv4, None, column))
    return pc.if_else(is_ipv4, column, others), sure


_READERS: Mapping[str, Reader] = {
    "id": _uuid,
    "tenant_id": _uuid,
    "event_type": _name,
    "timestamp": _timestamp,
    "message_id": _uuid,
    "campaign_id": _uuid,
    "contact_id": _uuid,
    "channel": _name,
    "provider": _name,
    "ip_address": _ip_address,
    "user_agent": _text,
    "cost": _cost,
    "duration_ms": _duration,
    "success": _boolean,
    "error_code": _name,
    "error_message": _text,
    "is_machine": _boolean,
}


def _json_texts(values: list[Any]) -> Read:
    sure = np.ones(len(values), dtype=bool)
    texts = _texts_of_objects(values)
    if texts is None:
        texts = [None if value is None or value == "" else _json_text(value) for value in values]
        pairs = zip(values, texts, strict=True)
        sure = np.fromiter((text is not None or value is None or value == "" for value, text in pairs), bool)
    column = pa.array(texts, pa.binary())
    return column, sure & _usual_json(column)


def _usual_json(column: Column) -> Mask:
    """Which texts say nothing that the law would write in another way, or refuse."""
    sure = np.ones(len(column), dtype=bool)
    for sign in _UNSURE_JSON:
        sure &= ~_contains(column, sign)
    long = np.asarray(pc.fill_null(pc.greater(pc.binary_length(column), 2 * _MANY_LEVELS), False))
    if long.any():
        levels = pc.add(pc.count_substring(column, "["), pc.count_substring(column, "{"))
        sure &= ~(long & np.asarray(pc.fill_null(pc.greater(levels, _MANY_LEVELS), False)))
    return sure


def _texts_of_objects(values: list[Any]) -> list[bytes | None] | None:
    """The texts of values that are all JSON objects or missing; None if some are not."""
    if set(map(type, values)) - {dict, type(None)}:
        return None
    dumps = orjson.dumps
    try:
        return [None if value is None else dumps(value, None, _JSON_OPTIONS) for value in values]
    except orjson.JSONEncodeError:
        return None


def _json_text(value: object) -> bytes | None:
    """The text of a JSON object, or None if it is for the law to decide."""
    try:
        if isinstance(value, str):
            value = orjson.loads(value)
        return orjson.dumps(value, None, _JSON_OPTIONS) if type(value) is dict else None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
