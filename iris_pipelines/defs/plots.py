"""What a person would rather look at than read, for the assets that have it: costs, levels of contacts, campaigns.

A plot belongs to a table, and is made when that was rebuilt. Views on it show the same plot; they are never rebuilt, so
they are announced with the table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import dagster as dg

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.defs.charts import Interval, intervals, named_bars, stacked_bars

_MOST_CURRENCIES = 3
_LEVELS = ("high", "medium", "low", "inactive")


@dataclass(frozen=True)
class Plot:
    """A picture under its name in the metadata, and how it is drawn; None where there is nothing to show."""

    name: str
    draw: Callable[[Connection], str | None]
    tables: tuple[str, ...]
    """What it reads; it belongs to the first, and is drawn when that was rebuilt."""
    views: tuple[str, ...] = ()
    """The views that show it too."""


def _costs(connection: Connection) -> str | None:
    by_currency: defaultdict[str, defaultdict[date, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for currency, day, channel, cost in queries().plot_costs(connection):
        by_currency[currency][day][channel] = float(cost)
    pictures = []
    for currency, days in list(by_currency.items())[:_MOST_CURRENCIES]:
        first, last = min(days), max(days)
        columns = [days.get(first + timedelta(days=n), {}) for n in range((last - first).days + 1)]
        total = sum(sum(each.values()) for each in columns)
        pictures.append(
            _picture(f"{currency} {total:,.2f} from {first} to {last}, by day and channel", stacked_bars(columns))
        )
    return "\n\n".join(pictures) or None


def _levels(connection: Connection) -> str | None:
    by_date: defaultdict[date, dict[str, float]] = defaultdict(dict)
    for as_of_date, level, contacts in queries().plot_levels(connection):
        by_date[as_of_date][level] = contacts
    if not by_date:
        return None
    first, last = min(by_date), max(by_date)
    columns = [{level: by_date[day].get(level, 0) for level in _LEVELS} for day in sorted(by_date)]
    title = f"contacts with events in the last 90 days by level, as of {first} to {last}"
    return _picture(title, stacked_bars(columns))


def _campaigns(connection: Connection) -> str | None:
    rows = [
        (campaign, {"delivered": delivered, "opened": opens, "clicked": clicks})
        for campaign, delivered, opens, clicks in queries().plot_campaigns(connection)
    ]
    if not rows:
        return None
    return _picture("the campaigns that were active last: delivered, contacts who opened and clicked", named_bars(rows))


def _variants(connection: Connection) -> str | None:
    rows = [
        (f"{campaign} · {variant}", Interval(float(low), float(rate), float(high)))
        for campaign, variant, rate, low, high, _ in queries().plot_variants(connection)
    ]
    if not rows:
        return None
    return _picture("open rates in the A/B tests that were active last, with 95 % intervals", intervals(rows))


def _picture(title: str, uri: str) -> str:
    return f"![{title}]({uri})\n\n{title}"


PLOTS = (
    Plot("costs", _costs, ("analytics_intermediate.int_channel_activity_daily",), ("analytics.cost_daily",)),
    Plot(
        "levels",
        _levels,
        ("analytics_intermediate.int_engagement_levels",),
        ("analytics.engagement_scores", "analytics.engagement_segments"),
    ),
    Plot("latest_campaigns", _campaigns, ("analytics.campaign_performance",), ("analytics.campaign_costs",)),
    Plot("latest_tests", _variants, ("analytics.campaign_variants", "analytics.campaign_performance")),
)


def plots_of(db: Database, relations: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The metadata with plots of relations that were rebuilt, or made, and of the views on the rebuilt ones."""
    asked = set(relations)
    found: defaultdict[str, dict[str, Any]] = defaultdict(dict)
    with db.transaction() as connection:
        for plot in PLOTS:
            shown_by = [plot.tables[0], *plot.views] if plot.tables[0] in asked else asked.intersection(plot.views)
            if not shown_by or list(queries().missing_relations(connection, names=list(plot.tables))):
                continue
            if (picture := plot.draw(connection)) is not None:
                for relation in shown_by:
                    found[relation][plot.name] = dg.MetadataValue.md(picture)
    return found
