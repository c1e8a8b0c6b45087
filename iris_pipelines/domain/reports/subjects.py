"""What a report can be about: the metrics and the dimensions that go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from iris_pipelines.domain.metrics import (
    METRICS,
    Count,
    Difference,
    MeanTime,
    Metric,
    PercentileTime,
    Rate,
    Unit,
)


class Time(StrEnum):
    """Dimensions of time, from the finest; each is computed from the local calendar of the report's time zone."""

    HOUR = "hour"
    DATE = "date"
    WEEK = "week"
    MONTH = "month"


CAMPAIGN = "campaign"
"""The one dimension that shows two columns: the campaign's id and its name."""


@dataclass(frozen=True)
class RequestCount(Metric):
    """API requests that ended in some way; adds up."""

    outcome: str
    """`success`, `4xx` or `5xx`."""

    @property
    def formula(self) -> str:
        """Which requests count."""
        if self.outcome == "success":
            return "events of type api.request with success = true"
        return f"events of type api.request with a status_code of {self.outcome}"


_API = (
    Count("total_requests", "API requests", Unit.COUNT, ("api.request",)),
    RequestCount("successful_requests", "API requests that succeeded", Unit.COUNT, "success"),
    Difference(
        "failed_requests", "API requests that did not succeed", Unit.COUNT, "total_requests", "successful_requests"
    ),
    RequestCount("client_errors", "API requests refused as wrong", Unit.COUNT, "4xx"),
    RequestCount("server_errors", "API requests that IRIS failed to answer", Unit.COUNT, "5xx"),
    Rate("api_error_rate", "Failed of all API requests", Unit.PERCENT, "failed_requests", "total_requests"),
    MeanTime("avg_response_time_ms", "Mean response time", Unit.MILLISECONDS, "api.request"),
    PercentileTime(
        "p95_response_time_ms", "95th percentile of the response time", Unit.MILLISECONDS, "api.request", 0.95
    ),
)


@dataclass(frozen=True)
class Subject:
    """Events that are reported on together."""

    name: str
    metrics: Mapping[str, Metric]
    texts: tuple[str, ...]
    """Dimensions other than those of time."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """All that a report can be broken down by."""
        return ("date", "hour", "week", "month", *self.texts)


MESSAGES = Subject("messages", METRICS, ("channel", "provider", CAMPAIGN, "country", "error_code"))
API = Subject("api", {metric.name: metric for metric in _API}, ("endpoint", "method"))
SUBJECTS = (MESSAGES, API)

REPORT_METRICS: Mapping[str, Metric] = {name: metric for each in SUBJECTS for name, metric in each.metrics.items()}
"""Every metric that a report can show, by name."""
REPORT_DIMENSIONS: tuple[str, ...] = tuple(dict.fromkeys(name for each in SUBJECTS for name in each.dimensions))


def subject_of(names: Iterable[str]) -> Subject | None:
    """The subject that has all of these metrics and dimensions, if one has."""
    wanted = set(names)
    return next((each for each in SUBJECTS if wanted <= {*each.metrics, *each.dimensions}), None)


def title(name: str) -> str:
    """How a column is headed: `p95_delivery_time_ms` reads `P95 delivery time (ms)`."""
    metric = REPORT_METRICS.get(name)
    if metric is not None and metric.unit is Unit.PERCENT:
        return f"{plain_title(name)} (%)"
    return f"{plain_title(name)} (ms)" if name.endswith("_ms") else plain_title(name)


def plain_title(name: str) -> str:
    """The same where figures come with their units."""
    words = name.removesuffix("_ms").replace("_", " ")
    return words.replace("avg ", "average ").capitalize().replace("Api ", "API ")
