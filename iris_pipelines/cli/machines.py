"""`iris machines`: which opens and clicks machines made, judged from the shell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from iris_pipelines.cli.console import open_database, print_json, progress, read_settings, stdout
from iris_pipelines.domain.windows import DAY, Window

if TYPE_CHECKING:
    from iris_pipelines.ingestion.machines.verdicts import VisitCount

app = typer.Typer(no_args_is_help=True, help="Opens and clicks that machines made.")


@app.command()
def judge(
    start: Annotated[datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First UTC day.")],
    end: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="UTC day after the last.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Judge the opens and clicks of past days by the present rules; `iris refresh` then rebuilds what changed."""
    from dataclasses import asdict

    from iris_pipelines.exports.archive import restore
    from iris_pipelines.ingestion.machines.rules import RULES_VERSION
    from iris_pipelines.ingestion.machines.verdicts import count_visits, judge_machines

    if start >= end:
        raise typer.BadParameter("the range holds no day", param_hint="--from/--to")
    asked = Window(start.replace(tzinfo=UTC), end.replace(tzinfo=UTC))
    days = list(asked.split(DAY))
    with open_database(read_settings()) as database:
        restore(database, os.environ, asked)
        with progress(disabled=as_json) as bar:
            judged = [
                each for day in bar.track(days, description="judging") for each in judge_machines(database, [day])
            ]
        visits = count_visits(database, asked)
    changed = sum(day.changed for day in judged)
    if as_json:
        print_json(
            {
                "days": len(judged),
                "changed": changed,
                "new_user_agents": sum(day.new_user_agents for day in judged),
                "rules_version": RULES_VERSION,
                "visits": [asdict(each) for each in visits],
            }
        )
        return
    for line in _by_reason(visits):
        stdout.print(line)
    stdout.print(f"{changed:,} verdicts changed in {len(judged):,} days, by version {RULES_VERSION} of the rules")
    if changed:
        stdout.print("`iris refresh` rebuilds what is built on them")


@app.command()
def describe(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Take apart the user agents that are new, or that an older release of the parser has described."""
    from iris_pipelines.ingestion.machines.verdicts import unjudged_windows
    from iris_pipelines.ingestion.user_agents import describe_user_agents, parser_version

    with open_database(read_settings()) as database:
        described = describe_user_agents(database, unjudged_windows(database, now=datetime.now(UTC)))
    if as_json:
        print_json({"new": described.new, "renewed": described.renewed, "parser_version": parser_version()})
    else:
        stdout.print(f"{described.new:,} new user agents, {described.renewed:,} taken apart anew")


def _by_reason(visits: Sequence[VisitCount]) -> list[str]:
    """A line for each verdict: what happened, who did it, why that is thought, how often."""
    return [
        f"{each.event_type:<15} {who:<8} {each.reason or '':<14}{each.events:>15,}"
        for each in visits
        for who in ["machine" if each.is_machine else "person"]
    ]
