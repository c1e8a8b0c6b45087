"""An independent recount of API usage: plain Python over the raw rows, straight from the contract's words."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from psycopg.rows import dict_row

from iris_pipelines.db.database import Database

Row = dict[str, Any]
Key = tuple[Any, ...]

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_REQUESTS = """
    select tenant_id, timestamp, event_data, duration_ms, success
    from iris.analytics_events where timestamp < %s and event_type = 'api.request'
"""


def usage(database: Database, *, closed_before: datetime) -> dict[Key, Row]:
    """What `api_usage_daily` must hold, by tenant, date, endpoint and method."""
    groups: defaultdict[Key, list[Row]] = defaultdict(list)
    with database.transaction() as connection:
        for request in connection.cursor(row_factory=dict_row).execute(_REQUESTS, (closed_before,)):
            data = request["event_data"] or {}
            day = request["timestamp"].astimezone(UTC).date()
            method = (data.get("method") or "unknown").upper()
            groups[request["tenant_id"], day, endpoint_of(data.get("path")), method].append(request)
    return {key: _measured(requests) for key, requests in groups.items()}


def stored(database: Database) -> dict[Key, Row]:
    """What `api_usage_daily` holds, by its key, without `computed_at`."""
    with database.transaction() as connection:
        rows = (
            connection.cursor(row_factory=dict_row)
            .execute("select * from analytics.api_usage_daily where computed_at is not null")
            .fetchall()
        )
    for row in rows:
        del row["computed_at"]
    return {tuple(row.pop(name) for name in ("tenant_id", "date", "endpoint", "method")): row for row in rows}


def response_times(database: Database, *, start: date, end: date) -> dict[Key, list[int]]:
    """The known response times of a range of days, in order, by tenant, endpoint and method."""
    times: defaultdict[Key, list[int]] = defaultdict(list)
    with database.transaction() as connection:
        for request in connection.cursor(row_factory=dict_row).execute(_REQUESTS, (datetime.now(UTC),)):
            data = request["event_data"] or {}
            if start <= request["timestamp"].astimezone(UTC).date() < end and request["duration_ms"] is not None:
                key = request["tenant_id"], endpoint_of(data.get("path")), (data.get("method") or "unknown").upper()
                times[key].append(request["duration_ms"])
    return {key: sorted(found) for key, found in times.items()}


def endpoint_of(path: str | None) -> str:
    """The path's template: part by part, what names one thing reads `:id`."""
    template = "/".join(":id" if names_one_thing(part) else part for part in (path or "").partition("?")[0].split("/"))
    return template or "unknown"


def names_one_thing(part: str) -> bool:
    """Whether a part of a path is an id of the kinds that occur in these tests."""
    is_long_hex = len(part) >= 16 and set(part.lower()) <= set("0123456789abcdef")
    return part.isdigit() or is_long_hex or bool(_UUID.fullmatch(part)) or "@" in part


def percentile(times: list[int], share: float) -> int | None:
    """`percentile_cont` of ordered times, in whole milliseconds."""
    if not times:
        return None
    place = share * (len(times) - 1)
    low = int(place)
    high = min(low + 1, len(times) - 1)
    return _whole(Decimal(f"{times[low] + (place - low) * (times[high] - times[low]):.15g}"))


def _measured(requests: list[Row]) -> Row:
    statuses = [str((request["event_data"] or {}).get("status_code")) for request in requests]
    succeeded = sum(request["success"] is True for request in requests)
    failed = len(requests) - succeeded
    times = sorted(request["duration_ms"] for request in requests if request["duration_ms"] is not None)
    return {
        "total_requests": len(requests),
        "successful_requests": succeeded,
        "failed_requests": failed,
        "client_errors": sum(status in map(str, range(400, 500)) for status in statuses),
        "server_errors": sum(status in map(str, range(500, 600)) for status in statuses),
        "avg_response_time_ms": _whole(Decimal(sum(times)) / len(times)) if times else None,
        "p95_response_time_ms": percentile(times, 0.95),
        "error_rate": (Decimal(100 * failed) / len(requests)).quantize(Decimal("0.01"), ROUND_HALF_UP),
    }


def _whole(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), ROUND_HALF_UP))
