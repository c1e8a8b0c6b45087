"""Rejected events, judged again when what was wrong has been put right: a tenant made, a rule changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import orjson

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.events import Reason
from iris_pipelines.ingestion.loader import LoadResult, RestoreDays, load_events
from iris_pipelines.ingestion.records import Malformed, ObjectBatch
from iris_pipelines.ingestion.rejected import RejectedEvent

_BATCH = 2_000


def replay_rejected(
    db: Database,
    *,
    now: datetime,
    history_start: date,
    create_tenants: bool = False,
    reason: str | None = None,
    on_batch: Callable[[LoadResult], None] | None = None,
    restore_days: RestoreDays | None = None,
) -> LoadResult:
    """Judge the open rejected events again, those with one reason or all.

    Each batch is a transaction: what is accepted now, or turns out to be a duplicate, is marked as replayed in the
    transaction that stores it. What is still rejected stays open, with the reason that holds now. Two replays at once
    do no harm: an event that both judge is new to one of them only. `on_batch` gets the result so far.
    """
    result = LoadResult()
    after = 0
    while rows := _open_rejected(db, after=after, reason=reason):
        after = rows[-1][0]
        batch = _Batch(rows, now=now)
        result += load_events(
            db,
            [batch.records],
            now=now,
            history_start=history_start,
            create_tenants=create_tenants,
            keep=batch.keep_open,
            finish=batch.close_others,
            restore_days=restore_days,
        )
        if on_batch is not None:
            on_batch(result)
    return result


def count_open_rejected(db: Database, *, reason: str | None = None) -> int:
    """How many rejected events wait for a replay."""
    with db.transaction() as connection:
        return int(queries().count_open_rejected(connection, reason=reason))


def _open_rejected(db: Database, *, after: int, reason: str | None) -> list[tuple[Any, ...]]:
    with db.transaction() as connection:
        return list(queries().open_rejected(connection, after=after, reason=reason, row_limit=_BATCH))


class _Batch:
    """Some rejected events on their way. Their ids stand where a file has its lines."""

    def __init__(self, rows: Sequence[tuple[Any, ...]], *, now: datetime) -> None:
        self._ids = [row[0] for row in rows]
        self._still_open: set[int] = set()
        self._now = now
        self.records = ObjectBatch("replay", self._ids, [_record(*row[1:]) for row in rows])

    def keep_open(self, connection: Connection, rejected: Sequence[RejectedEvent]) -> None:
        """Note why events are still rejected."""
        self._still_open = {each.line for each in rejected}
        queries().note_still_rejected(
            connection,
            ids=[each.line for each in rejected],
            tenant_ids=[each.tenant_id for each in rejected],
            reasons=[each.reason for each in rejected],
            details=[each.detail for each in rejected],
        )

    def close_others(self, connection: Connection, _: LoadResult) -> None:
        """Mark what is stored now."""
        closed = [each for each in self._ids if each not in self._still_open]
        queries().note_replayed(connection, ids=closed, replayed_at=self._now)


def _record(reason: str, detail: str, payload: str) -> dict[str, Any] | Malformed:
    """The record as it came, or why there is nothing to judge. One that was too large was not kept whole."""
    if reason == Reason.TOO_LARGE:
        return Malformed(reason, detail, payload)
    try:
        record = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        return Malformed(Reason.INVALID_JSON, f"no valid JSON: {error}", payload)
    if not isinstance(record, dict):
        return Malformed(Reason.INVALID_JSON, "no JSON object", payload)
    return record
