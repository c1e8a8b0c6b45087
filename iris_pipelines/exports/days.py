"""UTC days, and what the rows of one are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from iris_pipelines.domain.windows import Window


@dataclass(frozen=True)
class Content:
    """What the rows of a file are, whatever it is packed in."""

    row_count: int
    content_sha256: str
    min_timestamp: datetime | None
    max_timestamp: datetime | None


def window_of(day: date) -> Window:
    """From midnight to midnight."""
    return Window.day_of(datetime.combine(day, time(), tzinfo=UTC))
