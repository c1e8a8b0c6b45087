"""Accepted events as Arrow columns, the form in which they go to the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from iris_pipelines.domain.events import Event

_UUID = pa.binary(16)
_TIMESTAMP = pa.timestamp("us", tz="UTC")
_MONEY = pa.decimal128(10, 6)

_FIELDS: list[Any] = [
    pa.field("id", _UUID, nullable=False),
    pa.field("tenant_id", _UUID, nullable=False),
    pa.field("event_type", pa.string(), nullable=False),
    pa.field("timestamp", _TIMESTAMP, nullable=False),
    pa.field("message_id", _UUID),
    pa.field("campaign_id", _UUID),
    pa.field("contact_id", _UUID),
    pa.field("channel", pa.string()),
    pa.field("provider", pa.string()),
    pa.field("event_data", pa.binary()),
    pa.field("ip_address", pa.string()),
    pa.field("user_agent", pa.string()),
    pa.field("geo_location", pa.binary()),
    pa.field("cost", _MONEY),
    pa.field("duration_ms", pa.int64()),
    pa.field("success", pa.bool_(), nullable=False),
    pa.field("error_code", pa.string()),
    pa.field("error_message", pa.string()),
    pa.field("is_machine", pa.bool_(), nullable=False),
]
SCHEMA = pa.schema(_FIELDS)


def from_events(events: Sequence[Event]) -> pa.RecordBatch:
    """Judged events as columns."""
    arrays: list[Any] = []
    for field in SCHEMA:
        values: list[Any] = [getattr(event, field.name) for event in events]
        if field.type == _UUID:
            values = [None if value is None else value.bytes for value in values]
        arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
