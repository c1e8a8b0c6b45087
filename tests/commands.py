"""Child processes of a test: started, watched against a deadline, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

PROJECT = Path(__file__).parents[1]
_SECONDS = 120.0


@dataclass(frozen=True)
class Finished:
    """How a process ended, and what it said."""

    code: int
    out: str
    error: str


class Child:
    """A process in a session of its own, with its output in pipes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pid = process.pid

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def say(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def heard(self) -> str:
        """The next line of its standard output."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def finished(self, seconds: float = _SECONDS) -> Finished:
        """Wait until it has ended."""
        out, error = self._process.communicate(timeout=seconds)
        return Finished(self._process.returncode, out, error)


@contextmanager
def started(arguments: Sequence[str | Path], **environment: str) -> Iterator[Child]:
    """A process with these variables, and no IRIS_* or PG* of ours; ended in the end, with what shares its session."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("IRIS_", "PG", "DAGSTER_"))}
    process = subprocess.Popen(
        [str(argument) for argument in arguments],
        env={**inherited, "PYTHONPATH": str(PROJECT), "COLUMNS": "200", **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Child(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                # What it was not told any more cannot be flushed either.
                with suppress(BrokenPipeError):
                    stream.close()


def python(*arguments: str | Path) -> list[str | Path]:
    """A command of the interpreter that runs the tests."""
    return [sys.executable, *arguments]


def iris(*arguments: str | Path) -> list[str | Path]:
    """The command line under test."""
    return python("-c", "from iris_pipelines.cli import main; main()", *arguments)


def finished(arguments: Sequence[str | Path], **environment: str) -> Finished:
    """Run a process to its end."""
    with started(arguments, **environment) as child:
        return child.finished()


def eventually(look: Callable[[], T | None], what: str, *, seconds: float = _SECONDS) -> T:
    """Look until there is something to see; fails when the deadline passes without it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found is not None and found is not False:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not seen within {seconds:.0f} s: {what}")
