"""Which opens and clicks machines made, judged set by set, also years later.

A verdict is a function of the events of its UTC day, of the rules and of nothing else; judging a day twice changes
nothing the second time. Verdicts that change are updates of the event log, so the ledger notes their hours, and what
is built on them is rebuilt. What a sender stated about its event is never changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.db.staleness import Consumer, Grain, plan_stale, register_consumers
from iris_pipelines.domain.windows import DAY, HOUR, Window, floor, merged
from iris_pipelines.ingestion.machines import rules
from iris_pipelines.ingestion.machines.rules import ONE_BY_ONE, TOO_SOON
from iris_pipelines.ingestion.user_agents import describe_user_agents_of

CONSUMER = "iris.machine_verdicts"
# A frame in SQL includes both ends.
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class JudgedDay:
    """What judging a day, or some hours of it, came to."""

    day: date
    changed: int
    """Opens and clicks whose verdict is another now."""
    new_user_agents: int

    @property
    def window(self) -> Window:
        """The day from midnight to midnight."""
        return Window.day_of(datetime.combine(self.day, time(), tzinfo=UTC))


@dataclass(frozen=True)
class VisitCount:
    """How many opens or clicks have the same verdict."""

    event_type: str
    is_machine: bool
    reason: str | None
    events: int


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
    """Judge the closed hours that got events since they were judged."""
    return judge_machines(db, unjudged_windows(db, now=now))


def unjudged_windows(db: Database, *, now: datetime) -> list[Window]:
    """The closed hours that got events since they were judged."""
    register_consumers(db, {CONSUMER: Consumer(Grain.HOUR)})
    waiting = (stale for stale in plan_stale(db, now=now) if stale.consumer == CONSUMER)
    return [window for stale in waiting for window in stale.windows(now=now)]


def count_visits(db: Database, window: Window) -> list[VisitCount]:
    """The opens and clicks of a window by what was found of them."""
    with db.transaction() as connection:
        rows = queries().count_visits(connection, window_start=window.start, window_end=window.end)
        return [VisitCount(*row) for row in rows]


def _judge_day(db: Database, day: Window, pieces: Sequence[Window]) -> JudgedDay:
    date_of_day = day.start.date()
    rules_version = rules.RULES_VERSION
    with db.transaction() as connection:
        queries().act_as_consumer(connection, consumer=CONSUMER)
        queries().plan_for_each_window(connection)
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
        changed = _correct_verdicts(connection, window, context)
        queries().note_day_judged(connection, day=date_of_day, rules_version=rules_version)
    return JudgedDay(date_of_day, changed, new_user_agents)


def _within(day: Window, start: datetime, end: datetime) -> Window:
    return Window(max(day.start, start), min(day.end, end))


def _correct_verdicts(connection: Connection, window: Window, context: Window) -> int:
    queries().allow_nested_loops(connection, allowed=False)
    changed = list(
        queries().changed_machine_verdicts(
            connection,
            window_start=window.start,
            window_end=window.end,
            context_start=context.start,
            context_end=context.end,
            too_soon=TOO_SOON,
            one_by_one=ONE_BY_ONE - _TICK,
        )
    )
    queries().allow_nested_loops(connection, allowed=True)
    if not changed:
        return 0
    tenant_ids, timestamps, ids, reasons = zip(*changed, strict=True)
    stored: int = queries().store_machine_verdicts(
        connection,
        window_start=window.start,
        window_end=window.end,
        tenant_ids=list(tenant_ids),
        timestamps=list(timestamps),
        ids=list(ids),
        reasons=list(reasons),
    )
    return stored
