"""PostgreSQL servers of a test's own: killed without warning, watched from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil
import psycopg

from iris_pipelines.db.embedded import EmbeddedServer
from tests.commands import eventually


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not asked after does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def killed(server: EmbeddedServer) -> int:
    """SIGKILL the postmaster and wait until all of its processes are gone; returns its process id."""
    pid = server.pid()
    assert pid is not None
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    for process in family:
        # Some end by themselves as soon as the postmaster, the first, is gone.
        with suppress(psutil.NoSuchProcess):
            process.kill()
    eventually(lambda: not any(is_alive(process.pid) for process in family), "the end of the server's processes")
    return pid


@contextmanager
def observing(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A session that sees what is committed, statement by statement."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def value(connection: psycopg.Connection[Any], statement: str, *parameters: object) -> Any:
    """The one value that a statement asks for."""
    row = connection.execute(statement.encode(), parameters).fetchone()
    return None if row is None else row[0]


def waiting_for(connection: psycopg.Connection[Any], lock: str = "%") -> int:
    """How many sessions of this database wait for a lock, or for a lock of a kind such as `advisory`."""
    waiting = """
        select count(*) from pg_stat_activity
        where wait_event_type = 'Lock' and wait_event like %s and datname = current_database()
    """
    return int(value(connection, waiting, lock))
