"""Rows of the database as Parquet and back, through COPY's CSV, which Arrow reads and writes as fast as it comes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from iris_pipelines.db.database import Connection
from iris_pipelines.exports.days import Content
from iris_pipelines.storage.places import CountedBytes, Writable

if TYPE_CHECKING:
    import pyarrow as pa

# An event has at most 64 KiB: a block always holds whole rows.
_BLOCK_BYTES = 4 << 20
_ROWS_PER_GROUP = 65_536


@dataclass(frozen=True)
class Column:
    """A column of a table, with its type as PostgreSQL writes it."""

    name: str
    type: str


EXPORTED_COLUMNS = (
    *(Column(name, "uuid") for name in ("id", "tenant_id")),
    Column("event_type", "text"),
    Column("timestamp", "timestamp with time zone"),
    *(Column(name, "uuid") for name in ("message_id", "campaign_id", "contact_id")),
    *(Column(name, "text") for name in ("channel", "provider")),
    Column("event_data", "jsonb"),
    Column("cost", "numeric(10,6)"),
    Column("duration_ms", "bigint"),
    Column("success", "boolean"),
)
"""What an export of events holds, in this order."""


def arrow_type(type_: str) -> pa.DataType:
    """What a type of PostgreSQL is in Parquet: identifiers, addresses and JSON are text, which every reader knows."""
    import pyarrow as pa

    if type_.startswith("numeric("):
        precision, scale = type_.removeprefix("numeric(").removesuffix(")").split(",")
        return pa.decimal128(int(precision), int(scale))
    known: dict[str, pa.DataType] = {
        "timestamp with time zone": pa.timestamp("us", "UTC"),
        "boolean": pa.bool_(),
        "bigint": pa.int64(),
        "integer": pa.int64(),
        "date": pa.date32(),
    }
    return known.get(type_, pa.string())


def write_parquet(
    connection: Connection,
    statement: str,
    parameters: Mapping[str, Any],
    columns: Sequence[Column],
    target: Writable,
) -> Content:
    """Write what a `copy ... to stdout (format csv)` yields by `timestamp`; the digest is that of the CSV."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(column.name, arrow_type(column.type)) for column in columns])
    rows, first, last = 0, None, None
    with (
        connection.cursor().copy(statement, parameters) as copy,
        pq.ParquetWriter(
            pa.PythonFile(CountedBytes(target), "w"),
            schema,
            compression="zstd",
            # Nearly every value is another one: a dictionary of them would only be thrown away.
            use_dictionary=[  # type: ignore[arg-type] # the stubs do not know of names
                name for name in schema.names if name not in ("id", "timestamp", "event_data")
            ],
        ) as writer,
    ):
        source = _CopiedBytes(copy)
        waiting: list[pa.RecordBatch] = []
        for batch in _batches(source, schema):
            rows += batch.num_rows
            if batch.num_rows:
                first, last = first or batch["timestamp"][0].as_py(), batch["timestamp"][-1].as_py()
            waiting.append(batch)
            if sum(each.num_rows for each in waiting) >= _ROWS_PER_GROUP:
                writer.write_table(pa.Table.from_batches(waiting))
                waiting = []
        if waiting or rows == 0:
            writer.write_table(pa.Table.from_batches(waiting, schema))
    return Content(rows, source.sha256, first, last)


def csv_of(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Rows as `copy ... (format csv, force_quote *)` writes them: every value in quotes, nothing for a null."""
    import pyarrow.csv

    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
    for batch in batches:
        text = io.BytesIO()
        pyarrow.csv.write_csv(batch, text, options)
        yield text.getvalue()


def _batches(source: _CopiedBytes, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import csv

    first = source.read(1)
    if not first:
        return
    yield from csv.open_csv(
        cast("Any", pa.PythonFile(_Resumed(first, source), "r")),
        read_options=csv.ReadOptions(column_names=schema.names, block_size=_BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=schema,
            null_values=[""],
            true_values=["t", "true"],
            false_values=["f", "false"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


class _CopiedBytes(io.RawIOBase):
    """What COPY sends as a file to read, with its digest."""

    def __init__(self, copy: Any) -> None:
        import hashlib

        self._rows = iter(copy)
        self._digest = hashlib.sha256()
        self._waiting = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        pieces, length = [self._waiting], len(self._waiting)
        while size is None or size < 0 or length < size:
            row = next(self._rows, None)
            if row is None:
                break
            pieces.append(row)
            length += len(row)
        found = b"".join(pieces)
        if size is None or size < 0:
            size = length
        found, self._waiting = found[:size], found[size:]
        self._digest.update(found)
        return found

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class _Resumed(io.RawIOBase):
    """A stream of which a first piece was already read."""

    def __init__(self, first: bytes, rest: _CopiedBytes) -> None:
        self._first = first
        self._rest = rest

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return self._rest.read(-1 if size is None else size)
