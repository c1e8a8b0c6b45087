"""`iris replay`: rejected events, judged again."""

from __future__ import annotations

from typing import Annotated

import typer

from iris_pipelines.cli.console import fail, open_database, print_json, progress, read_settings, stdout


def replay(
    create_tenants: Annotated[
        bool, typer.Option("--create-tenants", help="Make unknown tenants instead of rejecting their events.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(help="Only events rejected for this reason, such as unknown_tenant.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Judge rejected events again after a fix; those that are accepted now are stored, the others stay rejected."""
    import os
    from dataclasses import asdict
    from datetime import UTC, datetime

    from iris_pipelines.domain.events import Reason
    from iris_pipelines.exports.archive import restore_days
    from iris_pipelines.ingestion.replay import count_open_rejected, replay_rejected

    if reason is not None and reason not in set(Reason):
        fail(f"unknown reason {reason!r}: use one of {', '.join(Reason)}", code=2)
    settings = read_settings()
    with open_database(settings) as database, progress(disabled=as_json) as bar:
        task = bar.add_task("replaying", total=count_open_rejected(database, reason=reason))
        result = replay_rejected(
            database,
            now=datetime.now(UTC),
            history_start=settings.history_start,
            create_tenants=create_tenants,
            reason=reason,
            on_batch=lambda so_far: bar.update(task, completed=so_far.received),
            restore_days=lambda db, days: restore_days(db, os.environ, days),
        )
    if as_json:
        print_json(asdict(result))
    elif result.received == 0:
        stdout.print("no rejected events wait for a replay")
    else:
        stdout.print(
            f"{result.received:,} replayed: {result.accepted:,} accepted, {result.duplicates:,} duplicates, "
            f"{result.rejected:,} still rejected"
        )
