"""An independent recount of the rollups: plain Python over the raw rows, straight from the contract's words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from iris_pipelines.db.database import Database

Event = Mapping[str, Any]
Row = dict[str, Any]

_EVENTS = """
    select tenant_id, event_type, timestamp, contact_id, channel, provider, cost, duration_ms, is_machine
    from iris.analytics_events where timestamp < %s and event_type <> 'api.request'
"""
_COUNTS = {
    "messages_sent": ["message.sent"],
    "messages_delivered": ["message.delivered"],
    "messages_failed": ["message.failed"],
    "messages_opened": ["message.opened"],
    "messages_clicked": ["link.clicked"],
    "messages_bounced": ["email.hard_bounce", "email.soft_bounce"],
    "messages_complained": ["email.complaint"],
    "messages_unsubscribed": ["message.unsubscribed"],
    "calls_answered": ["call.answered"],
    "conversions": ["conversion"],
}


def hourly(database: Database, *, closed_before: datetime) -> dict[tuple[Any, ...], Row]:
    """What `analytics_hourly` must hold, by its key."""

    def key(event: Event) -> tuple[Any, ...]:
        hour = event["timestamp"].astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return event["tenant_id"], hour, event["channel"] or "unknown", event["provider"] or "unknown"

    return _grouped(_events(database, closed_before), key)


def daily(database: Database, *, closed_before: datetime) -> dict[tuple[Any, ...], Row]:
    """What `analytics_daily` must hold, by its key."""

    def key(event: Event) -> tuple[Any, ...]:
        return event["tenant_id"], event["timestamp"].astimezone(UTC).date(), event["channel"] or "unknown"

    return _grouped(_events(database, closed_before), key)


def stored(database: Database, relation: str, key: list[str]) -> dict[tuple[Any, ...], Row]:
    """What a rollup holds, by its key, without `computed_at`."""
    with database.transaction() as connection:
        cursor = connection.execute(f"select * from {relation}")  # type: ignore[arg-type]
        names = [column.name for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:
        assert row.pop("computed_at") is not None
    found = {tuple(row.pop(name) for name in key): row for row in rows}
    assert len(found) == len(rows), f"{relation} holds a key twice"
    return found


HOURLY_KEY = ["tenant_id", "timestamp", "channel", "provider"]
DAILY_KEY = ["tenant_id", "date", "channel"]


def assert_exact(database: Database, *, closed_before: datetime) -> None:
    """Every row of both rollups equals the recount, and none is missing or too many."""
    assert stored(database, "analytics.analytics_hourly", HOURLY_KEY) == hourly(database, closed_before=closed_before)
    assert stored(database, "analytics.analytics_daily", DAILY_KEY) == daily(database, closed_before=closed_before)


def _events(database: Database, closed_before: datetime) -> list[Event]:
    with database.transaction() as connection:
        cursor = connection.execute(_EVENTS, (closed_before,))
        names = [column.name for column in cursor.description or []]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _grouped(events: Iterable[Event], key: Callable[[Event], tuple[Any, ...]]) -> dict[tuple[Any, ...], Row]:
    groups: defaultdict[tuple[Any, ...], list[Event]] = defaultdict(list)
    for event in events:
        groups[key(event)].append(event)
    return {group: _measured(members) for group, members in groups.items()}


def _measured(events: list[Event]) -> Row:
    def of(*types: str) -> list[Event]:
        return [event for event in events if event["event_type"] in types]

    def contacts(members: list[Event]) -> int:
        return len({event["contact_id"] for event in members} - {None})

    row: Row = {name: len(of(*types)) for name, types in _COUNTS.items()}
    opened, clicked = of("message.opened"), of("link.clicked")
    row["machine_opens"] = sum(event["is_machine"] for event in opened)
    row["machine_clicks"] = sum(event["is_machine"] for event in clicked)
    row["unique_recipients"] = contacts(events)
    row["unique_opens"] = contacts(opened)
    row["unique_clicks"] = contacts(clicked)
    row["delivery_rate"] = _rate(row["messages_delivered"], row["messages_sent"])
    row["open_rate"] = _rate(row["messages_opened"], row["messages_delivered"])
    row["click_rate"] = _rate(row["messages_clicked"], row["messages_opened"])
    times = sorted(event["duration_ms"] for event in of("message.delivered") if event["duration_ms"] is not None)
    row["avg_delivery_time_ms"] = _rounded(Decimal(sum(times)) / len(times)) if times else None
    for percent in (50, 95, 99):
        row[f"p{percent}_delivery_time_ms"] = _percentile(times, percent / 100)
    costs = [event["cost"] for event in events if event["cost"] is not None]
    row["total_cost"] = sum(costs, Decimal(0)) if costs else None
    row["avg_cost_per_message"] = (
        (sum(costs, Decimal(0)) / len(costs)).quantize(Decimal("0.000001"), ROUND_HALF_UP) if costs else None
    )
    return row


def _rate(part: int, whole: int) -> Decimal | None:
    return (Decimal(100 * part) / whole).quantize(Decimal("0.01"), ROUND_HALF_UP) if whole else None


def _rounded(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))


def _percentile(times: list[int], share: float) -> int | None:
    """`percentile_cont` in double precision, as PostgreSQL interpolates; cast to numeric (15 digits), then rounded."""
    if not times:
        return None
    place = share * (len(times) - 1)
    low = int(place)
    high = min(low + 1, len(times) - 1)
    value = times[low] + (place - low) * (times[high] - times[low])
    return _rounded(Decimal(f"{value:.15g}"))


def hours_of(events: Iterable[datetime]) -> set[datetime]:
    """The hours that instants lie in."""
    return {event.astimezone(UTC).replace(minute=0, second=0, microsecond=0) for event in events}


ONE_HOUR = timedelta(hours=1)
