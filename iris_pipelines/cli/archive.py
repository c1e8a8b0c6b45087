"""`iris archive`, `iris restore`, `iris retention`, `iris erase`: out of the database, and back into it."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import typer

from iris_pipelines.cli.console import fail, open_database, print_error, print_json, progress, read_settings, stdout
from iris_pipelines.cli.exports import asked_days

_DAY = ["%Y-%m-%d"]

retention = typer.Typer(no_args_is_help=True, help="How long events are kept, and what is past it.")


def archive(
    day: Annotated[
        datetime | None, typer.Option("--date", formats=_DAY, help="Only this UTC day, if it is past its retention.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Archive the days that are past their retention: to Parquet, compared, then out of the database.

    `iris retention plan` says before what would go. A day whose events are in use is left for the next time.
    """
    from iris_pipelines.exports.archive import DayInUse, archive_day
    from iris_pipelines.exports.retention import plan_retention

    settings = read_settings()
    files, problems = [], []
    with open_database(settings) as database, progress(disabled=as_json) as bar:
        planned = plan_retention(database, default_days=settings.retention_days, now=datetime.now(UTC))
        wanted = [each for each in planned if day is None or each.date == day.date()]
        for each in bar.track(wanted, description="archiving"):
            try:
                files += archive_day(database, settings.archive(), os.environ, each.date, each.events)
            except DayInUse as in_use:
                problems.append(str(in_use))
    if as_json:
        print_json({"archived": [asdict(file) for file in files], "problems": problems})
    for file in () if as_json else files:
        stdout.print(f"{file.url}: {file.facts.row_count:,} events, {file.bytes:,} bytes")
    for problem in problems:
        print_error(problem)
    if problems:
        fail("not every day could be archived")
    if not (files or as_json):
        stdout.print("nothing is past its retention")


def restore(
    day: Annotated[datetime | None, typer.Option("--date", formats=_DAY, help="A UTC day.")] = None,
    start: Annotated[datetime | None, typer.Option("--from", formats=_DAY, help="First UTC day of a range.")] = None,
    end: Annotated[datetime | None, typer.Option("--to", formats=_DAY, help="UTC day after the last.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Put archived events back into the database. Rollups stay as they are; a rebuild does this by itself."""
    from iris_pipelines.exports.archive import restore as restore_window
    from iris_pipelines.exports.days import window_of

    days = asked_days(day, start, end, today=datetime.now(UTC).date())
    if days is None:
        raise typer.BadParameter("give a day, or a range", param_hint="--date/--from/--to")
    with open_database(read_settings()) as database, progress(disabled=as_json) as bar:
        restored = [
            each
            for wanted in bar.track(days, description="restoring")
            for each in restore_window(database, os.environ, window_of(wanted))
        ]
    if as_json:
        print_json([asdict(each) for each in restored])
        return
    for each in restored:
        stdout.print(f"{each.date} of tenant {each.tenant_id}: {each.missing:,} of {each.row_count:,} events put back")
    if not restored:
        stdout.print("nothing of this is archived")


def erase(
    tenant: Annotated[UUID, typer.Option(help="The tenant's id.")],
    contact: Annotated[UUID, typer.Option(help="The contact's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Erase a contact from events, messages, contacts, rejected events, archives and exports; prints a receipt.

    A random pseudonym takes the contact's place, so counts stay as they are. A request that was broken off is
    finished by asking again.
    """
    from iris_pipelines.exports.erasure import erase_contact

    with open_database(read_settings()) as database:
        receipt = erase_contact(database, os.environ, tenant, contact)
    if as_json:
        print_json(asdict(receipt))
        return
    for name, found in receipt.touched.items():
        stdout.print(f"{name}: {found if isinstance(found, int) else len(found):,}")
        for each in found if not isinstance(found, int) else ():
            stdout.print(f"  {each}")
    stdout.print(f"erased from {len(receipt.days):,} days of events; the receipt is {receipt.erasure_id}")


@retention.command()
def plan(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """What `iris archive` would take out of the database now; nothing is done."""
    from iris_pipelines.exports.retention import plan_retention

    settings = read_settings()
    with open_database(settings) as database:
        planned = plan_retention(database, default_days=settings.retention_days, now=datetime.now(UTC))
    if as_json:
        print_json(
            [
                {
                    "date": str(each.date),
                    "drops_partition": each.drops_partition,
                    "events": {str(tenant): events for tenant, events in each.events.items()},
                }
                for each in planned
            ]
        )
        return
    for each in planned:
        how = "the partition is dropped" if each.drops_partition else "other tenants keep theirs"
        stdout.print(f"{each.date}: {sum(each.events.values()):,} events of {len(each.events):,} tenants, {how}")
    total = sum(sum(each.events.values()) for each in planned)
    stdout.print(f"{total:,} events in {len(planned):,} days would go to {settings.archive()}")


@retention.command(name="set")
def set_(
    tenant: Annotated[UUID, typer.Option(help="The tenant's id.")],
    days: Annotated[int, typer.Option(min=0, help="How many UTC days are kept; 0: as IRIS_RETENTION_DAYS says.")],
) -> None:
    """Give a tenant a retention of its own."""
    from iris_pipelines.exports.retention import set_retention

    with open_database(read_settings()) as database:
        set_retention(database, tenant, days or None)
    stdout.print(f"tenant {tenant} keeps {f'{days:,} days' if days else 'what is kept by default'}")
