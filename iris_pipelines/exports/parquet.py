"""Rows of the database as Parquet and back, through COPY's CSV, which Arrow reads and writes as fast as it comes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from psycopg import sql

from iris_pipelines.db.database import Connection
from iris_pipelines.exports.days import Content
from iris_pipelines.storage.places import CountedBytes, Writable

if TYPE_CHECKING:
    import pyarrow as pa

Buffer: TypeAlias = bytes | bytearray | memoryview
_BLOCK_BYTES = 4 << 20
_BYTES_PER_GROUP = 16 << 20
_SELDOM_THE_SAME = ("id", "message_id", "timestamp", "received_at", "duration_ms")
"""A dictionary of their values would only be thrown away."""
_PICKED_BY = ("tenant_id", "event_type", "timestamp")
"""What readers pick rows by: statistics of others would only cost time."""


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
    statement: sql.Composed,
    parameters: Mapping[str, Any],
    columns: Sequence[Column],
    target: Writable,
    *,
    encodings: Mapping[str, str] | None = None,
) -> Content:
    """Write what a `copy ... to stdout (format csv)` yields by `timestamp`; the digest is that of the CSV.

    `encodings` are Parquet's, by column; the others have those that every reader knows.
    """
    with (
        _RowGroups(columns, target, encodings or {}) as groups,
        # The server sends the next rows while these are converted and packed, which needs no interpreter.
        ThreadPoolExecutor(max_workers=1, thread_name_prefix="parquet") as worker,
        connection.cursor().copy(statement, parameters) as copy,
    ):
        written: Future[None] | None = None
        for text, longest in _texts(copy):
            if written is not None:
                written.result()
            written = worker.submit(groups.write, text, longest)
        if written is not None:
            written.result()
        return groups.content()


def _texts(rows: Iterable[Buffer]) -> Iterator[tuple[bytearray, int]]:
    """As much CSV at a time as a row group takes, and its longest row; COPY sends each row by itself."""
    text, longest = bytearray(), 0
    for row in rows:
        # Copied at once: keeping the rows would have the garbage collector look at each of them, again and again.
        text += row
        longest = max(longest, len(row))
        if len(text) >= _BYTES_PER_GROUP:
            yield text, longest
            text, longest = bytearray(), 0
    if text:
        yield text, longest


class _RowGroups:
    """A Parquet file in the making: rows of CSV become a row group at a time."""

    def __init__(self, columns: Sequence[Column], target: Writable, encodings: Mapping[str, str]) -> None:
        import hashlib

        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = pa.schema([(column.name, arrow_type(column.type)) for column in columns])
        self._digest = hashlib.sha256()
        self._rows = 0
        self._first: datetime | None = None
        self._last: datetime | None = None
        names = self._schema.names
        without_dictionary = {*_SELDOM_THE_SAME, *encodings}
        options: dict[str, Any] = {
            "compression": "zstd",
            "use_dictionary": [name for name in names if name not in without_dictionary],
            "column_encoding": dict(encodings) or None,
            "write_statistics": [name for name in _PICKED_BY if name in names],
        }
        # Each page by itself would wait for its turn in the interpreter.
        self._pages = pa.BufferedOutputStream(pa.PythonFile(CountedBytes(target), "w"), _BLOCK_BYTES)
        self._writer = pq.ParquetWriter(self._pages, self._schema, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._writer.close()
            self._pages.close()
        except OSError:
            # What went wrong first is what is told.
            if kind is None:
                raise

    def write(self, text: bytearray, longest: int) -> None:
        """Append rows. A block must hold whole ones, and what other services insert may be of any length."""
        import pyarrow as pa
        from pyarrow import csv

        self._digest.update(text)
        block = max(_BLOCK_BYTES, longest)
        table = csv.read_csv(
            cast("Any", pa.BufferReader(cast("bytes", text))),
            read_options=csv.ReadOptions(column_names=self._schema.names, block_size=block, use_threads=False),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=self._schema,
                null_values=[""],
                true_values=["t"],
                false_values=["f"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        self._rows += table.num_rows
        self._first = self._first or table["timestamp"][0].as_py()
        self._last = table["timestamp"][-1].as_py()
        self._writer.write_table(table, row_group_size=table.num_rows)

    def content(self) -> Content:
        """What was written."""
        return Content(self._rows, self._digest.hexdigest(), self._first, self._last)


def csv_of(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Rows as `copy ... (format csv, force_quote *)` writes them: every value in quotes, nothing for a null."""
    import pyarrow as pa
    import pyarrow.csv

    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
    for batch in batches:
        text = io.BytesIO()
        rendered = [_as_postgresql_writes(column) for column in batch.columns]
        pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(rendered, names=batch.schema.names), text, options)
        yield text.getvalue()


def _as_postgresql_writes(column: pa.Array[Any]) -> pa.Array[Any]:
    """The texts of a column whose values Arrow would write otherwise; the column itself if they are the same."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    if pa.types.is_boolean(column.type):
        return cast("pa.Array[Any]", pc.if_else(column, "t", "f"))
    if not pa.types.is_timestamp(column.type):
        return column
    # Without their time zone, Arrow writes them twenty times as fast.
    instants = column.cast(pa.timestamp("us"))
    seconds = pc.floor_temporal(instants, unit="second")
    short = seconds.cast(pa.timestamp("s")).cast(pa.string())
    long = pc.utf8_rtrim(instants.cast(pa.string()), "0")
    texts = pc.if_else(pc.equal(instants, seconds), short, long)
    return cast("pa.Array[Any]", pc.binary_join_element_wise(texts, "+00", ""))
