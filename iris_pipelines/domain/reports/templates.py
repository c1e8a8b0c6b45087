"""The reports that everybody wants, ready to run, to schedule, or to change."""

from __future__ import annotations

from collections.abc import Mapping

from iris_pipelines.domain.reports.definition import Format, InvalidDefinition, Order, ReportDefinition


def _report(
    name: str,
    description: str,
    *,
    date_range: str,
    metrics: str,
    dimensions: str,
    most: str | None = None,
    file_format: Format = Format.PDF,
) -> ReportDefinition:
    """A definition from names with spaces between them; `most` is what the largest rows come first by."""
    return ReportDefinition(
        name=name,
        description=description,
        date_range=date_range,
        metrics=tuple(metrics.split()),
        dimensions=tuple(dimensions.split()),
        order=() if most is None else (Order(field=most, direction="desc"),),
        format=file_format,
    )


_ALL = (
    _report(
        "Weekly summary",
        "What was sent last week, what arrived, who read it and what it cost, day by day and by channel.",
        date_range="previous_week",
        metrics="""
            messages_sent delivery_rate unique_recipients human_opens human_clicks conversions
            error_rate p95_delivery_time_ms total_cost
        """,
        dimensions="date channel",
    ),
    _report(
        "Campaign results",
        "Every campaign of the last month: reach, reactions of people (machines left out) and cost.",
        date_range="previous_month",
        metrics="""
            messages_sent delivery_rate unique_recipients unique_open_rate human_open_rate human_click_rate
            conversions messages_unsubscribed total_cost
        """,
        dimensions="campaign",
        most="messages_sent",
    ),
    _report(
        "Provider comparison",
        "How reliable, how fast and how dear each provider was for each channel in the last 30 days.",
        date_range="last_30_days",
        metrics="""
            messages_sent delivery_rate error_rate avg_delivery_time_ms p95_delivery_time_ms
            avg_cost_per_message total_cost
        """,
        dimensions="channel provider",
    ),
    _report(
        "Cost by campaign",
        "What each campaign cost last month, by channel.",
        date_range="previous_month",
        metrics="total_cost avg_cost_per_message messages_sent conversions",
        dimensions="campaign channel",
        most="total_cost",
        file_format=Format.XLSX,
    ),
    _report(
        "Deliverability",
        "Failures, bounces and complaints of the last 30 days, by day and provider.",
        date_range="last_30_days",
        metrics="""
            messages_sent delivery_rate messages_failed error_rate messages_bounced bounce_rate
            messages_complained complaint_rate messages_unsubscribed
        """,
        dimensions="date provider",
    ),
    _report(
        "API usage",
        "Requests to each endpoint in the last 7 days, their errors and response times.",
        date_range="last_7_days",
        metrics="""
            total_requests failed_requests api_error_rate client_errors server_errors
            avg_response_time_ms p95_response_time_ms
        """,
        dimensions="endpoint method",
        most="total_requests",
    ),
)

TEMPLATES: Mapping[str, ReportDefinition] = {each.name.lower().replace(" ", "-"): each for each in _ALL}
"""By their names on the command line, such as `weekly-summary`."""


def template(name: str) -> ReportDefinition:
    """A template; raises InvalidDefinition that lists them."""
    if name not in TEMPLATES:
        raise InvalidDefinition(f"unknown template {name!r}: use one of {', '.join(TEMPLATES)}")
    return TEMPLATES[name]
