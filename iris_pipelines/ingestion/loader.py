"""The one way into the event log: judge, store once, apply effects, keep what was rejected.

A load is one transaction. While the database stores a batch, the next one is read and judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import numpy as np
import psycopg
import pyarrow as pa

from iris_pipelines.db import event_partitions
from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.events import Reason, Rejection
from iris_pipelines.ingestion import copy_format
from iris_pipelines.ingestion.effects import TYPES_WITH_EFFECTS, apply_effects
from iris_pipelines.ingestion.judging import Judged, judge_batch
from iris_pipelines.ingestion.records import EventBatch
from iris_pipelines.ingestion.rejected import KeepRejected, RejectedEvent, keep_rejected

_ATTEMPTS = 10


class LoadConflict(IrisError):
    """Two loads of overlapping events waited for each other and this one gave way: nothing of it was loaded."""


@dataclass(frozen=True)
class LoadResult:
    """What became of the events; the last three always add up to the first."""

    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0

    def __add__(self, other: LoadResult) -> LoadResult:
        return LoadResult(
            self.received + other.received,
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.rejected + other.rejected,
        )


def load_events(
    db: Database,
    batches: Iterable[EventBatch],
    *,
    now: datetime,
    history_start: date,
    create_tenants: bool = False,
    finish: Callable[[Connection, LoadResult], None] | None = None,
    on_batch: Callable[[LoadResult], None] | None = None,
    on_rejected: Callable[[RejectedEvent], None] | None = None,
    keep: KeepRejected = keep_rejected,
) -> LoadResult:
    """Load every batch in one transaction: all of them, or, whatever is raised on the way, none.

    `finish` runs in that transaction just before it commits. `on_batch` gets the result so far after each batch,
    `on_rejected` each event that is not accepted.

    Loads of overlapping events may wait for each other in a circle; PostgreSQL then breaks one off. If `batches` can
    be iterated anew (a list, or an object whose `__iter__` opens the file), that load starts over, and its callbacks
    with it. An iterator or generator cannot: LoadConflict is raised, and the caller may try again.
    """
    attempts = 1 if isinstance(batches, Iterator) else _ATTEMPTS
    while True:
        attempts -= 1
        try:
            with db.transaction() as connection:
                load = _Load(db, connection, now=now, history_start=history_start, create_tenants=create_tenants)
                load.keep_rejected = keep
                load.on_batch = on_batch
                load.on_rejected = on_rejected
                result = load.run(batches)
                if finish is not None:
                    finish(connection, result)
        except psycopg.errors.DeadlockDetected as error:
            if attempts <= 0:
                raise LoadConflict("another load of the same events was in the way: try again") from error
        else:
            return result


@dataclass(frozen=True)
class _Prepared:
    """A judged batch, ready to be sent."""

    received: int
    accepted: int
    rows: memoryview
    rejected: list[RejectedEvent]


class _Load:
    """One transaction's worth of events."""

    keep_rejected: KeepRejected
    on_batch: Callable[[LoadResult], None] | None
    on_rejected: Callable[[RejectedEvent], None] | None

    def __init__(
        self, db: Database, connection: Connection, *, now: datetime, history_start: date, create_tenants: bool
    ) -> None:
        self._db = db
        self._connection = connection
        self._now = now
        self._history_start = history_start
        self._create_tenants = create_tenants
        self._tenants: set[UUID] = set()
        self._days: set[date] | None = None
        self._under_way: Future[LoadResult] | None = None
        self._result = LoadResult()

    def run(self, batches: Iterable[EventBatch]) -> LoadResult:
        """Judge each batch while the one before it is being stored."""
        queries().create_load_tables(self._connection)
        with ThreadPoolExecutor(1, thread_name_prefix="iris-load") as writer:
            for batch in batches:
                prepared = self._prepare(batch)
                self._wait()
                self._under_way = writer.submit(self._store, prepared)
            self._wait()
        return self._result

    def _wait(self) -> None:
        """Until the connection is free; raises what went wrong on it."""
        if self._under_way is not None:
            stored, self._under_way = self._under_way.result(), None
            self._result += stored
            if self.on_batch is not None:
                self.on_batch(self._result)

    def _prepare(self, batch: EventBatch) -> _Prepared:
        judged = judge_batch(batch, now=self._now, history_start=self._history_start)
        judged = self._without_unknown_tenants(judged)
        self._make_partitions(judged.events)
        rejected = [RejectedEvent.of(batch, position, rejection) for position, rejection in judged.rejections]
        if self.on_rejected is not None:
            for each in rejected:
                self.on_rejected(each)
        return _Prepared(len(batch), judged.events.num_rows, copy_format.encode(judged.events), rejected)

    def _without_unknown_tenants(self, judged: Judged) -> Judged:
        tenants = judged.events["tenant_id"].dictionary_encode()
        found = [UUID(bytes=value.as_py()) for value in tenants.dictionary]
        self._learn_tenants({tenant for tenant in found if tenant not in self._tenants})
        known = np.array([tenant in self._tenants for tenant in found], dtype=bool)
        if known.all():
            return judged
        indices = tenants.indices.to_numpy()
        kept = known[indices]
        rejections = [
            (int(position), Rejection(Reason.UNKNOWN_TENANT, f"there is no tenant {found[index]}"))
            for position, index in zip(judged.positions[~kept], indices[~kept], strict=True)
        ]
        return Judged(
            judged.events.filter(pa.array(kept)), judged.positions[kept], sorted([*judged.rejections, *rejections])
        )

    def _learn_tenants(self, ids: set[UUID]) -> None:
        if not ids:
            return
        self._wait()
        if self._create_tenants:
            queries().create_tenants(self._connection, ids=sorted(ids))
        self._tenants.update(tenant for (tenant,) in queries().known_tenants(self._connection, ids=list(ids)))

    def _make_partitions(self, events: pa.RecordBatch) -> None:
        """Before the rows come: the partitions of the days they fall in, in a transaction of their own."""
        days = set(np.unique(events["timestamp"].cast(pa.int64()).to_numpy() // 86_400_000_000).tolist())
        if self._days is None:
            self._days = set()
        wanted = {day for day in days if day not in self._days}
        if wanted:
            self._days |= wanted
            event_partitions.create_partitions(self._db, [date.fromordinal(_EPOCH_DAY + day) for day in wanted])

    def _store(self, batch: _Prepared) -> LoadResult:
        stored = 0
        if batch.accepted:
            queries().empty_load_tables(self._connection)
            with self._connection.cursor() as cursor, cursor.copy(queries().copy_incoming_events.sql) as copy:
                copy.write(copy_format.HEADER)
                copy.write(batch.rows)
                copy.write(copy_format.TRAILER)
            stored = queries().store_incoming_events(self._connection, types_with_effects=list(TYPES_WITH_EFFECTS))
            apply_effects(self._connection)
        if batch.rejected:
            self.keep_rejected(self._connection, batch.rejected)
        return LoadResult(batch.received, stored, batch.accepted - stored, len(batch.rejected))


_EPOCH_DAY = date(1970, 1, 1).toordinal()
