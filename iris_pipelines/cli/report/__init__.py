"""`iris report`: any metric by any dimension, once or every day, week or month."""

from __future__ import annotations

import typer

from iris_pipelines.cli.report import once, recurring

app = typer.Typer(no_args_is_help=True, help="Reports: once, or every day, week or month by email.")
app.command()(once.run)
app.command()(once.preview)
app.command()(once.templates)
app.command()(once.schema)
app.command()(recurring.schedule)
app.command("list")(recurring.list_reports)
app.command()(recurring.history)
app.command("file")(recurring.fetch_file)
app.command()(recurring.stop)
app.command()(recurring.unsubscribe)
app.command()(recurring.due)
