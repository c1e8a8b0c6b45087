"""Addresses that must not be written to."""

from __future__ import annotations

from uuid import UUID

from iris_pipelines.db.database import Database, queries


def is_suppressed(db: Database, tenant_id: UUID, channel: str, address: str) -> bool:
    """Whether a tenant must not send to an address on a channel; spelling and punctuation do not matter."""
    with db.transaction() as connection:
        return bool(queries().is_suppressed(connection, tenant_id=tenant_id, channel=channel, address=address))
