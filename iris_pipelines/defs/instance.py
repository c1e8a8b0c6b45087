"""Dagster's own instance: a database beside the data's, and a home folder with its configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from iris_pipelines.domain.errors import IrisError

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "dagster.yaml"
_STORAGE_LOCK = 0x1216


class InstanceError(IrisError):
    """Dagster's storage cannot be made."""


def prepare_environment(home: Path, url: str) -> dict[str, str]:
    """Make Dagster's database and home; returns the variables that every process of Dagster needs."""
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "dagster.yaml"
    if not configuration.exists() or configuration.read_bytes() != CONFIGURATION.read_bytes():
        fresh = folder / f"dagster.yaml.{os.getpid()}"
        fresh.write_bytes(CONFIGURATION.read_bytes())
        fresh.replace(configuration)
    return {
        "DAGSTER_HOME": str(folder),
        "IRIS_DAGSTER_URL": _database(url),
        # The materializations of a range of partitions are written together: 20 times faster.
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def open_instance(home: Path, url: str) -> dg.DagsterInstance:
    """The instance that the UI and the daemon look at."""
    os.environ.update(prepare_environment(home, url))
    with _storage_to_ourselves(url):
        instance = dg.DagsterInstance.from_config(str(home / "dagster"))
    # Dagster connects for each statement otherwise, 180 times in a refresh. What suits its web server suits us, but for
    # the limit on the time of statements.
    instance.optimize_for_webserver(statement_timeout=0, pool_recycle=3600, max_overflow=-1)
    return instance


@contextmanager
def _storage_to_ourselves(url: str) -> Iterator[psycopg.Connection]:
    """One process at a time makes the storage: neither PostgreSQL nor Dagster stands two that do it at once."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", (_STORAGE_LOCK,))
        yield connection


def _database(url: str) -> str:
    """The URL of the database `<name>_dagster` on the same server, made if it is not there."""
    name = f"{conninfo_to_dict(url)['dbname']}_dagster"
    with _storage_to_ourselves(url) as connection:
        if connection.execute("select from pg_database where datname = %s", (name,)).fetchone() is None:
            try:
                connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            except psycopg.errors.InsufficientPrivilege as error:
                raise InstanceError(
                    f"the database {name} for Dagster's runs is missing, and this user may not create it: "
                    f"ask for `create database {name}`"
                ) from error
    head, _, query = url.partition("?")
    return head.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")
