"""Rejected events: kept whole, and judged again when what was wrong has been put right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from iris_pipelines.db.database import Connection, queries
from iris_pipelines.domain.events import MAX_BYTES, Rejection
from iris_pipelines.ingestion.records import EventBatch, Malformed, line_at, record_at


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """A record that was not accepted, as it is kept."""

    position: int
    """Where in its batch it stood, from 0."""
    source: str
    line: int
    tenant_id: UUID | None
    reason: str
    detail: str
    payload: str

    @classmethod
    def of(cls, batch: EventBatch, position: int, rejection: Rejection) -> RejectedEvent:
        """The record at a position of a batch with the reason why it is not accepted."""
        record = record_at(batch, position)
        payload = record.payload if isinstance(record, Malformed) else _json_text(record)
        detail = rejection.detail
        storable = _storable(payload)
        if len(storable) > MAX_BYTES:
            detail = f"{detail} (payload cut, it has {len(storable)} bytes)"
            storable = storable[:MAX_BYTES]
        return cls(
            position=position,
            source=batch.source,
            line=line_at(batch, position),
            tenant_id=None if isinstance(record, Malformed) else _tenant_id(record),
            reason=rejection.reason,
            detail=_storable(detail).decode("utf-8", "ignore"),
            payload=storable.decode("utf-8", "ignore"),
        )


KeepRejected = Callable[[Connection, Sequence[RejectedEvent]], None]


def keep_rejected(connection: Connection, rejected: Sequence[RejectedEvent]) -> None:
    """Store rejected events; the same record of the same source is kept once."""
    once = {(each.source, each.line, each.payload): each for each in rejected}
    queries().keep_rejected(connection, **_columns(once.values(), "tenant_id", "source", "line", "payload"))


def _columns(rejected: Iterable[RejectedEvent], *names: str) -> dict[str, list[Any]]:
    events = list(rejected)
    return {f"{name}s": [getattr(event, name) for event in events] for name in (*names, "reason", "detail")}


def _json_text(record: dict[str, Any]) -> str:
    """A record as JSON, as near to how it came as JSON can say."""
    try:
        return orjson.dumps(record, default=_as_json).decode()
    except orjson.JSONEncodeError:
        # Numbers past 64 bits, keys that are no text, half characters.
        return json.dumps(record, default=_as_json, skipkeys=True)


def _as_json(value: object) -> object:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)


def _storable(text: str) -> bytes:
    """A text without what PostgreSQL cannot store: NUL and half characters are written as escapes."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace")


def _tenant_id(record: dict[str, Any]) -> UUID | None:
    value = record.get("tenant_id")
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
