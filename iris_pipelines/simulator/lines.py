"""Events as lines of NDJSON and as rows of text for CSV, made without a Python object per event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from iris_pipelines.simulator.draws import Ints
from iris_pipelines.simulator.events import EVENT_SCHEMA
from iris_pipelines.simulator.faults import Medium, broken_line
from iris_pipelines.simulator.simulation import TrafficBatch
from iris_pipelines.simulator.text import Column, instant_text, joined, joined_present, pc, schema

# The vocabularies hold no character that JSON escapes; a test reads every line back.
_QUOTED = (
    *("message_id", "campaign_id", "contact_id", "channel", "provider"),
    *("ip_address", "user_agent", "error_code", "error_message"),
)
_BARE = ("event_data", "geo_location", "cost", "duration_ms")
CSV_SCHEMA = schema({name: pa.string() for name in EVENT_SCHEMA.names})


def ndjson_lines(batch: TrafficBatch) -> Column:
    """One line an event, without its line feed; the malformed ones are broken as only text can be."""
    events = batch.events
    fields = [
        joined('{"id":"', events["id"], '","tenant_id":"', events["tenant_id"]),
        joined('","event_type":"', events["event_type"], '","timestamp":"', _instants(events), '"'),
        *(joined(f',"{name}":"', events[name], '"') for name in _QUOTED),
        *(joined(f',"{name}":', events[name].cast(pa.string())) for name in _BARE),
        pc.if_else(events["success"], ',"success":true', ',"success":false'),
        pc.if_else(events["is_machine"], ',"is_machine":true}', "}"),
    ]
    lines = joined_present(*fields)
    rows, faults = batch.faults(Medium.NDJSON)
    broken = [broken_line(line, fault) for line, fault in zip(lines.take(rows).to_pylist(), faults, strict=True)]
    return _with(lines, rows, broken)


def csv_rows(batch: TrafficBatch) -> pa.RecordBatch:
    """The events as columns of text; the malformed ones are broken as only text can be."""
    events = batch.events
    columns = {name: events[name].cast(pa.string()) for name in EVENT_SCHEMA.names if name != "timestamp"}
    columns["timestamp"] = _instants(events)
    rows, faults = batch.faults(Medium.CSV)
    for name in {name for fault in faults for name in fault.replaced}:
        broken = columns[name].take(rows).to_pylist()
        for position, fault in enumerate(faults):
            if name in fault.replaced:
                value = fault.replaced[name]
                broken[position] = None if value is None else str(value)
        columns[name] = _with(columns[name], rows, broken)
    return pa.RecordBatch.from_arrays([columns[name] for name in CSV_SCHEMA.names], schema=CSV_SCHEMA)


def record_lines(records: pa.RecordBatch) -> Column:
    """Platform records as lines of NDJSON, without their line feeds."""
    fields = []
    for position, name in enumerate(records.schema.names):
        column = records[name]
        if pa.types.is_timestamp(column.type):
            column = instant_text(column.cast(pa.int64()).to_numpy() // 1000)
        before = "{" if position == 0 else ","
        fields.append(joined(f'{before}"{name}":"', column, '"'))
    return joined_present(*fields, "}")


def text_of(lines: Column) -> pa.Buffer:
    """The lines one after the other, each ended by a line feed."""
    ended = joined(lines, "\n")
    offsets = np.frombuffer(ended.buffers()[1], dtype=np.int32, count=len(ended) + 1)
    buffer: pa.Buffer = ended.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
    return buffer


def _instants(events: pa.RecordBatch) -> Column:
    return instant_text(events["timestamp"].cast(pa.int64()).to_numpy() // 1000)


def _with(values: Column, rows: Ints, replacements: Sequence[str | None]) -> Column:
    """The values, some replaced."""
    if not replacements:
        return values
    mask = np.zeros(len(values), dtype=np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(values, pa.array(mask), pa.array(replacements, pa.string()))
