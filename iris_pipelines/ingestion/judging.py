"""Batches of records through the rules: which are accepted, as columns, and which are not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from iris_pipelines.domain.events import Event, Rejection, judge
from iris_pipelines.ingestion.columns import from_events
from iris_pipelines.ingestion.records import EventBatch, Malformed, record_at


@dataclass(frozen=True)
class Judged:
    """What became of a batch. Positions are those of the records in the batch, from 0."""

    events: pa.RecordBatch
    positions: npt.NDArray[np.int64]
    """Where in the batch each accepted event stood."""
    rejections: Sequence[tuple[int, Rejection]]


def judge_batch(batch: EventBatch, *, now: datetime, history_start: date) -> Judged:
    """Judge every record of a batch by the rules of `domain.events`."""
    accepted: list[Event] = []
    positions: list[int] = []
    rejections: list[tuple[int, Rejection]] = []
    for position in range(len(batch)):
        record = record_at(batch, position)
        if isinstance(record, Malformed):
            rejections.append((position, Rejection(record.reason, record.detail)))
            continue
        verdict = judge(record, now=now, history_start=history_start)
        if isinstance(verdict, Rejection):
            rejections.append((position, verdict))
        else:
            accepted.append(verdict)
            positions.append(position)
    return Judged(from_events(accepted), np.array(positions, dtype=np.int64), rejections)
