"""What Dagster and dbt add to a rebuild's SQL: a warm partition run, a fresh process, long backfills."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from iris_pipelines.cli.pipeline import Pipeline, run_backfill
from iris_pipelines.db.database import Database
from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.rebuilds import RebuildPlan, rebuild, rebuilt_models
from iris_pipelines.domain.windows import DAY, HOUR, Window
from tests.benchmarks.figures import Figure

_ONE_EVENT = """
    insert into iris.analytics_events (tenant_id, event_type, timestamp, channel, provider, campaign_id)
    select tenant_id, 'message.sent', %s, 'sms', 'twilio', campaign_id from iris.analytics_events
    where campaign_id is not null limit 1
"""


@dataclass(frozen=True)
class OrchestrationBenchmark:
    """Benchmarks of runs; `pipeline` is the warm one of this process, `home` its IRIS_HOME."""

    pipeline: Pipeline
    database: Database
    dbt: DbtProject
    home: Path
    repeats: int = 3

    def figures(self, day: Window, days: list[Window]) -> Iterator[Figure]:
        """A one-hour run warm and fresh, and backfills of one day and of many."""
        hour = Window(day.start + 12 * HOUR, day.start + 13 * HOUR)
        self._backfill(hour)
        warm = statistics.median(self._backfill(hour) for _ in range(self.repeats))
        yield Figure("a warm one-hour run, seconds", warm, "<= 1.5 + SQL", "imports and the dbt manifest are there")
        fresh = statistics.median(self._fresh(hour) for _ in range(self.repeats))
        yield Figure(
            "a one-hour run in a fresh process, seconds", fresh, "<= 8 + SQL", "imports, manifest, then the same"
        )
        self._refresh_after_an_event(hour)
        graph = statistics.median(self._refresh_after_an_event(hour) for _ in range(self.repeats))
        note = "one event on a day with no others: every model, every test, and Dagster's events"
        yield Figure("a warm refresh of the whole graph, seconds", graph, "<= 1.5 + SQL", note)
        one = statistics.median(self._backfill(day) for _ in range(self.repeats))
        many = self._backfill(Window(days[0].start, days[-1].end))
        outside, inside = self._not_sql(days, many)
        yield Figure(
            f"share of a backfill of {len(days)} days that is not SQL",
            inside,
            "<= 0.1",
            f"{outside:.2f} with Dagster's {24 * len(days)} partition events",
        )
        note = f"one day {one:.1f} s, {len(days)} days {many:.1f} s, both with Dagster's events"
        yield Figure(
            f"a day of {len(days)} in one run / a day alone, with all overhead", many / len(days) / one, "<= 1.1", note
        )

    def _not_sql(self, days: list[Window], seconds: float) -> tuple[float, float]:
        """The share of a whole backfill that is not SQL, and that of its rebuild, without Dagster's part."""
        models = [m for m in rebuilt_models(self.dbt.manifest()) if m.name == "analytics_hourly"]
        plan = RebuildPlan(Grain.HOUR, tuple(models), tuple(days))
        done = rebuild(self.database, self.dbt, plan)
        sql = sum(
            event["data"]["execution_time"] for event in done.build.events if event["info"]["name"] == "LogModelResult"
        )
        return 1 - sql / seconds, 1 - sql / done.seconds

    def _backfill(self, window: Window) -> float:
        started = time.perf_counter()
        run_backfill(self.pipeline, window, select="analytics_hourly")
        return time.perf_counter() - started

    def _refresh_after_an_event(self, hour: Window) -> float:
        """On a day without other events, so that the SQL of the models costs next to nothing."""
        with self.database.transaction() as connection:
            assert connection.execute(_ONE_EVENT, (hour.start - 700 * DAY,)).rowcount == 1
        started = time.perf_counter()
        self.pipeline.run("stale_windows_job")
        return time.perf_counter() - started

    def _fresh(self, window: Window) -> float:
        started = time.perf_counter()
        span = ["--from", f"{window.start:%Y-%m-%dT%H:%M}", "--to", f"{window.end:%Y-%m-%dT%H:%M}"]
        subprocess.run(
            [sys.executable, "-m", "iris_pipelines", "backfill", *span, "--select", "analytics_hourly"],
            env={**os.environ, "IRIS_HOME": str(self.home)},
            check=True,
            capture_output=True,
        )
        return time.perf_counter() - started


def days_of(first: Window, count: int) -> list[Window]:
    """Consecutive days from the first."""
    return [Window(first.start + n * DAY, first.end + n * DAY) for n in range(count)]
