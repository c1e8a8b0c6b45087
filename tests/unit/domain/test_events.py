"""What an event may be, where no format or batch is part of the question."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from iris_pipelines.domain.events import MAX_BYTES, Event, Reason, Rejection, judge

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
EVENT: dict[str, Any] = {
    "tenant_id": "11111111-2222-4333-8444-555555555555",
    "event_type": "message.sent",
    "timestamp": "2026-11-23T10:00:00Z",
    "cost": 0.1,
}


def judged(**fields: Any) -> Event | Rejection:
    return judge({**EVENT, **fields}, now=NOW, history_start=date(2020, 1, 1))


def derived_id(**fields: Any) -> UUID:
    event = judged(**fields)
    assert isinstance(event, Event)
    return event.id


def padded(size: int, **fields: Any) -> dict[str, Any]:
    """Fields that make the event so many bytes of compact JSON."""
    fields = {**fields, "event_data": {"quotes": '"' * 100, "text": ""}}
    missing = size - len(json.dumps({**EVENT, **fields}, separators=(",", ":")))
    fields["event_data"]["text"] = "x" * missing
    return fields


@pytest.mark.parametrize("fields", [{}, {"id": "11111111-2222-4333-8444-666666666666"}, {"campaign_name": "a \\ b"}])
def test_an_event_may_have_64_kib_as_it_came(fields: dict[str, Any]) -> None:
    largest, larger = padded(MAX_BYTES, **fields), padded(MAX_BYTES + 1, **fields)
    assert isinstance(judged(**largest), Event)
    rejected = judged(**larger)
    assert isinstance(rejected, Rejection)
    assert (rejected.reason, rejected.detail) == (
        Reason.TOO_LARGE,
        "the event has 65,537 bytes, an event may have 65,536",
    )


def test_data_that_came_as_text_is_as_large_as_the_same_data() -> None:
    for size, kind in ((MAX_BYTES, Event), (MAX_BYTES + 1, Rejection)):
        fields = padded(size)
        assert isinstance(judged(event_data=json.dumps(fields["event_data"])), kind)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-23T10Z", datetime(2026, 11, 23, 10, tzinfo=UTC)),
        ("20261123T10+02", datetime(2026, 11, 23, 8, tzinfo=UTC)),
        ("2026-11-23T10:30-03:30", datetime(2026, 11, 23, 14, tzinfo=UTC)),
        ("2026-11-23T10:00:00.1234567899999Z", datetime(2026, 11, 23, 10, 0, 0, 123456, tzinfo=UTC)),
    ],
)
def test_iso_8601_may_leave_out_minutes_and_have_a_fraction_of_any_length(text: str, instant: datetime) -> None:
    event = judged(timestamp=text)
    assert isinstance(event, Event)
    assert event.timestamp == instant


def test_a_provider_is_a_name_that_an_index_takes() -> None:
    event = judged(provider=f" {'P' * 255} ")
    assert isinstance(event, Event)
    assert event.provider == "p" * 255
    rejected = judged(provider="p" * 256)
    assert isinstance(rejected, Rejection)
    assert rejected.reason == Reason.INVALID_FIELD


def test_a_null_says_nothing() -> None:
    assert (
        derived_id(event_data={"url": "x", "ref": None, "in": [{"a": 1, "b": None}, None]}, plan=None)
        == derived_id(event_data={"url": "x", "in": [{"a": 1}, None]})
        != derived_id(event_data={"url": "x", "in": [{"a": 1}]})
    )


def test_an_id_that_was_derived_once_stays_the_same() -> None:
    assert derived_id() == UUID("d92e8f13-6d0e-5198-b602-ea438ffee755")
    assert derived_id(event_data={"url": "x", "n": 5.0}, channel=" SMS ") == UUID(
        "ba274dd6-0fa4-50f7-85fd-b29bd93b7e92"
    )
