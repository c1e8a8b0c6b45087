"""What the rollups cost, as ratios taken in one run on the same data: against a cheap scan, DuckDB, and one day alone.

CPU seconds of the server's processes are compared, not the clock: they barely depend on what else the machine does.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import psutil
import psycopg

from iris_pipelines.db.database import Database
from iris_pipelines.db.staleness import Grain, request_rebuild
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.rebuilds import rebuilt_models
from iris_pipelines.domain.windows import DAY, Window

_SCAN = """
    select event_type, channel, count(*), sum(cost), sum(duration_ms)
    from iris.analytics_events
    where timestamp >= %s and timestamp < %s
    group by event_type, channel
"""
_EVENTS = """
    copy (
        select tenant_id, event_type, timestamp, contact_id, channel, provider, cost, duration_ms, is_machine
        from iris.analytics_events
        where timestamp >= %s and timestamp < %s
    ) to stdout (format csv, header)
"""
_DUCKDB = (Path(__file__).parent / "rollups_duckdb.sql").read_text()


@dataclass(frozen=True)
class Ratio:
    """How many times a baseline something costs: medians of several runs, in seconds of CPU if not said otherwise."""

    figure: str
    value: float
    seconds: float
    baseline_seconds: float

    @classmethod
    def of(cls, figure: str, measured: Sequence[float], baseline: Sequence[float]) -> Ratio:
        seconds, baseline_seconds = statistics.median(measured), statistics.median(baseline)
        return cls(figure, seconds / baseline_seconds, seconds, baseline_seconds)


@dataclass(frozen=True)
class RollupBenchmark:
    """Benchmarks on the events of a database; `postmaster` is the process id of its server, which has no other work."""

    database: Database
    dbt: DbtProject
    postmaster: int
    repeats: int = 5

    def against_a_scan(self, model: str, day: Window) -> Ratio:
        """A rebuild of one day against a scan of it with five cheap columns."""
        self._rebuild([model], [day])
        scans, rebuilds = [], []
        for _ in range(self.repeats):
            scans.append(self._scan(day))
            rebuilds.append(self._net([model], [day]))
        return Ratio.of(f"{model} of a day / a cheap scan of it", rebuilds, scans)

    def whole_graph_against_a_scan(self, day: Window) -> Ratio:
        """A rebuild of one day of every model, and of its campaigns, against a scan of it with five cheap columns."""
        return self._whole_graph("every model of a day / a cheap scan of it", day, self._cpu)

    def whole_graph_on_the_clock(self, day: Window) -> Ratio:
        """The same in seconds on the clock, on as many connections as dbt has threads, without what dbt adds to it."""
        return self._whole_graph("every model of a day / a cheap scan of it, both on the clock", day, _seconds)

    def _whole_graph(self, figure: str, day: Window, cost: Callable[[Callable[[], None]], float]) -> Ratio:
        models = [model.name for model in rebuilt_models(self.dbt.manifest())]
        self._rebuild(models, [day])
        scans, rebuilds = [], []
        with self._without_autovacuum() as vacuum:
            for _ in range(self.repeats):
                vacuum()
                scans.append(cost(lambda: self._run_scan(day)))
                around = cost(lambda: self._rebuild(models, []))
                rebuilds.append(cost(lambda: self._rebuild(models, [day])) - around)
        return Ratio.of(figure, rebuilds, scans)

    def against_duckdb(self, day: Window, folder: Path) -> Ratio:
        """A rebuild of one day of `analytics_hourly` against DuckDB's from Parquet, with one thread."""
        parquet = self._export(day, folder)
        self._rebuild(["analytics_hourly"], [day])
        ours, theirs = [], []
        for _ in range(self.repeats):
            ours.append(self._net(["analytics_hourly"], [day]))
            theirs.append(_duckdb_cpu(parquet))
        return Ratio.of("analytics_hourly of a day / DuckDB from Parquet", ours, theirs)

    def against_one_day_alone(self, model: str, days: Sequence[Window]) -> Ratio:
        """The cost of a day among many in one run against that of a day in a run of its own."""
        self._rebuild([model], days)
        together, alone = [], []
        for _ in range(self.repeats):
            together.append(self._net([model], days) / len(days))
            alone.append(statistics.mean(self._net([model], [day]) for day in days[:: max(1, len(days) // 5)]))
        return Ratio.of(f"{model}: a day of {len(days)} in one run / a day alone", together, alone)

    def whole_graph_over_a_year(self, days: Sequence[Window]) -> Ratio:
        """The cost of a day of every model among many days in one run, against that in runs of a twelfth of them."""
        # Of campaigns nothing is stale by now, and they are no matter of days.
        models = [model.name for model in rebuilt_models(self.dbt.manifest()) if model.grain is not Grain.CAMPAIGN]
        self._rebuild(models, days)
        month = len(days) // 12
        together = [self._net(models, days) / len(days) for _ in range(self.repeats)]
        apart = [
            statistics.mean(
                self._net(models, days[start : start + month]) / month for start in range(0, 12 * month, month)
            )
            for _ in range(self.repeats)
        ]
        return Ratio.of(f"every model: a day of {len(days)} in one run / a day of {month} in one run", together, apart)

    @contextmanager
    def _without_autovacuum(self) -> Iterator[Callable[[], None]]:
        """Vacuum when told to: its workers are processes of the server too, and would be counted when they end."""
        with self.database.autocommit() as connection:

            def vacuum() -> None:
                connection.execute("vacuum analyze")

            connection.execute("alter system set autovacuum = off")
            connection.execute("select pg_reload_conf()")
            try:
                yield vacuum
            finally:
                connection.execute("alter system reset autovacuum")
                connection.execute("select pg_reload_conf()")

    def _net(self, models: Sequence[str], windows: Sequence[Window]) -> float:
        """What replacing windows costs the server, without what dbt asks it around that."""
        around = self._cpu(lambda: self._rebuild(models, []))
        return self._cpu(lambda: self._rebuild(models, windows)) - around

    def _rebuild(self, models: Sequence[str], windows: Sequence[Window]) -> None:
        with self.database.transaction() as connection:
            rebuild_id = request_rebuild(connection, windows)
        self.dbt.build(self.database.url, models, rebuild_id=rebuild_id, command="run").raise_failures()

    def _scan(self, day: Window) -> float:
        return self._cpu(lambda: self._run_scan(day))

    def _run_scan(self, day: Window) -> None:
        with psycopg.connect(self.database.url) as connection:
            connection.execute("set max_parallel_workers_per_gather = 0")
            connection.execute(_SCAN, (day.start, day.end)).fetchall()

    def _cpu(self, work: Callable[[], None]) -> float:
        """CPU seconds of the connections that `work` opened and closed: the server counts those of ended children."""
        server = psutil.Process(self.postmaster)
        before = server.cpu_times()
        connections = {child.pid for child in server.children()}
        work()
        psutil.wait_procs([child for child in server.children() if child.pid not in connections], timeout=5)
        after = server.cpu_times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    def _export(self, day: Window, folder: Path) -> Path:
        events, parquet = folder / "events.csv", folder / "events.parquet"
        with (
            self.database.transaction() as connection,
            connection.cursor().copy(_EVENTS, (day.start, day.end)) as copy,
            events.open("wb") as file,
        ):
            for block in copy:
                file.write(block)
        with duckdb.connect() as duck:
            duck.execute(f"copy (from read_csv('{events}', nullstr='')) to '{parquet}' (format parquet)")
        events.unlink()
        return parquet


def days_from(first: Window, count: int) -> list[Window]:
    """Consecutive UTC days."""
    return [Window(first.start + n * DAY, first.end + n * DAY) for n in range(count)]


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _duckdb_cpu(parquet: Path) -> float:
    with duckdb.connect(config={"threads": 1}) as duck:
        duck.execute("set timezone = 'UTC'")
        before = resource.getrusage(resource.RUSAGE_SELF)
        duck.execute(_DUCKDB, {"events": str(parquet)}).fetchall()
        after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
