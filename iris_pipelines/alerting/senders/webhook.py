"""Webhooks as standardwebhooks.com has them: an id that stays the same, a timestamp, and a signature over both."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import httpx

from iris_pipelines.alerting.senders.addresses import AddressGuard, ForbiddenAddress, GuardedTransport
from iris_pipelines.alerting.senders.outcomes import TIMEOUT, Dead, Message, Outcome, http_outcome, unreachable

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the HMAC-SHA256 of id, timestamp and body, with the secret's bytes."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


class WebhookSender:
    """Posts the payload to a URL that a tenant typed."""

    def __init__(self, guard: AddressGuard, secret_of: Callable[[UUID], str], clock: Callable[[], datetime]) -> None:
        self._guard = guard
        self._secret_of = secret_of
        self._clock = clock

    def send(self, message: Message) -> Outcome:
        """Post it once; a redirect is no answer."""
        tenant_id = message.notification.tenant_id
        if tenant_id is None:
            return Dead("webhooks are a tenant's: this alert has none")
        body = json.dumps(message.notification.webhook(), separators=(",", ":"), ensure_ascii=False).encode()
        timestamp = int(self._clock().timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": "IRIS-Pipelines",
            "webhook-id": str(message.id),
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret_of(tenant_id), str(message.id), timestamp, body),
        }
        return guarded_post(self._guard, message.recipient, body, headers)


def guarded_post(guard: AddressGuard, url: str, body: bytes, headers: dict[str, str]) -> Outcome:
    """Post to a URL that a tenant typed, if it leads to the public internet."""
    try:
        with httpx.Client(
            transport=GuardedTransport(guard), timeout=TIMEOUT, follow_redirects=False, trust_env=False
        ) as client:
            response = client.post(url, content=body, headers=headers)
    except (ForbiddenAddress, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        return Dead(str(error))
    except httpx.HTTPError as error:
        return unreachable(error)
    if response.is_redirect:
        return Dead(f"HTTP {response.status_code}: redirects are not followed")
    return http_outcome(response)
