"""An independent recount of the marts of channels and providers: plain Python over the raw rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from psycopg.rows import dict_row

from iris_pipelines.db.database import Database
from iris_pipelines.domain.events import EVENT_TYPES
from iris_pipelines.domain.provider_ranking import ProviderTotals, rank_providers

Row = dict[str, Any]
Key = tuple[Any, ...]

MESSAGING = EVENT_TYPES - {"api.request"}
COUNTS = {
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


def events_of(database: Database, *, closed_before: datetime) -> list[Row]:
    """Every event of a closed hour but API requests, with its UTC day and without missing names."""
    with database.transaction() as connection:
        events = (
            connection.cursor(row_factory=dict_row)
            .execute(
                "select * from iris.analytics_events where timestamp < %s and event_type <> 'api.request'",
                (closed_before,),
            )
            .fetchall()
        )
    for event in events:
        event["date"] = event["timestamp"].astimezone(UTC).date()
        event["channel"] = event["channel"] or "unknown"
        event["provider"] = event["provider"] or "unknown"
    return events


def stored(database: Database, relation: str, key: Sequence[str]) -> dict[Key, Row]:
    """What a mart holds, by its key, without `computed_at`."""
    with database.transaction() as connection:
        rows = connection.cursor(row_factory=dict_row).execute(f"select * from {relation}").fetchall()  # type: ignore[arg-type]
    for row in rows:
        row.pop("computed_at", None)
    found = {tuple(row.pop(name) for name in key): row for row in rows}
    assert len(found) == len(rows), f"{relation} holds a key twice"
    return found


def grouped(events: Iterable[Row], *key: str) -> dict[Key, list[Row]]:
    """Events by the values of some columns."""
    groups: defaultdict[Key, list[Row]] = defaultdict(list)
    for event in events:
        groups[tuple(event[name] for name in key)].append(event)
    return groups


def volumes(events: Sequence[Row]) -> Row:
    """The counts that every mart per day has, and what of opens and clicks people made."""
    row: Row = {name: len(of(events, *types)) for name, types in COUNTS.items()}
    row["machine_opens"] = sum(event["is_machine"] for event in of(events, "message.opened"))
    row["machine_clicks"] = sum(event["is_machine"] for event in of(events, "link.clicked"))
    row["human_opens"] = row["messages_opened"] - row["machine_opens"]
    row["human_clicks"] = row["messages_clicked"] - row["machine_clicks"]
    return row


def of(events: Iterable[Row], *types: str) -> list[Row]:
    """The events of some types."""
    return [event for event in events if event["event_type"] in types]


def costs(events: Sequence[Row]) -> tuple[Decimal | None, Decimal | None]:
    """The sum and the mean of what events cost; nothing when none carries a cost."""
    found = [event["cost"] for event in events if event["cost"] is not None]
    if not found:
        return None, None
    return sum(found, Decimal(0)), rounded(sum(found, Decimal(0)) / len(found), "0.000001")


def times(events: Iterable[Row]) -> list[int]:
    """The known delivery times, in order."""
    return sorted(e["duration_ms"] for e in of(events, "message.delivered") if e["duration_ms"] is not None)


def mean_time(events: Iterable[Row]) -> int | None:
    """The mean delivery time in whole milliseconds."""
    found = times(events)
    return int(rounded(Decimal(sum(found)) / len(found), "1")) if found else None


def percentile(ordered: Sequence[int], share: float) -> int | None:
    """`percentile_cont` of ordered times, in whole milliseconds."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return int(rounded(Decimal(f"{ordered[low] + (place - low) * (ordered[high] - ordered[low]):.15g}"), "1"))


def rate(part: int | Decimal, whole: int | Decimal) -> Decimal | None:
    """`part` in per cent of `whole`, if that is anything."""
    return rounded(Decimal(100 * part) / whole, "0.01") if whole else None


def rounded(value: Decimal, unit: str) -> Decimal:
    """Half away from zero."""
    return value.quantize(Decimal(unit), ROUND_HALF_UP)


RANKING_KEY = ["tenant_id", "as_of_date", "window_days", "channel", "provider"]


def rankings(events: Sequence[Row], *, last: date) -> dict[Key, Row]:
    """What `provider_rankings` must hold as of days up to `last`, without the percentile, which is not exact."""
    named = [event for event in events if event["provider"] != "unknown" and event["event_type"] in MESSAGING]
    by_day = grouped(named, "date")
    if not named:
        return {}
    found: dict[Key, Row] = {}
    first = min(by_day)[0]
    for as_of in days(first, last):
        for window_days in (7, 30):
            window = [
                event
                for day in days(as_of - timedelta(days=window_days - 1), as_of)
                for event in by_day.get((day,), [])
            ]
            for (tenant_id, channel), of_channel in grouped(window, "tenant_id", "channel").items():
                providers = grouped(of_channel, "provider")
                totals = [_totals(provider, members) for (provider,), members in providers.items()]
                for score in rank_providers(totals):
                    members = providers[score.provider,]
                    row = asdict(score)
                    row["total_failed"] = len(of(members, "message.failed"))
                    row["total_cost"] = costs(members)[0]
                    row |= asdict(next(each for each in totals if each.provider == score.provider))
                    row["p95_delivery_time_ms"] = percentile(times(members), 0.95)
                    found[tenant_id, as_of, window_days, channel, row.pop("provider")] = row
    return found


def _totals(provider: str, events: Sequence[Row]) -> ProviderTotals:
    return ProviderTotals(
        provider,
        len(of(events, "message.sent")),
        len(of(events, "message.delivered")),
        len(events),
        sum(event["success"] is True for event in events),
        mean_time(events),
        costs(events)[1],
    )


def days(first: date, last: date) -> list[date]:
    """The days from the first to the last."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def channels(events: Sequence[Row]) -> dict[Key, Row]:
    """What `channel_daily` must hold."""
    found = {}
    for key, members in grouped(events, "tenant_id", "date", "channel").items():
        ordered = times(members)
        found[key] = {
            **_rated(members),
            **{f"p{share}_delivery_time_ms": percentile(ordered, share / 100) for share in (50, 95, 99)},
            "unique_recipients": _contacts(members),
            "unique_opens": _contacts(of(members, "message.opened")),
            "unique_clicks": _contacts(of(members, "link.clicked")),
        }
    return found


def channel_providers(events: Sequence[Row]) -> dict[Key, Row]:
    """What `channel_provider_daily` must hold."""
    return {
        key: _rated(members) for key, members in grouped(events, "tenant_id", "date", "channel", "provider").items()
    }


def errors(events: Sequence[Row]) -> dict[Key, Row]:
    """What `channel_errors_daily` must hold."""
    found: defaultdict[Key, int] = defaultdict(int)
    for event in of(events, "message.failed"):
        code, message = (event["error_code"] or "unknown")[:100], (event["error_message"] or "unknown")[:400]
        found[event["tenant_id"], event["date"], event["channel"], event["provider"], code, message] += 1
    return {key: {"failures": failures} for key, failures in found.items()}


def quality(events: Sequence[Row]) -> dict[Key, Row]:
    """What `delivery_quality_daily` must hold."""
    found = {}
    for key, members in grouped(events, "tenant_id", "date", "channel").items():
        counts, ordered = volumes(members), times(members)
        sent, delivered = counts["messages_sent"], counts["messages_delivered"]
        found[key] = {
            **{f"total_{name}": counts[f"messages_{name}"] for name in ("sent", "delivered", "failed")},
            **{f"total_{name}": counts[f"messages_{name}"] for name in ("bounced", "complained")},
            "delivery_rate": rate(delivered, sent),
            "error_rate": rate(counts["messages_failed"], sent),
            "avg_delivery_time_ms": mean_time(members),
            **{f"p{share}_delivery_time_ms": percentile(ordered, share / 100) for share in (50, 95, 99)},
            "bounce_rate": rate(counts["messages_bounced"], sent),
            "complaint_rate": rate(counts["messages_complained"], delivered),
        }
    return found


def daily_costs(events: Sequence[Row]) -> dict[Key, Row]:
    """What `cost_daily` must hold."""
    found = {}
    for key, members in grouped(events, "tenant_id", "date", "channel", "provider").items():
        total, mean = costs(members)
        sent = len(of(members, "message.sent"))
        found[key] = {"messages_sent": sent, "total_cost": total, "avg_cost_per_message": mean}
    return found


def _rated(events: Sequence[Row]) -> Row:
    row = volumes(events)
    total, mean = costs(events)
    return {
        **row,
        "delivery_rate": rate(row["messages_delivered"], row["messages_sent"]),
        "open_rate": rate(row["messages_opened"], row["messages_delivered"]),
        "click_rate": rate(row["messages_clicked"], row["messages_opened"]),
        "human_open_rate": rate(row["human_opens"], row["messages_delivered"]),
        "human_click_rate": rate(row["human_clicks"], row["human_opens"]),
        "avg_delivery_time_ms": mean_time(events),
        "total_cost": total,
        "avg_cost_per_message": mean,
    }


def _contacts(events: Iterable[Row]) -> int:
    return len({event["contact_id"] for event in events} - {None})
