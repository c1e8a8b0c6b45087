"""Python values that came as one field of many records, as one Arrow column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

# The stubs know each function for each type of array; here a column has any type.
Column = Any
Mask = npt.NDArray[np.bool_]

# All numbers as floats: Arrow would cut 12.5 to the integer 12 without a word.
ARROW_TYPES: Mapping[type, pa.DataType] = {
    str: pa.string(),
    int: pa.float64(),
    float: pa.float64(),
    bool: pa.bool_(),
}


def most_common_type(values: Sequence[Any]) -> tuple[Column, Mask]:
    """Values of the type that is most common, null for others; and which are of that type, or missing."""
    kinds = Counter(map(type, values))
    common = max(ARROW_TYPES, key=lambda kind: kinds[kind])
    sure = np.fromiter((value is None or type(value) is common for value in values), bool, len(values))
    try:
        column = pa.array([value if type(value) is common else None for value in values], ARROW_TYPES[common])
    except (pa.ArrowException, OverflowError, ValueError):
        # A number out of range, or half a character: rare enough to let the law decide on all of them.
        sure = np.fromiter((value is None for value in values), bool, len(values))
        return pa.nulls(len(values)), sure
    return column, sure
