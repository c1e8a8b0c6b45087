"""`iris load`: contacts, campaigns and messages from files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from iris_pipelines.cli.console import fail, open_database, print_json, read_settings, stdout

if TYPE_CHECKING:
    from iris_pipelines.ingestion.platform_records import Kind

app = typer.Typer(help="What the platform knows beside its events, from files.", no_args_is_help=True)

_File = Annotated[
    str, typer.Argument(metavar="FILE", help="NDJSON, JSON, CSV or Parquet, also .gz or .zst; a path or a URL.")
]
_Json = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command()
def contacts(file: _File, as_json: _Json = False) -> None:
    """Add contacts, or change those that are there: all of the file, or nothing."""
    from iris_pipelines.ingestion.platform_records import Kind

    _load(Kind.CONTACTS, file, as_json=as_json)


@app.command()
def campaigns(file: _File, as_json: _Json = False) -> None:
    """Add campaigns, or change those that are there: all of the file, or nothing."""
    from iris_pipelines.ingestion.platform_records import Kind

    _load(Kind.CAMPAIGNS, file, as_json=as_json)


@app.command()
def messages(file: _File, as_json: _Json = False) -> None:
    """Add messages, or change those that are there; what events wrote on them stays."""
    from iris_pipelines.ingestion.platform_records import Kind

    _load(Kind.MESSAGES, file, as_json=as_json)


def _load(kind: Kind, name: str, *, as_json: bool) -> None:
    import os
    from dataclasses import asdict

    from iris_pipelines.ingestion.files.discovery import find_files
    from iris_pipelines.ingestion.platform_records import load_records

    settings = read_settings()
    found = find_files([name], os.environ)
    if found.problems:
        raise found.problems[0]
    if len(found.files) != 1:
        fail(f"{name} holds {len(found.files)} files: name one of them", code=2)
    (file,) = found.files
    with open_database(settings) as database:
        result = load_records(database, kind, file)
    if as_json:
        print_json({"file": file.name, **asdict(result)})
    else:
        stdout.print(
            f"{file.name}: {result.received:,} {kind}, {result.added:,} added, {result.changed:,} changed, "
            f"{result.unchanged:,} as they were",
        )
