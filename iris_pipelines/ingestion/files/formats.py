"""Which format a file is in, by its name or else by a look at its first bytes, and the reader for it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import orjson

from iris_pipelines.domain.events import KNOWN_FIELDS, OBJECT_FIELDS
from iris_pipelines.ingestion.files import compression, csv_rows, json_lines, json_stream, parquet
from iris_pipelines.ingestion.files.compression import PlainBytes, open_plain
from iris_pipelines.ingestion.files.copies import temporary_copy
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.records import EventBatch


class Format(StrEnum):
    """How records are written."""

    JSON_LINES = "NDJSON"
    JSON = "JSON"
    CSV = "CSV"
    PARQUET = "Parquet"


SUFFIXES = {
    ".ndjson": Format.JSON_LINES,
    ".jsonl": Format.JSON_LINES,
    ".json": Format.JSON,
    ".csv": Format.CSV,
    ".parquet": Format.PARQUET,
}
_FOREIGN_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are for, as CSV and Parquet cannot say it themselves."""

    expected: Sequence[str]
    """A table with none of them is something else."""
    known: Set[str] | None
    """Columns that hold one plain value; what others hold may be anything. None: there are no others."""
    objects: Set[str] = frozenset()
    """Columns that hold JSON objects."""


EVENTS = Columns(("tenant_id", "event_type", "timestamp"), KNOWN_FIELDS - set(OBJECT_FIELDS), set(OBJECT_FIELDS))


def format_of_name(name: str) -> Format | None:
    """The format that a file's name claims, also of a packed one; None if it says nothing."""
    path = Path(name)
    if path.suffix.lower() in compression.SUFFIXES:
        path = path.with_suffix("")
    return SUFFIXES.get(path.suffix.lower())


class RecordFile:
    """The records of a local file in batches; each iteration reads it from the start, in bounded memory.

    Raises UnreadableFile as soon as it is clear that the file cannot be read to its end.
    """

    def __init__(self, path: Path, name: str, *, source: str | None = None, columns: Columns = EVENTS) -> None:
        self._path = path
        self._name = name
        self._source = source or name
        self._columns = columns
        self.bytes_read = 0
        """How far the present iteration has come in the file's own bytes."""

    def __iter__(self) -> Iterator[EventBatch]:
        self.bytes_read = 0
        with open_plain(self._path, self._name) as plain:
            if _format(plain) is Format.PARQUET:
                yield from self._parquet(plain)
                return
            for batch in self._text(plain):
                self.bytes_read = plain.position
                yield batch

    def _text(self, plain: PlainBytes) -> Iterator[EventBatch]:
        _require_utf8(plain)
        kind = _format(plain)
        if kind is Format.CSV:
            columns = self._columns
            return csv_rows.read_csv(plain, self._source, expected=columns.expected, text_columns=columns.known)
        if kind is Format.JSON_LINES or _is_in_lines(plain):
            return json_lines.read_json_lines(plain, self._source)
        if _start(plain).startswith(b"["):
            return json_stream.read_json_array(plain, self._source)
        return json_stream.read_json_objects(plain, self._source)

    def _parquet(self, plain: PlainBytes) -> Iterator[EventBatch]:
        if not plain.head:
            raise UnreadableFile(self._name, "is empty")
        with temporary_copy(plain, self._name) if plain.is_packed else nullcontext(self._path) as path:
            size = self._path.stat().st_size
            columns = self._columns
            for batch, share in parquet.read_parquet(
                path,
                self._source,
                expected=columns.expected,
                plain_columns=columns.known,
                object_columns=columns.objects,
            ):
                self.bytes_read = round(size * share)
                yield batch


def _format(plain: PlainBytes) -> Format:
    if plain.head.startswith(parquet.MAGIC):
        return Format.PARQUET
    claimed = format_of_name(plain.name)
    if claimed is not None:
        return claimed
    start = _start(plain)
    if not start or start[:1] in b"[{":
        return Format.JSON
    first_line = start.split(b"\n", 1)[0]
    if any(name.encode() in first_line for name in EVENTS.expected):
        return Format.CSV
    _require_utf8(plain)
    known = ", ".join(SUFFIXES)
    raise UnreadableFile(plain.name, f"is in no format that IRIS knows: name it {known}, with .gz or .zst if packed")


def _require_utf8(plain: PlainBytes) -> None:
    """Leave out UTF-8's byte order mark; raises UnreadableFile for the encodings that are not UTF-8's relatives."""
    head = plain.head
    if head.startswith(codecs.BOM_UTF8):
        plain.skip(len(codecs.BOM_UTF8))
        return
    found = next((name for mark, name in _FOREIGN_ENCODINGS.items() if head.startswith(mark)), None)
    if found is None and head[:64].count(b"\x00") >= 8:
        found = "UTF-16 or binary data"
    if found is not None:
        raise UnreadableFile(
            plain.name, f"is {found}, not UTF-8: convert it, for instance with iconv -f UTF-16 -t UTF-8"
        )


def _is_in_lines(plain: PlainBytes) -> bool:
    """Whether JSON that does not start with a bracket is one object a line; what has no line at all is."""
    start = _start(plain)
    if start.startswith(b"["):
        return False
    first_line, end, _ = start.partition(b"\n")
    try:
        orjson.loads(first_line)
    except orjson.JSONDecodeError:
        # Over several lines, an object breaks where its first line opens something or ends with a comma.
        return not (end and first_line.rstrip().endswith((b"{", b"[", b",")))
    return True


def _start(plain: PlainBytes) -> bytes:
    return plain.head.removeprefix(codecs.BOM_UTF8).lstrip()
