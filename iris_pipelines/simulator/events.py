"""Events as columns: coded while they are made and wait for their day, written out as the fields of an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from iris_pipelines.simulator.clients import ADDRESSES, USER_AGENTS
from iris_pipelines.simulator.draws import Bools, Ints
from iris_pipelines.simulator.geography import GEO_LOCATIONS
from iris_pipelines.simulator.providers import CHANNELS, ERROR_CODE, ERROR_MESSAGE, PROVIDERS
from iris_pipelines.simulator.text import Column, decimals, looked_up, schema

EVENT_TYPES = (
    "message.queued",
    "message.sending",
    "message.sent",
    "message.delivered",
    "message.failed",
    "message.opened",
    "link.clicked",
    "call.answered",
    "conversion",
    "email.hard_bounce",
    "email.soft_bounce",
    "email.complaint",
    "message.unsubscribed",
    "api.request",
)
(
    QUEUED,
    SENDING,
    SENT,
    DELIVERED,
    FAILED,
    OPENED,
    CLICKED,
    ANSWERED,
    CONVERSION,
    HARD_BOUNCE,
    SOFT_BOUNCE,
    COMPLAINT,
    UNSUBSCRIBED,
    API_REQUEST,
) = range(len(EVENT_TYPES))

EVENT_SCHEMA = schema(
    {
        "id": pa.string(),
        "tenant_id": pa.string(),
        "event_type": pa.string(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "message_id": pa.string(),
        "campaign_id": pa.string(),
        "contact_id": pa.string(),
        "channel": pa.string(),
        "provider": pa.string(),
        "event_data": pa.string(),
        "ip_address": pa.string(),
        "user_agent": pa.string(),
        "geo_location": pa.string(),
        "cost": pa.decimal128(10, 6),
        "duration_ms": pa.int64(),
        "success": pa.bool_(),
        "error_code": pa.string(),
        "error_message": pa.string(),
        "is_machine": pa.bool_(),
    }
)
"""The fields of an event, as a writer of `iris.analytics_events` hands them over."""

_CODED_SCHEMA = schema(
    {
        "id": pa.string(),
        "tenant": pa.int32(),
        "kind": pa.int8(),
        "at_ms": pa.int64(),
        "made_ms": pa.int64(),
        "message_id": pa.string(),
        "campaign_id": pa.string(),
        "contact_id": pa.string(),
        "channel": pa.int8(),
        "provider": pa.int8(),
        "data": pa.string(),
        "address": pa.int16(),
        "user_agent": pa.int16(),
        "place": pa.int16(),
        "cost_micros": pa.int64(),
        "duration_ms": pa.int64(),
        "success": pa.bool_(),
        "error": pa.int16(),
        "is_machine": pa.bool_(),
    }
)

# `made_ms` is when the event's message was made: an event of a message from before a plan is not part of it.
_EVENT_TYPES = pa.array(EVENT_TYPES)
_CHANNELS = pa.array(CHANNELS)
_PROVIDERS = pa.array(PROVIDERS)
_ADDRESSES = pa.array(ADDRESSES)
_USER_AGENTS = pa.array(USER_AGENTS)
_GEO_LOCATIONS = pa.array(GEO_LOCATIONS)
_ERROR_CODES = pa.array(ERROR_CODE)
_ERROR_MESSAGES = pa.array(ERROR_MESSAGE)

Codes = npt.NDArray[np.integer[Any]] | int


@dataclass(frozen=True)
class Occurrences:
    """Events of one kind, a column each; codes index the vocabularies, -1 is none, and one value stands for all."""

    kind: int
    at_ms: Ints
    message: Ints
    """Index of the message each belongs to; -1 for none."""
    data: Column | None = None
    address: Codes = -1
    user_agent: Codes = -1
    place: Codes = -1
    cost_micros: Codes = -1
    duration_ms: Codes = -1
    success: Bools | bool = True
    error: Codes = -1
    is_machine: bool = False

    def __len__(self) -> int:
        return len(self.at_ms)


def in_one(parts: Sequence[Occurrences], field: str, dtype: Any) -> npt.NDArray[Any]:
    """One field of all parts, one after the other."""
    return np.concatenate([np.broadcast_to(np.asarray(getattr(part, field), dtype=dtype), len(part)) for part in parts])


def coded_events(columns: dict[str, Any]) -> pa.Table:
    """A table of coded events from its columns."""
    arrays = [
        pa.array(column, field.type) if isinstance(column, np.ndarray) else column
        for field, column in ((field, columns[field.name]) for field in _CODED_SCHEMA)
    ]
    table: pa.Table = pa.Table.from_arrays(arrays, schema=_CODED_SCHEMA)
    return table


def no_events() -> pa.Table:
    """A table of coded events without any."""
    return _CODED_SCHEMA.empty_table()


def written_out(coded: pa.Table, tenant_ids: pa.StringArray) -> pa.RecordBatch:
    """The events with every code replaced by what it stands for."""

    def codes(name: str) -> npt.NDArray[Any]:
        return coded.column(name).combine_chunks().to_numpy(zero_copy_only=False)

    def text(name: str) -> Column:
        return coded.column(name).combine_chunks()

    error = codes("error")
    duration = codes("duration_ms")
    return pa.RecordBatch.from_arrays(
        [
            text("id"),
            looked_up(tenant_ids, codes("tenant")),
            looked_up(_EVENT_TYPES, codes("kind")),
            pa.array(codes("at_ms") * 1000).cast(pa.timestamp("us", tz="UTC")),
            text("message_id"),
            text("campaign_id"),
            text("contact_id"),
            looked_up(_CHANNELS, codes("channel")),
            looked_up(_PROVIDERS, codes("provider")),
            text("data"),
            looked_up(_ADDRESSES, codes("address")),
            looked_up(_USER_AGENTS, codes("user_agent")),
            looked_up(_GEO_LOCATIONS, codes("place")),
            decimals(codes("cost_micros"), precision=10, scale=6),
            pa.array(duration, mask=duration < 0),
            text("success"),
            looked_up(_ERROR_CODES, error),
            looked_up(_ERROR_MESSAGES, error),
            text("is_machine"),
        ],
        schema=EVENT_SCHEMA,
    )
