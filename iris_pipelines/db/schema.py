"""Bring the database to the schema that this code expects."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from iris_pipelines.db.database import DatabaseUnavailable, without_password
from iris_pipelines.db.migrations import MIGRATIONS
from iris_pipelines.domain.errors import IrisError

OLDEST_SERVER = 15
UPGRADE_LOCK = 0x1215
_log = logging.getLogger(__name__)


class SchemaError(IrisError):
    """The database cannot be brought to, or is not at, the schema that this code expects."""


@dataclass(frozen=True)
class SchemaStatus:
    """Where a database stands: `current` is None before the first upgrade."""

    current: str | None
    expected: str

    @property
    def is_current(self) -> bool:
        """Whether nothing is left to upgrade."""
        return self.current == self.expected


def upgrade(url: str, *, revision: str = "head") -> SchemaStatus:
    """Apply the missing migrations up to a revision, one transaction each; a second upgrade at the same time waits.

    Returns the status before the upgrade. Raises SchemaError on a server older than PostgreSQL 15, or on a
    database that a newer release of this code has migrated.
    """
    with _connected(url) as connection:
        driver: psycopg.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
        driver.add_notice_handler(_log_warning)
        _require_server_version(connection)
        connection.execute(sqlalchemy.text("select pg_advisory_lock(:key)"), {"key": UPGRADE_LOCK})
        connection.execute(sqlalchemy.text("create schema if not exists iris"))
        connection.commit()
        before = _status(connection)
        if before.current is not None and before.current not in _known_revisions():
            raise SchemaError(
                f"the database is at schema {before.current}, which this release does not know: use a newer release"
            )
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    return before


def status(url: str) -> SchemaStatus:
    """Where the database stands, without changing it."""
    with _connected(url) as connection:
        return _status(connection)


def _log_warning(diagnostic: psycopg.errors.Diagnostic) -> None:
    """What a migration could not do, and what to do about it."""
    if diagnostic.severity_nonlocalized == "WARNING":
        _log.warning("%s; %s", diagnostic.message_primary, diagnostic.message_hint)


def _status(connection: sqlalchemy.Connection) -> SchemaStatus:
    context = MigrationContext.configure(
        connection, opts={"version_table": "schema_version", "version_table_schema": "iris"}
    )
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise SchemaError(f"no migrations found in {MIGRATIONS}")
    return SchemaStatus(context.get_current_revision(), head)


def _known_revisions() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


@contextmanager
def _connected(url: str) -> Iterator[sqlalchemy.Connection]:
    rest = url.partition("://")[2]
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://{rest}", poolclass=sqlalchemy.NullPool)
    try:
        connection = engine.connect()
    except sqlalchemy.exc.OperationalError as error:
        reason = str(error.orig).strip().splitlines()[-1]
        raise DatabaseUnavailable(f"cannot connect to {without_password(url)}: {reason}") from error
    try:
        yield connection
    finally:
        connection.close()
        engine.dispose()


def _require_server_version(connection: sqlalchemy.Connection) -> None:
    number = int(connection.execute(sqlalchemy.text("show server_version_num")).scalar_one())
    if number // 10_000 < OLDEST_SERVER:
        raise SchemaError(f"PostgreSQL {number // 10_000} is too old: IRIS needs {OLDEST_SERVER} or newer")
