"""What an event changes besides the event log: messages, bounces, suppressed addresses, contacts.

The effects are those of newly stored events only, in the transaction that stores them. They do not depend on the
order of arrival.
"""

from __future__ import annotations

from collections.abc import Sequence

from iris_pipelines.db.database import Connection, queries
from iris_pipelines.domain.messages import STATUS_AFTER, STATUSES

EMAIL_STATUSES: Sequence[str] = ("bounced", "complained")
"""What becomes of a contact's address, from bad to worse."""

TYPES_ON_MESSAGES: Sequence[str] = (*STATUS_AFTER, "message.opened", "link.clicked")
TYPES_ON_ADDRESSES: Sequence[str] = (
    "email.hard_bounce",
    "email.soft_bounce",
    "email.complaint",
    "message.unsubscribed",
)
TYPES_WITH_EFFECTS: Sequence[str] = (*TYPES_ON_MESSAGES, *TYPES_ON_ADDRESSES)


def apply_effects(connection: Connection) -> None:
    """Apply the effects of the events in the temporary table `stored_events`."""
    on_messages, on_addresses = queries().stored_effects(connection, types_on_messages=list(TYPES_ON_MESSAGES))
    if on_messages:
        queries().lock_messages_of_stored_events(connection)
        queries().update_messages(connection, statuses=list(STATUSES))
    if on_addresses:
        queries().add_bounces(connection)
        queries().suppress_addresses(connection)
        queries().update_contacts(connection, email_statuses=list(EMAIL_STATUSES))
