"""Which opens and clicks machines made: marked as they are loaded, and judged set by set, also years later.

A verdict is a function of the events of its UTC day, of the rules and of nothing else; judging a day twice changes
nothing the second time. Verdicts that change are updates of the event log, so the ledger notes their hours, and what
is built on them is rebuilt. What a sender stated about its event is never changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute

from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.staleness import Grain, StaleConsumer, plan_stale, register_consumers
from iris_pipelines.domain.windows import DAY, HOUR, Window, floor, merged
from iris_pipelines.ingestion import machine_rules
from iris_pipelines.ingestion.machine_rules import ONE_BY_ONE, TOO_SOON, MachineReason, machine_reason
from iris_pipelines.ingestion.user_agents import describe_user_agents_of

CONSUMER = "iris.machine_verdicts"
VISITS: Sequence[str] = ("message.opened", "link.clicked")
"""The types of events that a machine may be behind."""

# The stubs know each function for each type of array; here any column goes through them.
pc: Any = pyarrow.compute
# A frame in SQL includes both ends.
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class JudgedDay:
    """What judging a day, or some hours of it, came to."""

    day: date
    changed: int
    """Opens and clicks whose verdict is another now."""
    new_user_agents: int


def with_verdicts(events: pa.RecordBatch) -> pa.RecordBatch:
    """Accepted events with `is_machine` decided and its reason beside it: what was stated, or what the agent says.

    Timing is judged later: the events that it needs may not be there yet.
    """
    stated = events["is_machine"]
    visits = pc.is_in(events["event_type"], value_set=pa.array(VISITS))
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


def judge_machines(db: Database, windows: Iterable[Window]) -> list[JudgedDay]:
    """Judge the opens and clicks of the hours that lie in some windows, each UTC day in a transaction of its own.

    A day that has not been judged by the present rules is judged as a whole.
    """
    by_day: defaultdict[datetime, list[Window]] = defaultdict(list)
    for window in merged(Window(floor(each.start, HOUR), floor(each.end - _TICK, HOUR) + HOUR) for each in windows):
        for piece in window.split(DAY):
            by_day[Window.day_of(piece.start).start].append(piece)
    return [_judge_day(db, Window(start, start + DAY), pieces) for start, pieces in sorted(by_day.items())]


def judge_stale_machines(db: Database, *, now: datetime) -> list[JudgedDay]:
    """Judge the hours that got events since they were judged, as far as they have closed."""
    register_consumers(db, {CONSUMER: Grain.HOUR})
    stale = stale_verdicts(db, now=now)
    return [] if stale is None else judge_machines(db, stale.windows(now=now))


def stale_verdicts(db: Database, *, now: datetime) -> StaleConsumer | None:
    """The closed hours that got events since they were judged, if there are any."""
    return next((stale for stale in plan_stale(db, now=now) if stale.consumer == CONSUMER), None)


def _judge_day(db: Database, day: Window, pieces: Sequence[Window]) -> JudgedDay:
    date_of_day = day.start.date()
    rules_version = machine_rules.RULES_VERSION
    with db.transaction() as connection:
        queries().act_as_consumer(connection, consumer=CONSUMER)
        queries().lock_machine_verdicts(connection, day=date_of_day)
        judged_before = queries().rules_version_of_day(connection, day=date_of_day)
        if judged_before == rules_version:
            # Events have a say in the verdicts a moment before and after them.
            window = _within(day, pieces[0].start - ONE_BY_ONE, pieces[-1].end + max(ONE_BY_ONE, TOO_SOON))
        else:
            window = day
        context = _within(day, window.start - max(ONE_BY_ONE, TOO_SOON), window.end + ONE_BY_ONE)
        # First: what this sees is committed, and so are its events; what comes later stays stale.
        for piece in [day] if window == day else pieces:
            queries().forget_stale_hours(connection, consumer=CONSUMER, window_start=piece.start, window_end=piece.end)
        new_user_agents = describe_user_agents_of(connection, window)
        changed = queries().correct_machine_verdicts(
            connection,
            window_start=window.start,
            window_end=window.end,
            context_start=context.start,
            context_end=context.end,
            too_soon=TOO_SOON,
            one_by_one=ONE_BY_ONE - _TICK,
        )
        queries().note_day_judged(connection, day=date_of_day, rules_version=rules_version)
    return JudgedDay(date_of_day, changed, new_user_agents)


def _within(day: Window, start: datetime, end: datetime) -> Window:
    return Window(max(day.start, start), min(day.end, end))
