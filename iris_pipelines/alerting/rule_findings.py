"""What a rule has to say of what it saw, in words and facts."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from iris_pipelines.alerting.incidents import Finding
from iris_pipelines.db.tenants import Tenant
from iris_pipelines.domain.alerts.advice import BROKEN_RULE, advice_for
from iris_pipelines.domain.alerts.lifecycle import Standing, State
from iris_pipelines.domain.alerts.metrics import Observation
from iris_pipelines.domain.alerts.rules import Action, Condition, Rule, Severity
from iris_pipelines.domain.alerts.wording import amount, metric_name
from iris_pipelines.domain.metrics import Cost, Count, Metric, Rate

RULE_ALERT = "alert_rule"
BROKEN_ALERT = "alert_rule_broken"


def rule_finding(rule: Rule, standing: Standing, observed: Observation, tenant: Tenant, *, now: datetime) -> Finding:
    """Whether there is trouble, and all that somebody needs to know of it."""
    condition = rule.condition
    # An incident is over when the rule is well, not while nothing can be said or the rule ripens anew.
    holds = {State.FIRING: True, State.OK: False}.get(standing.state)
    if holds and condition.judge(observed) is None:
        holds = None
    return Finding(
        rule.tenant_id,
        f"rule:{rule.id}",
        RULE_ALERT,
        holds,
        message=_sentence(rule, observed, tenant),
        severity=rule.severity,
        since=standing.since,
        actions=rule.actions,
        data=_data(rule, observed),
        facts=_facts(condition, observed, tenant),
        look_at=advice_for(condition.metric, channel=condition.channel),
        cooldown=timedelta(minutes=condition.cooldown),
        rule_id=rule.id,
        is_quiet=rule.quiet_hours is not None and rule.quiet_hours.hold(now, ZoneInfo(tenant.timezone)),
    )


def _sentence(rule: Rule, observed: Observation, tenant: Tenant) -> str:
    condition = rule.condition
    what = f"{metric_name(condition.metric)}{_filters(condition)}"
    limit = f"{condition.operator} {amount(condition.definition, condition.threshold, tenant.currency)}"
    span = f"over the last {condition.time_window} min"
    if observed.value is None:
        return f"{rule.name}: no data for {what} {span} (alerts when {limit})"
    value = amount(condition.definition, observed.value, tenant.currency)
    return f"{rule.name}: {what} is {value} {span} (alerts when {limit})"


def _filters(condition: Condition) -> str:
    found = [
        f"{name} {value}"
        for name, value in (
            ("channel", condition.channel),
            ("provider", condition.provider),
            ("campaign", condition.campaign),
        )
        if value is not None
    ]
    return f" ({', '.join(found)})" if found else ""


def _facts(condition: Condition, observed: Observation, tenant: Tenant) -> tuple[tuple[str, str], ...]:
    def shown(value: Decimal | None) -> str:
        return "no data" if value is None else amount(condition.definition, value, tenant.currency)

    return (
        ("Actual", shown(observed.value)),
        ("Alerts when", f"{condition.operator} {shown(condition.threshold)}"),
        ("Measured over", f"{condition.time_window} min{_volume(condition.definition, observed.volume)}"),
    )


def _volume(metric: Metric, volume: int) -> str:
    """What a value was computed from, unless it is that itself."""
    match metric:
        case Count():
            return ""
        case Rate():
            what = metric_name(metric.denominator)
        case Cost():
            what = metric_name("messages_sent")
        case _:
            what = "deliveries with a time"
    return f", {volume:,} {what}"


def _data(rule: Rule, observed: Observation) -> dict[str, Any]:
    condition = rule.condition.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "rule": rule.name,
        "condition": condition,
        "value": None if observed.value is None else str(observed.value),
        "volume": observed.volume,
    }


def unreadable_finding(tenant_id: UUID, rule_id: UUID, *, now: datetime) -> Finding:
    """What is open of a rule stays open while the rule cannot be read."""
    return Finding(tenant_id, f"rule:{rule_id}", RULE_ALERT, None, "", Severity.WARNING, now)


def broken_finding(
    tenant_id: UUID, rule_id: UUID, name: str, problem: str, actions: tuple[Action, ...], *, now: datetime
) -> Finding:
    """That a rule cannot be evaluated; its own actions may be what is wrong, so others are told."""
    return Finding(
        tenant_id,
        f"broken:{rule_id}",
        BROKEN_ALERT,
        holds=True,
        message=f"The alert rule {name!r} cannot be evaluated: {problem}",
        severity=Severity.WARNING,
        since=now,
        actions=actions,
        data={"rule": name, "problem": problem},
        look_at=BROKEN_RULE,
        cooldown=timedelta(days=7),
        rule_id=rule_id,
    )
