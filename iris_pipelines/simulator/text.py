"""Columns of text made without a Python object per row: ids, instants, decimals, pieces of JSON."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

# The stubs know each function for each type of array; here any column goes through them.
pc: Any = pyarrow.compute
Column = Any


_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint8).reshape(256, 2)
_DIGITS = np.frombuffer("".join(f"{number:03d}" for number in range(1000)).encode(), dtype=np.uint8).reshape(1000, 3)
_GROUPS = ((0, 8, 0), (8, 12, 9), (12, 16, 14), (16, 20, 19), (20, 32, 24))
_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1)


def schema(fields: dict[str, Any]) -> pa.Schema:
    """A schema from names and types."""
    return pa.schema(fields)


def fixed_width_text(characters: npt.NDArray[np.uint8]) -> pa.StringArray:
    """One text a row of a matrix of ASCII characters."""
    count, width = characters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(count, _buffer(offsets), _buffer(characters.reshape(-1)))


def hex_text(words: npt.NDArray[np.uint64], *, width: int) -> pa.StringArray:
    """The first `width` hexadecimal digits of each pair of words."""
    return fixed_width_text(_HEX[_bytes(words)].reshape(-1, 32)[:, :width])


def uuid_text(words: npt.NDArray[np.uint64]) -> pa.StringArray:
    """A version 4 UUID for each pair of words."""
    octets = _bytes(words)
    octets[:, 6] = (octets[:, 6] & 0x0F) | 0x40
    octets[:, 8] = (octets[:, 8] & 0x3F) | 0x80
    digits = _HEX[octets].reshape(-1, 32)
    characters = np.full((len(octets), 36), ord("-"), dtype=np.uint8)
    for start, end, at in _GROUPS:
        characters[:, at : at + end - start] = digits[:, start:end]
    return fixed_width_text(characters)


def instant_text(milliseconds: npt.NDArray[np.int64]) -> pa.StringArray:
    """ISO 8601 in UTC with milliseconds: `2026-11-02T10:03:22.123Z`."""
    days, of_day = np.divmod(milliseconds, _DAY_MS)
    distinct, which = np.unique(days, return_inverse=True)
    dates = "".join((_EPOCH + timedelta(days=int(day))).isoformat() for day in distinct)
    characters = np.empty((len(milliseconds), 24), dtype=np.uint8)
    characters[:, :10] = np.frombuffer(dates.encode(), dtype=np.uint8).reshape(-1, 10)[which]
    characters[:, [10, 13, 16, 19, 23]] = np.frombuffer(b"T::.Z", dtype=np.uint8)
    seconds, fraction = np.divmod(of_day, 1000)
    characters[:, 11:13] = _DIGITS[seconds // 3600, 1:]
    characters[:, 14:16] = _DIGITS[seconds // 60 % 60, 1:]
    characters[:, 17:19] = _DIGITS[seconds % 60, 1:]
    characters[:, 20:23] = _DIGITS[fraction]
    return fixed_width_text(characters)


def decimals(units: npt.NDArray[np.int64], *, precision: int, scale: int) -> Column:
    """Exact decimals from whole units of the last place; negative ones are null."""
    halves = np.stack([units, units >> 63], axis=1).astype("<i8")
    missing = units < 0
    bitmap = None
    if missing.any():
        bitmap = _buffer(np.packbits(~missing, bitorder="little"))
    buffers = [bitmap, _buffer(halves.reshape(-1))]
    return pa.Decimal128Array.from_buffers(pa.decimal128(precision, scale), len(units), buffers)


def joined(*parts: Any) -> Column:
    """The parts of each row in one text: null where a part is null."""
    return pc.binary_join_element_wise(*parts, "")


def joined_present(*parts: Any) -> Column:
    """The parts of each row in one text, without the parts that are null."""
    # Not `null_handling="skip"`: it drops rows of which every part is null.
    return pc.binary_join_element_wise(*parts, "", null_handling="replace", null_replacement="")


def looked_up(vocabulary: Column, codes: npt.NDArray[np.integer[Any]]) -> Column:
    """The word of each code; null where the code is negative."""
    return vocabulary.take(pa.array(codes, mask=codes < 0))


def kept(values: Column, where: npt.NDArray[np.bool_]) -> Column:
    """The values, null where `where` is false."""
    return pc.if_else(pa.array(where), values, pa.scalar(None, values.type))


def _bytes(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    return words.astype("<u8").view(np.uint8).reshape(-1, 16).copy()


def _buffer(values: npt.NDArray[Any]) -> pa.Buffer:
    contiguous: Any = np.ascontiguousarray(values)
    return pa.py_buffer(contiguous)
