"""Engagement scores of every contact at once, against the design guide's loop over contacts with an index it lacks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from iris_pipelines.db.contact_scores import write_contact_scores
from iris_pipelines.db.database import Database
from iris_pipelines.db.staleness import request_rebuild
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.rebuilds import rebuild_everything_stale
from iris_pipelines.domain.engagement import POINTS
from iris_pipelines.domain.windows import DAY, Window
from tests.benchmarks.figures import Figure

_TENANT = "e1a6e000-0000-4000-8000-000000000000"
_CONTACTS = """
    insert into iris.contacts (tenant_id, id, created_at)
    select %s, md5(n::text)::uuid, timestamptz '2020-01-01 00:00+00' from generate_series(1, %s) as n
"""
# A sixth of the contacts hears from us each day; some of them open, click and convert.
_EVENTS = """
    insert into iris.analytics_events (tenant_id, contact_id, event_type, timestamp)
    select %s, md5(n::text)::uuid, event_type, %s + make_interval(secs => n %% 86400)
    from generate_series(1, %s) as n
    cross join (
        values ('message.delivered', 6), ('message.opened', 18), ('link.clicked', 60), ('conversion', 600)
    ) as happens (event_type, every)
    where (n + %s) %% happens.every = 0
"""
_EVENTS_OF_CONTACT = """
    select event_type, timestamp from iris.analytics_events
    where contact_id = %s and timestamp >= %s and timestamp < %s order by timestamp desc
"""
_UPDATE = """
    update iris.contacts
    set
        engagement_score = %s,
        last_engagement_at = (select max(timestamp) from iris.analytics_events where contact_id = %s)
    where id = %s
"""


@dataclass(frozen=True)
class EngagementBenchmark:
    """Benchmarks on traffic of a tenant of its own, in the days before some day."""

    database: Database
    dbt: DbtProject
    repeats: int = 3
    sampled: int = 1000

    def figures(self, contacts: int, day: Window, days: int) -> Iterator[Figure]:
        """Contacts per second: all at once from the facts, and one by one from the events."""
        self._fill(contacts, day, days)
        now = day.end
        for done in rebuild_everything_stale(self.database, self.dbt, now=now):
            done.build.raise_failures()
        together = statistics.median(self._together(day) for _ in range(self.repeats))
        started = time.monotonic()
        written = write_contact_scores(self.database, now=now)
        writing = time.monotonic() - started
        alone = self._one_by_one(min(contacts, self.sampled), day)
        changed = written.changed if written else 0
        yield Figure(
            f"engagement scores of {contacts} contacts / the guide's loop, times as fast",
            contacts / together / alone,
            ">= 400",
            f"{contacts / together:.0f} contacts/s against {alone:.0f}; {writing:.2f} s to write {changed} back",
        )

    def _fill(self, contacts: int, day: Window, days: int) -> None:
        with self.database.transaction() as connection:
            connection.execute("insert into iris.tenants (id, name) values (%s, 'engagement')", (_TENANT,))
            connection.execute(_CONTACTS, (_TENANT, contacts))
            for ago in range(days):
                connection.execute(_EVENTS, (_TENANT, day.start - ago * DAY, contacts, ago))
        with self.database.autocommit() as connection:
            connection.execute("analyze iris.analytics_events")

    def _together(self, day: Window) -> float:
        """Seconds for the scores as of a day that is new, as they are made each night."""
        with self.database.transaction() as connection:
            connection.execute(
                "select iris.drop_day_partition('analytics_intermediate.int_engagement_parts', %s)", (day.start.date(),)
            )
            rebuild_id = request_rebuild(connection, [day])
        started = time.monotonic()
        self.dbt.build(
            self.database.url, ["int_engagement_parts"], rebuild_id=rebuild_id, command="run"
        ).raise_failures()
        return time.monotonic() - started

    def _one_by_one(self, contacts: int, day: Window) -> float:
        """Contacts per second, by the guide's own two statements."""
        with self.database.transaction() as connection:
            connection.execute("create index by_contact on iris.analytics_events (contact_id, timestamp)")
        with self.database.autocommit() as connection:
            ids = [
                contact
                for (contact,) in connection.execute(
                    "select id from iris.contacts where tenant_id = %s order by id limit %s", (_TENANT, contacts)
                )
            ]
            started = time.monotonic()
            for contact in ids:
                parameters = (contact, day.end - 90 * DAY, day.end)
                events = connection.execute(_EVENTS_OF_CONTACT, parameters).fetchall()
                score = sum(_worth(event_type, at.date(), day.start.date()) for event_type, at in events)
                connection.execute(_UPDATE, (round(score), contact, contact))
            per_second = contacts / (time.monotonic() - started)
        with self.database.transaction() as connection:
            connection.execute("drop index iris.by_contact")
        return per_second


def _worth(event_type: str, happened_on: date, as_of: date) -> float:
    return POINTS.get(event_type, 0) * max(0.1, 1 - (as_of - happened_on).days / 90)
