"""All rules of all tenants, judged at once: a handful of statements however many rules there are."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache, reduce
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from iris_pipelines.alerting.incidents import Finding, OpenIncidents, Settled, settle
from iris_pipelines.alerting.measures import Scope, measure
from iris_pipelines.alerting.tenant_settings import alert_actions
from iris_pipelines.db.database import Connection, Database, in_one_snapshot, queries
from iris_pipelines.db.tenants import InvalidTenant, Tenant
from iris_pipelines.domain.alerts.advice import BROKEN_RULE, advice_for
from iris_pipelines.domain.alerts.lifecycle import Standing, State, advance
from iris_pipelines.domain.alerts.metrics import Observation, observe
from iris_pipelines.domain.alerts.rules import Action, Condition, InvalidRule, Rule, Severity, parse_rule
from iris_pipelines.domain.alerts.wording import amount, metric_name

RULE_ALERT = "alert_rule"
BROKEN_ALERT = "alert_rule_broken"


@dataclass(frozen=True)
class Evaluation:
    """What a round came to; `skipped` when another evaluator was at work."""

    rules: int = 0
    broken: int = 0
    firing: int = 0
    settled: Settled = field(default_factory=Settled)
    skipped: bool = False


@dataclass(frozen=True)
class _Known:
    """A stored rule: parsed, or the reason why it cannot be."""

    tenant_id: UUID
    id: UUID
    name: str
    rule: Rule | None
    problem: str | None
    standing: Standing | None
    known_problem: str | None


def evaluate_rules(db: Database, *, now: datetime) -> Evaluation:
    """Judge every enabled rule, move incidents on and put messages into the outbox; safe to call at any time."""
    with evaluating(db, "rules") as connection:
        if connection is None:
            return Evaluation(skipped=True)
        known = [_parsed(row) for row in queries().enabled_alert_rules(connection)]
        observed = observe_rules(connection, [each.rule for each in known if each.rule is not None], now=now)
        incidents, broken_incidents = OpenIncidents(connection, "rule:"), OpenIncidents(connection, "broken:")
        tenants = read_tenants(connection)
        standings = [_advanced(each, observed, now=now) for each in known]
        _store(connection, known, standings, observed)
        # Of a rule that is well and was before, there is nothing to say.
        watched = [
            _finding(each.rule, standing, observed[each.id], tenants[each.tenant_id], now=now)
            for each, standing in zip(known, standings, strict=True)
            if each.rule is not None
            and (standing.state is State.FIRING or incidents.get(each.tenant_id, f"rule:{each.id}") is not None)
        ]
        unreadable = [_unreadable(each, now=now) for each in known if each.rule is None]
        broken = _broken(connection, known, now=now)
        settled = [
            settle(
                connection,
                [*watched, *incidents.ended([*watched, *unreadable], now=now)],
                incidents,
                tenants,
                now=now,
            ),
            settle(connection, [*broken, *broken_incidents.ended(broken, now=now)], broken_incidents, tenants, now=now),
        ]
        return Evaluation(
            rules=len(known),
            broken=len(broken),
            firing=sum(standing.state is State.FIRING for standing in standings),
            settled=reduce(added, settled),
        )


def observe_rules(connection: Connection, rules: Sequence[Rule], *, now: datetime) -> dict[UUID, Observation]:
    """What each rule's metric is now, by the rule's id."""
    asked = {rule.id: (scope_of(rule, now=now), rule.condition.definition) for rule in rules}
    measured = measure(connection, asked.values(), now=now)
    return {rule_id: observe(metric, measured[scope, metric.name]) for rule_id, (scope, metric) in asked.items()}


def scope_of(rule: Rule, *, now: datetime) -> Scope:
    """The events that a rule looks at."""
    condition = rule.condition
    start = now - timedelta(minutes=condition.time_window)
    return Scope(rule.tenant_id, start, condition.channel, condition.provider, condition.campaign)


@contextmanager
def evaluating(db: Database, what: str) -> Iterator[Connection | None]:
    """A transaction in one snapshot that no other evaluator of `what` has at the same time; None if one has."""
    with db.autocommit() as connection:
        if not queries().try_evaluation_lock(connection, what=what):
            yield None
            return
        try:
            with in_one_snapshot(connection):
                yield connection
        finally:
            if not connection.closed:
                queries().release_evaluation_lock(connection, what=what)


def read_tenants(connection: Connection) -> dict[UUID, Tenant]:
    """Every tenant by id."""
    return {row[0]: _tenant(*row) for row in queries().all_tenants(connection)}


def _tenant(tenant_id: UUID, name: str, timezone: str, currency: str) -> Tenant:
    """A tenant as it is stored; one whose time zone nobody knows is in UTC, and stops no other."""
    try:
        return Tenant(tenant_id, name, timezone, currency)
    except InvalidTenant:
        return Tenant(tenant_id, name.strip() or str(tenant_id), "UTC", currency)


def added(first: Settled, second: Settled) -> Settled:
    """Two parts of a round."""
    return Settled(
        *map(
            operator.add,
            (first.opened, first.reminded, first.resolved, first.messages),
            (second.opened, second.reminded, second.resolved, second.messages),
        )
    )


def _parsed(row: tuple[Any, ...]) -> _Known:
    tenant_id, rule_id, state, since, known_problem, *texts = row
    standing = None if state is None else Standing(State(state), since)
    rule, problem = _rule_of(tenant_id, rule_id, *texts)
    return _Known(tenant_id, rule_id, texts[0], rule, problem, standing, known_problem)


@lru_cache(maxsize=100_000)
def _rule_of(tenant_id: UUID, rule_id: UUID, *texts: str | None) -> tuple[Rule | None, str | None]:
    """A rule, or why it is none; parsed again when its text changes, not at every look."""
    name, condition, actions, severity, quiet_hours = texts
    fields = {
        "tenant_id": tenant_id,
        "id": rule_id,
        "name": name,
        "condition": json.loads(condition or "null"),
        "actions": json.loads(actions or "null"),
        "severity": severity,
        "quiet_hours": None if quiet_hours is None else json.loads(quiet_hours),
    }
    try:
        return parse_rule(fields), None
    except InvalidRule as error:
        return None, str(error)


def _advanced(known: _Known, observed: dict[UUID, Observation], *, now: datetime) -> Standing:
    if known.rule is None:
        before = known.standing
        return before if before is not None and before.state is State.BROKEN else Standing(State.BROKEN, now)
    condition = known.rule.condition
    holds = condition.judge(observed[known.id])
    return advance(known.standing, holds, hold=timedelta(minutes=condition.hold), now=now)


def _store(
    connection: Connection,
    known: Sequence[_Known],
    standings: Sequence[Standing],
    observed: dict[UUID, Observation],
) -> None:
    queries().forget_states_of_disabled_rules(connection)
    changed = [
        (each, standing)
        for each, standing in zip(known, standings, strict=True)
        if standing != each.standing or each.problem != each.known_problem
    ]
    if changed:
        nothing = Observation(None, 0)
        queries().store_rule_states(
            connection,
            tenant_ids=[each.tenant_id for each, _ in changed],
            rule_ids=[each.id for each, _ in changed],
            states=[standing.state.value for _, standing in changed],
            sinces=[standing.since for _, standing in changed],
            values_seen=[observed.get(each.id, nothing).value for each, _ in changed],
            volumes=[observed.get(each.id, nothing).volume for each, _ in changed],
            problems=[each.problem for each, _ in changed],
        )


def _finding(rule: Rule, standing: Standing, observed: Observation, tenant: Tenant, *, now: datetime) -> Finding:
    condition = rule.condition
    # While the rule ripens nothing is open; an incident stays open while nothing can be said.
    holds = {State.FIRING: True, State.UNKNOWN: None}.get(standing.state, False)
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
        ("Measured over", f"{condition.time_window} min, {observed.volume:,} to judge by"),
    )


def _data(rule: Rule, observed: Observation) -> dict[str, Any]:
    condition = rule.condition.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "rule": rule.name,
        "condition": condition,
        "value": None if observed.value is None else str(observed.value),
        "volume": observed.volume,
    }


def _unreadable(known: _Known, *, now: datetime) -> Finding:
    """What is open of a rule stays open while the rule cannot be read."""
    return Finding(known.tenant_id, f"rule:{known.id}", RULE_ALERT, None, "", Severity.WARNING, now)


def _broken(connection: Connection, known: Sequence[_Known], *, now: datetime) -> list[Finding]:
    """One incident for each rule that cannot be evaluated; the rule's own actions may be what is wrong."""
    unreadable = [each for each in known if each.rule is None]
    if not unreadable:
        return []
    recipients: dict[UUID, tuple[Action, ...]] = alert_actions(connection)
    return [
        Finding(
            each.tenant_id,
            f"broken:{each.id}",
            BROKEN_ALERT,
            holds=True,
            message=f"The alert rule {each.name!r} cannot be evaluated: {each.problem}",
            severity=Severity.WARNING,
            since=now,
            actions=recipients.get(each.tenant_id, ()),
            data={"rule": each.name, "problem": each.problem},
            look_at=BROKEN_RULE,
            cooldown=timedelta(days=7),
            rule_id=each.id,
        )
        for each in unreadable
    ]
