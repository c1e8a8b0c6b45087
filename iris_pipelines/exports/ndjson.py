"""A day of events as NDJSON, written by the server and passed on as it comes: memory does not grow with the day."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, cast

from iris_pipelines.db.database import Connection
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.days import Content
from iris_pipelines.exports.selections import as_json, exported_events
from iris_pipelines.storage.places import CountedBytes, Writable

_PIECE_BYTES = 1 << 18
SUFFIXES = {"none": "", "gz": ".gz", "zst": ".zst"}
# The server writes JSON slower than these levels pack it.
_GZIP_LEVEL, _ZSTD_LEVEL = 6, 3


def write_ndjson(connection: Connection, window: Window, target: Writable, *, compression: str = "none") -> Content:
    """Write the events of a window by timestamp and id, one JSON object a line."""
    rows, waiting, first = 0, bytearray(), b""
    row: bytes | bytearray | memoryview = b""
    bounds = {"window_start": window.start, "window_end": window.end}
    with packed(target, compression) as pack:
        # What is not packed has its digest already.
        content = pack if isinstance(pack, CountedBytes) else CountedBytes(pack)
        with connection.cursor().copy(as_json(exported_events()), bounds) as copy:
            for row in copy:
                first = first or bytes(row)
                rows += 1
                waiting += row
                if len(waiting) >= _PIECE_BYTES:
                    content.write(waiting)
                    waiting = bytearray()
        content.write(waiting)
    return Content(rows, content.sha256, _timestamp(first), _timestamp(bytes(row)))


@contextmanager
def packed(target: Writable, compression: str) -> Iterator[Writable]:
    """What is written to comes out compressed at the target; the same bytes make the same file."""
    if compression == "none":
        yield target
    elif compression == "gz":
        stream = cast("IO[bytes]", CountedBytes(target))
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=stream, mtime=0) as pack:
            yield pack
    else:
        import zstandard

        stream = cast("IO[bytes]", CountedBytes(target))
        with zstandard.ZstdCompressor(level=_ZSTD_LEVEL).stream_writer(stream, closefd=False) as pack:
            yield pack


def _timestamp(line: bytes) -> datetime | None:
    return datetime.fromisoformat(json.loads(line)["timestamp"]) if line else None
