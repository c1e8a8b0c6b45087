"""The metrics of IRIS, each defined once: dbt's models and the documents say the same words, and tests compare them.

A metric says what it is computed from, so that reports, alerts and the API need to know nothing else of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """What a metric is measured in, in the words of the documents."""

    COUNT = "count"
    PERCENT = "per cent, 2 decimals, half away from zero"
    MILLISECONDS = "milliseconds, rounded half away from zero"
    COST = "tenant's currency, exact"
    MEAN_COST = "tenant's currency, 6 decimals, half away from zero"


@dataclass(frozen=True)
class Metric(ABC):
    """A figure over any group of events; each kind of metric is a class below."""

    name: str
    meaning: str
    unit: Unit

    @property
    @abstractmethod
    def formula(self) -> str:
        """How it comes from the events or from other metrics, in words."""

    @property
    def description(self) -> str:
        """Meaning, unit and formula: what a column of this name says of itself everywhere."""
        return f"{self.meaning} ({self.unit}). Formula: {self.formula}."


@dataclass(frozen=True)
class Count(Metric):
    """Events of some types; adds up over any groups."""

    event_types: tuple[str, ...]
    only_machines: bool = False

    @property
    def formula(self) -> str:
        """The types that count."""
        kind = "type" if len(self.event_types) == 1 else "types"
        machines = " with is_machine" if self.only_machines else ""
        return f"events of {kind} {' and '.join(self.event_types)}{machines}"


@dataclass(frozen=True)
class Difference(Metric):
    """What one count has that another, a part of it, has not; adds up."""

    whole: str
    part: str

    @property
    def formula(self) -> str:
        """The two counts."""
        return f"{self.whole} - {self.part}"


@dataclass(frozen=True)
class Unique(Metric):
    """Distinct contacts of the events of a type; does not add up over groups."""

    event_type: str | None
    """None stands for every type but `api.request`."""

    @property
    def formula(self) -> str:
        """Whose events, and what cannot be done with it."""
        if self.event_type is None:
            whose = "distinct contact_id; an event without a contact counts for none"
        else:
            whose = f"distinct contact_id of {self.event_type}"
        return f"{whose}. Does not add up over rows"


@dataclass(frozen=True)
class Rate(Metric):
    """One metric in per cent of another; of a range, it is computed from the range's own counts."""

    numerator: str
    denominator: str
    remark: str = ""

    @property
    def formula(self) -> str:
        """The quotient, and when it is missing."""
        return f"100 * {self.numerator} / {self.denominator}; {self.remark or f'NULL when {self.denominator} is 0'}"


@dataclass(frozen=True)
class Cost(Metric):
    """The sum of what events cost."""

    @property
    def formula(self) -> str:
        """The sum."""
        return "sum of cost over events that carry one; NULL when none does"


@dataclass(frozen=True)
class MeanCost(Metric):
    """The mean of what events cost."""

    @property
    def formula(self) -> str:
        """The mean."""
        return "mean of cost over events that carry one; NULL when none does"


@dataclass(frozen=True)
class MeanTime(Metric):
    """The mean of the durations of events of a type."""

    event_type: str

    @property
    def formula(self) -> str:
        """The mean."""
        return f"mean duration_ms of {self.event_type}; NULL when none carries one"


@dataclass(frozen=True)
class PercentileTime(Metric):
    """A percentile of the durations of events of a type; does not add up over groups."""

    event_type: str
    share: float

    @property
    def formula(self) -> str:
        """The percentile, as PostgreSQL gives it."""
        return f"percentile_cont({self.share}) of duration_ms of {self.event_type}; NULL when none carries one"


_COUNTS = (
    Count("messages_sent", "Messages handed to a provider", Unit.COUNT, ("message.sent",)),
    Count("messages_delivered", "Messages reported as delivered", Unit.COUNT, ("message.delivered",)),
    Count("messages_failed", "Messages that failed", Unit.COUNT, ("message.failed",)),
    Count("messages_opened", "Opens, those by machines included", Unit.COUNT, ("message.opened",)),
    Count("messages_clicked", "Clicks on links, those by machines included", Unit.COUNT, ("link.clicked",)),
    Count("messages_bounced", "Bounced emails", Unit.COUNT, ("email.hard_bounce", "email.soft_bounce")),
    Count("messages_complained", "Complaints about emails", Unit.COUNT, ("email.complaint",)),
    Count("messages_unsubscribed", "Unsubscriptions", Unit.COUNT, ("message.unsubscribed",)),
    Count("calls_answered", "Answered calls", Unit.COUNT, ("call.answered",)),
    Count("conversions", "Conversions", Unit.COUNT, ("conversion",)),
    Count(
        "machine_opens",
        "The part of messages_opened that mail-privacy proxies and scanners made",
        Unit.COUNT,
        ("message.opened",),
        only_machines=True,
    ),
    Count(
        "machine_clicks",
        "The part of messages_clicked that link scanners and bots made",
        Unit.COUNT,
        ("link.clicked",),
        only_machines=True,
    ),
)

_HUMAN = (
    Difference("human_opens", "Opens by people", Unit.COUNT, "messages_opened", "machine_opens"),
    Difference("human_clicks", "Clicks by people", Unit.COUNT, "messages_clicked", "machine_clicks"),
)

_UNIQUES = (
    Unique("unique_recipients", "Contacts with any event but api.request", Unit.COUNT, None),
    Unique("unique_opens", "Contacts who opened", Unit.COUNT, "message.opened"),
    Unique("unique_clicks", "Contacts who clicked", Unit.COUNT, "link.clicked"),
)

_RATES = (
    Rate(
        "delivery_rate",
        "Delivered of sent",
        Unit.PERCENT,
        "messages_delivered",
        "messages_sent",
        "NULL when nothing was sent. May exceed 100, as a message sent in one window may be delivered in the next",
    ),
    Rate(
        "open_rate",
        "Opens of delivered messages",
        Unit.PERCENT,
        "messages_opened",
        "messages_delivered",
        "NULL when nothing was delivered",
    ),
    Rate(
        "click_rate",
        "Clicks of opens",
        Unit.PERCENT,
        "messages_clicked",
        "messages_opened",
        "NULL when nothing was opened",
    ),
    Rate("human_open_rate", "Opens by people of delivered messages", Unit.PERCENT, "human_opens", "messages_delivered"),
    Rate("human_click_rate", "Clicks by people of their opens", Unit.PERCENT, "human_clicks", "human_opens"),
    Rate(
        "unique_open_rate",
        "Contacts who opened of delivered messages",
        Unit.PERCENT,
        "unique_opens",
        "messages_delivered",
    ),
    Rate(
        "unique_click_rate", "Contacts who clicked of those who opened", Unit.PERCENT, "unique_clicks", "unique_opens"
    ),
    Rate("error_rate", "Failed of sent", Unit.PERCENT, "messages_failed", "messages_sent"),
    Rate("bounce_rate", "Bounced of sent", Unit.PERCENT, "messages_bounced", "messages_sent"),
    Rate(
        "complaint_rate", "Complaints of delivered messages", Unit.PERCENT, "messages_complained", "messages_delivered"
    ),
)

_TIMES = (
    MeanTime("avg_delivery_time_ms", "Mean time from created to delivered", Unit.MILLISECONDS, "message.delivered"),
    PercentileTime(
        "p50_delivery_time_ms", "Median time from created to delivered", Unit.MILLISECONDS, "message.delivered", 0.5
    ),
    PercentileTime(
        "p95_delivery_time_ms",
        "95th percentile of the time from created to delivered",
        Unit.MILLISECONDS,
        "message.delivered",
        0.95,
    ),
    PercentileTime(
        "p99_delivery_time_ms",
        "99th percentile of the time from created to delivered",
        Unit.MILLISECONDS,
        "message.delivered",
        0.99,
    ),
)

_COSTS = (
    Cost("total_cost", "What the providers charged", Unit.COST),
    MeanCost("avg_cost_per_message", "Mean charge", Unit.MEAN_COST),
)

METRICS: dict[str, Metric] = {
    metric.name: metric for metric in (*_COUNTS, *_HUMAN, *_UNIQUES, *_RATES, *_TIMES, *_COSTS)
}
"""Every messaging metric by name, in the order in which documents list them."""
