"""What a person on call reads at 3 a.m.: what, since when, how bad, what was expected, what to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from html import escape
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from iris_pipelines.domain.alerts.rules import Severity

SMS_LENGTH = 320
"""Two segments of plain text."""
_COLOURS = {Severity.INFO: "#3b82f6", Severity.WARNING: "#f59e0b", Severity.CRITICAL: "#dc2626"}
_RESOLVED_COLOUR = "#16a34a"


class Kind(StrEnum):
    """Where in its life an incident is told of."""

    FIRING = "firing"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Notification:
    """One message about one incident, before it is put into the form of a channel."""

    alert_id: UUID
    tenant_id: UUID | None
    tenant: str
    timezone: str
    kind: Kind
    alert_type: str
    severity: Severity
    what: str
    """One sentence, the same in every channel."""
    since: datetime
    at: datetime
    facts: tuple[tuple[str, str], ...] = ()
    """Expected, actual, and whatever else tells how bad it is."""
    look_at: tuple[str, ...] = ()
    """Where to look first."""
    link: str | None = None
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The first line of everything."""
        return f"{self._label} {self.what}"

    @property
    def _label(self) -> str:
        if self.kind is Kind.RESOLVED:
            return "[RESOLVED]"
        return f"[{self.severity.upper()}{', STILL' if self.kind is Kind.REMINDER else ''}]"

    def lines(self) -> list[str]:
        """The body, line by line."""
        zone = ZoneInfo(self.timezone)
        ended = self.kind is Kind.RESOLVED
        lasting = _duration(self.at - self.since)
        span = f"{_local(self.since, zone)}, {'over after' if ended else 'for'} {lasting}"
        rows = [("Tenant", self.tenant), ("Severity", self.severity.value), ("Since", span), *self.facts]
        if self.link:
            rows.append(("Link", self.link))
        return [f"{label}: {value}" for label, value in rows]

    def text(self) -> str:
        """Plain text for email and everything that takes it."""
        parts = [self.what, "", *self.lines()]
        if self.look_at and self.kind is not Kind.RESOLVED:
            parts += ["", "What to look at:", *(f"- {hint}" for hint in self.look_at)]
        return "\n".join([*parts, "", f"Alert {self.alert_id}"]) + "\n"

    def html(self) -> str:
        """The same for mail clients that show HTML."""
        colour = _RESOLVED_COLOUR if self.kind is Kind.RESOLVED else _COLOURS[self.severity]
        rows = "".join(
            f"<tr><td style='padding:2px 12px 2px 0;color:#6b7280'>{escape(label)}</td><td>{escape(value)}</td></tr>"
            for label, _, value in (line.partition(": ") for line in self.lines())
        )
        hints = "".join(f"<li>{escape(hint)}</li>" for hint in self.look_at)
        advice = f"<p>What to look at:</p><ul>{hints}</ul>" if hints and self.kind is not Kind.RESOLVED else ""
        return (
            f"<div style='font-family:sans-serif;border-left:4px solid {colour};padding-left:12px'>"
            f"<p><b>{escape(self.subject)}</b></p><table>{rows}</table>{advice}"
            f"<p style='color:#9ca3af'>Alert {self.alert_id}</p></div>"
        )

    def sms(self) -> str:
        """As much as two segments hold; the link is worth more than the end of the facts."""
        if self.kind is Kind.RESOLVED:
            span = f"Over after {_duration(self.at - self.since)}"
        else:
            span = f"Since {_local(self.since, ZoneInfo(self.timezone))}"
        head = f"{self._label} {self.tenant}: {self.what}. {span}."
        tail = f" {self.link}" if self.link else ""
        # Three dots: the character for them would make every segment of the message less than half as long.
        return _shortened(head, SMS_LENGTH - len(tail), end="...") + tail

    def slack(self) -> dict[str, Any]:
        """Blocks, with a text for what shows none."""
        fields = [{"type": "mrkdwn", "text": _mrkdwn(line)} for line in self.lines() if not line.startswith("Link: ")]
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": {"type": "plain_text", "text": _shortened(self.subject, 150)}},
            *(
                {"type": "section", "fields": fields[first : first + 10]}
                for first in range(0, len(fields), 10)  # Slack takes ten fields a section
            ),
        ]
        if self.look_at and self.kind is not Kind.RESOLVED:
            hints = "\n".join(f"• {_escaped(hint)}" for hint in self.look_at)
            blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": f"*What to look at*\n{hints}"}})
        if self.link:
            blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": f"<{self.link}|Open the alert>"}})
        return {"text": _escaped(self.subject), "blocks": blocks}

    def pagerduty(self, routing_key: str) -> dict[str, Any]:
        """An event of the Events API v2: reminders trigger again what is open, under the same key."""
        event: dict[str, Any] = {
            "routing_key": routing_key,
            "event_action": "resolve" if self.kind is Kind.RESOLVED else "trigger",
            "dedup_key": str(self.alert_id),
        }
        if self.kind is Kind.RESOLVED:
            return event
        event["payload"] = {
            "summary": _shortened(f"{self.tenant}: {self.what}", 1024),
            "source": f"iris/{self.tenant_id or 'pipelines'}",
            "severity": self.severity.value,
            "timestamp": self.at.isoformat(),
            "class": self.alert_type,
            "custom_details": {
                "Tenant": self.tenant,
                "Since": _local(self.since, ZoneInfo(self.timezone)),
                **dict(self.facts),
                "What to look at": list(self.look_at),
            },
        }
        if self.link:
            event["links"] = [{"href": self.link, "text": "Open the alert"}]
        return event

    def webhook(self) -> dict[str, Any]:
        """The payload of Standard Webhooks: type, timestamp, data."""
        return {
            "type": f"alert.{self.kind.value}",
            "timestamp": self.at.isoformat(),
            "data": {
                "alert_id": str(self.alert_id),
                "tenant_id": None if self.tenant_id is None else str(self.tenant_id),
                "alert_type": self.alert_type,
                "severity": self.severity.value,
                "message": self.what,
                "since": self.since.isoformat(),
                "facts": dict(self.facts),
                "look_at": list(self.look_at),
                "link": self.link,
                **({"details": self.data} if self.data else {}),
            },
        }

    def linked(self, template: str | None) -> Notification:
        """With the link of a deployment: a template that may name {alert_id} and {tenant_id}."""
        if template is None:
            return self
        return replace(self, link=template.format(alert_id=self.alert_id, tenant_id=self.tenant_id or ""))

    def to_json(self) -> dict[str, Any]:
        """As it waits in the outbox."""
        stored: dict[str, Any] = _ADAPTER.dump_python(self, mode="json")
        return stored

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Notification:
        """As it comes out of the outbox."""
        return _ADAPTER.validate_python(stored)


_ADAPTER = TypeAdapter(Notification)


def _local(instant: datetime, zone: ZoneInfo) -> str:
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def _duration(span: timedelta) -> str:
    """At most two units: `2 h 5 min`."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    units = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    return " ".join(_two_units(units))


def _two_units(units: Sequence[tuple[int, str]]) -> list[str]:
    first = next(index for index, (count, _) in enumerate(units) if count)
    return [f"{count} {unit}" for count, unit in units[first : first + 2] if count]


def _shortened(text: str, length: int, *, end: str = "…") -> str:
    return text if len(text) <= length else text[: length - len(end)] + end


def _mrkdwn(line: str) -> str:
    label, _, value = line.partition(": ")
    return f"*{_escaped(label)}*\n{_escaped(value)}"


def _escaped(text: str) -> str:
    """What a tenant called its rule must not mention everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
