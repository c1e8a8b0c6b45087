"""What happened: alerts with what became of their messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from iris_pipelines.db.database import Database, queries


@dataclass(frozen=True)
class PastAlert:
    """An alert, and how many of its messages arrived, wait, or were given up."""

    id: UUID
    tenant_id: UUID | None
    alert_type: str
    severity: str
    status: str
    message: str
    created_at: datetime
    resolved_at: datetime | None
    reminders: int
    delivered: int
    pending: int
    dead: int
    last_error: str | None


def alert_history(db: Database, tenant_id: UUID | None = None, *, limit: int = 50) -> list[PastAlert]:
    """The newest alerts of a tenant, or of all."""
    with db.transaction() as connection:
        return [PastAlert(*row) for row in queries().alert_history(connection, tenant_id=tenant_id, limit=limit)]
