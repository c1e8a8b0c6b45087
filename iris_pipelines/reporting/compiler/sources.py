"""What a report can be answered from: the event log, rollups, and the facts under them, each as SQL fragments.

Every fragment is written here; a report chooses among them and never adds a word. In each, `s` is the source's row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import LiteralString

from iris_pipelines.domain.reports.subjects import API, MESSAGES, Subject
from iris_pipelines.domain.windows import DAY, HOUR

Sql = LiteralString

NO_CAMPAIGN: Sql = "'00000000-0000-0000-0000-000000000000'::uuid"


@dataclass(frozen=True)
class Source:
    """A relation, and what its rows can tell."""

    name: str
    relation: Sql
    subject: Subject
    unit: timedelta | None
    """What its rows stand for: windows are read in whole ones. None: single events, of any time."""
    texts: Mapping[str, Sql]
    """Expressions of the dimensions that it knows."""
    measures: Mapping[str, Sql]
    """Expressions of what adds up."""
    bulk: float
    """About how many rows it has a day: of sources with the same answer, the smallest is read."""
    instant: Sql = "s.timestamp"
    contact: Sql | None = None
    """Who the row is about, if it is about one contact: distinct ones can be counted over any range."""
    time_bucket: tuple[Sql, Sql] | None = None
    """Bucket and count of a histogram of durations."""
    bucket_time: Sql | None = None
    """The milliseconds that stand for `bucket`."""
    histogram: Sql | None = None
    """Joined to its rows where its buckets are asked for: those that one row holds, as rows."""
    published: tuple[str, tuple[str, ...]] | None = None
    """The dimension of time and the others of its key: at that grain, its columns are the answer as they stand."""
    condition: Sql | None = None
    """Which of its rows are about the subject, if not all."""
    stands_on: Sql | None = None
    """The table that its rows are made from when they are read, if it is a view."""
    whole_percentiles: bool = field(default=False)
    """Whether its durations are exact, to the millisecond."""

    @property
    def consumer(self) -> str | None:
        """Its name in the ledger of stale hours; the event log is never stale."""
        return None if self.unit is None else self.stands_on or self.relation


_CHANNEL: Sql = "coalesce(s.channel, 'unknown')"
_PROVIDER: Sql = "coalesce(s.provider, 'unknown')"
_CAMPAIGN: Sql = "coalesce(s.campaign_id, '00000000-0000-0000-0000-000000000000'::uuid)"
_DAY_START: Sql = "s.date::timestamp at time zone 'UTC'"

# The same text as dbt's macros path_with_ids_folded and endpoint give: a test compares them.
ENDPOINT: Sql = """left(coalesce(nullif(regexp_replace(regexp_replace(
split_part(coalesce(s.event_data ->> 'path', ''), '?', 1),
'/(?:[0-9]+|[0-9a-fA-F]+-[0-9a-fA-F]+-[0-9a-fA-F-]+)(?![^/])', '/:id', 'g'),
'/(?:[+]?[0-9]+(?:-[0-9]+)*|[0-9a-fA-F]{16,}|(?=[^/]*[0-9])[0-9a-fA-F]{8,15}|(?=[^/]*[0-9][^/]*[0-9])(?:[A-Za-z]+[_-])*\
[A-Za-z0-9]{16,}|(?=[^/]*[0-9])(?=[^/]*[a-z])(?=[^/]*[A-Z])[A-Za-z0-9_-]{20,}|[^/]*(?:@|%%40)[^/]*)(?![^/])', '/:id',
'g'), ''), 'unknown'), 400)"""
METHOD: Sql = "upper(left(coalesce(nullif(s.event_data ->> 'method', ''), 'unknown'), 20))"

# The same text as dbt's macros delivery_time_bucket and bucket_time give: a test compares them.
TIME_BUCKET: Sql = """(case when s.duration_ms >= 128
then 128 + floor(ln(s.duration_ms / 128.0::float8) / ln(1.02::float8)) when s.duration_ms > -128 then s.duration_ms
else -128 - floor(ln(s.duration_ms / -128.0::float8) / ln(1.02::float8)) end)::integer"""
BUCKET_TIME: Sql = """(case when abs(bucket) < 128 then bucket::float8
else sign(bucket) * least(
128 * power(1.02::float8, abs(bucket) - 128) * 2 * 1.02 / 2.02, 9223372036854774784) end)"""

_EVENT_COUNTS: Mapping[str, Sql] = {
    "messages_sent": "(s.event_type = 'message.sent')::integer",
    "messages_delivered": "(s.event_type = 'message.delivered')::integer",
    "messages_failed": "(s.event_type = 'message.failed')::integer",
    "messages_opened": "(s.event_type = 'message.opened')::integer",
    "messages_clicked": "(s.event_type = 'link.clicked')::integer",
    "messages_bounced": "(s.event_type in ('email.hard_bounce', 'email.soft_bounce'))::integer",
    "messages_complained": "(s.event_type = 'email.complaint')::integer",
    "messages_unsubscribed": "(s.event_type = 'message.unsubscribed')::integer",
    "calls_answered": "(s.event_type = 'call.answered')::integer",
    "conversions": "(s.event_type = 'conversion')::integer",
    "machine_opens": "(s.event_type = 'message.opened' and s.is_machine)::integer",
    "machine_clicks": "(s.event_type = 'link.clicked' and s.is_machine)::integer",
}
_ROLLUP_COUNTS: Mapping[str, Sql] = {
    "messages_sent": "s.messages_sent",
    "messages_delivered": "s.messages_delivered",
    "messages_failed": "s.messages_failed",
    "messages_opened": "s.messages_opened",
    "messages_clicked": "s.messages_clicked",
    "messages_bounced": "s.messages_bounced",
    "messages_complained": "s.messages_complained",
    "messages_unsubscribed": "s.messages_unsubscribed",
    "calls_answered": "s.calls_answered",
    "conversions": "s.conversions",
    "machine_opens": "s.machine_opens",
    "machine_clicks": "s.machine_clicks",
    "cost": "s.total_cost",
}
_ACTIVITY_COUNTS: Mapping[str, Sql] = {
    "messages_sent": "s.sent",
    "messages_delivered": "s.delivered",
    "messages_failed": "s.failed",
    "messages_opened": "s.opened",
    "messages_clicked": "s.clicked",
    "messages_bounced": "s.bounced",
    "messages_complained": "s.complained",
    "messages_unsubscribed": "s.unsubscribed",
    "calls_answered": "s.answered",
    "conversions": "s.converted",
    "machine_opens": "s.machine_opened",
    "machine_clicks": "s.machine_clicked",
    "cost": "s.cost",
    "costs": "s.costs",
    "times": "s.delivery_times",
    "time_ms": "s.delivery_time_ms",
}

MESSAGE_EVENTS = Source(
    "the event log",
    "iris.analytics_events",
    MESSAGES,
    None,
    texts={
        "channel": _CHANNEL,
        "provider": _PROVIDER,
        "campaign": _CAMPAIGN,
        "country": "coalesce(nullif(s.geo_location ->> 'country', ''), 'unknown')",
        "error_code": "coalesce(nullif(s.error_code, ''), 'none')",
    },
    measures={
        **_EVENT_COUNTS,
        "cost": "s.cost",
        "costs": "(s.cost is not null)::integer",
        "times": "(s.event_type = 'message.delivered' and s.duration_ms is not null)::integer",
        "time_ms": "case when s.event_type = 'message.delivered' then s.duration_ms end",
    },
    bulk=100_000,
    contact="s.contact_id",
    time_bucket=(TIME_BUCKET, "(s.event_type = 'message.delivered' and s.duration_ms is not null)::integer"),
    condition="s.event_type <> 'api.request'",
    whole_percentiles=True,
)
DAILY = Source(
    "analytics_daily",
    "analytics.analytics_daily",
    MESSAGES,
    DAY,
    texts={"channel": "s.channel"},
    measures=_ROLLUP_COUNTS,
    bulk=5,
    instant=_DAY_START,
    published=("date", ("channel",)),
)
# Of a release that has no such model, it is one that is not built.
CHANNEL_ACTIVITY = Source(
    "int_channel_activity_daily",
    "analytics_intermediate.int_channel_activity_daily",
    MESSAGES,
    DAY,
    texts={"channel": "s.channel", "provider": "s.provider"},
    measures={**_ROLLUP_COUNTS, "costs": "s.costs", "times": "s.delivery_times", "time_ms": "s.delivery_time_ms"},
    bulk=20,
    instant=_DAY_START,
)
HOURLY = Source(
    "analytics_hourly",
    "analytics.analytics_hourly",
    MESSAGES,
    HOUR,
    texts={"channel": "s.channel", "provider": "s.provider"},
    measures=_ROLLUP_COUNTS,
    bulk=300,
    published=("hour", ("channel", "provider")),
)
ACTIVITY = Source(
    "int_message_activity_daily",
    "analytics_intermediate.int_message_activity_daily",
    MESSAGES,
    DAY,
    texts={"channel": "s.channel", "provider": "s.provider", "campaign": _CAMPAIGN},
    measures=_ACTIVITY_COUNTS,
    bulk=40_000,
    instant=_DAY_START,
    contact="s.contact_id",
    stands_on="analytics_intermediate.int_activity_daily",
)
_DELIVERY_TIMES = Source(
    "int_delivery_times_daily",
    "analytics_intermediate.int_delivery_times_daily",
    MESSAGES,
    DAY,
    texts={"channel": "s.channel"},
    measures={},
    bulk=1_500,
    instant=_DAY_START,
    time_bucket=("h.bucket", "h.deliveries"),
    bucket_time=BUCKET_TIME,
    histogram=" cross join lateral unnest(s.buckets, s.counts) as h (bucket, deliveries)",
    condition="s.provider is null",
)
DELIVERY_TIMES = (
    _DELIVERY_TIMES,
    replace(
        _DELIVERY_TIMES,
        texts={"channel": "s.channel", "provider": "s.provider"},
        bulk=3_000,
        condition="s.provider is not null",
    ),
)
API_EVENTS = Source(
    "the event log",
    "iris.analytics_events",
    API,
    None,
    texts={"endpoint": ENDPOINT, "method": METHOD},
    measures={
        "total_requests": "1",
        "successful_requests": "(s.success is true)::integer",
        "client_errors": "(s.event_data ->> 'status_code' ~ '^4[0-9][0-9]$')::integer",
        "server_errors": "(s.event_data ->> 'status_code' ~ '^5[0-9][0-9]$')::integer",
        "times": "(s.duration_ms is not null)::integer",
        "time_ms": "s.duration_ms",
    },
    bulk=100_000,
    time_bucket=("s.duration_ms", "(s.duration_ms is not null)::integer"),
    condition="s.event_type = 'api.request'",
    whole_percentiles=True,
)
API_REQUESTS = Source(
    "int_api_requests_daily",
    "analytics_intermediate.int_api_requests_daily",
    API,
    DAY,
    texts={"endpoint": "s.endpoint", "method": "s.method"},
    measures={
        "total_requests": "s.requests",
        "successful_requests": "s.successful_requests",
        "client_errors": "s.client_errors",
        "server_errors": "s.server_errors",
        "times": "case when s.response_time_ms is null then 0 else s.requests end",
        "time_ms": "s.response_time_ms::numeric * s.requests",
    },
    bulk=5_000,
    instant=_DAY_START,
    time_bucket=("s.response_time_ms", "case when s.response_time_ms is null then 0 else s.requests end"),
    bucket_time="bucket::float8",
    whole_percentiles=True,
)
SOURCES = (DAILY, CHANNEL_ACTIVITY, HOURLY, *DELIVERY_TIMES, API_REQUESTS, ACTIVITY, MESSAGE_EVENTS, API_EVENTS)
EVENTS = {MESSAGES.name: MESSAGE_EVENTS, API.name: API_EVENTS}
