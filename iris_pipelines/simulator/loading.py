"""A simulation straight into the database: platform records first, then the events as any writer hands them over."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial

import numpy as np
import pyarrow as pa

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.ingestion.loader import LoadResult, RestoreDays, load_events
from iris_pipelines.ingestion.platform_records import Kind
from iris_pipelines.ingestion.records import ColumnBatch
from iris_pipelines.simulator.lines import text_of
from iris_pipelines.simulator.simulation import DayTraffic, Simulation
from iris_pipelines.simulator.text import Column, instant_text, pc

_MESSAGE_COLUMNS = (
    *("tenant_id", "id", "campaign_id", "to_contact_id", "to_address", "channel", "provider", "provider_message_id"),
    *("variant", "status", "provider_status", "cost", "created_at", "sent_at", "delivered_at", "failed_at"),
    *("opened_at", "open_count", "clicked_at", "click_count", "error_code", "error_message"),
)
_COLUMNS = {
    Kind.CONTACTS: (
        *("tenant_id", "id", "first_name", "last_name", "email", "phone"),
        *("email_status", "engagement_score", "last_engagement_at", "created_at"),
    ),
    Kind.CAMPAIGNS: ("tenant_id", "id", "name", "status", "channel", "created_at"),
    Kind.MESSAGES: _MESSAGE_COLUMNS,
}


@dataclass(frozen=True)
class Loaded:
    """What a load added; a second load of the same plan adds nothing."""

    events: LoadResult
    tenants: int
    contacts: int
    campaigns: int
    messages: int


def load_simulation(
    db: Database,
    simulation: Simulation,
    *,
    now: datetime,
    history_start: date,
    on_day: Callable[[DayTraffic], None] | None = None,
    restore_days: RestoreDays | None = None,
) -> Loaded:
    """Load the traffic day by day, each in a transaction of its own, and in the end what is late.

    What is there already stays as it is, but campaigns get the status that they have at the end of the plan.
    """
    tenants = _add_tenants(db, simulation)
    contacts = _add(db, Kind.CONTACTS, simulation.contacts())
    campaigns = _add(db, Kind.CAMPAIGNS, [simulation.campaigns()])
    messages, events = 0, LoadResult()
    load = partial(load_events, db, now=now, history_start=history_start, restore_days=restore_days)
    with _spool() as late:
        for day in simulation.days():
            messages += _add(db, Kind.MESSAGES, day.messages)
            late.keep(day)
            events += load(_OnTime(day))
            if on_day is not None:
                on_day(day)
        events += load(late)
    return Loaded(events, tenants, contacts, campaigns, messages)


@dataclass(frozen=True)
class _OnTime:
    """A day's events without those that are late; iterable anew, so that a load can start over."""

    day: DayTraffic

    def __iter__(self) -> Iterator[ColumnBatch]:
        for batch in self.day.batches(late=False):
            yield ColumnBatch("simulation", batch.first_line, batch.columns())


class _LateEvents:
    """Late events in a temporary file, until every day is loaded."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._parts = 0

    def keep(self, day: DayTraffic) -> None:
        """Put a day's late events aside."""
        for batch in day.batches(late=True):
            columns = batch.columns()
            with pa.OSFile(f"{self._file}.{self._parts}", "wb") as sink, pa.ipc.new_file(sink, columns.schema) as out:
                out.write_batch(columns)
            self._parts += 1

    def __iter__(self) -> Iterator[ColumnBatch]:
        first_line = 1
        for part in range(self._parts):
            with pa.OSFile(f"{self._file}.{part}", "rb") as source:
                columns = pa.ipc.open_file(source).get_batch(0)
            yield ColumnBatch("simulation, late", first_line, columns)
            first_line += columns.num_rows


@contextmanager
def _spool() -> Iterator[_LateEvents]:
    with tempfile.TemporaryDirectory(prefix="iris-late-") as folder:
        yield _LateEvents(f"{folder}/events")


def _add_tenants(db: Database, simulation: Simulation) -> int:
    with db.transaction() as connection:
        made = [
            queries().create_tenant(
                connection, id=tenant.id, name=tenant.name, timezone=tenant.timezone, currency=tenant.currency
            )
            for tenant in simulation.tenants
        ]
    return sum(each is not None for each in made)


def _add(db: Database, kind: Kind, batches: Iterable[pa.RecordBatch]) -> int:
    """Add the records that are not there yet, with the statements of `iris load`."""
    added = 0
    with db.transaction() as connection:
        _query(connection, "create_incoming_{}", kind)
        for batch in batches:
            _query(connection, "empty_incoming_{}", kind)
            with (
                connection.cursor() as cursor,
                cursor.copy(getattr(queries(), f"copy_incoming_{kind}").sql) as copy,
            ):
                copy.write(memoryview(text_of(_copy_rows(batch, _COLUMNS[kind]))))
            added += _query(connection, "insert_new_{}", kind)
            if kind is Kind.CAMPAIGNS:
                _query(connection, "update_known_{}", kind)
    return added


def _query(connection: Connection, name: str, kind: Kind) -> int:
    affected: int = getattr(queries(), name.format(kind))(connection)
    return affected


def _copy_rows(batch: pa.RecordBatch, names: tuple[str, ...]) -> Column:
    """The records in COPY's text format, numbered; no value of a simulation holds a tab or a backslash."""
    columns: list[Column] = [pa.array(np.arange(1, len(batch) + 1)).cast(pa.string())]
    for name in names:
        if name not in batch.schema.names:
            columns.append(pa.scalar(None, pa.string()))
        elif pa.types.is_timestamp(batch[name].type):
            columns.append(instant_text(batch[name].cast(pa.int64()).to_numpy() // 1000))
        else:
            columns.append(batch[name])
    return pc.binary_join_element_wise(*columns, "\t", null_handling="replace", null_replacement="\\N")
