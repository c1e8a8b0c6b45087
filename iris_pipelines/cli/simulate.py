"""`iris simulate`: believable traffic, as files or straight into the database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iris_pipelines.cli.console import fail, open_database, print_json, progress, read_settings, stdout

if TYPE_CHECKING:
    from iris_pipelines.simulator import DayTraffic, Simulation


def simulate(
    *,
    days: Annotated[int, typer.Option(min=1, help="How many times 24 hours.")] = 14,
    tenants: Annotated[int, typer.Option(min=1, help="How many tenants; their sizes follow Zipf's law.")] = 3,
    events_per_day: Annotated[
        int, typer.Option(min=1, help="Of all tenants together, in the mean of a week.")
    ] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same traffic.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write files into this folder.")] = None,
    load: Annotated[bool, typer.Option("--load", help="Load into the database; a second time adds nothing.")] = False,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="A day or an instant (ISO 8601, UTC) to end at; the running hour by default."
        ),
    ] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="ndjson (the default), parquet or csv.")] = None,
    compression: Annotated[str | None, typer.Option(help="gz, zst or none; gz by default, zst in Parquet.")] = None,
    late: Annotated[float, typer.Option(min=0, max=0.5, help="Share that arrives one to four days late.")] = 0.01,
    duplicates: Annotated[float, typer.Option(min=0, max=0.5, help="Share that arrives twice.")] = 0.01,
    malformed: Annotated[float, typer.Option(min=0, max=0.5, help="Broken events for each good one.")] = 0.001,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Make the traffic of messaging tenants: the same for the same seed, sizes and end.

    With --out it becomes event files by the day they arrive on, files for `iris load`, and a manifest with the counts
    that a loader must come to. With --load it goes into the database.
    """
    if load == (out is not None):
        fail("say either --out DIR or --load", code=2)
    if load and (file_format is not None or compression is not None):
        fail("--format and --compression go with --out", code=2)
    from iris_pipelines.simulator import TrafficPlan
    from iris_pipelines.simulator import simulate as simulation_of

    now = datetime.now(UTC)
    simulation = simulation_of(
        TrafficPlan.of_last_days(
            days,
            until=_end(until, now),
            tenants=tenants,
            events_per_day=events_per_day,
            seed=seed,
            late=late,
            duplicates=duplicates,
            malformed=malformed,
        )
    )
    if out is None:
        _load(simulation, now, as_json=as_json)
    else:
        _write(simulation, out, file_format, compression, as_json=as_json)


def _end(until: str | None, now: datetime) -> datetime:
    from iris_pipelines.domain.windows import closed_before

    if until is None:
        # The hour, so that two runs shortly after each other make the same files.
        return closed_before(now)
    try:
        end = datetime.fromisoformat(until)
    except ValueError:
        fail(f"--until {until}: expected a day such as 2026-11-02 or an instant such as 2026-11-02T10:00Z", code=2)
    return end.replace(tzinfo=UTC) if end.tzinfo is None else end.astimezone(UTC)


def _write(
    simulation: Simulation, folder: Path, file_format: str | None, compression: str | None, *, as_json: bool
) -> None:
    from iris_pipelines.simulator.files import Compression, FileFormat, write_simulation

    try:
        chosen = FileFormat(file_format or FileFormat.NDJSON)
        compressed = Compression(compression or (Compression.ZST if chosen is FileFormat.PARQUET else Compression.GZ))
    except ValueError as error:
        fail(f"{error}: --format is ndjson, parquet or csv, --compression gz, zst or none", code=2)
    with _day_progress(simulation, "writing", disabled=as_json) as on_day:
        written = write_simulation(simulation, folder, file_format=chosen, compression=compressed, on_day=on_day)
    counts = written.counts
    if as_json:
        print_json({**_described(simulation), "folder": written.folder, **_outcome(counts), "files": written.files})
        return
    stdout.print(
        f"{written.folder}: {counts.received:,} events in {written.files:,} files ({written.bytes / 1e6:,.1f} MB), "
        f"{counts.duplicates:,} of them duplicates and {counts.rejected:,} malformed; {written.messages:,} messages",
    )


def _load(simulation: Simulation, now: datetime, *, as_json: bool) -> None:
    import os

    from iris_pipelines.exports.archive import restore_days
    from iris_pipelines.simulator.loading import load_simulation

    settings = read_settings()
    with open_database(settings) as database, _day_progress(simulation, "loading", disabled=as_json) as on_day:
        loaded = load_simulation(
            database,
            simulation,
            now=now,
            history_start=settings.history_start,
            on_day=on_day,
            restore_days=lambda db, days: restore_days(db, os.environ, days),
        )
    added = {name: getattr(loaded, name) for name in ("tenants", "contacts", "campaigns", "messages")}
    if as_json:
        print_json({**_described(simulation), **_outcome(loaded.events), "added": added})
        return
    events = loaded.events
    stdout.print(
        f"{events.received:,} events: {events.accepted:,} accepted, {events.duplicates:,} duplicates, "
        f"{events.rejected:,} rejected; added {', '.join(f'{count:,} {name}' for name, count in added.items())}",
    )


def _described(simulation: Simulation) -> dict[str, Any]:
    return {
        "start": simulation.plan.start.isoformat(),
        "end": simulation.plan.end.isoformat(),
        "seed": simulation.plan.seed,
    }


def _outcome(counts: Any) -> dict[str, int]:
    return {name: getattr(counts, name) for name in ("received", "accepted", "duplicates", "rejected")}


@contextmanager
def _day_progress(simulation: Simulation, verb: str, *, disabled: bool) -> Iterator[Callable[[DayTraffic], None]]:
    """A bar that moves with each day."""
    with progress(disabled=disabled) as bar:
        task = bar.add_task(f"{verb} days", total=len(simulation.dates))
        yield lambda _: bar.advance(task)
