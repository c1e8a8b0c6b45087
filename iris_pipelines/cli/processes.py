"""Dagster's processes as children of one: started in order, stopped together, and none of them left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import psutil

from iris_pipelines.domain.errors import IrisError

_READY_SECONDS = 180.0
_STOP_SECONDS = 20.0


class ProcessError(IrisError):
    """A process did not come up, or ended by itself; its log says why."""


class Processes:
    """Child processes with a log file each."""

    def __init__(self, logs: Path, environment: Mapping[str, str]) -> None:
        self._logs = logs
        self._environment = {**os.environ, **environment}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._log_files: list[IO[bytes]] = []
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, arguments: list[str]) -> None:
        """Start `python -m ...` under a name; its output goes to `<logs>/<name>.log`."""
        log = (self._logs / f"{name}.log").open("ab")
        self._log_files.append(log)
        self._running[name] = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # Ctrl-C is for us alone: we stop them, in order.
            start_new_session=True,
        )

    def wait_until(self, name: str, url: str) -> None:
        """Wait until `url` answers; raises ProcessError if the process ends before."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            self.require_alive()
            if url.startswith("http"):
                with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
                    urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - our own address
                    return
            else:
                host, _, port = url.rpartition(":")
                with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
                    return
            time.sleep(0.2)
        raise ProcessError(f"{name} did not answer at {url} within {_READY_SECONDS:.0f} s; see {self._log(name)}")

    def require_alive(self) -> None:
        """Raise ProcessError if a process has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise ProcessError(f"{name} ended with code {process.returncode}; see {self._log(name)}")

    def stop(self) -> None:
        """Stop the children, the last one first, and whatever they started."""
        family: list[psutil.Process] = []
        for process in self._running.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                family += psutil.Process(process.pid).children(recursive=True)
        for process in reversed(self._running.values()):
            process.terminate()
        for process in self._running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
        own = [psutil.Process(process.pid) for process in self._running.values() if process.poll() is None]
        for survivor in [*own, *family]:
            with contextlib.suppress(psutil.NoSuchProcess):
                survivor.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()
        for log in self._log_files:
            log.close()

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


@contextlib.contextmanager
def stop_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP end the program as Ctrl-C does: with everything that it started.

    A shell that starts us in the background has us ignore SIGINT, children would inherit that, and a code server that
    ignores SIGINT cannot be stopped.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def require_free_port(host: str, port: int, *, setting: str) -> None:
    """Raise ProcessError if something listens there already."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ProcessError(f"cannot listen on {host}:{port}: {error.strerror}; set {setting} to another") from error


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
