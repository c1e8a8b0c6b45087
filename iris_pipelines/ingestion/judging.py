"""Batches of records through the rules: which are accepted, as columns, and which are not, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from iris_pipelines.domain.events import Event, Rejection, judge
from iris_pipelines.ingestion.columns import from_events, judge_columns
from iris_pipelines.ingestion.records import EventBatch, Malformed, record_at


@dataclass(frozen=True)
class Judged:
    """What became of a batch. Positions are those of the records in the batch, from 0."""

    events: pa.RecordBatch
    positions: npt.NDArray[np.int64]
    """Where in the batch each accepted event stood."""
    rejections: Sequence[tuple[int, Rejection]]


# Fewer records than these are judged one by one sooner than column by column.
_MANY = 64


def judge_batch(batch: EventBatch, *, now: datetime, history_start: date) -> Judged:
    """Judge every record of a batch by the rules of `domain.events`."""
    if len(batch) < _MANY:
        return _judge_each(batch, range(len(batch)), now=now, history_start=history_start)
    events, sure = judge_columns(batch, now=now, history_start=history_start)
    positions = np.flatnonzero(sure)
    if len(positions) == len(batch):
        return Judged(events, positions, [])
    others = _judge_each(batch, np.flatnonzero(~sure).tolist(), now=now, history_start=history_start)
    if len(others.positions) == 0:
        return Judged(events, positions, others.rejections)
    positions = np.concatenate([positions, others.positions])
    order = np.argsort(positions)
    together = pa.Table.from_batches([events, others.events]).take(order).combine_chunks()
    return Judged(together.to_batches()[0], positions[order], others.rejections)


def _judge_each(batch: EventBatch, where: Iterable[int], *, now: datetime, history_start: date) -> Judged:
    accepted: list[Event] = []
    positions: list[int] = []
    rejections: list[tuple[int, Rejection]] = []
    for position in where:
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
