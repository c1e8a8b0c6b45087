"""What looking at a campaign costs: overview and breakdowns from marts, against the guide's queries on events."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import Connection

from iris_pipelines.db.database import Database
from tests.benchmarks.figures import Figure

Campaign = tuple[UUID, UUID, int]
"""A tenant, its campaign, and the number of its events."""

_LARGEST = """
    select tenant_id, campaign_id, count(*) from iris.analytics_events
    where campaign_id is not null and event_type <> 'api.request'
    group by tenant_id, campaign_id order by count(*) desc limit 1
"""
_OF_CAMPAIGN = "where tenant_id = %(tenant_id)s and campaign_id = %(campaign_id)s"
FROM_MARTS = (
    f"select * from analytics.campaign_performance {_OF_CAMPAIGN}",
    f"select * from analytics.campaign_channels {_OF_CAMPAIGN}",
    f"select * from analytics.campaign_hourly {_OF_CAMPAIGN} order by hour_start",
    f"select * from analytics.campaign_geography {_OF_CAMPAIGN} order by opens desc limit 20",
    f"select * from analytics.campaign_links {_OF_CAMPAIGN} order by clicks desc limit 10",
    f"select * from analytics.campaign_devices {_OF_CAMPAIGN}",
)
_COUNTED = """
    count(*) filter (where event_type = 'message.sent') as sent,
    count(*) filter (where event_type = 'message.delivered') as delivered,
"""
FROM_EVENTS = (
    f"""
    select {_COUNTED} count(*) filter (where event_type = 'message.failed') as failed,
        count(*) filter (where event_type = 'message.opened') as opened,
        count(*) filter (where event_type = 'link.clicked') as clicked,
        count(distinct contact_id) as unique_recipients,
        count(distinct contact_id) filter (where event_type = 'message.opened') as unique_opens,
        count(distinct contact_id) filter (where event_type = 'link.clicked') as unique_clicks,
        sum(cost) as total_cost,
        avg(duration_ms) filter (where event_type = 'message.delivered') as avg_delivery_time
    from iris.analytics_events {_OF_CAMPAIGN}
    """,
    f"""
    select channel, {_COUNTED} count(*) filter (where event_type = 'message.failed') as failed, sum(cost) as cost
    from iris.analytics_events {_OF_CAMPAIGN} group by channel
    """,
    f"""
    select date_trunc('hour', timestamp) as hour, {_COUNTED}
        count(*) filter (where event_type = 'message.opened') as opened,
        count(*) filter (where event_type = 'link.clicked') as clicked
    from iris.analytics_events {_OF_CAMPAIGN} group by hour order by hour
    """,
    f"""
    select geo_location ->> 'country' as country, geo_location ->> 'city' as city, count(*) as opens
    from iris.analytics_events {_OF_CAMPAIGN} and event_type = 'message.opened' and geo_location is not null
    group by country, city order by opens desc limit 20
    """,
    f"""
    select event_data ->> 'url' as url, count(*) as clicks, count(distinct contact_id) as unique_clicks
    from iris.analytics_events {_OF_CAMPAIGN} and event_type = 'link.clicked'
    group by url order by clicks desc limit 10
    """,
    f"""
    select case
        when user_agent ilike '%%mobile%%' then 'Mobile'
        when user_agent ilike '%%tablet%%' then 'Tablet'
        else 'Desktop' end as device_type, count(*) as opens
    from iris.analytics_events {_OF_CAMPAIGN} and event_type = 'message.opened' group by device_type
    """,
)
"""The six queries of the design guide, which scan the event log unless it has an index on campaigns."""


@dataclass(frozen=True)
class CampaignBenchmark:
    """Benchmarks on the campaigns of a database whose marts are up to date."""

    database: Database
    repeats: int = 20

    def figures(self) -> Iterator[Figure]:
        """The largest campaign, read both ways; the guide's queries get the index on campaigns that it asks for."""
        with self.database.transaction() as connection:
            largest = connection.execute(_LARGEST).fetchone()
            assert largest is not None, "no campaign has events"
        with self.database.transaction() as connection:
            marts = self._seconds(connection, FROM_MARTS, largest)
            # IRIS itself has no such index.
            with connection.transaction(force_rollback=True):
                connection.execute("create index on iris.analytics_events (campaign_id, timestamp desc)")
                connection.execute("analyze iris.analytics_events")
                events = self._seconds(connection, FROM_EVENTS, largest)
        note = f"{marts * 1000:.1f} ms against {events * 1000:.0f} for a campaign of {largest[2]:,} events"
        yield Figure("the guide's queries on a campaign / the same from marts", events / marts, ">= 100", note)
        yield Figure("overview and breakdowns of a campaign from marts, ms", marts * 1000, "<= 5", note)

    def _seconds(self, connection: Connection[Any], statements: Sequence[str], campaign: Campaign) -> float:
        """How long the statements take together, the median of several times, the first not counted."""
        tenant_id, campaign_id, _ = campaign
        values = {"tenant_id": tenant_id, "campaign_id": campaign_id}
        taken = []
        for _ in range(self.repeats + 1):
            started = time.perf_counter()
            for statement in statements:
                connection.execute(statement.encode(), values).fetchall()
            taken.append(time.perf_counter() - started)
        return statistics.median(taken[1:])
