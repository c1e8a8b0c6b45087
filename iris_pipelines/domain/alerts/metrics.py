"""The metrics that rules may watch: those of the registry, computed from what a window of events adds up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from iris_pipelines.domain.metrics import METRICS, Cost, Count, MeanTime, PercentileTime, Rate, Unit
from iris_pipelines.domain.rates import rate


@dataclass(frozen=True)
class Measures:
    """What the events of a window add up to; those of nothing are all zero."""

    messages_sent: int = 0
    messages_delivered: int = 0
    messages_failed: int = 0
    messages_opened: int = 0
    messages_clicked: int = 0
    messages_bounced: int = 0
    messages_complained: int = 0
    total_cost: Decimal | None = None
    delivery_times: int = 0
    """Deliveries that carry a time."""
    delivery_ms: Decimal = Decimal(0)
    """The sum of these times, which may be more than any one of them can be."""
    p95_delivery_ms: Decimal | None = None
    api_requests: int = 0
    api_failures: int = 0

    def __add__(self, other: Measures) -> Measures:
        costs = [each.total_cost for each in (self, other) if each.total_cost is not None]
        return Measures(
            self.messages_sent + other.messages_sent,
            self.messages_delivered + other.messages_delivered,
            self.messages_failed + other.messages_failed,
            self.messages_opened + other.messages_opened,
            self.messages_clicked + other.messages_clicked,
            self.messages_bounced + other.messages_bounced,
            self.messages_complained + other.messages_complained,
            sum(costs, Decimal(0)) if costs else None,
            self.delivery_times + other.delivery_times,
            self.delivery_ms + other.delivery_ms,
            None,  # a percentile does not add up
            self.api_requests + other.api_requests,
            self.api_failures + other.api_failures,
        )


@dataclass(frozen=True)
class Observation:
    """A metric over a window: `value` is None when there is nothing to compute it from."""

    value: Decimal | None
    volume: int
    """What it was computed from: the denominator of a rate, the number of times of a mean."""


Watchable = Rate | Count | Cost | MeanTime | PercentileTime
"""The kinds of metrics that a window of events adds up to; uniques are none of them."""

API_ERROR_RATE = Rate("api_error_rate", "Failed of all API requests", Unit.PERCENT, "api_failures", "api_requests")

WATCHABLE: Mapping[str, Watchable] = {
    metric.name: metric
    for metric in (
        *(
            METRICS[name]
            for name in (
                "delivery_rate",
                "error_rate",
                "open_rate",
                "click_rate",
                "bounce_rate",
                "complaint_rate",
                "messages_sent",
                "total_cost",
                "avg_delivery_time_ms",
                "p95_delivery_time_ms",
            )
        ),
        API_ERROR_RATE,
    )
    if isinstance(metric, Watchable)
}
"""Every metric that a rule may name."""


def observe(metric: Watchable, measures: Measures) -> Observation:
    """The published value of a metric, rounded as every table has it, and the volume behind it."""
    match metric:
        case Rate():
            volume = getattr(measures, metric.denominator)
            return Observation(rate(getattr(measures, metric.numerator), volume), volume)
        case Count():
            count = getattr(measures, metric.name)
            return Observation(Decimal(count), count)
        case Cost():
            # With an event among them that costs NaN, costs add up to no amount.
            total = measures.total_cost
            known = total is not None and total.is_finite()
            return Observation(total if known else None, measures.messages_sent)
        case MeanTime():
            mean = measures.delivery_ms / measures.delivery_times if measures.delivery_times else None
            return Observation(_whole(mean), measures.delivery_times)
        case PercentileTime():
            return Observation(_whole(measures.p95_delivery_ms), measures.delivery_times)


def _whole(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.quantize(Decimal(1), ROUND_HALF_UP)
