"""PagerDuty's Events API v2: an incident there is an incident here, told apart by the alert's id."""

from __future__ import annotations

import httpx

from iris_pipelines.alerting.senders.outcomes import TIMEOUT, Delivered, Message, Outcome, http_outcome, unreachable


class PagerDutySender:
    """Triggers and resolves; `dedup_key` makes a repetition no second incident."""

    def __init__(self, *, url: str) -> None:
        self._url = url

    def send(self, message: Message) -> Outcome:
        """Send one event."""
        try:
            response = httpx.post(
                f"{self._url}/v2/enqueue", json=message.notification.pagerduty(message.recipient), timeout=TIMEOUT
            )
        except httpx.HTTPError as error:
            return unreachable(error)
        outcome = http_outcome(response)
        if isinstance(outcome, Delivered):
            return Delivered(f"{outcome.reference} {message.notification.alert_id}")
        return outcome
