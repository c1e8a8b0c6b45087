"""Where to look first, by what went wrong."""

from __future__ import annotations

from collections.abc import Mapping

_BY_METRIC: Mapping[str, tuple[str, ...]] = {
    "delivery_rate": (
        "failures by provider and error code: analytics.channel_errors_daily, or GET /v1/channels/{channel}",
        "whether one provider is alone in it: analytics.channel_provider_daily and the provider's status page",
        "whether receipts come in at all: the newest received_at of message.delivered",
    ),
    "error_rate": (
        "error codes of the last hour: analytics.channel_errors_daily, or GET /v1/channels/{channel}",
        "whether a campaign to an old list began: analytics.campaign_performance",
    ),
    "open_rate": ("whether tracking links are reachable, and human against machine opens",),
    "click_rate": ("whether redirects work, and human against machine clicks",),
    "bounce_rate": (
        "which campaign and list bounces: analytics.campaign_performance, iris.email_bounces",
        "pause the campaign: a high bounce rate costs the sender's reputation",
    ),
    "complaint_rate": (
        "which campaign is complained about: analytics.campaign_performance",
        "pause it: mailbox providers act from 0.3 % on",
    ),
    "messages_sent": ("whether the sending services run, and whether their events come in: iris.rejected_events",),
    "total_cost": ("cost by channel and provider: analytics.cost_daily, and by campaign: analytics.campaign_costs",),
    "avg_delivery_time_ms": ("which provider is slow: analytics.channel_provider_daily",),
    "p95_delivery_time_ms": ("which provider is slow: analytics.channel_provider_daily",),
    "api_error_rate": ("which endpoint fails: analytics.api_usage_daily, or GET /v1/api-usage",),
}
BUDGET = (
    "what costs most: analytics.cost_daily by channel and provider, analytics.campaign_costs by campaign",
    "raise the budget (iris budget set) or pause campaigns",
)
SEND_OUTAGE = (
    "whether the sending services run",
    "whether events come in: the newest received_at, iris.rejected_events, the landing zone or the ingest endpoint",
)
BROKEN_RULE = ("correct the rule, or disable it: iris alerts list",)


def advice_for(metric: str, *, channel: str | None = None) -> tuple[str, ...]:
    """The hints of a metric."""
    return tuple(hint.format(channel=channel or "{channel}") for hint in _BY_METRIC.get(metric, ()))
