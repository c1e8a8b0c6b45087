"""`iris export`: days of the event log as files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from iris_pipelines.cli.console import open_database, print_json, progress, read_settings, stdout

if TYPE_CHECKING:
    from iris_pipelines.exports.events import ExportedDay
    from iris_pipelines.exports.targets import Target
    from iris_pipelines.settings import Settings

_DAY = ["%Y-%m-%d"]
_FORMATS = ("ndjson", "parquet", "bigquery")


def export(
    day: Annotated[
        datetime | None,
        typer.Option("--date", formats=_DAY, help="A UTC day; without it, every day that is due is exported."),
    ] = None,
    start: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First UTC day of a range.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="UTC day after the last.")] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", help="ndjson (the default), parquet or bigquery; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Export days of the event log to IRIS_EXPORT_URL or BigQuery; a day is replaced as a whole.

    A day is due when late events changed it after its export, or when it was never exported though an earlier one was.
    """
    wanted = _formats(formats)
    now = datetime.now(UTC)
    days = asked_days(day, start, end, today=now.date())
    settings = read_settings()
    known = {target.export.removeprefix("events_"): target for target in export_targets(settings)}
    if missing := [name for name in wanted if name not in known]:
        raise typer.BadParameter(f"{missing[0]} needs IRIS_BIGQUERY_PROJECT", param_hint="--format")
    done: list[ExportedDay] = []
    with open_database(settings) as database, progress(disabled=as_json) as bar:
        for name in wanted:
            due = known[name].due(database, now=now) if days is None else days
            done += [known[name].write(database, each) for each in bar.track(due, description=name)]
    if as_json:
        print_json([asdict(each) for each in done])
    elif not done:
        stdout.print("no day is due")
    for each in () if as_json else done:
        stdout.print(f"{each.url}: {each.row_count:,} events, {each.bytes:,} bytes, version {each.version}")


def export_targets(settings: Settings) -> list[Target]:
    """Where days are exported to by the settings."""
    from iris_pipelines.exports.bigquery import Warehouse
    from iris_pipelines.exports.events import Destination
    from iris_pipelines.exports.targets import targets

    destination = Destination(settings.exports(), os.environ, settings.export_compression)
    if settings.bigquery_project is None:
        return targets(destination, None)
    place = settings.bigquery_project, settings.bigquery_dataset, settings.bigquery_location
    return targets(destination, Warehouse(*place, os.environ))


def asked_days(day: datetime | None, start: datetime | None, end: datetime | None, *, today: date) -> list[date] | None:
    """The days of `--date`, or of `--from` and `--to`; None if neither is given."""
    if day is None and start is None and end is None:
        return None
    if day is not None and (start is not None or end is not None):
        raise typer.BadParameter("give either one day or a range", param_hint="--date/--from/--to")
    if day is not None:
        days = [day.date()]
    elif start is None or end is None:
        raise typer.BadParameter("a range has a first day and a day after the last", param_hint="--from/--to")
    else:
        days = [start.date() + timedelta(days=number) for number in range((end - start).days)]
    if not days:
        raise typer.BadParameter("the range holds no day", param_hint="--from/--to")
    if days[-1] > today:
        raise typer.BadParameter(f"{days[-1]} has not begun (UTC)", param_hint="--date/--to")
    return days


def _formats(formats: Sequence[str] | None) -> list[str]:
    wanted = list(dict.fromkeys(formats or ["ndjson"]))
    if unknown := [name for name in wanted if name not in _FORMATS]:
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(_FORMATS)}", param_hint="--format")
    return wanted
