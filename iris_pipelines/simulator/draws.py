"""Randomness that is the same on every machine.

Only raw words of PCG64, integer and IEEE basic arithmetic are used: their results are fixed, while those of `exp` or
`log` may differ in the last bit between processors. Curved distributions come from rounded tables of quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from iris_pipelines.simulator.text import uuid_text

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_LEVELS = 1024
_NORMAL_QUANTILES = [NormalDist().inv_cdf((level + 0.5) / _LEVELS) for level in range(_LEVELS)]


class Draws:
    """A stream of random numbers of its own for each key, so that no part of a simulation depends on another."""

    def __init__(self, *key: int) -> None:
        self._words = np.random.PCG64(np.random.SeedSequence(key)).random_raw

    def words(self, count: int) -> npt.NDArray[np.uint64]:
        """Raw 64-bit words."""
        return np.asarray(self._words(count), dtype=np.uint64)

    def uniform(self, count: int) -> Floats:
        """Numbers in [0, 1)."""
        return (self.words(count) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def chance(self, probability: float | Floats, count: int) -> Bools:
        """True with the given probability, or with one for each."""
        return self.uniform(count) < probability

    def below(self, bound: int | Ints, count: int) -> Ints:
        """Integers in [0, bound)."""
        return (self.uniform(count) * bound).astype(np.int64)

    def pick(self, weights: Sequence[float] | Floats, count: int) -> Ints:
        """Indexes into `weights`, each as often as its weight says."""
        edges = np.cumsum(np.asarray(weights, dtype=np.float64))
        found = np.searchsorted(edges, self.uniform(count) * edges[-1], side="right")
        picked: Ints = np.minimum(found, len(edges) - 1).astype(np.int64)
        return picked

    def one(self, low: float, high: float) -> float:
        """One number in [low, high)."""
        return low + (high - low) * float(self.uniform(1)[0])

    def rounded(self, expected: float) -> int:
        """A whole number whose mean is `expected`: the one below or the one above."""
        return int(expected + float(self.uniform(1)[0]))

    def lognormal(self, table: Floats, count: int, *, rows: Ints | None = None) -> Floats:
        """Values of a table made by `lognormal_table`, or of the given row of several tables for each value."""
        position = self.uniform(count) * (_LEVELS - 1)
        level = position.astype(np.int64)
        if rows is None:
            low, high = table[level], table[level + 1]
        else:
            low, high = table[rows, level], table[rows, level + 1]
        return low + (high - low) * (position - level)

    def uuids(self, count: int) -> pa.StringArray:
        """Version 4 UUIDs as text."""
        return uuid_text(self.words(2 * count))


def lognormal_table(median: float, sigma: float) -> Floats:
    """Quantiles of a lognormal distribution, cut at 0.05 and 99.95 %."""
    return np.array([round(median * exp(sigma * z), 4) for z in _NORMAL_QUANTILES])
