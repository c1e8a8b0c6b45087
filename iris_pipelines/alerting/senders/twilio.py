"""SMS through Twilio."""

from __future__ import annotations

import httpx

from iris_pipelines.alerting.senders.outcomes import (
    TIMEOUT,
    Dead,
    Delivered,
    Message,
    Outcome,
    http_outcome,
    unreachable,
)


class TwilioSender:
    """Creates one message by account id and token."""

    def __init__(self, *, url: str, account_sid: str | None, auth_token: str | None, sender: str | None) -> None:
        self._url = url
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._sender = sender

    def send(self, message: Message) -> Outcome:
        """Hand it over once."""
        if self._account_sid is None or self._auth_token is None or self._sender is None:
            return Dead("set IRIS_TWILIO_ACCOUNT_SID, IRIS_TWILIO_AUTH_TOKEN and IRIS_TWILIO_SENDER to send SMS")
        try:
            response = httpx.post(
                f"{self._url}/2010-04-01/Accounts/{self._account_sid}/Messages.json",
                data={"To": message.recipient, "From": self._sender, "Body": message.notification.sms()},
                auth=(self._account_sid, self._auth_token),
                headers={"idempotency-key": str(message.id)},
                timeout=TIMEOUT,
            )
        except httpx.HTTPError as error:
            return unreachable(error)
        outcome = http_outcome(response)
        if isinstance(outcome, Delivered):
            try:
                return Delivered(str(response.json().get("sid", outcome.reference)))
            except ValueError:
                return outcome
        return outcome
