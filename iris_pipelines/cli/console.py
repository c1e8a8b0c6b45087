"""What every command shares: settings, the database, progress bars, and how results and errors are printed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from iris_pipelines.db import embedded
from iris_pipelines.db.database import Database
from iris_pipelines.db.embedded import EmbeddedServer
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.settings import Settings

# What is printed are names and values of others, to the letter: no markup, no emoji.
stdout = Console(markup=False, emoji=False, highlight=False, soft_wrap=True)
stderr = Console(stderr=True, markup=False, emoji=False, highlight=False, soft_wrap=True)


class ConfigurationError(IrisError):
    """An IRIS_* variable that cannot be used."""


def read_settings() -> Settings:
    """The settings from the environment; says which variable is wrong, and never shows its value."""
    try:
        return Settings()
    except ValidationError as error:
        problems = [f"IRIS_{'_'.join(map(str, each['loc'])).upper()}: {each['msg']}" for each in error.errors()]
        raise ConfigurationError("; ".join(problems)) from None
    except SettingsError as error:
        raise ConfigurationError(f"a variable that must be JSON is none: {error}") from None


def embedded_server(settings: Settings) -> EmbeddedServer:
    """The embedded server of these settings."""
    return EmbeddedServer(settings.home / "postgres", bindir=settings.pg_bindir)


def database_url(settings: Settings) -> str:
    """The URL of the database; starts the embedded server if that is the one to use."""
    return embedded.database_url(settings.configured_url(), home=settings.home, bindir=settings.pg_bindir)


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """The database, migrated."""
    from iris_pipelines.db import schema

    url = database_url(settings)
    schema.upgrade(url)
    with Database(url) as database:
        yield database


@contextmanager
def progress(*, disabled: bool = False) -> Iterator[Progress]:
    """A progress bar on standard error, which vanishes when it is done; none where nobody looks."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr, transient=True, disable=disabled or not stderr.is_terminal) as bar:
        yield bar


def print_json(value: object) -> None:
    """One JSON document on standard output, for machines."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def print_error(message: str) -> None:
    """One line on standard error."""
    stderr.print("error:", style="bold red", end=" ")
    stderr.print(message)


def fail(message: str, *, code: int = 1) -> NoReturn:
    """Print what went wrong and exit."""
    print_error(message)
    sys.exit(code)
