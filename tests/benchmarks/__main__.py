"""`iris bench`: every benchmark on an embedded server of its own. Prints figures; asserts nothing."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.table import Table

from iris_pipelines.cli.console import open_database, stderr, stdout
from iris_pipelines.cli.pipeline import Pipeline
from iris_pipelines.db.embedded import EmbeddedServer
from iris_pipelines.defs.rebuilds import build_views, rebuild_everything_stale
from iris_pipelines.defs.resources import dbt_project
from iris_pipelines.domain.windows import DAY, Window
from iris_pipelines.settings import Settings
from iris_pipelines.simulator.files import Compression, FileFormat, write_simulation
from iris_pipelines.simulator.plan import TrafficPlan
from iris_pipelines.simulator.simulation import simulate
from tests.benchmarks import alerts
from tests.benchmarks.campaigns import CampaignBenchmark
from tests.benchmarks.engagement import EngagementBenchmark
from tests.benchmarks.exports import ExportBenchmark
from tests.benchmarks.figures import Figure
from tests.benchmarks.ingest import IngestBenchmark, gzip_of, parquet_of
from tests.benchmarks.marts import MartBenchmark
from tests.benchmarks.orchestration import OrchestrationBenchmark
from tests.benchmarks.reports import ReportBenchmark
from tests.benchmarks.rollups import Ratio, RollupBenchmark, days_from

_DAY = Window(datetime(2026, 11, 10, tzinfo=UTC), datetime(2026, 11, 11, tzinfo=UTC))


def main() -> None:
    """Run what was asked for and print each figure as it comes."""
    arguments = argparse.ArgumentParser(prog="iris bench")
    arguments.add_argument("--events-per-day", type=int, default=500_000)
    arguments.add_argument("--days", type=int, default=30, help="of the long backfill, each a tenth of the big day")
    chosen = arguments.parse_args()
    table = Table("figure", "value", "reach", "note", box=box.SIMPLE)
    with tempfile.TemporaryDirectory(prefix="iris-bench-") as folder:
        settings = Settings(home=Path(folder), database_url=None)
        try:
            for figure in _figures(settings, chosen.events_per_day, chosen.days):
                stderr.print(f"{figure.name}: {figure.value:.2f} ({figure.reach}) {figure.note}", markup=False)
                table.add_row(figure.name, f"{figure.value:.2f}", figure.reach, figure.note)
        finally:
            EmbeddedServer(settings.home / "postgres").stop()
    stdout.print(table)


def _figures(settings: Settings, events_per_day: int, days: int) -> Iterator[Figure]:
    with open_database(settings) as database:
        ndjson, parquet = _files(settings.home, events_per_day)
        yield from IngestBenchmark(database, settings.home).figures(ndjson, parquet)

        postmaster = EmbeddedServer(settings.home / "postgres").pid()
        assert postmaster is not None
        dbt = dbt_project(settings)
        build_views(database, dbt)
        rollups = RollupBenchmark(database, dbt, postmaster)
        yield _figure(rollups.against_a_scan("analytics_hourly", _DAY), "<= 5")
        yield _figure(rollups.against_a_scan("analytics_daily", _DAY), "")
        yield _figure(rollups.against_duckdb(_DAY, settings.home), "<= 3.5")
        yield _figure(rollups.whole_graph_against_a_scan(_DAY), "<= 18")
        yield _figure(rollups.whole_graph_on_the_clock(_DAY), "<= 11")

        yield from ExportBenchmark(database, settings.home, _DAY).figures()
        many = days_from(Window(_DAY.start - days * DAY, _DAY.end - days * DAY), days)
        with database.transaction() as connection:
            for n in range(1, days + 1):
                connection.execute(
                    "insert into iris.analytics_events select (jsonb_populate_record(e, jsonb_build_object("
                    "'timestamp', e.timestamp - make_interval(days => %s)))).* from iris.analytics_events as e "
                    "where timestamp >= %s and timestamp < %s and id::text like '0%%'",
                    (n, _DAY.start, _DAY.end),
                )
        yield _figure(rollups.against_one_day_alone("analytics_hourly", many), "<= 1.1")
        yield from MartBenchmark(database, dbt).figures(_DAY)
        yield from EngagementBenchmark(database, dbt).figures(events_per_day, _DAY, 30)
        for done in rebuild_everything_stale(database, dbt, now=_DAY.end):
            done.build.raise_failures()
        yield from ReportBenchmark(database, settings.home, _DAY.end).figures()
        pipeline = Pipeline(settings, database)
        try:
            yield from OrchestrationBenchmark(pipeline, database, dbt, settings.home).figures(_DAY, many)
        finally:
            pipeline.close()
        for done in rebuild_everything_stale(database, dbt, now=_DAY.end):
            done.build.raise_failures()
        yield from CampaignBenchmark(database).figures()

        year = days_from(Window(_DAY.start - (days + 400) * DAY, _DAY.end - (days + 400) * DAY), 365)
        with database.transaction() as connection:
            connection.execute(
                "insert into iris.analytics_events select (jsonb_populate_record(e, jsonb_build_object("
                "'timestamp', e.timestamp - make_interval(days => n)))).* from iris.analytics_events as e "
                "cross join generate_series(%s::integer, %s::integer) as n "
                "where timestamp >= %s and timestamp < %s and id::text like '00%%'",
                (days + 400 - 364, days + 400, _DAY.start, _DAY.end),
            )
        for done in rebuild_everything_stale(database, dbt, now=_DAY.end):
            done.build.raise_failures()
        yield _figure(replace(rollups, repeats=3).whole_graph_over_a_year(year), "<= 1.1")
    yield from alerts.figures(settings.home / "alerts", tenants=500, events=10 * events_per_day, rules=10_000)


def _files(home: Path, events_per_day: int) -> tuple[Path, Path]:
    """One day of clean traffic, as NDJSON.gz and as Parquet."""
    plan = TrafficPlan(
        _DAY.start, _DAY.end, tenants=20, events_per_day=events_per_day, late=0, duplicates=0, malformed=0
    )
    for name, file_format, compression in (
        ("ndjson", FileFormat.NDJSON, Compression.GZ),
        ("parquet", FileFormat.PARQUET, Compression.ZST),
    ):
        write_simulation(simulate(plan), home / name, file_format=file_format, compression=compression)
    return (
        gzip_of(home / "ndjson" / "events", home / "day.ndjson.gz"),
        parquet_of(home / "parquet" / "events", home / "day.parquet"),
    )


def _figure(ratio: Ratio, reach: str) -> Figure:
    note = f"{ratio.seconds:.2f} s against {ratio.baseline_seconds:.2f}"
    return Figure(ratio.figure, ratio.value, reach, note)


if __name__ == "__main__":
    main()
