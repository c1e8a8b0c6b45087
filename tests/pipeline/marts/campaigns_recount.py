"""An independent recount of the marts of campaigns: plain Python over raw rows, straight from the contract's words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from iris_pipelines.db.database import Database
from iris_pipelines.domain.experiments import VariantCounts, experiment_results
from iris_pipelines.ingestion.user_agents import parse_user_agent

Event = Mapping[str, Any]
Row = dict[str, Any]
Key = tuple[Any, ...]
Recount = dict[Key, Row]

_EVENTS = """
    select
        tenant_id, campaign_id, event_type, timestamp, message_id, contact_id, coalesce(channel, 'unknown') as channel,
        event_data ->> 'url' as url, event_data ->> 'value' as value, event_data ->> 'variant' as variant,
        geo_location ->> 'country' as country, geo_location ->> 'city' as city,
        user_agent, cost, duration_ms, is_machine
    from iris.analytics_events
    where timestamp < %s and event_type <> 'api.request' and campaign_id is not null
"""
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_METRICS = {
    "open": ("message.opened", False),
    "click": ("link.clicked", False),
    "conversion": ("conversion", False),
    "human_open": ("message.opened", True),
    "human_click": ("link.clicked", True),
}


class CampaignRecount:
    """The events of campaigns up to the last closed hour, and what each mart must hold of them, by its key."""

    def __init__(self, database: Database, *, closed_before: datetime) -> None:
        with database.transaction() as connection:
            cursor = connection.cursor(row_factory=dict_row)
            self.events: list[Row] = cursor.execute(_EVENTS, (closed_before,)).fetchall()
            self.names = _by_key(connection.execute("select tenant_id, id, name from iris.campaigns"))
            self.variants = {
                (tenant, message): (campaign, variant)
                for tenant, message, campaign, variant in connection.execute(
                    "select tenant_id, id, campaign_id, variant from iris.messages"
                )
            }
            self.described = {text for (text,) in connection.execute("select user_agent from iris.user_agents")}

    def marts(self) -> dict[str, Recount]:
        """Every mart, by its name."""
        return {
            "campaign_performance": self.performance(),
            "campaign_costs": self.costs(),
            "campaign_channels": self.channels(),
            "campaign_hourly": self.hours(),
            "campaign_geography": self.geography(),
            "campaign_links": self.links(),
            "campaign_devices": self.devices(),
            "campaign_variants": self.tests(),
        }

    def performance(self) -> Recount:
        """Overviews."""
        return {
            (tenant, campaign): {"campaign_name": self.names.get((tenant, campaign)), **_overview(events)}
            for (tenant, campaign), events in self._by("tenant_id", "campaign_id").items()
        }

    def costs(self) -> Recount:
        """The costs among the overviews."""
        return {
            key: {
                "messages_sent": row["total_sent"],
                "conversions": row["total_conversions"],
                **{
                    name: row[name]
                    for name in (
                        *("campaign_name", "total_cost", "avg_cost_per_message", "cost_per_conversion"),
                        "total_revenue",
                    )
                },
            }
            for key, row in self.performance().items()
        }

    def channels(self) -> Recount:
        """Counts and costs by channel."""
        found = {}
        for key, events in self._by("tenant_id", "campaign_id", "channel").items():
            row = _counts(events)
            rate_of_delivery = rate(row["delivered"], row["sent"])
            found[key] = {**row, "cost": _sum(event["cost"] for event in events), "delivery_rate": rate_of_delivery}
        return found

    def hours(self) -> Recount:
        """Counts by hour."""

        def hour(event: Event) -> Key:
            start = event["timestamp"].astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            return event["tenant_id"], event["campaign_id"], start

        return {key: _counts(events) for key, events in _grouped(self.events, hour).items()}

    def geography(self) -> Recount:
        """Opens by place."""

        def place(event: Event) -> Key:
            described = event["user_agent"] in self.described
            hidden = described and parse_user_agent(event["user_agent"]).proxy is not None
            at = (None, None) if hidden else (event["country"] or None, event["city"] or None)
            return event["tenant_id"], event["campaign_id"], *at

        return {key: _opens(events) for key, events in _grouped(_of(self.events, "message.opened"), place).items()}

    def devices(self) -> Recount:
        """Opens by device type, system and client."""

        def device(event: Event) -> Key:
            agent = parse_user_agent(event["user_agent"] if event["user_agent"] in self.described else None)
            return event["tenant_id"], event["campaign_id"], str(agent.device_type), agent.os, agent.client

        return {key: _opens(events) for key, events in _grouped(_of(self.events, "message.opened"), device).items()}

    def links(self) -> Recount:
        """Clicks by URL."""

        def link(event: Event) -> Key:
            return event["tenant_id"], event["campaign_id"], event["url"] or "unknown"

        return {
            key: {
                "clicks": len(events),
                "unique_clicks": len(_contacts(events)),
                "human_clicks": len(_human(events)),
                "human_unique_clicks": len(_contacts(_human(events))),
            }
            for key, events in _grouped(_of(self.events, "link.clicked"), link).items()
        }

    def tests(self) -> Recount:
        """A/B tests by variant and metric; the statistics are those of the domain."""
        found: Recount = {}
        for (tenant, campaign), events in self._by("tenant_id", "campaign_id").items():
            by_variant = self._by_variant(tenant, campaign, [event for event in events if event["message_id"]])
            for metric, (event_type, only_people) in _METRICS.items():
                counts = []
                for variant, members in by_variant.items():
                    chosen = _of(members, event_type)
                    people = {
                        event["contact_id"] or event["message_id"]
                        for event in (_human(chosen) if only_people else chosen)
                    }
                    counts.append(VariantCounts(variant, len(_of(members, "message.sent")), len(people)))
                for variant, result in experiment_results(counts).items():
                    row = asdict(result)
                    row["verdict"] = str(row["verdict"])
                    row["total_revenue"] = _revenue(by_variant[variant])
                    del row["variant"]
                    found[tenant, campaign, variant, metric] = row
        return found

    def _by_variant(self, tenant: UUID, campaign: UUID, events: list[Event]) -> dict[str, list[Event]]:
        by_message = _grouped(events, lambda event: (event["message_id"],))
        found: defaultdict[str, list[Event]] = defaultdict(list)
        for (message,), members in by_message.items():
            stated = [event["variant"] for event in _of(members, "message.sent") if event["variant"]]
            own_campaign, own_variant = self.variants.get((tenant, message), (None, None))
            is_told = own_variant and own_campaign in (None, campaign)
            variant = own_variant if is_told else max(stated, default=None)
            if variant is not None:
                found[variant] += members
        return found

    def _by(self, *names: str) -> dict[Key, list[Event]]:
        return _grouped(self.events, lambda event: tuple(event[name] for name in names))


KEYS = {
    "campaign_performance": ["tenant_id", "campaign_id"],
    "campaign_costs": ["tenant_id", "campaign_id"],
    "campaign_channels": ["tenant_id", "campaign_id", "channel"],
    "campaign_hourly": ["tenant_id", "campaign_id", "hour_start"],
    "campaign_geography": ["tenant_id", "campaign_id", "country", "city"],
    "campaign_links": ["tenant_id", "campaign_id", "url"],
    "campaign_devices": ["tenant_id", "campaign_id", "device_type", "os", "client"],
    "campaign_variants": ["tenant_id", "campaign_id", "variant", "metric"],
}


def stored(database: Database, mart: str) -> Recount:
    """What a mart holds, by its key, without `computed_at`."""
    with database.transaction() as connection:
        rows = connection.cursor(row_factory=dict_row).execute(f"select * from analytics.{mart}").fetchall()
    for row in rows:
        row.pop("computed_at", None)
    found = {tuple(row.pop(name) for name in KEYS[mart]): row for row in rows}
    assert len(found) == len(rows), f"{mart} holds a key twice"
    return found


def rate(part: int, whole: int) -> Decimal | None:
    """Per cent with 2 decimals."""
    return (Decimal(100 * part) / whole).quantize(Decimal("0.01"), ROUND_HALF_UP) if whole else None


def _overview(events: list[Event]) -> Row:
    opened, clicked = _of(events, "message.opened"), _of(events, "link.clicked")
    sent, delivered = len(_of(events, "message.sent")), len(_of(events, "message.delivered"))
    bounced = len(_of(events, "email.hard_bounce", "email.soft_bounce"))
    complained, conversions = len(_of(events, "email.complaint")), len(_of(events, "conversion"))
    uniques = {
        "unique_recipients": len(_contacts(events)),
        "unique_opens": len(_contacts(opened)),
        "unique_clicks": len(_contacts(clicked)),
        "human_unique_opens": len(_contacts(_human(opened))),
        "human_unique_clicks": len(_contacts(_human(clicked))),
    }
    cost = _sum(event["cost"] for event in events)
    costs = sum(event["cost"] is not None for event in events)
    times = [event["duration_ms"] for event in _of(events, "message.delivered") if event["duration_ms"] is not None]
    return {
        "total_sent": sent,
        "total_delivered": delivered,
        "total_failed": len(_of(events, "message.failed")),
        "total_opened": len(opened),
        "total_clicked": len(clicked),
        "total_bounced": bounced,
        "total_complained": complained,
        "total_unsubscribed": len(_of(events, "message.unsubscribed")),
        "total_answered": len(_of(events, "call.answered")),
        "total_conversions": conversions,
        "machine_opens": len(opened) - len(_human(opened)),
        "machine_clicks": len(clicked) - len(_human(clicked)),
        "human_opens": len(_human(opened)),
        "human_clicks": len(_human(clicked)),
        **uniques,
        "delivery_rate": rate(delivered, sent),
        "open_rate": rate(uniques["unique_opens"], delivered),
        "click_rate": rate(uniques["unique_clicks"], uniques["unique_opens"]),
        "human_open_rate": rate(uniques["human_unique_opens"], delivered),
        "human_click_rate": rate(uniques["human_unique_clicks"], uniques["human_unique_opens"]),
        "bounce_rate": rate(bounced, sent),
        "complaint_rate": rate(complained, delivered),
        "total_cost": cost,
        "avg_cost_per_message": _mean(cost, costs),
        "cost_per_conversion": _mean(cost, conversions),
        "total_revenue": _revenue(events),
        "avg_delivery_time_ms": (
            int((Decimal(sum(times)) / len(times)).quantize(Decimal(1), ROUND_HALF_UP)) if times else None
        ),
        "first_event_at": min(event["timestamp"] for event in events),
        "last_event_at": max(event["timestamp"] for event in events),
    }


def _counts(events: list[Event]) -> Row:
    opened, clicked = _of(events, "message.opened"), _of(events, "link.clicked")
    return {
        "sent": len(_of(events, "message.sent")),
        "delivered": len(_of(events, "message.delivered")),
        "failed": len(_of(events, "message.failed")),
        "opened": len(opened),
        "clicked": len(clicked),
        "converted": len(_of(events, "conversion")),
        "human_opens": len(_human(opened)),
        "human_clicks": len(_human(clicked)),
    }


def _opens(events: list[Event]) -> Row:
    return {"opens": len(events), "human_opens": len(_human(events))}


def _of(events: Iterable[Event], *types: str) -> list[Event]:
    return [event for event in events if event["event_type"] in types]


def _human(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if not event["is_machine"]]


def _contacts(events: Iterable[Event]) -> set[UUID]:
    return {event["contact_id"] for event in events} - {None}


def _revenue(events: Iterable[Event]) -> Decimal | None:
    values = (event["value"] for event in _of(events, "conversion"))
    return _sum(Decimal(value) for value in values if value and _NUMBER.fullmatch(value))


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, Decimal(0)) if known else None


def _mean(total: Decimal | None, count: int) -> Decimal | None:
    return None if total is None or not count else (total / count).quantize(Decimal("0.000001"), ROUND_HALF_UP)


def _grouped(events: Iterable[Event], key: Callable[[Event], Key]) -> dict[Key, list[Event]]:
    groups: defaultdict[Key, list[Event]] = defaultdict(list)
    for event in events:
        groups[key(event)].append(event)
    return dict(groups)


def _by_key(rows: Iterable[Any]) -> dict[Key, Any]:
    return {(first, second): value for first, second, value in rows}
