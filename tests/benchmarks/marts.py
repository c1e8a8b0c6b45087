"""What dashboards ask for: the marts against the design guide's queries on events, 30 days of the biggest tenant."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import aiosql

from iris_pipelines.db.database import Connection, Database
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.rebuilds import rebuild_everything_stale
from iris_pipelines.domain.windows import DAY, Window
from tests.benchmarks.figures import Figure
from tests.integration.dbt_project.macros import rendered

_QUERIES: Any = aiosql.from_path(Path(__file__).with_name("marts_guide.sql"), "psycopg")
_PERCENTILES = (
    "with buckets as (select times.channel, histogram.bucket, histogram.deliveries"
    " from analytics_intermediate.int_delivery_times_daily as times "
    + rendered("rows_of_histograms('times')", "metrics.sql", "delivery_times.sql")
    + " where tenant_id = %(tenant_id)s and date >= %(first)s and date < %(last)s and provider is null) "
    + rendered("percentiles_of_buckets('buckets', ['channel'])", "metrics.sql", "delivery_times.sql")
)
_PRICES = """
    insert into iris.provider_prices (provider, channel, country, price, valid_from)
    select provider, channel, country, price, %s
    from
        (
            select distinct provider, channel from iris.analytics_events
            where provider is not null and channel is not null
        ) as routes,
        unnest(array['US', 'GB', 'DE', 'FR', null]) as countries (country),
        (values (0.01)) as prices (price)
    on conflict do nothing
"""


@dataclass(frozen=True)
class MartBenchmark:
    """Benchmarks of reads; the events of the days are in the database."""

    database: Database
    dbt: DbtProject
    repeats: int = 5

    def figures(self, last_day: Window) -> Iterator[Figure]:
        """Provider ranking, costs, delivery quality: how many times as long the guide's queries take."""
        for done in rebuild_everything_stale(self.database, self.dbt, now=last_day.end + DAY):
            done.build.raise_failures()
        last = last_day.end.date()
        days: dict[str, Any] = {"first": last - timedelta(days=30), "last": last}
        with self.database.transaction() as connection:
            connection.execute(_PRICES, (days["first"],))
            connection.execute("analyze")
            tenant_id, channel = _QUERIES.largest_tenant(connection, **days)
            of_tenant = {"tenant_id": tenant_id, **days}
            yield self._figure(
                "30-day provider ranking",
                lambda: list(_QUERIES.guide_ranking(connection, channel=channel, **of_tenant)),
                lambda: list(_QUERIES.mart_ranking(connection, tenant_id=tenant_id, channel=channel, last=last)),
            )
            yield self._figure(
                "cost analytics",
                lambda: _all(connection, of_tenant, "guide_costs", "guide_spend", "guide_savings"),
                lambda: _all(connection, of_tenant, "mart_costs", "mart_spend", "mart_savings"),
            )
            yield self._figure(
                "delivery quality",
                lambda: _all(connection, of_tenant, "guide_quality"),
                lambda: (
                    _all(connection, of_tenant, "mart_quality"),
                    connection.execute(_PERCENTILES.encode(), of_tenant).fetchall(),
                ),
            )

    def _figure(self, name: str, guide: Callable[[], object], marts: Callable[[], object]) -> Figure:
        slow, quick = self._seconds(guide), self._seconds(marts)
        note = f"{1000 * slow:.0f} ms from the events, {1000 * quick:.1f} ms from the marts (<= 20)"
        return Figure(f"{name}: the guide's queries / the marts", slow / quick, ">= 100", note)

    def _seconds(self, work: Callable[[], object]) -> float:
        taken = []
        for _ in range(self.repeats):
            started = time.perf_counter()
            work()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken)


def _all(connection: Connection, days: dict[str, date], *names: str) -> None:
    for name in names:
        list(getattr(_QUERIES, name)(connection, **days))
