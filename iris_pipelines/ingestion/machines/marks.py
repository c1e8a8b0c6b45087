"""What can be told of an open or a click as it is loaded: whether its sender, or its user agent, names a machine.

Timing is judged later (see `verdicts`): the events that it needs may not be there yet.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute

from iris_pipelines.ingestion.machines.rules import MachineReason, machine_reason

# The stubs know each function for each type of array; here any column goes through them.
pc: Any = pyarrow.compute

_VISITS = pa.array(["message.opened", "link.clicked"])


def with_verdicts(events: pa.RecordBatch) -> pa.RecordBatch:
    """Accepted events with `is_machine` decided and its reason beside it: what was stated, or what the agent says."""
    stated = events["is_machine"]
    visits = pc.is_in(events["event_type"], value_set=_VISITS)
    reasons = pa.nulls(events.num_rows, pa.string())
    if pc.any(visits).as_py():
        agents: Any = events["user_agent"].filter(visits).dictionary_encode()
        found = [None if agent is None else machine_reason(agent) for agent in agents.dictionary.to_pylist()]
        by_agent = pa.array(found, pa.string()).take(agents.indices)
        by_sender = pc.if_else(stated.filter(visits).is_valid(), MachineReason.REPORTED.value, by_agent)
        reasons = pc.replace_with_mask(reasons, visits, by_sender)
    is_machine = pc.coalesce(stated, reasons.is_valid())
    columns = {**dict(zip(events.schema.names, events.columns, strict=True)), "is_machine": is_machine}
    return pa.RecordBatch.from_pydict({**columns, "machine_reason": reasons})
