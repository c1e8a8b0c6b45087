"""The rules of tenants: made, changed and listed; nothing that could not be evaluated gets in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from iris_pipelines.alerting.evaluation import observe_rules
from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.db.tenants import Tenant
from iris_pipelines.domain.alerts.metrics import Observation
from iris_pipelines.domain.alerts.rules import InvalidRule, Rule, parse_rule
from iris_pipelines.domain.errors import IrisError


class UnknownRule(IrisError):
    """There is no such rule, or no such tenant."""


@dataclass(frozen=True)
class StoredRule:
    """A rule as it is stored, whether or not it can be evaluated, and where it stands."""

    tenant_id: UUID
    tenant: str
    id: UUID
    name: str
    condition: Any
    actions: Any
    severity: str
    quiet_hours: Any
    enabled: bool
    state: str
    since: datetime | None
    value: Decimal | None
    problem: str | None


def create_rule(db: Database, tenant_id: UUID, fields: Mapping[str, Any]) -> Rule:
    """Check and store a rule: name, condition, actions, severity, quiet_hours, enabled. Raises InvalidRule."""
    rule = parse_rule({"id": uuid4(), **fields, "tenant_id": tenant_id})
    with db.transaction() as connection:
        tenant_of(connection, tenant_id)
        queries().insert_alert_rule(connection, **_stored(rule))
    return rule


def update_rule(db: Database, tenant_id: UUID, rule_id: UUID, fields: Mapping[str, Any]) -> Rule:
    """Replace a rule. Raises InvalidRule or UnknownRule."""
    rule = parse_rule({**fields, "tenant_id": tenant_id, "id": rule_id})
    with db.transaction() as connection:
        if not queries().update_alert_rule(connection, **_stored(rule)):
            raise UnknownRule(f"there is no rule {rule_id} of this tenant")
    return rule


def delete_rule(db: Database, tenant_id: UUID, rule_id: UUID) -> None:
    """Remove a rule; its open incident ends at the next evaluation. Raises UnknownRule."""
    with db.transaction() as connection:
        if not queries().delete_alert_rule(connection, tenant_id=tenant_id, id=rule_id):
            raise UnknownRule(f"there is no rule {rule_id} of this tenant")


def list_rules(db: Database, tenant_id: UUID | None = None) -> list[StoredRule]:
    """The rules of a tenant, or of all."""
    with db.transaction() as connection:
        return [StoredRule(*row) for row in queries().alert_rules_with_states(connection, tenant_id=tenant_id)]


def find_rule(db: Database, rule_id: UUID) -> Rule:
    """A stored rule, parsed. Raises UnknownRule, or InvalidRule if it cannot be evaluated."""
    with db.transaction() as connection:
        tenant_id = queries().tenant_of_rule(connection, id=rule_id)
    if tenant_id is None:
        raise UnknownRule(f"there is no rule {rule_id}: `iris alerts list` shows those there are")
    (stored,) = [rule for rule in list_rules(db, tenant_id) if rule.id == rule_id]
    names = ("tenant_id", "id", "name", "condition", "actions", "severity", "quiet_hours", "enabled")
    try:
        return parse_rule({name: getattr(stored, name) for name in names})
    except InvalidRule as error:
        raise InvalidRule(f"the rule {stored.name!r} cannot be evaluated: {error}") from None


def observe_rule(db: Database, rule: Rule, *, now: datetime) -> Observation:
    """What a rule's metric is now; changes nothing."""
    with db.snapshot() as connection:
        return observe_rules(connection, [rule], now=now)[rule.tenant_id, rule.id]


def silence(
    db: Database,
    tenant_id: UUID,
    *,
    now: datetime,
    lasting: timedelta,
    rule_id: UUID | None = None,
    alert_type: str | None = None,
    reason: str = "",
) -> UUID:
    """Tell nobody of a rule, of a type of alert, or of anything, for some time; incidents are recorded all the same."""
    if lasting <= timedelta(0):
        raise InvalidRule("a silence must last longer than nothing")
    with db.transaction() as connection:
        tenant_of(connection, tenant_id)
        silence_id: UUID = queries().insert_silence(
            connection,
            tenant_id=tenant_id,
            rule_id=rule_id,
            alert_type=alert_type,
            starts_at=now,
            ends_at=now + lasting,
            reason=reason,
        )
    return silence_id


def tenant_of(connection: Connection, tenant_id: UUID) -> Tenant:
    """A tenant by its id. Raises UnknownRule."""
    row = queries().tenant_by_id(connection, tenant_id=tenant_id)
    if row is None:
        raise UnknownRule(f"there is no tenant {tenant_id}: `iris tenants list` shows those there are")
    return Tenant(*row)


def _stored(rule: Rule) -> dict[str, Any]:
    condition = rule.condition.model_dump(mode="json", by_alias=True, exclude_none=True)
    # As a number, not as the text that JSON has no exact numbers for.
    condition["threshold"] = float(rule.condition.threshold)
    quiet = rule.quiet_hours
    return {
        "tenant_id": rule.tenant_id,
        "id": rule.id,
        "name": rule.name,
        "condition": Jsonb(condition),
        "actions": Jsonb([action.model_dump(mode="json") for action in rule.actions]),
        "severity": rule.severity.value,
        "quiet_hours": None if quiet is None else Jsonb(quiet.model_dump(mode="json")),
        "enabled": rule.enabled,
    }
