"""The outbox emptied: each message is claimed, tried, and its fate noted, one at a time for each worker.

A worker that dies leaves a claim that runs out: the message it had in flight is sent again, all others are untouched.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from iris_pipelines.alerting.senders.outcomes import Dead, Delivered, Message, Outcome, Retry, Sender
from iris_pipelines.db.database import Database, queries
from iris_pipelines.domain.alerts.notifications import Notification
from iris_pipelines.domain.alerts.rules import ActionType

LEASE = timedelta(minutes=2)
"""Longer than any attempt lasts."""
MOST_ATTEMPTS = 12
"""Over about ten hours; then the message is dead."""
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(hours=2)


@dataclass(frozen=True)
class Deliveries:
    """What a round of sending came to."""

    delivered: int = 0
    retried: int = 0
    dead: int = 0

    def __add__(self, other: Deliveries) -> Deliveries:
        return Deliveries(self.delivered + other.delivered, self.retried + other.retried, self.dead + other.dead)


def pause_after(attempt: int, chance: float) -> timedelta:
    """How long to wait after the n-th failure: twice as long each time, the half of it by chance (0 to 1)."""
    longest: timedelta = min(FIRST_PAUSE * 2 ** min(attempt - 1, 20), LONGEST_PAUSE)
    return longest / 2 + longest / 2 * chance


def deliver_due(
    db: Database,
    senders: Mapping[ActionType, Sender],
    *,
    clock: Callable[[], datetime],
    link: str | None = None,
    workers: int = 4,
    budget: timedelta = timedelta(seconds=20),
    chance: Callable[[], float] = random.random,
) -> Deliveries:
    """Send what is due, until nothing is or the budget is spent; any number of processes may do so at once."""
    worker = _Worker(db, senders, clock, link, clock() + budget, chance)
    if workers == 1:
        return worker.work()
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="alerts") as pool:
        parts = [pool.submit(worker.work) for _ in range(workers)]
        return sum((part.result() for part in parts), Deliveries())


@dataclass(frozen=True)
class _Worker:
    """Claims, sends and notes, again and again."""

    db: Database
    senders: Mapping[ActionType, Sender]
    clock: Callable[[], datetime]
    link: str | None
    deadline: datetime
    chance: Callable[[], float]

    def work(self) -> Deliveries:
        done = Deliveries()
        while (now := self.clock()) < self.deadline:
            with self.db.transaction() as connection:
                row = queries().claim_delivery(connection, now=now, lease_end=now + LEASE)
            if row is None:
                break
            delivery_id, _, action_type, recipient, content, attempt = row
            notification = Notification.from_json(content).linked(self.link)
            outcome = self._try(ActionType(action_type), Message(delivery_id, recipient, notification))
            done += self._note(delivery_id, attempt, outcome)
        return done

    def _try(self, action: ActionType, message: Message) -> Outcome:
        sender = self.senders.get(action)
        if sender is None:
            return Dead(f"nothing here sends {action.value}")
        try:
            return sender.send(message)
        except Exception as error:  # noqa: BLE001 - one message that trips its sender must not stop the others
            return Retry(f"{type(error).__name__}: {error}"[:300])

    def _note(self, delivery_id: UUID, attempt: int, outcome: Outcome) -> Deliveries:
        now = self.clock()
        if isinstance(outcome, Retry) and attempt >= MOST_ATTEMPTS:
            outcome = Dead(f"given up after {attempt} attempts: {outcome.reason}")
        match outcome:
            case Delivered(reference):
                counted, status, due, detail = Deliveries(delivered=1), "delivered", now, reference
            case Retry(reason, after):
                pause = max(pause_after(attempt, self.chance()), after or timedelta(0))
                counted, status, due, detail = Deliveries(retried=1), "pending", now + pause, reason
            case Dead(reason):
                counted, status, due, detail = Deliveries(dead=1), "dead", now, reason
        with self.db.transaction() as connection:
            queries().finish_delivery(
                connection,
                id=delivery_id,
                attempt=attempt,
                status=status,
                outcome="retry" if status == "pending" else status,
                due_at=due,
                reference=detail if status == "delivered" else None,
                detail=detail,
            )
        return counted
