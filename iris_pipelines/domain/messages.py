"""The states of a message, in the order in which it passes through them, and the events that move it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# A message never moves backwards in this order: a late `sent` after `delivered` changes nothing. Delivered comes
# after failed because a receipt from the handset outweighs a provider's guess that the message was lost.
STATUSES: Sequence[str] = ("queued", "sending", "sent", "failed", "delivered")

STATUS_AFTER: Mapping[str, str] = {f"message.{status}": status for status in STATUSES}


def status_after(status: str, event_type: str) -> str:
    """The status of a message that had `status` once an event of this type is known."""
    reported = STATUS_AFTER.get(event_type)
    return reported if reported is not None and _rank(reported) > _rank(status) else status


def _rank(status: str) -> int:
    return STATUSES.index(status) if status in STATUSES else -1
