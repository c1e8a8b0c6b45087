"""A day of events as NDJSON, written by the server and passed on as it comes: memory does not grow with the day."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Literal, cast

from iris_pipelines.db.database import Connection, queries
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.days import Content
from iris_pipelines.storage.places import CountedBytes, Writable

_PIECE_BYTES = 1 << 18
SUFFIXES = {"none": "", "gz": ".gz", "zst": ".zst"}
_CODECS: Mapping[str, Literal["gzip", "zstd"]] = {"gz": "gzip", "zst": "zstd"}


def write_ndjson(connection: Connection, window: Window, target: Writable, *, compression: str = "none") -> Content:
    """Write the events of a window by timestamp and id, one JSON object a line."""
    with packed(target, compression) as pack:
        content = CountedBytes(pack)
        rows, waiting = 0, bytearray()
        first: bytes | bytearray | memoryview = b""
        last: bytes | bytearray | memoryview = b""
        bounds = {"window_start": window.start, "window_end": window.end}
        with connection.cursor().copy(queries().copy_events_as_json.sql, bounds) as copy:
            for row in copy:
                first = first or row
                last = row
                rows += 1
                waiting += row
                if len(waiting) >= _PIECE_BYTES:
                    content.write(waiting)
                    waiting = bytearray()
        content.write(waiting)
    return Content(rows, content.sha256, _timestamp(bytes(first)), _timestamp(bytes(last)))


@contextmanager
def packed(target: Writable, compression: str) -> Iterator[Writable]:
    """What is written to comes out compressed at the target."""
    if compression == "none":
        yield target
        return
    import pyarrow as pa

    stream = pa.PythonFile(CountedBytes(target), "w")
    with pa.CompressedOutputStream(stream, _CODECS[compression]) as pack:
        yield cast("Writable", pack)


def _timestamp(line: bytes) -> datetime | None:
    return datetime.fromisoformat(json.loads(line)["timestamp"]) if line else None
