"""An independent answer to a report: plain Python over the raw rows, straight from the contract's words."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cmp_to_key
from typing import Any
from zoneinfo import ZoneInfo

from tests.pipeline.reporting.traffic import CAMPAIGNS

Event = Mapping[str, Any]
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
_RATES = {
    "delivery_rate": ("messages_delivered", "messages_sent"),
    "open_rate": ("messages_opened", "messages_delivered"),
    "click_rate": ("messages_clicked", "messages_opened"),
    "human_open_rate": ("human_opens", "messages_delivered"),
    "human_click_rate": ("human_clicks", "human_opens"),
    "unique_open_rate": ("unique_opens", "messages_delivered"),
    "unique_click_rate": ("unique_clicks", "unique_opens"),
    "error_rate": ("messages_failed", "messages_sent"),
    "bounce_rate": ("messages_bounced", "messages_sent"),
    "complaint_rate": ("messages_complained", "messages_delivered"),
}


class Recount:
    """Answers from these events; what the calendar calls them is worked out once a zone."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._labelled: dict[str, list[tuple[Event, dict[str, Any]]]] = {}

    def answer(self, asked: Mapping[str, Any], *, is_api: bool) -> list[tuple[Any, ...]]:
        """The rows that a report must have, in its order."""
        zone = ZoneInfo(asked["timezone"])
        if zone.key not in self._labelled:
            self._labelled[zone.key] = [(event, _labels(event, zone)) for event in self._events]
        return _answer(self._labelled[zone.key], asked, zone, is_api=is_api)


def _answer(
    events: Sequence[tuple[Event, dict[str, Any]]], asked: Mapping[str, Any], zone: ZoneInfo, *, is_api: bool
) -> list[tuple[Any, ...]]:
    start, end = asked["date_range"]["start"], asked["date_range"]["end"]
    groups: defaultdict[tuple[Any, ...], list[Event]] = defaultdict(list)
    for event, labels in events:
        if (event["event_type"] == "api.request") is not is_api or not start <= event["timestamp"] < end:
            continue
        conditions = [each for each in asked["filters"] if each["field"] in labels]
        if all(_meets(each, labels, zone) for each in conditions):
            groups[tuple(labels[name] for name in asked["dimensions"])].append(event)
    if not asked["dimensions"] and not groups:
        groups[()] = []
    rows = []
    for key, members in groups.items():
        figures = _requests(members) if is_api else _messages(members)
        having = [each for each in asked["filters"] if each["field"] in figures]
        if all(figures[each["field"]] is not None and _compare(each, figures[each["field"]]) for each in having):
            rows.append(dict(zip(asked["dimensions"], key, strict=True)) | figures)
    rows.sort(key=cmp_to_key(_order(asked)))
    return [
        tuple(cell for name in [*asked["dimensions"], *asked["metrics"]] for cell in _cells(name, row))
        for row in rows[: asked.get("limit") or len(rows)]
    ]


def _cells(name: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (row[name][1], row[name][0]) if name == "campaign" else (row[name],)


def _labels(event: Event, zone: ZoneInfo) -> dict[str, Any]:
    local = event["timestamp"].astimezone(zone)
    day = local.date()
    campaign = event["campaign_id"]
    data = event["event_data"] or {}
    return {
        "date": day,
        "hour": _hour(event["timestamp"].replace(second=0, microsecond=0), zone),
        "week": day - timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "channel": event["channel"] or "unknown",
        "provider": event["provider"] or "unknown",
        "campaign": ("none" if campaign is None else CAMPAIGNS.get(campaign, "unknown"), campaign),
        "country": (event["geo_location"] or {}).get("country") or "unknown",
        "error_code": event["error_code"] or "none",
        "endpoint": re.sub(r"/(\d+|[0-9a-f-]{36})(?=/|$)", "/:id", (data.get("path") or "").split("?")[0]) or "unknown",
        "method": (data.get("method") or "unknown").upper(),
    }


def _hour(minute: datetime, zone: ZoneInfo) -> datetime:
    """Back, minute by minute, to the full hour, or to where the clock was changed."""
    while True:
        local, before = minute.astimezone(zone), (minute - timedelta(minutes=1)).astimezone(zone)
        if local.minute == 0 or local.utcoffset() != before.utcoffset():
            return minute.astimezone(UTC)
        minute -= timedelta(minutes=1)


def _meets(condition: Mapping[str, Any], labels: Mapping[str, Any], zone: ZoneInfo) -> bool:
    field, op, value = condition["field"], condition["op"], condition["value"]
    if field == "campaign":
        name, campaign = labels["campaign"]
        values = value if isinstance(value, list) else [value]
        if op in ("!=", "not in"):
            return name not in values and str(campaign) not in values
        return (op in ("=", "in") and str(campaign) in values) or _compare(condition, name)
    if field == "hour":
        local = labels["hour"].astimezone(zone).replace(tzinfo=None).isoformat(timespec="minutes")
        return _compare(condition, local)
    found = labels[field].isoformat() if isinstance(labels[field], date) else labels[field]
    return _compare({"op": op, "value": value}, found)


def _compare(condition: Mapping[str, Any], found: Any) -> bool:
    value = condition["value"]
    tests: dict[str, Callable[[], bool]] = {
        "=": lambda: found == value,
        "!=": lambda: found != value,
        "in": lambda: found in value,
        "not in": lambda: found not in value,
        "<": lambda: found < value,
        "<=": lambda: found <= value,
        ">": lambda: found > value,
        ">=": lambda: found >= value,
        "between": lambda: value[0] <= found <= value[1],
        "contains": lambda: value.lower() in found.lower(),
    }
    return tests[condition["op"]]()


def _order(asked: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Mapping[str, Any]], int]:
    wanted = [(name.removeprefix("-"), name.startswith("-")) for name in asked["order"]]
    wanted += [(name, False) for name in asked["dimensions"] if name not in [each for each, _ in wanted]]

    def compare(left: Mapping[str, Any], right: Mapping[str, Any]) -> int:
        for name, falls in wanted:
            for a, b in zip(_sortable(left[name]), _sortable(right[name]), strict=True):
                if a != b:
                    if a is None or b is None:
                        return 1 if a is None else -1
                    smaller = -1 if a < b else 1
                    return -smaller if falls and a is _sortable(left[name])[0] else smaller
        return 0

    return compare


def _sortable(value: Any) -> tuple[Any, ...]:
    return (value[0], value[1] and value[1].int) if isinstance(value, tuple) else (value,)


def _messages(events: Sequence[Event]) -> dict[str, Any]:
    def of(*types: str) -> list[Event]:
        return [event for event in events if event["event_type"] in types]

    def contacts(members: Sequence[Event]) -> int:
        return len({event["contact_id"] for event in members} - {None})

    row: dict[str, Any] = {name: len(of(*types)) for name, types in _COUNTS.items()}
    opened, clicked = of("message.opened"), of("link.clicked")
    row["machine_opens"] = sum(event["is_machine"] for event in opened)
    row["machine_clicks"] = sum(event["is_machine"] for event in clicked)
    row["human_opens"] = row["messages_opened"] - row["machine_opens"]
    row["human_clicks"] = row["messages_clicked"] - row["machine_clicks"]
    row["unique_recipients"], row["unique_opens"], row["unique_clicks"] = map(contacts, (events, opened, clicked))
    row |= {name: _rate(row[part], row[whole]) for name, (part, whole) in _RATES.items()}
    row |= _times(of("message.delivered"), "delivery_time_ms", (50, 95, 99))
    costs = [event["cost"] for event in events if event["cost"] is not None]
    row["total_cost"] = sum(costs, Decimal(0)) if costs else None
    row["avg_cost_per_message"] = _rounded(sum(costs, Decimal(0)) / len(costs), "0.000001") if costs else None
    return row


def _requests(events: Sequence[Event]) -> dict[str, Any]:
    codes = [str((event["event_data"] or {}).get("status_code")) for event in events]
    row: dict[str, Any] = {
        "total_requests": len(events),
        "successful_requests": sum(event["success"] is True for event in events),
        "client_errors": sum(code.startswith("4") for code in codes),
        "server_errors": sum(code.startswith("5") for code in codes),
    }
    row["failed_requests"] = row["total_requests"] - row["successful_requests"]
    row["api_error_rate"] = _rate(row["failed_requests"], row["total_requests"])
    return row | _times(events, "response_time_ms", (95,))


def _times(events: Sequence[Event], suffix: str, shares: Sequence[int]) -> dict[str, int | None]:
    times = sorted(event["duration_ms"] for event in events if event["duration_ms"] is not None)
    row = {f"avg_{suffix}": int(_rounded(Decimal(sum(times)) / len(times), "1")) if times else None}
    return row | {f"p{share}_{suffix}": _percentile(times, share) for share in shares}


def _percentile(times: Sequence[int], share: int) -> int | None:
    if not times:
        return None
    place = Decimal(share) / 100 * (len(times) - 1)
    low = int(place)
    high = min(low + 1, len(times) - 1)
    return int(_rounded(times[low] + (place - low) * (times[high] - times[low]), "1"))


def _rate(part: int, whole: int) -> Decimal | None:
    return _rounded(Decimal(100 * part) / whole, "0.01") if whole else None


def _rounded(value: Decimal, places: str) -> Decimal:
    return value.quantize(Decimal(places), ROUND_HALF_UP)
