"""`iris refresh` and `iris backfill`: what the daemon and the UI do, from the shell, in runs that the UI shows."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from iris_pipelines.cli.console import open_database, print_json, progress, read_settings, stdout
from iris_pipelines.db.database import Database, DatabaseUnavailable, queries, without_password
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.windows import DAY, HOUR, Window, closed_before, floor

if TYPE_CHECKING:
    import dagster as dg

    from iris_pipelines.settings import Settings


_TRAILING_JOB = "trailing_marts_job"
# In order: the verdicts on opens and clicks come before what counts them.
_CADENCES = (
    ("machine_verdicts_job", DAY, "%Y-%m-%d"),
    ("hourly_rollups_job", HOUR, "%Y-%m-%d-%H:%M"),
    ("daily_rollups_job", DAY, "%Y-%m-%d"),
    (_TRAILING_JOB, DAY, "%Y-%m-%d"),
)


class RunFailed(IrisError):
    """A run did not succeed; the message is its own."""


@dataclass(frozen=True)
class RebuiltRelation:
    """What a run rebuilt of one relation."""

    relation: str
    windows: int
    campaigns: int
    rows: int

    def __str__(self) -> str:
        parts = f"{self.campaigns:,} campaigns" if self.campaigns else f"{self.windows:,} windows"
        return f"{self.relation}: {self.rows:,} rows in {parts}"


class Pipeline:
    """The code location with the instance that the UI shows, for runs in this process."""

    def __init__(self, settings: Settings, database: Database) -> None:
        from iris_pipelines.defs import build_defs
        from iris_pipelines.defs.instance import open_instance
        from iris_pipelines.defs.resources import DatabaseResource

        self._database = database
        self._instance = open_instance(settings.home, database.url)
        self.definitions = build_defs(settings, {"database": DatabaseResource(lambda: database.url)})

    def run(
        self, job: str, *, tags: dict[str, str] | None = None, selection: Sequence[dg.AssetKey] | None = None
    ) -> list[RebuiltRelation]:
        """Execute a job in this process; returns what it rebuilt. Raises RunFailed."""
        from dagster_postgres.utils import DagsterPostgresException
        from sqlalchemy.exc import OperationalError

        try:
            with rebuild_progress(self._database, title=job):
                result = self.definitions.resolve_job_def(job).execute_in_process(
                    instance=self._instance,
                    tags=tags,
                    asset_selection=selection,
                    raise_on_error=False,
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )
        except (DagsterPostgresException, OperationalError) as error:
            # Dagster could not write down what became of the run.
            raise RunFailed(
                f"{job} lost the connection to {without_password(self._database.url)}; "
                "what it had not replaced is still stale: run `iris refresh` when the database is back"
            ) from error
        if not result.success:
            raise RunFailed(f"{job} (run {result.run_id}) failed: {_reason(result)}")
        with self._database.transaction() as connection:
            done = [rebuild for (rebuild,) in queries().rebuilds_of_run(connection, requested_by=result.run_id)]
            return [RebuiltRelation(*row) for row in queries().rebuilt_rows(connection, rebuild_ids=done)]

    def maintain_partitions(self) -> None:
        """Make the days to come, and those of events that other services inserted."""
        from iris_pipelines.db.event_partitions import maintain_partitions

        maintain_partitions(self._database, now=datetime.now(UTC))

    def has_due_exports(self, settings: Settings) -> bool:
        """Whether exported days have changed since."""
        from iris_pipelines.cli.exports import export_targets
        from iris_pipelines.exports.events import SETTLING

        now = datetime.now(UTC) - SETTLING
        return any(target.due(self._database, now=now) for target in export_targets(settings))

    def close(self) -> None:
        """Let go of the instance."""
        self._instance.dispose()


@contextmanager
def open_pipeline(settings: Settings) -> Iterator[Pipeline]:
    """The pipeline on the migrated database of these settings."""
    with open_database(settings) as database:
        pipeline = Pipeline(settings, database)
        try:
            yield pipeline
        finally:
            pipeline.close()


def refresh(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Rebuild what is stale, and export days again that changed, as the daemon would do now, then return."""
    settings = read_settings()
    with open_pipeline(settings) as pipeline:
        pipeline.maintain_partitions()
        rebuilt = pipeline.run("stale_windows_job")
        if pipeline.has_due_exports(settings):
            pipeline.run("stale_exports_job")
        _report(rebuilt, as_json=as_json)


def backfill(
    start: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="First UTC instant.")
    ],
    end: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="UTC instant after the last.")
    ],
    select: Annotated[
        str | None, typer.Option(help="Names of assets, separated by commas; all partitioned ones by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Rebuild every partition of a range, each cadence in one run; waits until it is done."""
    settings = read_settings()
    asked = _asked_window(start, end, settings, now=datetime.now(UTC))
    with open_pipeline(settings) as pipeline:
        _report(run_backfill(pipeline, asked, select=select), as_json=as_json)


def run_backfill(pipeline: Pipeline, asked: Window, *, select: str | None = None) -> list[RebuiltRelation]:
    """Judge the opens and clicks of a range, then rebuild its hours, its days, and those over: one run for each."""
    rebuilt: list[RebuiltRelation] = []
    for job, length, key in _CADENCES:
        keys = _selected_assets(pipeline, job, select)
        # What is as of a day that is over has no partition for a day in progress.
        last_hour = floor(asked.end, DAY) - HOUR if job == _TRAILING_JOB else asked.end - HOUR
        first, last = floor(asked.start, length), floor(last_hour, length)
        if keys and first <= last:
            tags = {
                "dagster/asset_partition_range_start": f"{first:{key}}",
                "dagster/asset_partition_range_end": f"{last:{key}}",
            }
            rebuilt += pipeline.run(job, tags=tags, selection=keys)
    return rebuilt


def _asked_window(start: datetime, end: datetime, settings: Settings, *, now: datetime) -> Window:
    first = datetime.combine(settings.history_start, datetime.min.time(), tzinfo=UTC)
    start, end = start.replace(tzinfo=UTC), min(end.replace(tzinfo=UTC), closed_before(now))
    if start < first:
        raise typer.BadParameter(
            f"history starts on {settings.history_start} (IRIS_HISTORY_START)", param_hint="--from"
        )
    if start >= end:
        raise typer.BadParameter("the range holds no hour that has ended", param_hint="--from/--to")
    return Window(floor(start, HOUR), end)


def _selected_assets(pipeline: Pipeline, job: str, select: str | None) -> list[dg.AssetKey]:
    """The assets of a job that a selection names: `analytics_hourly` or `analytics/analytics_hourly`."""
    layer = pipeline.definitions.resolve_job_def(job).asset_layer
    of_job = sorted(layer.executable_asset_keys)
    if select is None:
        return of_job
    names = {name.strip() for name in select.split(",")}
    known = {
        name for key in pipeline.definitions.resolve_all_asset_keys() for name in (key.path[-1], key.to_user_string())
    }
    if unknown := sorted(names - known):
        raise typer.BadParameter(f"no asset is called {', '.join(unknown)}", param_hint="--select")
    return [key for key in of_job if names & {key.path[-1], key.to_user_string()}]


@contextmanager
def rebuild_progress(database: Database, *, title: str) -> Iterator[None]:
    """A progress bar of the windows rebuilt from now on, read from where the rebuilds note them."""
    done = threading.Event()
    with database.transaction() as connection:
        since = queries().server_time(connection)

    def follow() -> None:
        with progress() as bar:
            task = bar.add_task(title, total=None)
            while not done.wait(0.5):
                try:
                    with database.transaction() as connection:
                        requested, rebuilt = queries().rebuild_progress(connection, since=since)
                except DatabaseUnavailable:  # whoever does the work will say so
                    continue
                if requested:
                    bar.update(task, total=requested, completed=rebuilt)

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        yield
    finally:
        done.set()
        follower.join()


def _reason(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_step_failure and event.step_failure_data.error is not None:
            error = event.step_failure_data.error
            return (error.cause or error).message.strip()
    return "see the run in the UI"


def _report(rebuilt: Sequence[RebuiltRelation], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(each) for each in rebuilt])
    elif not rebuilt:
        stdout.print("nothing was stale")
    else:
        for each in rebuilt:
            stdout.print(str(each))
