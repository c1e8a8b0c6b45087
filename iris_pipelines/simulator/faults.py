"""Broken events, each with the one reason it must be rejected for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from iris_pipelines.simulator.arrivals import MALFORMED
from iris_pipelines.simulator.draws import Ints


class Medium(StrEnum):
    """How events travel: typed columns cannot hold every fault that a text can."""

    NDJSON = "ndjson"
    CSV = "csv"
    COLUMNS = "columns"


_EVERYWHERE = (Medium.NDJSON, Medium.CSV, Medium.COLUMNS)
_IN_TEXT = (Medium.NDJSON, Medium.CSV)
_FAR_FUTURE = datetime(2999, 12, 31, 12, tzinfo=UTC)
_LONG_AGO = datetime(1989, 11, 9, 18, 53, tzinfo=UTC)


@dataclass(frozen=True)
class Fault:
    """One way to break an event: the fields it replaces, or where the line ends too soon."""

    reason: str
    replaced: dict[str, Any]
    media: tuple[Medium, ...] = _EVERYWHERE
    cut_at: float | None = None
    """The part of the line that is left, if it is cut."""


# No unknown tenant: `iris ingest --create-tenants` accepts it, and the counts would depend on an option.
FAULTS = (
    Fault("missing_field", {"tenant_id": None}),
    Fault("missing_field", {"event_type": None}),
    Fault("missing_field", {"timestamp": None}),
    Fault("unknown_channel", {"channel": "telegraph"}),
    Fault("invalid_field", {"event_type": "Message Sent"}),
    Fault("invalid_field", {"message_id": "not-a-uuid"}),
    Fault("timestamp_in_future", {"timestamp": _FAR_FUTURE}),
    Fault("timestamp_too_old", {"timestamp": _LONG_AGO}),
    Fault("invalid_timestamp", {"timestamp": "2026-11-02T10:03:22.123"}, _IN_TEXT),
    Fault("invalid_timestamp", {"timestamp": "yesterday at noon"}, _IN_TEXT),
    Fault("invalid_json", {}, (Medium.NDJSON,), cut_at=0.7),
    Fault("too_large", {"event_data": {"note": "x" * 66_000}}, (Medium.NDJSON,)),
)


def faults_of(origin: Ints, medium: Medium) -> tuple[Ints, list[Fault]]:
    """The rows that are malformed, and the fault of each."""
    possible = [fault for fault in FAULTS if medium in fault.media]
    rows = np.flatnonzero(origin >= MALFORMED)
    return rows, [possible[(number - MALFORMED) % len(possible)] for number in origin[rows].tolist()]


def broken_line(line: str, fault: Fault) -> str:
    """One line of NDJSON with a fault."""
    if fault.cut_at is not None:
        return line[: int(len(line) * fault.cut_at)]
    event = orjson.loads(line) | fault.replaced
    return orjson.dumps({name: value for name, value in event.items() if value is not None}).decode()


def with_faults(events: pa.RecordBatch, rows: Ints, faults: list[Fault]) -> pa.RecordBatch:
    """The events with the given rows broken; the values of the faults must fit the columns."""
    if not faults:
        return events
    broken = [event | fault.replaced for event, fault in zip(events.take(rows).to_pylist(), faults, strict=True)]
    order = np.arange(len(events))
    order[rows] = len(events) + np.arange(len(rows))
    both = pa.Table.from_batches([events, pa.RecordBatch.from_pylist(broken, schema=events.schema)])
    return both.combine_chunks().take(order).combine_chunks().to_batches()[0]
