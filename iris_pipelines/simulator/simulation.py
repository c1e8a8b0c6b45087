"""The traffic of a plan: platform records, and day by day what arrives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa

from iris_pipelines.db.tenants import Tenant
from iris_pipelines.simulator import rates
from iris_pipelines.simulator.api_requests import api_requests_of
from iris_pipelines.simulator.arrivals import DUPLICATE, LATE, LONGEST_DELAY_DAYS, MALFORMED, with_arrivals
from iris_pipelines.simulator.draws import Ints
from iris_pipelines.simulator.events import written_out
from iris_pipelines.simulator.faults import Fault, Medium, faults_of, with_faults
from iris_pipelines.simulator.journeys import Journeys
from iris_pipelines.simulator.messages import messages_of
from iris_pipelines.simulator.plan import TrafficPlan
from iris_pipelines.simulator.text import schema
from iris_pipelines.simulator.world import ARRIVALS, DAY_MS, TenantWorld, milliseconds

BATCH_ROWS = 65_536
_EPOCH = date(1970, 1, 1)

_TEXT = pa.string()
_INSTANT = pa.timestamp("us", tz="UTC")
CONTACT_SCHEMA = schema(
    {
        "tenant_id": _TEXT,
        "id": _TEXT,
        "first_name": _TEXT,
        "last_name": _TEXT,
        "email": _TEXT,
        "phone": _TEXT,
        "created_at": _INSTANT,
    }
)
CAMPAIGN_SCHEMA = schema(
    {"tenant_id": _TEXT, "id": _TEXT, "name": _TEXT, "status": _TEXT, "channel": _TEXT, "created_at": _INSTANT}
)


@dataclass(frozen=True)
class TrafficBatch:
    """Events in the order they arrive, those to be rejected among them."""

    day: date
    first_line: int
    """Row number of the first one on its day, from 1."""
    events: pa.RecordBatch
    """Every event whole, also the malformed ones before they are broken."""
    origin: Ints
    """What became of each on its way: a number of `arrivals`."""

    def __len__(self) -> int:
        return len(self.events)

    def columns(self) -> pa.RecordBatch:
        """The events as typed columns, with the faults that such columns can hold."""
        return with_faults(self.events, *self.faults(Medium.COLUMNS))

    def faults(self, medium: Medium) -> tuple[Ints, list[Fault]]:
        """The rows that are malformed, and how."""
        return faults_of(self.origin, medium)

    @property
    def good(self) -> pa.RecordBatch:
        """The events that are neither broken nor a second copy."""
        return self.events.filter(self.origin < DUPLICATE)

    @property
    def duplicates(self) -> int:
        """How many are second copies."""
        return int((self.origin == DUPLICATE).sum())

    @property
    def late(self) -> int:
        """How many arrive a day or more after they happened."""
        return int((self.origin == LATE).sum())

    @property
    def malformed(self) -> int:
        """How many must be rejected."""
        return int((self.origin >= MALFORMED).sum())


@dataclass(frozen=True)
class DayTraffic:
    """The messages made on a UTC day, and the events that arrive on it."""

    day: date
    messages: tuple[pa.RecordBatch, ...]
    _arrivals: tuple[pa.Table, ...]
    _tenant_ids: pa.StringArray

    def batches(self, *, late: bool | None = None, rows: int = BATCH_ROWS) -> Iterator[TrafficBatch]:
        """The events in the order they arrive: all of them, or only those that are late, or that are not."""
        if not self._arrivals:
            return
        events = pa.concat_tables(self._arrivals)
        if late is not None:
            events = events.filter((events.column("origin").to_numpy() == LATE) == late)
        events = events.combine_chunks()
        order = np.argsort(events.column("arrives_ms").combine_chunks().to_numpy(), kind="stable")
        for start in range(0, len(order), rows):
            batch = events.take(order[start : start + rows])
            origin = batch.column("origin").combine_chunks().to_numpy()
            yield TrafficBatch(self.day, start + 1, written_out(batch, self._tenant_ids), origin)


class Simulation:
    """The traffic of a plan, the same for the same plan; made a day at a time."""

    def __init__(self, plan: TrafficPlan) -> None:
        self.plan = plan
        self._worlds = [TenantWorld(plan, index) for index in range(plan.tenants)]
        self._start_ms, self._end_ms = milliseconds(plan.window)
        self._first_day = self._start_ms // DAY_MS
        self._last_day = (self._end_ms - 1) // DAY_MS

    @property
    def tenants(self) -> tuple[Tenant, ...]:
        """Whose traffic it is, the largest first."""
        return tuple(world.tenant for world in self._worlds)

    @property
    def dates(self) -> tuple[date, ...]:
        """The UTC days on which events arrive."""
        return tuple(_date(day) for day in range(self._first_day, self._last_day + 1))

    def contacts(self) -> Iterator[pa.RecordBatch]:
        """The rows of `iris.contacts`, a batch or more a tenant."""
        for world in self._worlds:
            contacts = world.contacts
            tenant_id = pa.array([str(world.tenant.id)]).take(np.zeros(len(contacts), np.int64))
            created_at = pa.array(contacts.created_ms * 1000).cast(pa.timestamp("us", tz="UTC"))
            batch = pa.RecordBatch.from_arrays(
                [
                    tenant_id,
                    contacts.ids,
                    contacts.first_names,
                    contacts.last_names,
                    contacts.emails,
                    contacts.phones,
                    created_at,
                ],
                schema=CONTACT_SCHEMA,
            )
            for start in range(0, len(batch), BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)

    def campaigns(self) -> pa.RecordBatch:
        """The rows of `iris.campaigns`, with the status each has at the plan's end."""
        rows = [
            {
                "tenant_id": str(world.tenant.id),
                "id": campaign.id,
                "name": campaign.name,
                "status": campaign.status(self.plan.end),
                "channel": campaign.channel_name,
                "created_at": campaign.created_at(),
            }
            for world in self._worlds
            # Also those of next week: planned, but not begun.
            for campaign in world.campaigns(self._first_day, self._last_day + 7)
        ]
        return pa.RecordBatch.from_pylist(rows, schema=CAMPAIGN_SCHEMA)

    def days(self) -> Iterator[DayTraffic]:
        """Every day in order; what arrives later waits in memory for its day."""
        waiting: dict[int, list[pa.Table]] = defaultdict(list)
        for day in range(self._first_day, self._last_day + 1):
            messages = self._collect(day, waiting)
            yield DayTraffic(_date(day), messages, tuple(waiting.pop(day, ())), self._tenant_ids)

    def day(self, day: date) -> DayTraffic:
        """One day on its own: the same as `days` gives, from the days before it that reach into it."""
        number = (day - _EPOCH).days
        if not self._first_day <= number <= self._last_day:
            raise ValueError(f"{day} is not a day of this simulation")
        waiting: dict[int, list[pa.Table]] = defaultdict(list)
        messages: tuple[pa.RecordBatch, ...] = ()
        reach = rates.LONGEST_LAG_DAYS + LONGEST_DELAY_DAYS + 1
        for source in range(max(self._first_day, number - reach), number + 1):
            messages = self._collect(source, waiting)
        return DayTraffic(day, messages, tuple(waiting[number]), self._tenant_ids)

    @cached_property
    def _tenant_ids(self) -> pa.StringArray:
        return pa.array([str(tenant.id) for tenant in self.tenants])

    def _collect(self, day: int, waiting: dict[int, list[pa.Table]]) -> tuple[pa.RecordBatch, ...]:
        """Make what begins on a day, file its events under the days they arrive on, and return its messages."""
        records = []
        for world in self._worlds:
            messages = messages_of(world, day)
            records.append(messages.records(self.plan.window))
            made = pa.concat_tables([Journeys(messages, day).events(), api_requests_of(world, day)])
            events = with_arrivals(made.combine_chunks(), self.plan, world.draws(ARRIVALS, day))
            for target, arrivals in self._by_day(events):
                waiting[target].append(arrivals)
        return tuple(batch for batch in records if len(batch))

    def _by_day(self, events: pa.Table) -> Iterator[tuple[int, pa.Table]]:
        """The events of the plan's window, by the day they arrive on; the last day takes what is still to come."""
        made_ms = events.column("made_ms").to_numpy()
        happens = (made_ms >= self._start_ms) & (events.column("at_ms").to_numpy() < self._end_ms)
        arrives_ms = np.minimum(events.column("arrives_ms").to_numpy(), self._end_ms - 1)
        events = events.set_column(events.schema.get_field_index("arrives_ms"), "arrives_ms", pa.array(arrives_ms))
        days = arrives_ms // DAY_MS
        for target in np.unique(days[happens]).tolist():
            yield target, events.filter(happens & (days == target))


def simulate(plan: TrafficPlan) -> Simulation:
    """The traffic of a plan."""
    return Simulation(plan)


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)
