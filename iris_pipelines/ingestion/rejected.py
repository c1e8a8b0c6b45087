"""Rejected events: kept whole, and judged again when what was wrong has been put right."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson

from iris_pipelines.db.database import Connection, queries
from iris_pipelines.domain.events import FieldRejected, Rejection, read_field
from iris_pipelines.ingestion.records import KEPT_BYTES, EventBatch, Malformed, line_at, record_at, text_at


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
        payload = record.payload if isinstance(record, Malformed) else text_at(batch, position) or _json_text(record)
        detail = rejection.detail
        storable = _storable(payload)
        if len(storable) > KEPT_BYTES:
            detail = f"{detail} (payload cut, it has {len(storable):,} bytes)"
            storable = storable[:KEPT_BYTES]
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
    """A record as JSON that is judged as the record was: as near to how it came as JSON can say."""
    try:
        plain = {name: _id_text(value) if name in _IDS else _plain(value) for name, value in record.items()}
    except RecursionError:
        return _deep_json_text(record)
    try:
        return orjson.dumps(plain).decode()
    except orjson.JSONEncodeError:
        # Numbers past 64 bits, keys that are no text, half characters.
        return json.dumps(plain, skipkeys=True)


def _deep_json_text(record: dict[str, Any]) -> str:
    """A record nested more deeply than any event may be; of one that has no end, what is not nested."""
    try:
        return json.dumps(record, default=str, skipkeys=True)
    except (RecursionError, ValueError):
        return _json_text({name: None if isinstance(each, dict | list) else each for name, each in record.items()})


_IDS = frozenset({"id", "tenant_id", "message_id", "campaign_id", "contact_id"})


def _id_text(value: object) -> object:
    return str(UUID(bytes=value)) if isinstance(value, bytes) and len(value) == 16 else _plain(value)


def _plain(value: Any) -> Any:
    """A value as JSON has it; what JSON has no word for, in words."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Decimal) and value.is_finite():
        return int(value) if value == int(value) else float(value)
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return value.isoformat() if isinstance(value, date) else str(value)


def _storable(text: str) -> bytes:
    """A text without what PostgreSQL cannot store: NUL and half characters are written as escapes."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace")


def _tenant_id(record: dict[str, Any]) -> UUID | None:
    try:
        tenant_id: UUID | None = read_field("tenant_id", record.get("tenant_id"))
    except FieldRejected:
        return None
    return tenant_id
