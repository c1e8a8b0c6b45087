"""The states of a message and the moves between them."""

import pytest

from iris_pipelines.domain.messages import status_after


@pytest.mark.parametrize(
    ("status", "event_type", "expected"),
    [
        ("queued", "message.sending", "sending"),
        ("queued", "message.delivered", "delivered"),
        ("delivered", "message.sent", "delivered"),
        ("delivered", "message.failed", "delivered"),
        ("failed", "message.sent", "failed"),
        ("failed", "message.delivered", "delivered"),
        ("sent", "message.opened", "sent"),
        ("draft", "message.queued", "queued"),
    ],
)
def test_a_status_moves_forward_only(status: str, event_type: str, expected: str) -> None:
    assert status_after(status, event_type) == expected
