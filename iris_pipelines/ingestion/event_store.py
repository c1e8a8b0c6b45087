"""Judged events into the event log: each once, with its effects.

There are two ways in. Events that change nothing else are copied straight into the partitions of their days; should
one of them be there already, those that are not are sorted out first. All others go through a temporary table, from
where one statement completes them from their messages and says which were new.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import psycopg
import pyarrow as pa
import pyarrow.compute
from psycopg import sql

from iris_pipelines.db.database import Connection, queries
from iris_pipelines.db.event_partitions import partition_name
from iris_pipelines.domain.windows import EPOCH
from iris_pipelines.ingestion import copy_format
from iris_pipelines.ingestion.effects import TYPES_ON_ADDRESSES, TYPES_WITH_EFFECTS, apply_effects

# The stubs know each function for each type of array; here any column goes through them.
pc: Any = pyarrow.compute
Mask = npt.NDArray[np.bool_]

# Below these, sending a COPY for each day costs more than it saves.
_MANY_EVENTS = 500
_MANY_EVENTS_A_DAY = 20
_MICROSECONDS_A_DAY = 86_400_000_000
_MICROSECONDS_AN_HOUR = 3_600_000_000


class EventStore:
    """Stores batches of events in the transaction of one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._expects_duplicates = False
        queries().create_load_tables(connection)

    def store(self, events: pa.RecordBatch, *, partitioned_days: Collection[date]) -> int:
        """Store what is new of a batch and say how many events that were."""
        if events.num_rows == 0:
            return 0
        direct = self._without_effects(events) & _in_many_a_day(events, partitioned_days)
        if not direct.any():
            return self._store_by_table(events)
        if direct.all():
            return self._store_directly(events)
        stored = self._store_by_table(events.filter(pa.array(~direct)))
        return stored + self._store_directly(events.filter(pa.array(direct)))

    def _without_effects(self, events: pa.RecordBatch) -> Mask:
        """Which events change no message and no address, and are not completed from a message."""
        if events.num_rows < _MANY_EVENTS:
            return np.zeros(events.num_rows, dtype=bool)
        has_effects = np.asarray(pc.is_in(events["event_type"], value_set=pa.array(TYPES_ON_ADDRESSES)))
        if events["message_id"].null_count < events.num_rows:
            tenants = [UUID(bytes=each) for each in pc.unique(events["tenant_id"]).to_pylist()]
            if queries().has_messages(self._connection, tenant_ids=tenants):
                has_effects = has_effects | np.asarray(events["message_id"].is_valid())
        without_effects: Mask = ~has_effects
        return without_effects

    def _store_by_table(self, events: pa.RecordBatch) -> int:
        queries().empty_load_tables(self._connection)
        self._copy(queries().copy_incoming_events.sql, events)
        stored: int = queries().store_incoming_events(self._connection, types_with_effects=list(TYPES_WITH_EFFECTS))
        if stored:
            apply_effects(self._connection)
        return stored

    def _store_directly(self, events: pa.RecordBatch) -> int:
        if not self._expects_duplicates:
            if self._copied_into_partitions(events):
                return events.num_rows
            self._expects_duplicates = True
        new = self._only_new(events)
        self._expects_duplicates = new.num_rows < events.num_rows
        if new.num_rows == 0 or self._copied_into_partitions(new):
            return new.num_rows
        # Another writer stored one of them just now.
        return self._store_by_table(new)

    def _copied_into_partitions(self, events: pa.RecordBatch) -> bool:
        """Copy events into the partitions of their days; changes nothing and says no if one of them is there."""
        copy_into = sql.SQL(queries().copy_event_partition.sql)
        try:
            with self._connection.transaction():
                for day, part in _by_day(events):
                    self._copy(copy_into.format(partition=sql.Identifier(partition_name(day))), part)
                queries().note_touched_hours(self._connection, hours=_hours_of(events))
        except psycopg.errors.UniqueViolation:
            return False
        return True

    def _only_new(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """The first event of each key that the event log does not have."""
        positions = pa.array(np.arange(events.num_rows, dtype=np.int32))
        keys: list[Any] = [events["tenant_id"], events["timestamp"], events["id"], positions]
        queries().empty_incoming_keys(self._connection)
        names = ["tenant_id", "timestamp", "id", "position"]
        self._copy(queries().copy_incoming_keys.sql, pa.RecordBatch.from_arrays(keys, names=names))
        new = _first_of_each_key(events)
        for start, end in _runs(_days_of(events)):
            stored = queries().stored_keys(self._connection, from_time=start, until_time=end)
            new[np.frombuffer(stored or b"", dtype=">i4")] = False
        return events.filter(pa.array(new))

    def _copy(self, statement: Any, rows: pa.RecordBatch) -> None:
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(copy_format.HEADER)
            copy.write(copy_format.encode(rows))
            copy.write(copy_format.TRAILER)


def days_of(events: pa.RecordBatch) -> list[date]:
    """The UTC days that events fall in, in order."""
    return [_date(number) for number in np.unique(_days_of(events)).tolist()]


def _days_of(events: pa.RecordBatch) -> npt.NDArray[np.int64]:
    """The UTC day of each event, counted from 1970."""
    column: Any = events["timestamp"].cast(pa.int64())
    days: npt.NDArray[np.int64] = column.to_numpy() // _MICROSECONDS_A_DAY
    return days


def _date(number: int) -> date:
    return EPOCH.date() + timedelta(days=number)


def _in_many_a_day(events: pa.RecordBatch, partitioned_days: Collection[date]) -> Mask:
    """Which events are so many on a day that has a partition that they are worth a COPY."""
    days, inverse, counts = np.unique(_days_of(events), return_inverse=True, return_counts=True)
    worth = [
        count >= _MANY_EVENTS_A_DAY and _date(day) in partitioned_days
        for day, count in zip(days.tolist(), counts.tolist(), strict=True)
    ]
    return np.array(worth)[inverse]


def _by_day(events: pa.RecordBatch) -> Iterator[tuple[date, pa.RecordBatch]]:
    days = _days_of(events)
    found = np.unique(days).tolist()
    for day in found:
        yield _date(day), events if len(found) == 1 else events.filter(pa.array(days == day))


def _hours_of(events: pa.RecordBatch) -> list[datetime]:
    column: Any = events["timestamp"].cast(pa.int64())
    hours = np.unique(column.to_numpy() // _MICROSECONDS_AN_HOUR)
    return [EPOCH + timedelta(hours=hour) for hour in hours.tolist()]


def _runs(days: npt.NDArray[np.int64]) -> Iterator[tuple[datetime, datetime]]:
    """The days, those that follow each other together: a look-up must not lock the days between."""
    found: Sequence[int] = np.unique(days).tolist()
    breaks = [0, *(position for position, (a, b) in enumerate(pairwise(found), 1) if b > a + 1), len(found)]
    for first, last in pairwise(breaks):
        start = datetime.combine(_date(found[first]), time(), tzinfo=UTC)
        yield start, start + timedelta(days=found[last - 1] - found[first] + 1)


def _first_of_each_key(events: pa.RecordBatch) -> Mask:
    new = np.ones(events.num_rows, dtype=bool)
    if pc.count_distinct(events["id"]).as_py() < events.num_rows:
        seen: set[tuple[Any, ...]] = set()
        keys = zip(*(events[name].cast(kind).to_pylist() for name, kind in _KEY.items()), strict=True)
        for position, key in enumerate(keys):
            new[position] = key not in seen
            seen.add(key)
    return new


_KEY: dict[str, Any] = {"tenant_id": pa.binary(16), "timestamp": pa.int64(), "id": pa.binary(16)}
