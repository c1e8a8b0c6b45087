"""The columns of accepted events, in the order in which they are sent to the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from iris_pipelines.domain.events import Event

UUID_TYPE = pa.binary(16)
TIMESTAMP_TYPE = pa.timestamp("us", tz="UTC")
COST_TYPE = pa.decimal128(10, 6)

_FIELDS: list[Any] = [
    pa.field("id", UUID_TYPE),
    pa.field("tenant_id", UUID_TYPE),
    pa.field("event_type", pa.string()),
    pa.field("timestamp", TIMESTAMP_TYPE),
    pa.field("message_id", UUID_TYPE),
    pa.field("campaign_id", UUID_TYPE),
    pa.field("contact_id", UUID_TYPE),
    pa.field("channel", pa.string()),
    pa.field("provider", pa.string()),
    pa.field("event_data", pa.binary()),
    pa.field("ip_address", pa.string()),
    pa.field("user_agent", pa.string()),
    pa.field("geo_location", pa.binary()),
    pa.field("cost", COST_TYPE),
    pa.field("duration_ms", pa.int64()),
    pa.field("success", pa.bool_()),
    pa.field("error_code", pa.string()),
    pa.field("error_message", pa.string()),
    pa.field("is_machine", pa.bool_()),
]
SCHEMA = pa.schema(_FIELDS)


def from_events(events: Sequence[Event]) -> pa.RecordBatch:
    """Judged events as columns."""
    arrays: list[Any] = []
    for field in SCHEMA:
        values: list[Any] = [getattr(event, field.name) for event in events]
        if field.type == UUID_TYPE:
            values = [None if value is None else value.bytes for value in values]
        arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
