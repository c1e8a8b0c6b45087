"""What became of an attempt to deliver, and what every sender shares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import httpx

from iris_pipelines.domain.alerts.notifications import Notification

TIMEOUT = httpx.Timeout(10.0)
"""Of connecting, of sending, and of each wait for more of an answer."""
_SHOWN = 300
_TRY_AGAIN = frozenset({408, 409, 425, 429})


@dataclass(frozen=True)
class Message:
    """One message for one recipient; the id is the idempotency key."""

    id: UUID
    recipient: str
    notification: Notification


@dataclass(frozen=True)
class Delivered:
    """The receiver has it."""

    reference: str


@dataclass(frozen=True)
class Retry:
    """It may work later."""

    reason: str
    after: timedelta | None = None
    """What the receiver asked for."""


@dataclass(frozen=True)
class Dead:
    """It will never work."""

    reason: str


Outcome = Delivered | Retry | Dead


class Sender(Protocol):
    """One way to tell somebody."""

    def send(self, message: Message) -> Outcome:
        """Try once; whatever the receiver does is an outcome, never an exception."""
        ...


def http_outcome(response: httpx.Response) -> Outcome:
    """What a status code means: 2xx has it, 408, 409, 425, 429 and 5xx may have it later, the rest never will."""
    if response.is_success:
        return Delivered(f"HTTP {response.status_code}")
    reason = f"HTTP {response.status_code}: {shown(response.text)}"
    if response.status_code in _TRY_AGAIN or response.is_server_error:
        return Retry(reason, _retry_after(response))
    return Dead(reason)


def unreachable(error: httpx.HTTPError) -> Retry:
    """Nobody answered, or not in time."""
    return Retry(f"{type(error).__name__}: {shown(str(error))}")


def shown(text: str) -> str:
    """As much of an answer as the log needs, on one line."""
    return " ".join(text.split())[:_SHOWN]


def _retry_after(response: httpx.Response) -> timedelta | None:
    value = response.headers.get("retry-after", "")
    return timedelta(seconds=min(int(value), 3600)) if value.isdecimal() else None
