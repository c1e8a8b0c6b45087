"""What it costs to judge every rule at once, against a query for each rule.

`python -m tests.benchmarks.alerts` makes the events, the rollup and the rules, on an embedded server of its own.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from psycopg.types.json import Jsonb

from iris_pipelines.alerting.evaluation import evaluate_rules
from iris_pipelines.db import schema
from iris_pipelines.db.database import Database
from iris_pipelines.db.embedded import DATABASE, EmbeddedServer
from iris_pipelines.db.event_partitions import maintain_partitions
from iris_pipelines.db.staleness import Grain
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.rebuilds import RebuildPlan, build_views, rebuild, rebuilt_models
from iris_pipelines.domain.windows import DAY, HOUR, Window, closed_before, floor
from tests.benchmarks.figures import Figure

NOW = datetime(2026, 11, 20, 15, 40, 30, tzinfo=UTC)
SENSOR_SECONDS = 60
_EVENTS = """
    insert into iris.analytics_events
    (tenant_id, event_type, timestamp, message_id, channel, provider, cost, duration_ms)
    select lpad(to_hex(1 + (n / 7 + floor(random() * 3)::bigint) %% %(tenants)s), 32, '0')::uuid,
        (array['message.sent', 'message.delivered', 'message.delivered', 'message.sent', 'message.opened',
            'message.failed', 'link.clicked', 'message.sent', 'message.sent', 'message.delivered'])[1 + n %% 10],
        %(start)s::timestamptz + (%(end)s::timestamptz - %(start)s::timestamptz) * (n / %(events)s::double precision),
        md5(n::text)::uuid, (array['sms', 'email', 'push'])[1 + n %% 3], (array['twilio', 'ses'])[1 + n %% 2],
        0.0075, n %% 9000
    from generate_series(0, %(events)s - 1) as n
"""
_ONE_RULE = """
    select count(*) filter (where event_type = 'message.delivered'),
        count(*) filter (where event_type = 'message.sent'), count(*) filter (where event_type = 'message.failed')
    from iris.analytics_events
    where tenant_id = %s and timestamp >= %s and timestamp < %s and (%s::text is null or channel = %s)
"""


@dataclass(frozen=True)
class AlertsBenchmark:
    """Judges the rules of a database that has events of one day before NOW, rolled up but for the running hour."""

    database: Database
    repeats: int = 3
    sampled: int = 500

    def figures(self) -> Iterator[Figure]:
        """All at once against one by one, and against the time that a tick has."""
        evaluate_rules(self.database, now=NOW)
        together = statistics.median(self._seconds_together(n) for n in range(1, self.repeats + 1))
        one_by_one, rules = self._seconds_one_by_one()
        yield Figure(
            f"{rules:,} rules one by one / all at once",
            one_by_one / together,
            ">= 100",
            f"{one_by_one:.1f} s (from {self.sampled} rules) against {together:.2f} s",
        )
        yield Figure(
            "an evaluation / the time that a tick has", together / SENSOR_SECONDS, "<= 0.1", f"{together:.2f} s of 60"
        )

    def _seconds_together(self, n: int) -> float:
        started = time.perf_counter()
        evaluate_rules(self.database, now=NOW + n * timedelta(milliseconds=1))
        return time.perf_counter() - started

    def _seconds_one_by_one(self) -> tuple[float, int]:
        with self.database.transaction() as connection:
            rules = connection.execute(
                "select tenant_id, (condition ->> 'time_window')::int, condition ->> 'channel' from iris.alert_rules"
            ).fetchall()
            sample = random.Random(1).sample(rules, min(self.sampled, len(rules)))
            started = time.perf_counter()
            for tenant_id, minutes, channel in sample:
                start = NOW - timedelta(minutes=minutes)
                connection.execute(_ONE_RULE.encode(), (tenant_id, start, NOW, channel, channel)).fetchone()
            seconds = time.perf_counter() - started
        return seconds * len(rules) / len(sample), len(rules)


def prepare(database: Database, dbt: DbtProject, *, tenants: int, events: int, rules: int) -> None:
    """Events of the last day, their rollup, and rules of every kind that rollups serve."""
    maintain_partitions(database, now=NOW)
    maintain_partitions(database, now=NOW - DAY)
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.tenants (id, name) select lpad(to_hex(n), 32, '0')::uuid, 'tenant ' || n"
            " from generate_series(1, %s) as n",
            (tenants,),
        )
        connection.execute(
            _EVENTS.encode(), {"tenants": tenants, "events": events, "start": NOW - DAY - HOUR, "end": NOW}
        )
    with database.autocommit() as connection:
        connection.execute("analyze iris.analytics_events")
    build_views(database, dbt)
    models = tuple(model for model in rebuilt_models(dbt.manifest()) if model.name == "analytics_hourly")
    days = tuple(Window(floor(NOW, DAY) - DAY, closed_before(NOW)).split(DAY))
    rebuild(database, dbt, RebuildPlan(Grain.HOUR, models, days)).build.raise_failures()
    chance = random.Random(0)
    metrics = ("delivery_rate", "error_rate", "open_rate", "bounce_rate", "messages_sent", "total_cost")
    with database.transaction() as connection, connection.cursor() as cursor:
        connection.execute("truncate iris.touched_hours, iris.stale_hours")
        cursor.executemany(
            "insert into iris.alert_rules (tenant_id, name, condition) values (%s, 'rule', %s)",
            [
                (
                    UUID(int=1 + n % tenants),
                    Jsonb(
                        {
                            "metric": chance.choice(metrics),
                            "operator": ">",
                            "threshold": 1_000_000,
                            "time_window": chance.choice((5, 15, 30, 60, 240, 1440)),
                            **({"channel": chance.choice(("sms", "email"))} if n % 2 else {}),
                        }
                    ),
                )
                for n in range(rules)
            ],
        )
        connection.execute("analyze")


def figures(folder: Path, *, tenants: int, events: int, rules: int) -> Iterator[Figure]:
    """Make it all on a server of its own in this folder, and measure."""
    server = EmbeddedServer(folder / "postgres")
    url = server.start()
    try:
        schema.upgrade(url)
        with Database(url) as database:
            dbt = DbtProject(folder / "dbt", database=DATABASE)
            prepare(database, dbt, tenants=tenants, events=events, rules=rules)
            yield from AlertsBenchmark(database).figures()
    finally:
        server.stop()


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tenants", type=int, default=500)
    arguments.add_argument("--events", type=int, default=5_000_000)
    arguments.add_argument("--rules", type=int, default=10_000)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="iris-bench-") as folder:
        for figure in figures(Path(folder), tenants=chosen.tenants, events=chosen.events, rules=chosen.rules):
            print(f"{figure.name}: {figure.value:.3f} ({figure.reach}) {figure.note}")


if __name__ == "__main__":
    main()
