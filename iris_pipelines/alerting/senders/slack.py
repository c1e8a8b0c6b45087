"""Slack: incoming webhooks by their URL, channels by the token of an app."""

from __future__ import annotations

import json

import httpx

from iris_pipelines.alerting.senders.addresses import AddressGuard
from iris_pipelines.alerting.senders.outcomes import (
    TIMEOUT,
    Dead,
    Delivered,
    Message,
    Outcome,
    Retry,
    http_outcome,
    unreachable,
)
from iris_pipelines.alerting.senders.webhook import guarded_post

_TRY_AGAIN = frozenset({"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"})


class SlackSender:
    """Posts blocks; Slack has no idempotency key, so a message cut off in flight may show twice."""

    def __init__(self, guard: AddressGuard, *, url: str, token: str | None) -> None:
        self._guard = guard
        self._url = url
        self._token = token

    def send(self, message: Message) -> Outcome:
        """Post it once."""
        content = message.notification.slack()
        if message.recipient.startswith(("http://", "https://")):
            body = json.dumps(content, ensure_ascii=False).encode()
            return guarded_post(self._guard, message.recipient, body, {"content-type": "application/json"})
        if self._token is None:
            return Dead("IRIS_SLACK_TOKEN is not set: use the URL of an incoming webhook, or set it")
        try:
            response = httpx.post(
                f"{self._url}/chat.postMessage",
                json={"channel": message.recipient, **content},
                headers={"authorization": f"Bearer {self._token}"},
                timeout=TIMEOUT,
            )
        except httpx.HTTPError as error:
            return unreachable(error)
        return _verdict(response)


def _verdict(response: httpx.Response) -> Outcome:
    """Slack answers 200 also when it refuses: `ok` says."""
    outcome = http_outcome(response)
    if not isinstance(outcome, Delivered):
        return outcome
    try:
        answer = response.json()
    except ValueError:
        return Retry("Slack answered something that is no JSON")
    if answer.get("ok"):
        return Delivered(f"{answer.get('channel', '')} {answer.get('ts', '')}".strip())
    error = str(answer.get("error", "unknown error"))
    return Retry(error) if error in _TRY_AGAIN else Dead(f"Slack: {error}")
