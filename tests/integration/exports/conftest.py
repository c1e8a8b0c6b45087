"""Stores to export to, and events to export."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.ingestion.loader import load_events
from iris_pipelines.ingestion.records import ObjectBatch

NOW = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)
DAY = date(2026, 11, 18)
TENANT, OTHER_TENANT = UUID(int=1), UUID(int=2)
Load = Callable[[Sequence[dict[str, Any]]], None]


def at(hour: int, minute: int = 0, second: int = 0, micro: int = 0, *, day: date = DAY) -> str:
    """An instant of a day, as events have it."""
    return datetime(day.year, day.month, day.day, hour, minute, second, micro, tzinfo=UTC).isoformat()


def event(timestamp: str, **fields: Any) -> dict[str, Any]:
    """An event that is accepted."""
    return {
        "id": str(uuid4()),
        "tenant_id": str(TENANT),
        "event_type": "message.sent",
        "channel": "email",
        "timestamp": timestamp,
        **fields,
    }


@pytest.fixture
def load(database: Database) -> Load:
    """Stores events as a load does."""

    def load(events: Sequence[dict[str, Any]]) -> None:
        result = load_events(
            database,
            [ObjectBatch("test", range(1, len(events) + 1), list(events))],
            now=NOW,
            history_start=date(2020, 1, 1),
            create_tenants=True,
        )
        assert result.accepted == len(events)

    return load
