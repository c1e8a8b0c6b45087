"""Budgets watched: each threshold is told of once a month, however the spend came to reach it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from iris_pipelines.alerting.incidents import Finding, OpenIncidents, Settled, settle
from iris_pipelines.alerting.measures import Scope, measure
from iris_pipelines.alerting.rounds import evaluating, read_tenants
from iris_pipelines.alerting.rules import tenant_of
from iris_pipelines.alerting.tenant_settings import alert_actions
from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.db.tenants import Tenant
from iris_pipelines.domain.alerts.advice import BUDGET
from iris_pipelines.domain.alerts.budgets import Budget, Forecast, InvalidBudget, Month, forecast, midnight
from iris_pipelines.domain.alerts.metrics import WATCHABLE
from iris_pipelines.domain.alerts.rules import Action, Severity
from iris_pipelines.domain.alerts.wording import money

BUDGET_ALERT = "budget_threshold"
_PAST = timedelta(days=56)
_COST = WATCHABLE["total_cost"]


@dataclass(frozen=True)
class BudgetRound:
    """What a look at all budgets came to."""

    budgets: int = 0
    broken: tuple[str, ...] = ()
    """What settings say that cannot be checked."""
    settled: Settled = field(default_factory=Settled)
    skipped: bool = False


def evaluate_budgets(db: Database, *, now: datetime) -> BudgetRound:
    """Compare every tenant's month to date with its budgets, and note thresholds that were reached."""
    with evaluating(db, "budgets") as connection:
        if connection is None:
            return BudgetRound(skipped=True)
        tenants = read_tenants(connection)
        budgets, broken = _budgets(connection, tenants)
        months = {budget: Month.of(now, ZoneInfo(tenants[budget.tenant_id].timezone)) for budget in budgets}
        spends = month_to_date(connection, months, now=now)
        recipients = alert_actions(connection)
        findings = [
            finding
            for budget, month in months.items()
            for finding in _findings(
                budget, month, spends[budget], tenants[budget.tenant_id], recipients.get(budget.tenant_id, ()), now=now
            )
        ]
        fresh = _fresh(connection, findings)
        told = _only_highest_told([_with_forecast(connection, each, tenants, now=now) for each in fresh])
        settled = settle(connection, told, OpenIncidents(connection, "budget:"), tenants, now=now)
        return BudgetRound(len(budgets), tuple(broken), settled)


def month_to_date(connection: Connection, months: dict[Budget, Month], *, now: datetime) -> dict[Budget, Decimal]:
    """What each budget's month has cost by now, exact also where the month begins at half past an hour."""
    scopes = {
        budget: Scope(budget.tenant_id, month.start, budget.channel, campaign=budget.campaign)
        for budget, month in months.items()
    }
    measured = measure(connection, [(scope, _COST) for scope in scopes.values()], now=now)
    return {budget: measured[scope, _COST.name].total_cost or Decimal(0) for budget, scope in scopes.items()}


def forecast_month(db: Database, tenant_id: UUID, *, now: datetime) -> Forecast | None:
    """What a tenant's month will have cost; None where its past is too short to say."""
    with db.snapshot() as connection:
        tenant = tenant_of(connection, tenant_id)
        budget = Budget(tenant_id, Decimal(1))
        month = Month.of(now, ZoneInfo(tenant.timezone))
        spend = month_to_date(connection, {budget: month}, now=now)[budget]
        return _forecast(connection, budget, month, spend, now=now)


def _budgets(connection: Connection, tenants: dict[UUID, Tenant]) -> tuple[list[Budget], list[str]]:
    found: list[Budget] = []
    broken: list[str] = []
    for tenant_id, key, value in queries().budget_settings(connection):
        try:
            found.append(Budget.of(tenant_id, key, value))
        except InvalidBudget as error:
            broken.append(f"{tenants[tenant_id].name}: {error}")
    return found, broken


def _findings(
    budget: Budget, month: Month, spend: Decimal, tenant: Tenant, actions: tuple[Action, ...], *, now: datetime
) -> list[Finding]:
    """One for each threshold that has been reached, the lowest first."""
    scope = f":{budget.scope.replace(' ', ':')}" if budget.scope else ""
    percent = (spend * 100 / budget.amount).quantize(Decimal("0.01"))
    return [
        Finding(
            budget.tenant_id,
            f"budget{scope}:{month.name}:{threshold}",
            BUDGET_ALERT,
            holds=True,
            message=budget.message(threshold, spend, tenant.currency),
            severity=Severity.CRITICAL if threshold >= 100 else Severity.WARNING,
            since=now,
            actions=actions,
            data={
                "budget": str(budget.amount),
                "current_spend": str(spend),
                "percent_used": str(percent),
                "threshold": "exceeded" if threshold >= 100 else f"{threshold}%",
                "month": month.name,
                **({"channel": budget.channel} if budget.channel else {}),
                **({"campaign_id": str(budget.campaign)} if budget.campaign else {}),
            },
            facts=(
                ("Spent", f"{money(spend, tenant.currency)}, {percent}% of {money(budget.amount, tenant.currency)}"),
                ("Month", f"{month.name} ({month.zone.key}), {(month.end - now).days} days left"),
            ),
            look_at=BUDGET,
            once=True,
        )
        for threshold in budget.reached(spend)
    ]


def _fresh(connection: Connection, findings: Sequence[Finding]) -> list[Finding]:
    """Those that nobody has been told of yet."""
    if not findings:
        return []
    known = set(
        queries().noted_incidents(
            connection,
            tenant_ids=[finding.tenant_id for finding in findings],
            incident_keys=[finding.key for finding in findings],
        )
    )
    return [finding for finding in findings if (finding.tenant_id, finding.key) not in known]


def _only_highest_told(findings: Sequence[Finding]) -> list[Finding]:
    """Who is told that the budget is exceeded need not be told in the same minute that 75 % are reached."""
    highest: dict[tuple[UUID, str], str] = {}
    for finding in findings:
        highest[finding.tenant_id, finding.key.rpartition(":")[0]] = finding.key
    return [
        finding
        if highest[finding.tenant_id, finding.key.rpartition(":")[0]] == finding.key
        else replace(finding, actions=())
        for finding in findings
    ]


def _with_forecast(connection: Connection, finding: Finding, tenants: dict[UUID, Tenant], *, now: datetime) -> Finding:
    """With what the month will have cost; only for what is told, as it reads weeks of a tenant's events."""
    tenant = tenants[finding.tenant_id]
    data: dict[str, Any] = dict(finding.data)
    campaign = UUID(data["campaign_id"]) if "campaign_id" in data else None
    budget = Budget(finding.tenant_id, Decimal(data["budget"]), data.get("channel"), campaign)
    month = Month.of(now, ZoneInfo(tenant.timezone))
    ahead = _forecast(connection, budget, month, Decimal(data["current_spend"]), now=now)
    if ahead is None:
        return finding
    data["forecast"] = {"expected": str(ahead.expected), "low": str(ahead.low), "high": str(ahead.high)}
    expected, low, high = (money(each, tenant.currency) for each in (ahead.expected, ahead.low, ahead.high))
    facts = (*finding.facts, ("Forecast for the month", f"{expected}, with 90% confidence {low} to {high}"))
    return replace(finding, data=data, facts=facts)


def _forecast(
    connection: Connection, budget: Budget, month: Month, spend: Decimal, *, now: datetime
) -> Forecast | None:
    today = now.astimezone(month.zone).date()
    end = midnight(today, month.zone)
    rows = queries().daily_costs(
        connection,
        tenant_id=budget.tenant_id,
        zone=month.zone.key,
        window_start=midnight(today - _PAST, month.zone),
        window_end=end,
        channel=budget.channel,
        campaign=budget.campaign,
    )
    return forecast(spend, _without_gaps(dict(rows), today), month, now=now)


def _without_gaps(costs: dict[date, Decimal], today: date) -> dict[date, Decimal]:
    """From the first day with costs on, a day without any cost nothing."""
    if not costs:
        return {}
    first = min(costs)
    days = (first + timedelta(days=n) for n in range((today - first).days))
    return {day: costs.get(day, Decimal(0)) for day in days}
