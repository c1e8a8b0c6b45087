"""UUIDs and times out of columns of text, many at once."""

from __future__ import annotations

import binascii
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Column = Any
Mask = npt.NDArray[np.bool_]
Characters = npt.NDArray[np.uint8]

_array: Any = pa.Array
_buffer: Any = pa.py_buffer

_UUID_LENGTH = 36
_DASHES = [8, 13, 18, 23]
_IS_HEX = np.zeros(256, dtype=bool)
_IS_HEX[list(b"0123456789abcdefABCDEF")] = True

# 2026-11-24T10:05:03Z, with or without a fraction.
_SECONDS_LENGTH = len("2026-11-24T10:05:03")
_SEPARATORS = ((4, b"-"), (7, b"-"), (13, b":"), (16, b":"))
_DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]
_DAYS_OF_MONTH = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def uuids(texts: Column) -> tuple[Column, Mask]:
    """A column of UUIDs as 16 bytes each, and which texts are null or a UUID as it is usually written."""
    valid = np.asarray(texts.is_valid())
    usual = valid & (_lengths(texts) == _UUID_LENGTH)
    block = _block(texts, usual, _UUID_LENGTH)
    well_formed = (block[:, _DASHES] == ord("-")).all(axis=1)
    digits = np.concatenate([block[:, :8], block[:, 9:13], block[:, 14:18], block[:, 19:23], block[:, 24:]], axis=1)
    try:
        data = binascii.unhexlify(digits.data)
    except (binascii.Error, ValueError):
        hexadecimal = _IS_HEX[digits].all(axis=1)
        well_formed &= hexadecimal
        digits[~hexadecimal] = ord("0")
        data = binascii.unhexlify(digits.data)
    usual[usual] = well_formed
    values = np.frombuffer(data, dtype=np.uint8).reshape(-1, 16)
    return _fixed_width(values[well_formed], usual), usual | ~valid


def iso_timestamps(texts: Column) -> tuple[Column, Mask]:
    """Microseconds since 1970, and which texts are null or a UTC time as it is usually written."""
    valid = np.asarray(texts.is_valid())
    lengths = _lengths(texts)
    microseconds = np.zeros(len(texts), dtype=np.int64)
    sure = ~valid
    for length in np.unique(lengths[valid]).tolist():
        fraction = length - _SECONDS_LENGTH - 2
        if fraction == -1 or 1 <= fraction <= 9:
            rows = valid & (lengths == length)
            values, well_formed = _parsed(_block(texts, rows, length), max(fraction, 0))
            microseconds[rows] = values
            sure[rows] = well_formed
    return pa.array(microseconds, mask=~(valid & sure)), sure


def _parsed(block: Characters, fraction: int) -> tuple[npt.NDArray[np.int64], Mask]:
    """The times in a block of characters, one a row, that all have as many digits after the point."""
    digits = block[:, :_SECONDS_LENGTH] - ord("0")
    good = (digits[:, _DIGITS] <= 9).all(axis=1) & (block[:, -1] == ord("Z"))
    for position, separator in _SEPARATORS:
        good &= block[:, position] == ord(separator)
    good &= (block[:, 10] == ord("T")) | (block[:, 10] == ord(" "))
    number = digits.astype(np.int64)
    year = number[:, 0] * 1000 + number[:, 1] * 100 + number[:, 2] * 10 + number[:, 3]
    month, day, hour, minute, second = (number[:, at] * 10 + number[:, at + 1] for at in (5, 8, 11, 14, 17))
    good &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 23) & (minute <= 59) & (second <= 59)
    # Where a part is out of range, any value does: the row is not good.
    month = np.where(good, month, 1)
    leap_day = (month == 2) & ((year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0)))
    good &= day <= _DAYS_OF_MONTH[month] + leap_day
    seconds = _days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
    microseconds = seconds * 1_000_000
    if fraction:
        good &= block[:, _SECONDS_LENGTH] == ord(".")
        parts = block[:, _SECONDS_LENGTH + 1 : -1] - ord("0")
        good &= (parts <= 9).all(axis=1)
        for place in range(min(fraction, 6)):
            microseconds += parts[:, place] * np.int64(10 ** (5 - place))
    return microseconds, good


def _days_since_1970(
    year: npt.NDArray[np.int64], month: npt.NDArray[np.int64], day: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Days of the Gregorian calendar, in years that begin in March so that the leap day is the last."""
    year = year - (month <= 2)
    month_from_march = (month + 9) % 12
    day_of_year = (153 * month_from_march + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + day_of_year - 719_468


def _lengths(texts: Column) -> npt.NDArray[np.int32]:
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32, count=texts.offset + len(texts) + 1)
    return np.diff(offsets[texts.offset :])


def _block(texts: Column, rows: Mask, width: int) -> Characters:
    """The characters of the texts at these rows, which all have the same length, one text a row."""
    if not rows.all():
        texts = texts.filter(pa.array(rows))
    _, offsets, data = texts.buffers()
    if data is None or len(texts) == 0:
        return np.empty((0, width), dtype=np.uint8)
    start = int(np.frombuffer(offsets, dtype=np.int32, count=1, offset=4 * texts.offset)[0])
    block: Characters = np.frombuffer(data, dtype=np.uint8, count=len(texts) * width, offset=start)
    return block.reshape(-1, width)


def _fixed_width(values: Characters, rows: Mask) -> Column:
    """An Arrow column with these values at these rows, null elsewhere."""
    if rows.all():
        return _array.from_buffers(pa.binary(16), len(rows), [None, _buffer(np.ascontiguousarray(values))])
    spread = np.zeros((len(rows), 16), dtype=np.uint8)
    spread[rows] = values
    validity = _buffer(np.packbits(rows, bitorder="little"))
    return _array.from_buffers(pa.binary(16), len(rows), [validity, _buffer(spread)])
