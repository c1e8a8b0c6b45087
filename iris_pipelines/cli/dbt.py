"""`iris dbt`: dbt on the project, connected to the database, for analysts and for what has no command of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from iris_pipelines.cli.console import open_database, read_settings


def dbt(context: typer.Context) -> None:
    """Run dbt on the project: `iris dbt build`, `iris dbt test --select analytics_daily`, `iris dbt docs generate`."""
    from iris_pipelines.defs.dbt import PROJECT_FOLDER, connection_environment

    with open_database(read_settings()) as database:
        environment = {**os.environ, **connection_environment(database.url), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    program = str(Path(sys.executable).parent / "dbt")
    places = (
        ["--project-dir", str(PROJECT_FOLDER), "--profiles-dir", str(PROJECT_FOLDER)]
        if context.args and not context.args[0].startswith("-")
        else []
    )
    os.execve(program, [program, *context.args, *places], environment)
