"""What tenants have set about alerts, in `iris.tenant_settings`."""

from __future__ import annotations

import base64
import json
import secrets
from uuid import UUID

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.alerts.rules import Action, InvalidRule, parse_actions

ALERT_ACTIONS = "alert_actions"
"""Whom to tell of budgets, anomalies and broken rules: the JSON of a list of actions."""
WEBHOOK_SECRET = "webhook_secret"  # noqa: S105 - the name of a setting
"""What the tenant's webhooks are signed with, as Standard Webhooks writes it: whsec_ and base64."""


def read_settings(connection: Connection, *keys: str) -> dict[str, dict[UUID, str]]:
    """The values of some settings, by key and tenant."""
    found: dict[str, dict[UUID, str]] = {key: {} for key in keys}
    for tenant_id, key, value in queries().alert_settings(connection, keys=list(keys)):
        if value is not None:
            found[key][tenant_id] = value
    return found


def alert_actions(connection: Connection) -> dict[UUID, tuple[Action, ...]]:
    """Whom each tenant wants to be told; what cannot be read tells nobody, and `iris alerts list` says so."""
    return {
        tenant_id: actions
        for tenant_id, text in read_settings(connection, ALERT_ACTIONS)[ALERT_ACTIONS].items()
        if (actions := _readable(text))
    }


def broken_alert_actions(db: Database) -> dict[UUID, str]:
    """The tenants whose `alert_actions` tell nobody, and why."""
    problems: dict[UUID, str] = {}
    with db.transaction() as connection:
        settings = read_settings(connection, ALERT_ACTIONS)[ALERT_ACTIONS]
    for tenant_id, text in settings.items():
        try:
            actions_of(text)
        except InvalidRule as error:
            problems[tenant_id] = str(error)
    return problems


def actions_of(text: str) -> tuple[Action, ...]:
    """The actions that a setting says; raises InvalidRule."""
    try:
        return parse_actions(json.loads(text))
    except json.JSONDecodeError as error:
        raise InvalidRule(f"alert_actions is no JSON: {error}") from None


def _readable(text: str) -> tuple[Action, ...]:
    try:
        return actions_of(text)
    except InvalidRule:
        return ()


def webhook_secret(db: Database, tenant_id: UUID) -> str:
    """The secret of a tenant's webhooks, made when it is first asked for."""
    made = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    with db.transaction() as connection:
        secret: str = queries().setting_or_default(connection, tenant_id=tenant_id, key=WEBHOOK_SECRET, value=made)
    return secret
