"""A stand-in for BigQuery that speaks its protocol on loopback, in an environment with the DuckDB that it needs."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands import eventually

_REQUIREMENTS = ["bqemulator==1.4.0", "duckdb==1.5.5", "duckdb-extension-spatial==1.5.5", "duckdb-extensions", "numpy"]


@contextmanager
def bigquery_emulator() -> Iterator[str]:
    """The address of an empty emulator; skips the test where it cannot be installed."""
    home = _installed()
    port, other = _free_port(), _free_port()
    options = ["--rest-port", str(port), "--grpc-port", str(other), "--ephemeral", "--log-level", "error"]
    process = subprocess.Popen(
        [home / "venv" / "bin" / "bqemulator", "start", *options],
        env={**os.environ, "HOME": str(home), "TMPDIR": str(home)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(lambda: _answers(port), "the emulator's answer")
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/bigquery/v2/projects", timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _installed() -> Path:
    """Where the emulator is, installed once for all test sessions of this machine."""
    home = Path(tempfile.gettempdir()) / "iris-tests" / "bqemulator-1.4.0"
    home.mkdir(parents=True, exist_ok=True)
    uv = Path(sys.executable).parent / "uv"
    python = home / "venv" / "bin" / "python"
    environment = {**os.environ, "HOME": str(home)}
    # As the Makefile does: what stands between here and the index may be known to the system only.
    if any(Path("/etc/ssl/certs").glob("*")):
        environment.setdefault("UV_SYSTEM_CERTS", "1")
    extension = "import duckdb_extensions; duckdb_extensions.import_extension('spatial')"
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            for command in (
                [uv, "venv", "--quiet", "--clear", "--python", sys.executable, home / "venv"],
                [uv, "pip", "install", "--quiet", "--python", python, *_REQUIREMENTS],
                [python, "-c", extension],
            ):
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    said = (done.stderr.strip() or "no reason was given").splitlines()[-1]
                    pytest.skip(f"no stand-in for BigQuery can be installed: {said}")
            (home / "complete").touch()
    return home
