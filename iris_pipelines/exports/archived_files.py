"""Tenants' days as Parquet files: written, read back, and compared row by row with what they were made from."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from psycopg import sql

from iris_pipelines.db.database import Connection, queries
from iris_pipelines.db.staleness import EVENT_LOG
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.days import window_of
from iris_pipelines.exports.parquet import Column, csv_of, write_parquet
from iris_pipelines.storage.places import CountedBytes, Place

_PIECE_BYTES = 1 << 20
_ENCODINGS = {
    "id": "DELTA_LENGTH_BYTE_ARRAY",
    "message_id": "DELTA_LENGTH_BYTE_ARRAY",
    "timestamp": "DELTA_BINARY_PACKED",
}
"""They take less room than what exports have, which is for readers of every age."""


class ArchiveDamaged(IrisError):
    """An archived file is not what was written, or does not say what the event log said: it is not relied on."""


@dataclass(frozen=True)
class RowFacts:
    """What rows of a tenant's day are: two sets of rows with the same facts are the same rows."""

    row_count: int
    content_sha256: str
    min_timestamp: datetime
    max_timestamp: datetime
    total_cost: Decimal | None
    total_duration_ms: Decimal | None
    hours: tuple[datetime, ...]


@dataclass(frozen=True)
class ArchivedFile:
    """A tenant's day in the archive."""

    tenant_id: UUID
    date: date
    url: str
    version: int
    bytes: int
    sha256: str
    facts: RowFacts


def folder_of(tenant_id: UUID, day: date) -> str:
    """Where the file of a tenant's day lies, partitioned as Spark and DuckDB read it."""
    return f"archive/events/date={day:%Y-%m-%d}/tenant_id={tenant_id}"


def file_of(tenant_id: UUID, day: date, version: int) -> str:
    """The name of a version: a file that is relied on is never written over."""
    return f"{folder_of(tenant_id, day)}/events.v{version}.parquet"


def event_columns(connection: Connection) -> list[Column]:
    """The columns of the event log as it is now."""
    return [Column(name, type_) for name, type_ in queries().event_columns(connection)]


def write_archived_file(
    connection: Connection,
    place: Place,
    tenant_id: UUID,
    day: date,
    *,
    version: int,
    relation: str = EVENT_LOG,
    columns: Sequence[Column] | None = None,
) -> ArchivedFile | None:
    """Write a tenant's day, read it back and compare, byte by byte as CSV; None if it has no events."""
    columns = columns or event_columns(connection)
    name = file_of(tenant_id, day, version)
    bounds = _bounds(tenant_id, window_of(day))
    with place.writing(name) as stream:
        counted = CountedBytes(stream)
        statement = _composed("copy_day_of_tenant", columns, relation=_identifier(relation))
        content = write_parquet(connection, statement, bounds, columns, counted, encodings=_ENCODINGS)
    if content.row_count == 0:
        place.delete(name)
        return None
    with local_copy(place, name, sha256=counted.sha256) as file:
        facts = facts_of(file)
    if (facts.row_count, facts.content_sha256) != (content.row_count, content.content_sha256):
        raise ArchiveDamaged(f"{place.url_of(name)} does not hold what was written: nothing was dropped")
    return ArchivedFile(tenant_id, day, place.url_of(name), version, counted.count, counted.sha256, facts)


def facts_of(file: Path) -> RowFacts:
    """What the rows of a file are, as they would go back to the database."""
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.parquet as pq

    pc: Any = pyarrow.compute
    digest, hours = hashlib.sha256(), set()
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches():
            for text in csv_of([batch]):
                digest.update(text)
            hours.update(pc.unique(pc.floor_temporal(batch["timestamp"], unit="hour")).to_pylist())
        table = parquet.read(columns=["timestamp", "cost", "duration_ms"])
    ends = pc.min_max(table["timestamp"]).as_py()
    return RowFacts(
        row_count=table.num_rows,
        content_sha256=digest.hexdigest(),
        min_timestamp=ends["min"],
        max_timestamp=ends["max"],
        total_cost=pc.sum(table["cost"].cast(pa.decimal128(38, 6))).as_py(),
        total_duration_ms=pc.sum(table["duration_ms"].cast(pa.decimal128(38, 0))).as_py(),
        hours=tuple(sorted(hours)),
    )


@contextmanager
def local_copy(place: Place, name: str, *, sha256: str) -> Iterator[Path]:
    """A file of the archive on this machine; raises ArchiveDamaged if it is not the one that was written."""
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(prefix="iris-", suffix=".parquet") as copy:
        with place.reading(name) as stream:
            while piece := stream.read(_PIECE_BYTES):
                digest.update(piece)
                copy.write(piece)
        copy.flush()
        if digest.hexdigest() != sha256:
            raise ArchiveDamaged(f"{place.url_of(name)} is not the file that was written: its SHA-256 is another")
        yield Path(copy.name)


def load_restored_events(connection: Connection, file: Path) -> list[Column]:
    """Fill the temporary table `restored_events` from a file; returns the columns that the file has."""
    import pyarrow.parquet as pq

    queries().create_restored_events(connection)
    known = {column.name: column for column in event_columns(connection)}
    with pq.ParquetFile(file) as parquet:
        names: list[str] = parquet.schema_arrow.names
        if unknown := [name for name in names if name not in known]:
            raise ArchiveDamaged(f"the event log has no column {unknown[0]}, which the archive holds")
        columns = [known[name] for name in names]
        with connection.cursor().copy(_composed("copy_restored_events", columns)) as copy:
            for text in csv_of(parquet.iter_batches()):
                copy.write(text)
    return columns


def put_back(connection: Connection, columns: Sequence[Column], partition: str) -> int:
    """Move what `restored_events` holds to a partition of the event log; returns how many events were missing."""
    statement = _composed("put_restored_events_back", columns, partition=sql.Identifier(partition))
    return connection.execute(statement).rowcount


def _composed(name: str, columns: Sequence[Column], **identifiers: sql.Identifier) -> sql.Composed:
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    text: str = getattr(queries(), name).sql
    return sql.SQL(text).format(columns=names, **identifiers)


def _identifier(relation: str) -> sql.Identifier:
    return sql.Identifier(*relation.split("."))


def _bounds(tenant_id: UUID, window: Window) -> dict[str, Any]:
    return {"tenant_id": tenant_id, "window_start": window.start, "window_end": window.end}
