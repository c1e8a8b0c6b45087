"""The command `iris`: reads the settings, calls the library, prints what happened.

A module holds the commands of one area. Heavy imports stand inside the commands, so that `iris --help` is quick.
"""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import click
import typer

from iris_pipelines.cli import (
    alerts,
    archive,
    bench,
    database,
    dbt,
    exports,
    finance,
    ingest,
    load,
    machines,
    pipeline,
    replay,
    report,
    serving,
    simulate,
)
from iris_pipelines.cli.console import fail, print_error
from iris_pipelines.domain.errors import IrisError

app = typer.Typer(
    name="iris",
    help="Exact messaging analytics on Dagster, dbt and PostgreSQL.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(database.app, name="db")
app.add_typer(database.tenants, name="tenants")
app.command()(ingest.ingest)
app.command()(replay.replay)
app.add_typer(load.app, name="load")
app.add_typer(machines.app, name="machines")
app.add_typer(finance.prices, name="prices")
app.add_typer(finance.budget, name="budget")
app.add_typer(report.app, name="report")
app.add_typer(alerts.app, name="alerts")
app.command()(simulate.simulate)
app.command()(serving.demo)
app.command()(serving.up)
app.command()(pipeline.refresh)
app.command()(pipeline.backfill)
app.command()(exports.export)
app.command()(archive.archive)
app.command()(archive.restore)
app.command()(archive.erase)
app.add_typer(archive.retention, name="retention")
_PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
app.command(context_settings=_PASS_ON)(dbt.dbt)
app.command(context_settings=_PASS_ON)(bench.bench)


@app.callback()
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Options of every command."""
    context.obj = {"debug": debug}


def main() -> None:
    """Run a command: exit code 0 is well, 1 a problem, 2 wrong usage."""
    debug = "--debug" in sys.argv[1:2]
    if not debug:
        # What became of a connection is in the error that we print: psycopg and Dagster would tell it beside us.
        logging.getLogger().setLevel(logging.ERROR)
        logging.getLogger("psycopg").setLevel(logging.CRITICAL)
        logging.getLogger("iris_pipelines").setLevel(logging.WARNING)
    try:
        app(standalone_mode=True)
    except IrisError as error:
        if debug:
            raise
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except Exception as error:  # the last resort: whatever it is, a person reads one sentence
        if debug:
            raise
        print_error(f"{type(error).__name__}: {error}")
        fail("this was not expected; run `iris --debug ...` to see where it happened")
