"""What the tests of each format share: content to a file, and the file to records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from iris_pipelines.ingestion.files.formats import RecordFile
from iris_pipelines.ingestion.records import ColumnBatch, Malformed, numbered_records


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write a file of a name."""

    def write_file(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def read_numbered(
    write: Callable[[str, str | bytes], Path],
) -> Callable[[str, str | bytes], dict[int, dict[str, Any] | Malformed]]:
    """The records of a file by their line."""

    def read_content(name: str, content: str | bytes) -> dict[int, dict[str, Any] | Malformed]:
        found: dict[int, dict[str, Any] | Malformed] = {}
        path = write(name, content)
        for batch in RecordFile(path, str(path)):
            found.update(numbered_records(batch))
            if isinstance(batch, ColumnBatch):
                for line in range(batch.first_line, batch.first_line + len(batch)):
                    found[line] = {name: value for name, value in found[line].items() if value is not None}
        return found

    return read_content


@pytest.fixture
def read(
    read_numbered: Callable[[str, str | bytes], dict[int, dict[str, Any] | Malformed]],
) -> Callable[[str, str | bytes], list[dict[str, Any] | Malformed]]:
    """The records of a file."""
    return lambda name, content: list(read_numbered(name, content).values())
