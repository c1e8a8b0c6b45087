"""The life of a rule and of an incident: pure steps from where it stands and what was found to where it stands next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    """Where a rule stands."""

    OK = "ok"
    PENDING = "pending"
    """The condition holds, but not for as long as it has to."""
    FIRING = "firing"
    UNKNOWN = "unknown"
    """There was nothing to judge by."""
    BROKEN = "broken"
    """The rule itself cannot be evaluated."""


@dataclass(frozen=True)
class Standing:
    """A state and since when."""

    state: State
    since: datetime


def advance(before: Standing | None, holds: bool | None, *, hold: timedelta, now: datetime) -> Standing:
    """Where a rule stands after a look at it; `holds` is None when nothing can be said.

    Silence proves nothing: it neither ends an incident nor lets a condition ripen.
    """
    state = None if before is None else before.state
    if before is not None and holds is None and state is State.FIRING:
        return before
    if not holds:
        return _entered(before, State.UNKNOWN if holds is None else State.OK, now)
    if before is not None and state is State.FIRING:
        return before
    since = before.since if before is not None and state is State.PENDING else now
    return Standing(State.FIRING if now - since >= hold else State.PENDING, since)


def _entered(before: Standing | None, state: State, now: datetime) -> Standing:
    return before if before is not None and before.state is state else Standing(state, now)


class Step(StrEnum):
    """What is due for an incident."""

    OPEN = "open"
    """It begins, and somebody is told unless it is muted."""
    ANNOUNCE = "announce"
    """It began muted, and is not any more."""
    REMIND = "remind"
    RESOLVE = "resolve"


@dataclass(frozen=True)
class OpenIncident:
    """What is known of an incident that has begun."""

    announced_at: datetime | None
    last_told_at: datetime | None
    cooldown: timedelta


def due(incident: OpenIncident | None, holds: bool | None, *, muted: bool, now: datetime) -> Step | None:
    """What is due now, if anything. Nobody is reminded of what cannot be seen to last."""
    if holds is None:
        return None
    if incident is None:
        return Step.OPEN if holds else None
    if not holds:
        return Step.RESOLVE
    if muted:
        return None
    if incident.announced_at is None or incident.last_told_at is None:
        return Step.ANNOUNCE
    return Step.REMIND if now - incident.last_told_at >= incident.cooldown else None
