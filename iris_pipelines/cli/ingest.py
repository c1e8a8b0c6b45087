"""`iris ingest`: event files into the event log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iris_pipelines.cli.console import (
    fail,
    open_database,
    print_error,
    print_json,
    progress,
    read_settings,
    stderr,
    stdout,
)

if TYPE_CHECKING:
    from iris_pipelines.ingestion.files.discovery import Found
    from iris_pipelines.ingestion.ingested_files import FileProgress, FileResult
    from iris_pipelines.ingestion.loader import LoadResult

_QUICK_SECONDS = 2.0
_SHOWN_REASONS = 5
_SHOWN_SKIPPED = 10


def ingest(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Files, folders, or URLs (s3://, gs://, az://): NDJSON, JSON, CSV or Parquet, also .gz or .zst.",
        ),
    ],
    create_tenants: Annotated[
        bool, typer.Option("--create-tenants", help="Make unknown tenants instead of rejecting their events.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if any event was rejected.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Load files also if they were loaded before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Load event files, each once: a file that was loaded before is not loaded again.

    Exits with 0 when every file was read, also if events in them were rejected.
    """
    import os
    from datetime import UTC, datetime

    import pyarrow as pa

    from iris_pipelines.exports.archive import restore_days
    from iris_pipelines.ingestion.files.discovery import find_files
    from iris_pipelines.ingestion.ingested_files import ingest_files

    # The others keep what was freed for later: 70 MB here.
    pa.set_memory_pool(pa.system_memory_pool())
    settings = read_settings()
    found = find_files(files, os.environ)
    _print_not_read(found)
    results: list[FileResult] = []
    if found.files:
        with open_database(settings) as database, _file_progress(disabled=as_json) as on_progress:
            for result in ingest_files(
                database,
                found.files,
                now=datetime.now(UTC),
                history_start=settings.history_start,
                create_tenants=create_tenants,
                again=again,
                on_progress=on_progress,
                restore_days=lambda db, days: restore_days(db, os.environ, days),
            ):
                results.append(result)
                if not as_json:
                    _print_result(result)
    if as_json:
        print_json(_document(results, found))
    elif results:
        _print_total(results)
    if found.problems or any(result.problem for result in results):
        fail("not every file could be read")
    rejected = sum(result.events.rejected for result in results)
    if strict and rejected:
        fail(f"{rejected:,} events were rejected, and --strict was given")


@contextmanager
def _file_progress(*, disabled: bool) -> Iterator[Callable[[FileProgress], None]]:
    """A bar in megabytes for a file that takes longer than two seconds, where somebody looks."""
    with progress(disabled=disabled or not stderr.is_terminal) as bar:
        task = bar.add_task("", total=None, visible=False)
        current: dict[str, Any] = {"name": None, "since": time.monotonic()}

        def show(file: FileProgress) -> None:
            if file.name != current["name"]:
                current.update(name=file.name, since=time.monotonic())
            bar.update(
                task,
                description=f"{file.name} (MB)",
                completed=file.bytes_read // 1_000_000,
                total=max(1, math.ceil(file.size / 1_000_000)),
                visible=time.monotonic() - current["since"] > _QUICK_SECONDS,
            )

        yield show


def _print_not_read(found: Found) -> None:
    for problem in found.problems:
        print_error(str(problem))
    for name in found.skipped[:_SHOWN_SKIPPED]:
        stderr.print(f"skipped {name}: no event file")
    if len(found.skipped) > _SHOWN_SKIPPED:
        stderr.print(f"skipped {len(found.skipped) - _SHOWN_SKIPPED:,} more that are no event files")


def _print_result(result: FileResult) -> None:
    from iris_pipelines.ingestion.ingested_files import Outcome

    if result.problem is not None:
        print_error(result.problem)
        return
    speed = f", {_speed(result)}" if result.outcome is Outcome.LOADED else ""
    stdout.print(f"{result.name}: {result.outcome}, {_counts(result.events)}{speed}")
    for reason in result.rejected_by_reason[:_SHOWN_REASONS]:
        stdout.print(f"  {reason.count:,} {reason.reason}, first in line {reason.line:,}: {reason.detail}")
    if len(result.rejected_by_reason) > _SHOWN_REASONS:
        stdout.print(f"  and {len(result.rejected_by_reason) - _SHOWN_REASONS} more reasons")


def _print_total(results: list[FileResult]) -> None:
    if len(results) > 1:
        stdout.print(f"{len(results)} files: {_counts(_sum(results))}, {sum(each.seconds for each in results):.1f} s")
    if any(result.events.rejected for result in results):
        stdout.print("rejected events are kept: put right what was wrong, then run `iris replay`")


def _counts(events: LoadResult) -> str:
    return (
        f"received {events.received:,}, accepted {events.accepted:,}, "
        f"duplicates {events.duplicates:,}, rejected {events.rejected:,}"
    )


def _speed(result: FileResult) -> str:
    if result.seconds < 0.01:
        return f"{result.seconds:.2f} s"
    return f"{result.seconds:.2f} s ({result.events.received / result.seconds:,.0f} events/s)"


def _sum(results: Iterable[FileResult]) -> LoadResult:
    from iris_pipelines.ingestion.loader import LoadResult

    return sum((result.events for result in results), LoadResult())


def _document(results: list[FileResult], found: Found) -> dict[str, Any]:
    files = []
    for result in results:
        fields = asdict(result)
        files.append(
            {"file": fields.pop("name"), "outcome": str(fields.pop("outcome")), **fields.pop("events"), **fields}
        )
    return {
        **asdict(_sum(results)),
        "seconds": round(sum(result.seconds for result in results), 3),
        "files": files,
        "skipped": found.skipped,
        "problems": [str(problem) for problem in found.problems],
    }
