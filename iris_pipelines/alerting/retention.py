"""Alerts of long ago: their messages and what ended is forgotten; what is to be told once is remembered for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from iris_pipelines.db.database import Database, queries


@dataclass(frozen=True)
class Forgotten:
    """How many rows are gone."""

    messages: int
    incidents: int
    silences: int


def forget_old_alerts(db: Database, *, before: datetime) -> Forgotten:
    """Delete messages that were done with before an instant, with their attempts, and incidents that had ended.

    What waits to be delivered stays, with its incident. So does an incident that lasts, and one that happens once, such
    as a budget reached: it is what keeps anybody from being told again. None of these needs its messages for that.
    """
    with db.transaction() as connection:
        return Forgotten(
            messages=queries().forget_messages(connection, before=before),
            incidents=queries().forget_incidents(connection, before=before),
            silences=queries().forget_silences(connection, before=before),
        )
