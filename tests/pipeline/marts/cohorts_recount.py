"""An independent recount of send cohorts: plain Python over the raw rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from tests.pipeline.marts.channels_recount import Key, Row, grouped, of, rate

RECEIPTS = {
    "delivered": ["message.delivered"],
    "failed": ["message.failed"],
    "opened": ["message.opened"],
    "clicked": ["link.clicked"],
    "bounced": ["email.hard_bounce", "email.soft_bounce"],
}


def cohorts(events: Sequence[Row]) -> dict[Key, Row]:
    """What `send_cohorts_daily` must hold."""
    by_message = grouped([event for event in events if event["message_id"]], "tenant_id", "message_id")
    sent = grouped(
        of([event for event in events if event["message_id"]], "message.sent"),
        *("tenant_id", "date", "channel", "provider"),
    )
    last = max(event["date"] for event in events)
    found: dict[Key, Row] = {}
    # By tenant and channel, then by cohort: how many receipts came after how many days.
    lags: defaultdict[tuple[UUID, str], list[tuple[date, dict[int, int]]]] = defaultdict(list)
    for key, members in sent.items():
        tenant_id, day, channel, _ = key
        messages = {event["message_id"] for event in members}
        row: Row = {"messages_sent": len(messages)}
        came: defaultdict[int, int] = defaultdict(int)
        for kind, types in RECEIPTS.items():
            firsts = [_first(by_message[tenant_id, message], types) for message in messages]
            row[f"messages_{kind}"] = sum(first is not None for first in firsts)
            for first in firsts:
                if first is not None:
                    came[max((first - day).days, 0)] += 1
        for name, types in (("human_opened", RECEIPTS["opened"]), ("human_clicked", RECEIPTS["clicked"])):
            by_people = [
                any(not event["is_machine"] for event in of(by_message[tenant_id, message], *types))
                for message in messages
            ]
            row[name] = sum(by_people)
        for name, part in (
            *(("delivery_rate", "messages_delivered"), ("open_rate", "messages_opened")),
            *(("click_rate", "messages_clicked"), ("human_open_rate", "human_opened")),
            ("human_click_rate", "human_clicked"),
        ):
            row[name] = rate(row[part], len(messages))
        lags[tenant_id, channel].append((day, came))
        found[key] = row
    for (tenant_id, day, channel, _), row in found.items():
        row["maturity"] = maturity(lags[tenant_id, channel], last=last, age=(last - day).days)
    return found


def maturity(lags: Sequence[tuple[date, dict[int, int]]], *, last: date, age: int) -> float:
    """What receipts usually grow by after an age, from those cohorts that have lived to see it."""
    share = 100.0
    for n in range(age + 1, max((last - day).days for day, _ in lags) + 1):
        old = [came for day, came in lags if (last - day).days >= n]
        before = sum(count for came in old for lag, count in came.items() if lag < n)
        if before:
            share /= 1 + sum(came.get(n, 0) for came in old) / before
    return share


def _first(events: Sequence[dict[str, Any]], types: Sequence[str]) -> date | None:
    return min((event["date"] for event in of(events, *types)), default=None)
