"""Files into the event log: each content once, one transaction a file, and what became of it on record."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.ingestion.files.discovery import StoredFile
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.files.formats import RecordFile
from iris_pipelines.ingestion.loader import LoadConflict, LoadResult, RestoreDays, load_events
from iris_pipelines.ingestion.records import EventBatch
from iris_pipelines.ingestion.rejected import RejectedEvent

_NOTHING = LoadResult()


class Outcome(StrEnum):
    """What became of a file."""

    LOADED = "loaded"
    ALREADY_LOADED = "already loaded"
    FAILED = "failed"


@dataclass(frozen=True)
class RejectedReason:
    """How many events of a file were rejected for one reason, and the first of them."""

    reason: str
    count: int
    line: int
    detail: str


@dataclass(frozen=True)
class FileResult:
    """What became of a file and of its events; of one that failed, nothing is stored."""

    name: str
    outcome: Outcome
    events: LoadResult = _NOTHING
    rejected_by_reason: tuple[RejectedReason, ...] = ()
    seconds: float = 0.0
    problem: str | None = None


@dataclass(frozen=True)
class FileProgress:
    """How far the reading of a file has come."""

    name: str
    bytes_read: int
    size: int


def ingest_files(
    db: Database,
    files: Iterable[StoredFile],
    *,
    now: datetime,
    history_start: date,
    create_tenants: bool = False,
    again: bool = False,
    on_progress: Callable[[FileProgress], None] | None = None,
    restore_days: RestoreDays | None = None,
) -> Iterator[FileResult]:
    """Load each file, and say what became of it; one that cannot be read harms no other.

    A content that was loaded before is not loaded again unless `again` says so, or events of it were rejected: what
    was wrong may have been put right. Raises DatabaseUnavailable, and then the file at hand and those after it are not
    loaded.
    """
    for file in files:
        ingestion = _Ingestion(db, file)
        try:
            result = ingestion.run(
                now=now,
                history_start=history_start,
                create_tenants=create_tenants,
                again=again,
                on_progress=on_progress,
                restore_days=restore_days,
            )
        except (UnreadableFile, LoadConflict) as problem:
            result = ingestion.failed(problem)
        yield result


def sha256_of(path: Path, name: str) -> str:
    """The content of a file as 64 hexadecimal digits; raises UnreadableFile if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableFile(name, f"cannot be read: {error.strerror}") from error


class _Ingestion:
    """One file on its way into the event log."""

    def __init__(self, db: Database, file: StoredFile) -> None:
        self._db = db
        self._file = file
        self._sha256: str | None = None
        self._started = time.monotonic()

    def run(
        self,
        *,
        now: datetime,
        history_start: date,
        create_tenants: bool,
        again: bool,
        on_progress: Callable[[FileProgress], None] | None,
        restore_days: RestoreDays | None,
    ) -> FileResult:
        """Load the file unless its content was."""
        file = self._file
        # A content is known before it is loaded, at the price of reading the stored bytes twice. What lies in a
        # store is fetched once, and read twice here.
        with file.local_path() as path:
            self._sha256 = sha256 = sha256_of(path, file.name)
            # A transaction of its own holds the lock: another process with the same content waits until this one
            # is through, instead of doing its work in vain.
            with self._db.transaction() as lock:
                queries().allow_idle_transaction(lock)
                queries().lock_file_content(lock, sha256=sha256)
                known = queries().ingested_file(lock, sha256=sha256)
                earlier = None if known is None else LoadResult(*known[1:])
                if earlier is not None and earlier.rejected == 0 and not again:
                    self._note_read(lock, problem=None)
                    seen = LoadResult(earlier.received, 0, earlier.accepted + earlier.duplicates, 0)
                    return FileResult(file.name, Outcome.ALREADY_LOADED, seen, seconds=self._seconds())
                records = RecordFile(path, file.name, source=file.name if known is None else known[0])
                rejected = _RejectedReasons(records)

                def report(_: LoadResult) -> None:
                    if on_progress is not None:
                        on_progress(FileProgress(file.name, records.bytes_read, file.size))

                result = load_events(
                    self._db,
                    rejected,
                    now=now,
                    history_start=history_start,
                    create_tenants=create_tenants,
                    finish=self._finish,
                    on_batch=report,
                    on_rejected=rejected.add,
                    restore_days=restore_days,
                )
        return FileResult(file.name, Outcome.LOADED, result, rejected.most_common(), self._seconds())

    def failed(self, problem: IrisError) -> FileResult:
        """The result if the file cannot be loaded. It is remembered: as long as it stays as it is, it cannot be."""
        if self._sha256 is not None and isinstance(problem, UnreadableFile):
            with self._db.transaction() as connection:
                self._note_read(connection, problem=str(problem))
        return FileResult(self._file.name, Outcome.FAILED, seconds=self._seconds(), problem=str(problem))

    def _finish(self, connection: Connection, result: LoadResult) -> None:
        """In the transaction that stores the events, so that both are there or neither."""
        if not self._file.is_unchanged():
            raise UnreadableFile(self._file.name, "was changed while it was being read: load it when it is complete")
        queries().note_ingested_file(
            connection,
            sha256=self._sha256,
            source=self._file.name,
            bytes=self._file.size,
            received=result.received,
            accepted=result.accepted,
            duplicates=result.duplicates,
            rejected=result.rejected,
            seconds=self._seconds(),
        )
        self._note_read(connection, problem=None)

    def _note_read(self, connection: Connection, *, problem: str | None) -> None:
        queries().note_file_read(
            connection,
            name=self._file.name,
            size=self._file.size,
            modified_at=self._file.modified_at,
            sha256=self._sha256,
            problem=problem,
        )

    def _seconds(self) -> float:
        return round(time.monotonic() - self._started, 3)


class _RejectedReasons:
    """The batches of a file, and on the way why events of them were rejected; both start over together."""

    def __init__(self, batches: Iterable[EventBatch]) -> None:
        self._batches = batches
        self._counts: Counter[str] = Counter()
        self._first: dict[str, RejectedEvent] = {}

    def __iter__(self) -> Iterator[EventBatch]:
        self._counts.clear()
        self._first.clear()
        yield from self._batches

    def add(self, event: RejectedEvent) -> None:
        """One more."""
        self._counts[event.reason] += 1
        self._first.setdefault(event.reason, event)

    def most_common(self) -> tuple[RejectedReason, ...]:
        """The reasons, those with the most events first."""
        return tuple(
            RejectedReason(reason, count, self._first[reason].line, self._first[reason].detail)
            for reason, count in self._counts.most_common()
        )
