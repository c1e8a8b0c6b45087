"""Temporary local copies of what can be read only once or only slowly: objects in a store, packed Parquet, pipes."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from iris_pipelines.ingestion.files.compression import Readable
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.files.lines import READ_BYTES


@contextmanager
def temporary_copy(file: Readable, name: str) -> Iterator[Path]:
    """Where the bytes of a file lie for as long as the context lasts; `name` is what people know the file by."""
    try:
        copy = tempfile.NamedTemporaryFile(prefix="iris-")  # noqa: SIM115
    except OSError as error:
        raise _no_room(name, error) from error
    with copy:
        while piece := file.read(READ_BYTES):
            _write(copy, piece, name)
        yield Path(copy.name)


def _write(copy: IO[bytes], piece: bytes, name: str) -> None:
    try:
        copy.write(piece)
        copy.flush()
    except OSError as error:
        raise _no_room(name, error) from error


def _no_room(name: str, error: OSError) -> UnreadableFile:
    folder = tempfile.gettempdir()
    return UnreadableFile(name, f"cannot be copied to {folder} ({error.strerror}): set TMPDIR to a folder with room")
