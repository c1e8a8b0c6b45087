"""What it costs to judge every rule at once, against a query for each rule.

`python -m tests.benchmarks.alerts` makes the events, the rollup and the rules, on an embedded server of its own.

The baseline is the design guide's way: its table with its indexes, and for each rule its query over the events of its
window, on one connection that prepares it. It has the same server, and the same events, in the order they came in. It
is taken from samples of the rules and scaled. CPU seconds are compared, of the connection and of this process, in
turns: they hardly depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
from psycopg import sql
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
WINDOWS = (5, 15, 30, 60, 240, 1440)
_EVENTS = """
    insert into iris.analytics_events (
        tenant_id, event_type, timestamp, message_id, campaign_id, contact_id, channel, provider, event_data,
        cost, duration_ms, success
    )
    select lpad(to_hex(1 + floor(random() * %(tenants)s)::bigint), 32, '0')::uuid,
        (array['message.sent', 'message.delivered', 'message.delivered', 'message.sent', 'message.opened',
            'message.failed', 'link.clicked', 'message.sent', 'api.request', 'message.delivered'])[1 + n %% 10],
        %(start)s::timestamptz + (%(end)s::timestamptz - %(start)s::timestamptz) * (n / %(events)s::double precision),
        md5(n::text)::uuid, md5((n %% 977)::text)::uuid, md5((n %% 100003)::text)::uuid,
        (array['sms', 'email', 'push'])[1 + n %% 3], (array['twilio', 'ses'])[1 + n %% 2], '{"variant": "A"}',
        case when n %% 10 in (0, 3, 7) then 0.0075 end, case when n %% 10 in (1, 2, 8, 9) then n %% 9000 end,
        n %% 10 <> 5
    from generate_series(0, %(events)s - 1) as n
"""
_GUIDE = (Path(__file__).parent / "alerts_guide.sql").read_text()
_ONE_RULE = """
    select {value}
    from guide.analytics_events
    where tenant_id = %(tenant_id)s and timestamp >= %(start)s
"""
_RATE = """round(
    count(*) filter (where event_type = any('{{{parts}}}'))::decimal
    / nullif(count(*) filter (where event_type = '{whole}'), 0) * 100, 2
)"""
_VALUES: Mapping[str, str] = {
    "delivery_rate": _RATE.format(parts="message.delivered", whole="message.sent"),
    "error_rate": _RATE.format(parts="message.failed", whole="message.sent"),
    "open_rate": _RATE.format(parts="message.opened", whole="message.delivered"),
    "bounce_rate": _RATE.format(parts="email.hard_bounce,email.soft_bounce", whole="message.sent"),
    "messages_sent": "count(*) filter (where event_type = 'message.sent')",
    "total_cost": "sum(cost)",
}
"""Rates as the guide writes them, and the others alike."""
_FURTHER_VALUES: Mapping[str, str] = {
    "click_rate": _RATE.format(parts="link.clicked", whole="message.opened"),
    "complaint_rate": _RATE.format(parts="email.complaint", whole="message.delivered"),
    "avg_delivery_time_ms": "round(avg(duration_ms) filter (where event_type = 'message.delivered'))",
    "p95_delivery_time_ms": "percentile_cont(0.95) within group (order by duration_ms)"
    " filter (where event_type = 'message.delivered')",
    "api_error_rate": "round(count(*) filter (where event_type = 'api.request' and success is not true)::decimal"
    " / nullif(count(*) filter (where event_type = 'api.request'), 0) * 100, 2)",
}
"""What the guide has no rules for."""


@dataclass(frozen=True)
class AlertsBenchmark:
    """Judges the rules of a database that has events of one day before NOW, rolled up but for the running hour."""

    database: Database
    rules: int
    reach: str = ""
    turns: int = 3
    repeats: int = 3
    sampled: int = 200

    def figures(self, mix: str) -> Iterator[Figure]:
        """All at once against one by one, in turns, and against the time that a tick has."""
        conditions, chance = self._conditions(), random.Random(1)
        seconds, alone, together = [], [], []
        for _ in range(self.turns):
            # Each begins with one that does not count: it finds in memory what the other one left there.
            for n in range(self.repeats + 1):
                spent = self._cpu(partial(self._query, chance.sample(conditions, self.sampled)))
                alone += [spent * self.rules / self.sampled] if n else []
            for n in range(self.repeats + 1):
                started = time.perf_counter()
                spent = self._cpu(lambda: evaluate_rules(self.database, now=NOW))
                together += [spent] if n else []
                seconds += [time.perf_counter() - started] if n else []
        yield Figure(
            f"{self.rules:,} rules of {mix} one by one / all at once",
            statistics.median(alone) / statistics.median(together),
            self.reach,
            f"{statistics.median(alone):.1f} s CPU (scaled from {self.sampled} rules at a time) "
            f"against {statistics.median(together):.2f}",
        )
        yield Figure(
            f"an evaluation of {self.rules:,} rules of {mix} / the time that a tick has",
            statistics.median(seconds) / SENSOR_SECONDS,
            "<= 0.1",
            f"{statistics.median(seconds):.2f} s of {SENSOR_SECONDS}",
        )

    def _conditions(self) -> list[tuple[UUID, dict[str, Any]]]:
        with self.database.transaction() as connection:
            return connection.execute("select tenant_id, condition from iris.alert_rules order by id").fetchall()  # type: ignore[return-value]

    def _query(self, rules: Sequence[tuple[UUID, dict[str, Any]]]) -> None:
        with self.database.transaction() as connection:
            for tenant_id, condition in rules:
                parameters = {
                    "tenant_id": tenant_id,
                    "start": NOW - timedelta(minutes=condition["time_window"]),
                    "channel": condition.get("channel"),
                }
                connection.execute(_query_of(condition), parameters).fetchone()

    def _cpu(self, work: Callable[[], object]) -> float:
        """CPU seconds of this process and of its connection; the pool hands out the same one again."""
        with self.database.transaction() as connection:
            server = psutil.Process(connection.info.backend_pid)
        before = time.process_time() + sum(server.cpu_times()[:2])
        work()
        return time.process_time() + sum(server.cpu_times()[:2]) - before


def _query_of(condition: Mapping[str, Any]) -> sql.Composed:
    value = {**_VALUES, **_FURTHER_VALUES}[condition["metric"]]
    text = _ONE_RULE + (" and channel = %(channel)s" if condition.get("channel") else "")
    return sql.SQL(text).format(value=sql.SQL(value))  # type: ignore[arg-type]


def prepare(database: Database, dbt: DbtProject, *, tenants: int, events: int) -> None:
    """Events of the last day, of all tenants in turns, their rollup, and the same events in the guide's table."""
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
    build_views(database, dbt)
    models = tuple(model for model in rebuilt_models(dbt.manifest()) if model.name == "analytics_hourly")
    days = tuple(Window(floor(NOW, DAY) - DAY, closed_before(NOW)).split(DAY))
    rebuild(database, dbt, RebuildPlan(Grain.HOUR, models, days)).build.raise_failures()
    with database.transaction() as connection:
        connection.execute("truncate iris.touched_hours, iris.stale_hours")
        connection.execute(_GUIDE.encode())
    with database.autocommit() as connection:
        connection.execute("vacuum analyze")


def make_rules(database: Database, metrics: Mapping[str, str], *, tenants: int, rules: int) -> None:
    """As many quiet rules of these metrics, every second one of one channel, instead of those there were."""
    chance = random.Random(0)
    names = sorted(metrics)
    with database.transaction() as connection, connection.cursor() as cursor:
        connection.execute("delete from iris.alert_rules")
        for n in range(rules):
            metric = chance.choice(names)
            channel = {"channel": chance.choice(("sms", "email"))} if n % 2 and metric != "api_error_rate" else {}
            cursor.execute(
                "insert into iris.alert_rules (tenant_id, id, name, condition) values (%s, %s, 'rule', %s)",
                (
                    UUID(int=1 + n % tenants),
                    UUID(int=n),
                    Jsonb(
                        {
                            "metric": metric,
                            "operator": ">",
                            "threshold": 1_000_000,
                            "time_window": chance.choice(WINDOWS),
                            **channel,
                        }
                    ),
                ),
            )
    evaluate_rules(database, now=NOW)
    with database.autocommit() as connection:
        connection.execute("vacuum analyze iris.alert_rules, iris.alert_rule_states, iris.checked_alert_rules")


def _work_alone(database: Database) -> None:
    """Without parallel workers, whose seconds are nobody's, for either way; for sessions from now on."""
    with database.autocommit() as connection:
        connection.execute("alter system set max_parallel_workers_per_gather = 0")
        connection.execute("select pg_reload_conf()")


def figures(folder: Path, *, tenants: int, events: int, rules: int) -> Iterator[Figure]:
    """Make it all on a server of its own in this folder, and measure."""
    server = EmbeddedServer(folder / "postgres")
    url = server.start()
    try:
        schema.upgrade(url)
        with Database(url, pool_size=1) as database:
            _work_alone(database)
            prepare(database, DbtProject(folder / "dbt", database=DATABASE), tenants=tenants, events=events)
            for mix, metrics, reach in (
                ("rates and sums", _VALUES, ">= 100"),
                ("every metric", {**_VALUES, **_FURTHER_VALUES}, ""),
            ):
                make_rules(database, metrics, tenants=tenants, rules=rules)
                yield from AlertsBenchmark(database, rules, reach).figures(mix)
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
            print(f"{figure.name}: {figure.value:.3f} ({figure.reach}) {figure.note}", flush=True)


if __name__ == "__main__":
    main()
