"""Monthly budgets of tenants, and who is told when one is nearly spent: settings that the mart budget_status reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.alerts.rules import InvalidRule, actions_for
from iris_pipelines.domain.errors import IrisError

BUDGET, ACTIONS = "monthly_budget", "alert_actions"
_LIMIT = 10**15


class InvalidBudget(IrisError):
    """A budget that cannot be set as asked."""


@dataclass(frozen=True)
class Budget:
    """What a tenant may spend in a month of its time zone, and who is told at 75, 90 and 100 %."""

    amount: Decimal | None
    alert_actions: Sequence[Mapping[str, object]] = ()
    """Each with its type and its recipients, as rules have them."""


@dataclass(frozen=True)
class MonthStatus:
    """A month of `analytics.budget_status`."""

    month: date
    currency: str
    monthly_budget: Decimal | None
    current_spend: Decimal
    percent_used: Decimal | None
    threshold: int | None


def set_budget(db: Database, tenant_id: UUID, amount: Decimal, *, recipients: Sequence[str] | None = None) -> Budget:
    """Set a tenant's budget; `recipients`, such as email:ada@example.org, replace those that there are.

    Raises InvalidBudget.
    """
    if not amount.is_finite() or not 0 < amount < _LIMIT or amount != round(amount, 6):
        raise InvalidBudget(f"a budget is an amount above 0 with at most 6 decimals, not {amount}")
    actions = None if recipients is None else _actions(recipients)
    with db.transaction() as connection:
        _require_tenant(connection, tenant_id)
        # Without an exponent: whoever reads the setting need not know of one.
        _set(connection, tenant_id, BUDGET, f"{amount:f}")
        if actions is not None:
            _set(connection, tenant_id, ACTIONS, json.dumps(actions))
    return read_budget(db, tenant_id)


def clear_budget(db: Database, tenant_id: UUID) -> None:
    """Leave a tenant without a budget; who is told stays. Raises InvalidBudget if there is no such tenant."""
    with db.transaction() as connection:
        _require_tenant(connection, tenant_id)
        queries().delete_tenant_setting(connection, tenant_id=tenant_id, setting_key=BUDGET)


def read_budget(db: Database, tenant_id: UUID) -> Budget:
    """A tenant's budget. Raises InvalidBudget if there is no such tenant, or if a setting cannot be read."""
    with db.transaction() as connection:
        _require_tenant(connection, tenant_id)
        amount = queries().tenant_setting(connection, tenant_id=tenant_id, setting_key=BUDGET)
        actions = queries().tenant_setting(connection, tenant_id=tenant_id, setting_key=ACTIONS)
    try:
        return Budget(None if amount is None else Decimal(amount), json.loads(actions) if actions else ())
    except (ArithmeticError, ValueError) as error:
        raise InvalidBudget(f"the settings {BUDGET} and {ACTIONS} of tenant {tenant_id} cannot be read") from error


def budget_status(db: Database, tenant_id: UUID) -> list[MonthStatus]:
    """The months of a tenant, the latest first; none before the mart was built."""
    with db.transaction() as connection:
        if list(queries().missing_relations(connection, names=["analytics.budget_status"])):
            return []
        return [MonthStatus(*row) for row in queries().budget_status_of(connection, tenant_id=tenant_id)]


def _actions(recipients: Sequence[str]) -> list[dict[str, object]]:
    try:
        return [action.model_dump(mode="json") for action in actions_for(recipients)]
    except InvalidRule as error:
        raise InvalidBudget(str(error)) from None


def _require_tenant(connection: Connection, tenant_id: UUID) -> None:
    if not list(queries().known_tenants(connection, ids=[tenant_id])):
        raise InvalidBudget(f"there is no tenant {tenant_id}: `iris tenants list` shows them")


def _set(connection: Connection, tenant_id: UUID, key: str, value: str) -> None:
    queries().set_tenant_setting(connection, tenant_id=tenant_id, setting_key=key, setting_value=value)
