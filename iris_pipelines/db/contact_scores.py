"""Engagement scores written back to the platform's contacts, as of the last day that is over.

The replacement of a day of points or of scores notes it for the consumer `iris.contacts`, in the same transaction; so
do new contacts. Writing takes these notes off the list first and reads the scores then: what comes later stays due.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from iris_pipelines.db.database import Database, queries
from iris_pipelines.domain.windows import DAY, floor


@dataclass(frozen=True)
class WrittenScores:
    """What writing scores came to."""

    as_of: date
    changed: int
    """Contacts whose score, or whose latest engagement, is another now."""


def scores_are_due(db: Database, *, now: datetime) -> bool:
    """Whether something happened on a day that is over that the scores of contacts do not show yet."""
    with db.transaction() as connection:
        due: bool = queries().scores_are_due(connection, closed_before=floor(now, DAY))
    return due


def write_contact_scores(db: Database, *, now: datetime) -> WrittenScores | None:
    """Write the scores of the last closed day to the contacts that have others; None if they are not due.

    They are not, either, while the scores of that day still have to be rebuilt.
    """
    today = floor(now, DAY)
    as_of = (today - DAY).date()
    with db.transaction() as connection:
        queries().lock_contact_scores(connection)
        if not queries().scores_can_be_written(connection, closed_before=today):
            return None
        days = [day for (day,) in queries().take_days_of_scores(connection, closed_before=today)]
        if not days:
            return None
        return WrittenScores(as_of, queries().write_contact_scores(connection, as_of=as_of, days=days))
