"""When events reach us, if at all as they should: on time, late, twice, or broken."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from iris_pipelines.simulator.draws import Draws, Ints
from iris_pipelines.simulator.plan import TrafficPlan
from iris_pipelines.simulator.world import DAY_MS

ON_TIME, LATE, DUPLICATE, MALFORMED = range(4)
"""What became of an event on its way; a malformed one has a number from MALFORMED on, which says how it is broken."""

_FAULT_NUMBERS = 27_720  # divisible by every number up to 12: any list of that many faults is used evenly
LONGEST_DELAY_DAYS = 5


def with_arrivals(events: pa.Table, plan: TrafficPlan, draws: Draws) -> pa.Table:
    """The events with `arrives_ms` and `origin`, and after them the second copies and the broken ones."""
    count = events.num_rows
    at_ms = events.column("at_ms").combine_chunks().to_numpy()
    late = draws.chance(plan.late, count)
    # What is on time arrives within two seconds, and on its own day.
    promptly = np.minimum(at_ms + draws.below(2_000, count), at_ms // DAY_MS * DAY_MS + DAY_MS - 1)
    arrives_ms = np.where(late, at_ms + DAY_MS + draws.below(3 * DAY_MS, count), promptly)
    origin = np.where(late, LATE, ON_TIME)

    again = np.flatnonzero(draws.chance(plan.duplicates, count))
    delay = np.square(draws.uniform(len(again))) * DAY_MS
    copies = _labelled(events.take(again), arrives_ms[again] + delay.astype(np.int64), np.full(len(again), DUPLICATE))

    broken = np.flatnonzero(draws.chance(plan.malformed, count))
    faults = MALFORMED + draws.below(_FAULT_NUMBERS, len(broken))
    bases = events.take(broken).set_column(0, "id", draws.uuids(len(broken)))
    return pa.concat_tables([_labelled(events, arrives_ms, origin), copies, _labelled(bases, promptly[broken], faults)])


def _labelled(events: pa.Table, arrives_ms: Ints, origin: Ints) -> pa.Table:
    return events.append_column("arrives_ms", pa.array(arrives_ms, pa.int64())).append_column(
        "origin", pa.array(origin, pa.int32())
    )
