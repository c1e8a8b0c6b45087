"""What stands around the rows of a report: whose it is, what it shows, and of when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from iris_pipelines.domain.reports.definition import Filter, ReportDefinition
from iris_pipelines.domain.reports.ranges import Period
from iris_pipelines.domain.reports.subjects import title
from iris_pipelines.domain.windows import Window


@dataclass(frozen=True)
class Brand:
    """How a tenant's reports look."""

    colour: str = "#1f4e79"
    logo: bytes | None = None
    """PNG, JPEG or SVG."""


@dataclass(frozen=True)
class Head:
    """The facts about one making of a report."""

    tenant: str
    currency: str
    definition: ReportDefinition
    period: Period
    made_at: datetime
    notes: Sequence[str] = ()
    brand: Brand = Brand()

    @property
    def previous(self) -> Period:
        """The period before; of one that is still running, as much as has passed of it."""
        window = self.period.previous
        passed = self.made_at - self.period.window.start
        if self.made_at < self.period.window.end and timedelta() < passed < window.end - window.start:
            window = Window(window.start, window.start + passed)
        return replace(self.period, window=window)

    @property
    def facts(self) -> dict[str, str]:
        """What a reader wants to know of it, in words."""
        definition = self.definition
        start, end = (each.astimezone(self.period.zone) for each in (self.period.window.start, self.period.window.end))
        facts = {
            "Report": definition.name,
            "Description": definition.description,
            "Tenant": self.tenant,
            "Period": str(self.period),
            "From": start.isoformat(),
            "To (not included)": end.isoformat(),
            "Time zone": self.period.zone.key,
            "Currency": self.currency,
            "Metrics": ", ".join(definition.metrics),
            "Dimensions": ", ".join(definition.dimensions) or "none: totals",
            "Filters": "; ".join(map(describe_filter, definition.filters)) or "none",
            "Order": ", ".join(f"{each.field} {each.direction}" for each in definition.order) or "by the dimensions",
            "Limit": "none" if definition.limit is None else f"{definition.limit:,} rows",
            "Made at": self.made_at.astimezone(self.period.zone).isoformat(timespec="seconds"),
        }
        return {name: value for name, value in facts.items() if value}

    def document(self) -> dict[str, Any]:
        """The same for machines."""
        return {
            "name": self.definition.name,
            "tenant": self.tenant,
            "currency": self.currency,
            "period": {
                "start": self.period.window.start.isoformat(),
                "end": self.period.window.end.isoformat(),
                "timezone": self.period.zone.key,
            },
            "made_at": self.made_at.isoformat(),
            "definition": self.definition.model_dump(mode="json"),
        }


def describe_filter(condition: Filter) -> str:
    """A condition in words."""
    values = " and " if condition.op == "between" else ", "
    return f"{title(condition.field)} {condition.op} {values.join(map(str, condition.values))}"
