"""Records gathered into batches of bounded size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iris_pipelines.ingestion.records import Malformed, ObjectBatch

# As objects, a batch takes about ten times the bytes of its text.
BATCH_RECORDS = 10_000
BATCH_BYTES = 1 << 23


class BatchBuilder:
    """Gathers the records of one file until there are enough for a batch."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._start()

    def _start(self) -> None:
        self._lines: list[int] = []
        self._records: list[dict[str, Any] | Malformed] = []
        self._bytes = 0

    def add(self, line: int, record: dict[str, Any] | Malformed, size: int) -> None:
        """One record and the bytes it took in the file."""
        self._lines.append(line)
        self._records.append(record)
        self._bytes += size

    def extend(self, lines: range, records: Sequence[dict[str, Any] | Malformed], size: int) -> None:
        """Records that follow each other, and the bytes they took together."""
        self._lines.extend(lines)
        self._records.extend(records)
        self._bytes += size

    @property
    def is_full(self) -> bool:
        """Whether it is time to `take` the batch."""
        return is_full(len(self._records), self._bytes)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added since the last batch."""
        return not self._records

    def take(self) -> ObjectBatch:
        """The batch so far; the next record starts a new one."""
        batch = ObjectBatch(self._source, self._lines, self._records)
        self._start()
        return batch


def is_full(records: int, size: int) -> bool:
    """Whether so many records, of so many bytes together, are enough for a batch."""
    return records >= BATCH_RECORDS or size >= BATCH_BYTES
