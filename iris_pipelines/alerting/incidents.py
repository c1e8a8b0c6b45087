"""From what was found to incidents and messages, in one transaction: whoever sees the one sees the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from iris_pipelines.db.database import Connection, queries
from iris_pipelines.db.tenants import Tenant
from iris_pipelines.domain.alerts.lifecycle import OpenIncident, Step, due
from iris_pipelines.domain.alerts.notifications import Kind, Notification
from iris_pipelines.domain.alerts.rules import Action, ActionType, Severity


@dataclass(frozen=True)
class Finding:
    """What one look at one thing came to."""

    tenant_id: UUID
    key: str
    """What it is about; an open incident of this key is the same incident."""
    alert_type: str
    holds: bool | None
    """Whether there is trouble; None when nothing can be said."""
    message: str
    severity: Severity
    since: datetime
    actions: tuple[Action, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    facts: tuple[tuple[str, str], ...] = ()
    look_at: tuple[str, ...] = ()
    cooldown: timedelta = timedelta(hours=1)
    rule_id: UUID | None = None
    is_quiet: bool = False
    """Whether quiet hours hold."""
    once: bool = False
    """Whether it happens once and cannot be resolved, such as a budget reached."""


@dataclass(frozen=True)
class Settled:
    """What a round came to."""

    opened: int = 0
    reminded: int = 0
    resolved: int = 0
    messages: int = 0


@dataclass(frozen=True)
class _Incident:
    """An open row of system_alerts."""

    id: UUID
    tenant_id: UUID
    key: str
    alert_type: str
    severity: str
    message: str
    data: dict[str, Any]
    actions: list[dict[str, Any]]
    cooldown_minutes: int
    created_at: datetime
    announced_at: datetime | None
    last_told_at: datetime | None
    reminders: int
    rule_id: UUID | None

    @property
    def since(self) -> datetime:
        """When the trouble began, which may be before the incident did."""
        return datetime.fromisoformat(self.data["since"]) if "since" in self.data else self.created_at


class OpenIncidents:
    """The open incidents whose key begins with a prefix, as they were when they were read."""

    def __init__(self, connection: Connection, prefix: str) -> None:
        rows = queries().open_incidents(connection, key_pattern=f"{prefix}%")
        self._by_key = {(incident.tenant_id, incident.key): incident for incident in (_Incident(*row) for row in rows)}

    def get(self, tenant_id: UUID, key: str) -> _Incident | None:
        """The open incident of a key."""
        return self._by_key.get((tenant_id, key))

    def ended(self, found: Iterable[Finding], *, now: datetime) -> list[Finding]:
        """Findings that end every incident which nobody looks at any more: its rule was disabled or removed."""
        looked_at = {(finding.tenant_id, finding.key) for finding in found}
        return [
            Finding(
                incident.tenant_id,
                incident.key,
                incident.alert_type,
                holds=False,
                message=f"No longer watched: {incident.message}",
                severity=Severity(incident.severity),
                since=now,
            )
            for key, incident in self._by_key.items()
            if key not in looked_at
        ]


def settle(
    connection: Connection,
    findings: Sequence[Finding],
    incidents: OpenIncidents,
    tenants: Mapping[UUID, Tenant],
    *,
    now: datetime,
) -> Settled:
    """Open, remind of and resolve incidents, and put what is to be told of them into the outbox."""
    silences = _Silences(connection, now=now)
    noted = _noted(connection, [finding for finding in findings if finding.once and finding.holds])
    work = _Work(tenants, now)
    for finding in findings:
        if finding.once and (not finding.holds or (finding.tenant_id, finding.key) in noted):
            continue
        muted = finding.is_quiet or silences.cover(finding)
        if finding.once and muted:
            continue  # it is noted, and told of, when the silence is over
        incident = None if finding.once else incidents.get(finding.tenant_id, finding.key)
        known = (
            None
            if incident is None
            else OpenIncident(
                incident.announced_at, incident.last_told_at, timedelta(minutes=incident.cooldown_minutes)
            )
        )
        step = due(known, finding.holds, muted=muted, now=now)
        if step is not None:
            work.take(step, finding, incident, muted=muted)
    return work.store(connection)


class _Silences:
    """Whom not to tell now."""

    def __init__(self, connection: Connection, *, now: datetime) -> None:
        self._active = set(queries().active_silences(connection, now=now))

    def cover(self, finding: Finding) -> bool:
        return any(
            (finding.tenant_id, rule, kind) in self._active
            for rule in {finding.rule_id, None}
            for kind in (finding.alert_type, None)
        )


def _noted(connection: Connection, findings: Sequence[Finding]) -> set[tuple[UUID, str]]:
    if not findings:
        return set()
    return set(
        queries().noted_incidents(
            connection,
            tenant_ids=[finding.tenant_id for finding in findings],
            incident_keys=[finding.key for finding in findings],
        )
    )


@dataclass(frozen=True)
class _Told:
    """What is told of, since when it lasts, and to whom."""

    alert_id: UUID
    since: datetime
    actions: Sequence[Mapping[str, Any]]


class _Work:
    """The rows that a round writes, gathered so that each kind goes to the database at once."""

    def __init__(self, tenants: Mapping[UUID, Tenant], now: datetime) -> None:
        self._tenants = tenants
        self._now = now
        self._opened: list[dict[str, Any]] = []
        self._told: list[dict[str, Any]] = []
        self._resolved: list[dict[str, Any]] = []
        self._messages: list[dict[str, Any]] = []

    def take(self, step: Step, finding: Finding, incident: _Incident | None, *, muted: bool) -> None:
        """Note what a step writes."""
        if incident is None:
            self._open(finding, muted=muted)
            return
        told = _Told(incident.id, incident.since, incident.actions)
        if step is Step.RESOLVE:
            self._resolved.append({"id": incident.id, "resolved_at": self._now})
            if incident.announced_at is not None:
                self._tell(Kind.RESOLVED, 0, finding, told)
        else:
            is_reminder = step is Step.REMIND
            reminders = incident.reminders + is_reminder
            self._told.append({"id": incident.id, "told_at": self._now, "reminders": reminders})
            kind = Kind.REMINDER if is_reminder else Kind.FIRING
            self._tell(kind, reminders, finding, told)

    def _open(self, finding: Finding, *, muted: bool) -> None:
        alert_id = uuid4()
        actions = [action.model_dump(mode="json") for action in finding.actions]
        self._opened.append(
            {
                "id": alert_id,
                "tenant_id": finding.tenant_id,
                "alert_type": finding.alert_type,
                "severity": finding.severity.value,
                "message": finding.message,
                "data": Jsonb({**finding.data, "since": finding.since.isoformat()}),
                "status": "noted" if finding.once else "firing",
                "incident_key": finding.key,
                "rule_id": finding.rule_id,
                "actions": Jsonb(actions),
                "cooldown_minutes": int(finding.cooldown.total_seconds() // 60),
                "created_at": self._now,
                "announced_at": None if muted else self._now,
            }
        )
        if not muted:
            self._tell(Kind.FIRING, 0, finding, _Told(alert_id, finding.since, actions))

    def _tell(self, kind: Kind, sequence: int, finding: Finding, told: _Told) -> None:
        tenant = self._tenants[finding.tenant_id]
        content = Jsonb(
            Notification(
                alert_id=told.alert_id,
                tenant_id=tenant.id,
                tenant=tenant.name,
                timezone=tenant.timezone,
                kind=kind,
                alert_type=finding.alert_type,
                severity=finding.severity,
                what=finding.message,
                since=told.since,
                at=self._now,
                facts=finding.facts,
                look_at=finding.look_at,
                data=dict(finding.data),
            ).to_json()
        )
        self._messages += [
            {
                "tenant_id": tenant.id,
                "alert_id": told.alert_id,
                "kind": kind.value,
                "sequence": sequence,
                "action_type": ActionType(action["type"]).value,
                "recipient": recipient,
                "content": content,
                "due_at": self._now,
            }
            for action in told.actions
            for recipient in action["recipients"]
        ]

    def store(self, connection: Connection) -> Settled:
        """Write it all."""
        for statement, rows in (
            (queries().insert_incident, self._opened),
            (queries().note_told, self._told),
            (queries().resolve_incident, self._resolved),
            (queries().enqueue_delivery, self._messages),
        ):
            if rows:
                statement(connection, rows)
        reminded = sum(1 for each in self._messages if each["kind"] == Kind.REMINDER.value)
        return Settled(len(self._opened), reminded, len(self._resolved), len(self._messages))
