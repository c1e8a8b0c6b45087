"""A figure of a benchmark: a ratio against a baseline of the same run, and what is wanted of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One row of what `iris bench` prints."""

    name: str
    value: float
    reach: str
    note: str
