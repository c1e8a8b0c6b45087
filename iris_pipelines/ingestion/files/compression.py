"""Bytes as they were before compression: gzip and Zstandard, also of several members; other archives are named."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

import pyarrow as pa

from iris_pipelines.ingestion.files.errors import UnreadableFile

HEAD_BYTES = 1 << 16
_FOREIGN = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ\x00": "an xz file",
    b"\x04\x22\x4d\x18": "an lz4 file",
    b"SQLite format 3": "an SQLite database",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"ARROW1": "an Arrow file",
}


class Compression(StrEnum):
    """How the bytes of a file are packed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


SUFFIXES = {".gz": Compression.GZIP, ".zst": Compression.ZSTD, ".zstd": Compression.ZSTD}
_MAGIC = {Compression.GZIP: b"\x1f\x8b", Compression.ZSTD: b"\x28\xb5\x2f\xfd"}


class Readable(Protocol):
    """Something to read pieces from; an empty piece is the end."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, fewer only near the end."""


class PlainBytes:
    """The unpacked bytes of a file, with a look at the first ones before they are read."""

    def __init__(self, name: str, stored: BinaryIO, raw: Readable, compression: Compression) -> None:
        self.name = name
        self._stored = stored
        self._raw = raw
        self._compression = compression
        self.head = self._read(HEAD_BYTES)
        self._unread = self.head

    @property
    def is_packed(self) -> bool:
        """Whether the file's own bytes are others."""
        return self._compression is not Compression.NONE

    @property
    def position(self) -> int:
        """How many of the file's own bytes have been read."""
        return self._stored.tell()

    def skip(self, count: int) -> None:
        """Leave out the first bytes of the head, such as a byte order mark."""
        self._unread = self._unread[count:]

    def read(self, size: int, /) -> bytes:
        """The next bytes; raises UnreadableFile where the packed stream is damaged or cut off."""
        if self._unread:
            piece, self._unread = self._unread[:size], self._unread[size:]
            return piece
        return self._read(size)

    def _read(self, size: int) -> bytes:
        try:
            return self._raw.read(size)
        except EOFError as error:
            raise self._cut_off() from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._damaged(error) from error
        except OSError as error:
            if error.errno is not None:
                raise UnreadableFile(self.name, f"cannot be read: {error.strerror}") from error
            if "Truncated" in str(error):
                raise self._cut_off() from error
            raise self._damaged(error) from error

    def _cut_off(self) -> UnreadableFile:
        return UnreadableFile(
            self.name, f"the {self._compression} stream is cut off before its end: fetch or write the file again"
        )

    def _damaged(self, error: Exception) -> UnreadableFile:
        return UnreadableFile(self.name, f"the {self._compression} stream is damaged ({error})")


@contextmanager
def open_plain(path: Path, name: str) -> Iterator[PlainBytes]:
    """The unpacked bytes of a local file; `name` is what people know it by, and its suffix counts."""
    with ExitStack() as stack:
        try:
            stored = stack.enter_context(path.open("rb"))
            start = stored.read(16)
            stored.seek(0)
        except OSError as error:
            raise UnreadableFile(name, f"cannot be read: {error.strerror}") from error
        compression = _compression_of(name, start)
        if compression is Compression.GZIP:
            yield PlainBytes(name, stored, stack.enter_context(gzip.open(stored, "rb")), compression)
        elif compression is Compression.ZSTD:
            stream = stack.enter_context(pa.CompressedInputStream(pa.PythonFile(stored, "r"), "zstd"))
            yield PlainBytes(name, stored, stream, compression)
        else:
            yield PlainBytes(name, stored, stored, compression)


def _compression_of(name: str, start: bytes) -> Compression:
    found = next((kind for kind, magic in _MAGIC.items() if start.startswith(magic)), Compression.NONE)
    claimed = SUFFIXES.get(Path(name).suffix.lower(), Compression.NONE)
    if claimed is not Compression.NONE and found is not claimed:
        what = "is empty" if not start else f"is no {claimed} file, whatever its name says: rename it or pack it again"
        raise UnreadableFile(name, what)
    for magic, what in _FOREIGN.items():
        if start.startswith(magic):
            raise UnreadableFile(name, f"is {what}: unpack or convert it to NDJSON, JSON, CSV or Parquet")
    return found
