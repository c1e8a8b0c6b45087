"""The one way into the event log: judge, store once, apply effects, keep what was rejected.

A load is one transaction. While the database stores a batch, the next one is read and judged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np
import psycopg
import pyarrow as pa

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.db.event_partitions import partitioned_days
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.events import Reason, Rejection
from iris_pipelines.ingestion.event_store import EventStore, days_of
from iris_pipelines.ingestion.judging import Judged, judge_batch
from iris_pipelines.ingestion.machines.marks import with_verdicts
from iris_pipelines.ingestion.records import EventBatch
from iris_pipelines.ingestion.rejected import KeepRejected, RejectedEvent, keep_rejected

RestoreDays: TypeAlias = Callable[[Database, Collection[date]], object]
"""Puts the archived events of UTC days back into the event log."""

_ATTEMPTS = 5
# A day that is kept for a day at least is not archived before.
_NEVER_ARCHIVED = timedelta(days=1)
# Fewer events are stored sooner than a thread is started for them.
_WORTH_A_THREAD = 1_000


class LoadConflict(IrisError):
    """Something was in the way that is gone by now: nothing was loaded, and the caller may try again."""


class _DaysArchived(Exception):
    """What the events would have to be compared with lies in the archive."""

    def __init__(self, days: Collection[date]) -> None:
        super().__init__(days)
        self.days = days


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


@dataclass(frozen=True)
class _Rules:
    """By what a load judges events, and what it does with rejected ones."""

    now: datetime
    history_start: date
    create_tenants: bool
    keep: KeepRejected
    has_archive: bool


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
    restore_days: RestoreDays | None = None,
) -> LoadResult:
    """Load every batch in one transaction: all of them, or, whatever is raised on the way, none.

    `finish` runs in that transaction just before it commits. `on_batch` gets the result so far after each batch,
    `on_rejected` each event that is not accepted.

    Whether an event of an archived day is new, only the archive knows: `restore_days` is asked to put such days back
    first. Without it, the event counts as accepted, also if the archive has it.

    Loads of overlapping events may wait for each other in a circle; PostgreSQL then breaks one off. If `batches` can
    be iterated anew (a list, or an object whose `__iter__` opens the file), that load starts over, and its callbacks
    with it, when the other bulk loads of the moment are through; so does one that met archived days, when they are
    back. An iterator or generator cannot: LoadConflict is raised, and the caller may try again.
    """
    rules = _Rules(now, history_start, create_tenants, keep, has_archive=restore_days is not None)
    attempts = 1 if isinstance(batches, Iterator) else _ATTEMPTS
    gives_way = False
    for attempt in count(1):
        try:
            with db.transaction() as connection:
                if gives_way:
                    queries().wait_until_no_bulk_load(connection)
                result = _Load(db, connection, rules, on_batch=on_batch, on_rejected=on_rejected).run(batches)
                if finish is not None:
                    finish(connection, result)
        except psycopg.errors.DeadlockDetected as error:
            gives_way = True
            if attempt == attempts:
                raise LoadConflict("another load of the same events was in the way: try again") from error
        except _DaysArchived as error:
            # Outside of the transaction: who restores may wait for one who waits for what it holds.
            assert restore_days is not None  # noqa: S101 - nobody looks otherwise
            try:
                restore_days(db, error.days)
            except IrisError as problem:
                raise LoadConflict(f"these events are to be compared with archived days, but {problem}") from problem
            if attempt == attempts:
                raise LoadConflict("days of these events were archived and are back now: try again") from error
        else:
            return result
    raise AssertionError("the last attempt returns or raises")


@dataclass(frozen=True)
class _Prepared:
    """A judged batch, ready to be stored."""

    received: int
    events: pa.RecordBatch
    rejected: list[RejectedEvent]


class _Load:
    """One transaction's worth of events."""

    def __init__(
        self,
        db: Database,
        connection: Connection,
        rules: _Rules,
        *,
        on_batch: Callable[[LoadResult], None] | None,
        on_rejected: Callable[[RejectedEvent], None] | None,
    ) -> None:
        self._db = db
        self._connection = connection
        self._rules = rules
        self._on_batch = on_batch
        self._on_rejected = on_rejected
        self._store = EventStore(connection)
        self._tenants: set[UUID] = set()
        self._days: set[date] = set()
        self._archived_days: set[date] = set()
        self._partitioned_days: set[date] = set()
        self._is_bulk_load = False
        self._under_way: Future[LoadResult] | None = None
        self._result = LoadResult()

    def run(self, batches: Iterable[EventBatch]) -> LoadResult:
        """Read and judge each batch while the one before it is being stored."""
        with ThreadPoolExecutor(1, thread_name_prefix="iris-load") as writer:
            for batch in batches:
                prepared = self._prepare(batch)
                self._wait()
                # Nothing of this stays; the rest is read for which other days must be restored.
                if self._archived_days:
                    continue
                if len(batch) < _WORTH_A_THREAD:
                    self._note(self._stored(prepared))
                else:
                    self._under_way = writer.submit(self._stored, prepared)
            self._wait()
        if self._archived_days:
            raise _DaysArchived(self._archived_days)
        return self._result

    def _wait(self) -> None:
        """Until the connection is free; raises what went wrong on it."""
        if self._under_way is not None:
            under_way, self._under_way = self._under_way, None
            self._note(under_way.result())

    def _note(self, stored: LoadResult) -> None:
        self._result += stored
        if self._on_batch is not None:
            self._on_batch(self._result)

    def _prepare(self, batch: EventBatch) -> _Prepared:
        judged = judge_batch(batch, now=self._rules.now, history_start=self._rules.history_start)
        judged = self._without_unknown_tenants(judged)
        self._meet_days(set(days_of(judged.events)) - self._days)
        rejected = [RejectedEvent.of(batch, position, rejection) for position, rejection in judged.rejections]
        if self._on_rejected is not None:
            for each in rejected:
                self._on_rejected(each)
        return _Prepared(len(batch), with_verdicts(judged.events), rejected)

    def _without_unknown_tenants(self, judged: Judged) -> Judged:
        tenants: Any = judged.events["tenant_id"].dictionary_encode()
        found = [UUID(bytes=value) for value in tenants.dictionary.to_pylist()]
        self._learn_tenants(set(found) - self._tenants)
        known = np.array([tenant in self._tenants for tenant in found], dtype=bool)
        if known.all():
            return judged
        indices = tenants.indices.to_numpy()
        kept = known[indices]
        unknown = [
            (position, Rejection(Reason.UNKNOWN_TENANT, f"there is no tenant {found[index]}"))
            for position, index in zip(judged.positions[~kept].tolist(), indices[~kept].tolist(), strict=True)
        ]
        rejections = sorted([*judged.rejections, *unknown], key=lambda rejection: rejection[0])
        return Judged(judged.events.filter(pa.array(kept)), judged.positions[kept], rejections)

    def _learn_tenants(self, ids: set[UUID]) -> None:
        if not ids:
            return
        self._wait()
        if self._rules.create_tenants:
            queries().create_tenants(self._connection, ids=sorted(ids))
        self._tenants.update(tenant for (tenant,) in queries().known_tenants(self._connection, ids=sorted(ids)))

    def _meet_days(self, days: set[date]) -> None:
        if not days:
            return
        self._wait()
        self._days |= days
        old = sorted(day for day in days if self._rules.has_archive and day < self._rules.now.date() - _NEVER_ARCHIVED)
        if old:
            # They stay in the event log, if that is where they are, until this transaction has ended.
            list(queries().hold_days(self._connection, days=old))
            archived = {day for (day,) in queries().archived_among(self._connection, days=old)}
            self._archived_days |= archived
        if not self._archived_days:
            # Before the events come, and not in their transaction: nobody else should have to wait for its end.
            self._partitioned_days |= partitioned_days(self._db, self._connection, days)

    def _stored(self, batch: _Prepared) -> LoadResult:
        if batch.received >= _WORTH_A_THREAD and not self._is_bulk_load:
            self._is_bulk_load = True
            queries().join_bulk_loads(self._connection)
        stored = self._store.store(batch.events, partitioned_days=self._partitioned_days)
        if batch.rejected:
            self._rules.keep(self._connection, batch.rejected)
        return LoadResult(batch.received, stored, batch.events.num_rows - stored, len(batch.rejected))
