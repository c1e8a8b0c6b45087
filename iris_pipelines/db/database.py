"""A pool of connections to PostgreSQL, transactions, and the SQL statements by their names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import aiosql
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from iris_pipelines.domain.errors import IrisError

Connection = psycopg.Connection[tuple[Any, ...]]

_CONNECT_SECONDS = 10.0


class DatabaseUnavailable(IrisError):
    """The database cannot be reached, or cannot store more; the message never shows the password."""


@cache
def queries() -> Any:
    """Every statement in `db/queries/*.sql`, callable by its name with a connection and named parameters."""
    return aiosql.from_path(Path(__file__).parent / "queries", "psycopg")


class Database:
    """One PostgreSQL database: sessions are in UTC, write times as ISO 8601, and are made when first needed."""

    def __init__(self, url: str, *, pool_size: int = 4) -> None:
        self.url = url
        self._pool = ConnectionPool(
            url,
            connection_class=Connection,
            kwargs={"options": "-c TimeZone=UTC -c DateStyle=ISO", "application_name": "iris", "connect_timeout": 5},
            min_size=0,
            max_size=pool_size,
            timeout=_CONNECT_SECONDS,
            open=False,
        )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection in a transaction: committed at the end, rolled back on any exception."""
        with self._connection() as connection, connection.transaction():
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A transaction whose statements all see the same: several of them add up."""
        with self._connection() as connection, in_one_snapshot(connection):
            yield connection

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """A connection whose statements are transactions of their own: what is CONCURRENTLY must be."""
        with self._connection() as connection:
            connection.autocommit = True
            try:
                yield connection
            finally:
                connection.autocommit = False

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        self._pool.open()
        try:
            connection = self._pool.getconn()
        except (PoolTimeout, psycopg.OperationalError) as error:
            raise DatabaseUnavailable(f"cannot connect to {without_password(self.url)}") from error
        try:
            yield connection
        except psycopg.errors.DiskFull as error:
            raise DatabaseUnavailable(
                f"the disk of {without_password(self.url)} is full: nothing of this was stored; "
                "make room and run it again"
            ) from error
        except psycopg.OperationalError as error:
            if not connection.broken:
                raise
            raise DatabaseUnavailable(
                f"lost the connection to {without_password(self.url)}: nothing of this was stored"
            ) from error
        finally:
            self._pool.putconn(connection)

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def in_one_snapshot(connection: Connection) -> Iterator[None]:
    """A transaction on an idle connection whose statements all see what the first of them saw."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            yield
    finally:
        if not connection.closed:
            connection.isolation_level = None


def without_password(url: str) -> str:
    """The server and database of a URL, for messages: `user@host:port/database`."""
    parts = conninfo_to_dict(url)
    return f"{parts.get('user', '')}@{parts.get('host', '')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
