"""A hundred further services through Apprise: targets have names, and only the operator knows their URLs.

A tenant that could type an Apprise URL could reach any address and file of this machine.
"""

from __future__ import annotations

from collections.abc import Mapping

from iris_pipelines.alerting.senders.outcomes import Dead, Delivered, Message, Outcome, Retry


class AppriseSender:
    """Notifies a named target."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._targets = targets

    def send(self, message: Message) -> Outcome:
        """Notify once; Apprise only says whether it went well."""
        url = self._targets.get(message.recipient)
        if url is None:
            return Dead(f"IRIS_APPRISE_TARGETS has no target {message.recipient!r}")
        import apprise

        service = apprise.Apprise.instantiate(url)
        if service is None:
            return Dead(f"the target {message.recipient!r} is no URL that Apprise knows")
        notification = message.notification
        if service.notify(title=notification.subject, body=notification.text()):
            return Delivered(f"apprise {message.recipient}")
        return Retry(f"Apprise could not reach {message.recipient!r}: its log says why")
