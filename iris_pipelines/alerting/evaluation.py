"""All rules of all tenants, judged at once: a handful of statements however many rules there are."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from typing import Any
from uuid import UUID

from iris_pipelines.alerting.checked_rules import RuleKey, check_rules, read_rule
from iris_pipelines.alerting.incidents import OpenIncidents, Settled, settle
from iris_pipelines.alerting.measures import Scope, measure
from iris_pipelines.alerting.rounds import added, evaluating, read_tenants
from iris_pipelines.alerting.rule_findings import broken_finding, rule_finding, unreadable_finding
from iris_pipelines.alerting.standouts import find_standouts
from iris_pipelines.alerting.tenant_settings import alert_actions
from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.alerts.lifecycle import Standing, State, advance
from iris_pipelines.domain.alerts.metrics import Observation, observe
from iris_pipelines.domain.alerts.rules import Rule

Observations = dict[RuleKey, Observation]


@dataclass(frozen=True)
class Evaluation:
    """What a round came to; `skipped` when another evaluator was at work."""

    rules: int = 0
    looked_at: int = 0
    """Of these, those that did not stand as quiet as before."""
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

    @property
    def key(self) -> RuleKey:
        """What it is called by."""
        return self.tenant_id, self.id


def evaluate_rules(db: Database, *, now: datetime) -> Evaluation:
    """Judge every enabled rule, move incidents on and put messages into the outbox; safe to call at any time."""
    with evaluating(db, "rules") as connection:
        if connection is None:
            return Evaluation(skipped=True)
        check_rules(connection)
        enabled = find_standouts(connection, now=now)
        known = _read(connection, enabled.standouts)
        observed = observe_rules(connection, [each.rule for each in known if each.rule is not None], now=now)
        incidents, broken_incidents = OpenIncidents(connection, "rule:"), OpenIncidents(connection, "broken:")
        tenants = read_tenants(connection)
        standings = [_advanced(each, observed, now=now) for each in known]
        _store(connection, known, standings, observed)
        # Of a rule that is well and was before, there is nothing to say.
        watched = [
            rule_finding(each.rule, standing, observed[each.key], tenants[each.tenant_id], now=now)
            for each, standing in zip(known, standings, strict=True)
            if each.rule is not None
            and (standing.state is State.FIRING or incidents.get(each.tenant_id, f"rule:{each.id}") is not None)
        ]
        unreadable = [unreadable_finding(each.tenant_id, each.id, now=now) for each in known if each.rule is None]
        recipients = alert_actions(connection) if unreadable else {}
        broken = [
            broken_finding(
                each.tenant_id, each.id, each.name, each.problem or "", recipients.get(each.tenant_id, ()), now=now
            )
            for each in known
            if each.rule is None
        ]
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
            rules=enabled.rules,
            looked_at=len(known),
            broken=len(broken),
            firing=sum(standing.state is State.FIRING for standing in standings),
            settled=reduce(added, settled),
        )


def observe_rules(connection: Connection, rules: Sequence[Rule], *, now: datetime) -> Observations:
    """What each rule's metric is now, by tenant and id: an id may be that of another tenant's rule, too."""
    asked = {(rule.tenant_id, rule.id): (scope_of(rule, now=now), rule.condition.definition) for rule in rules}
    measured = measure(connection, asked.values(), now=now)
    return {key: observe(metric, measured[scope, metric.name]) for key, (scope, metric) in asked.items()}


def scope_of(rule: Rule, *, now: datetime) -> Scope:
    """The events that a rule looks at."""
    condition = rule.condition
    start = now - timedelta(minutes=condition.time_window)
    return Scope(rule.tenant_id, start, condition.channel, condition.provider, condition.campaign)


def _read(connection: Connection, keys: Collection[RuleKey]) -> list[_Known]:
    rows = queries().rules_with_states(
        connection, tenant_ids=[tenant_id for tenant_id, _ in keys], rule_ids=[rule_id for _, rule_id in keys]
    )
    return [_known(row) for row in rows]


def _known(row: tuple[Any, ...]) -> _Known:
    tenant_id, rule_id, state, since, known_problem, *fields = row
    standing = None if state is None else Standing(State(state), since)
    rule, problem = read_rule((tenant_id, rule_id), fields)
    return _Known(tenant_id, rule_id, fields[0], rule, problem, standing, known_problem)


def _advanced(known: _Known, observed: Observations, *, now: datetime) -> Standing:
    if known.rule is None:
        before = known.standing
        return before if before is not None and before.state is State.BROKEN else Standing(State.BROKEN, now)
    condition = known.rule.condition
    holds = condition.judge(observed[known.key])
    return advance(known.standing, holds, hold=timedelta(minutes=condition.hold), now=now)


def _store(
    connection: Connection,
    known: Sequence[_Known],
    standings: Sequence[Standing],
    observed: Observations,
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
            values_seen=[observed.get(each.key, nothing).value for each, _ in changed],
            volumes=[observed.get(each.key, nothing).volume for each, _ in changed],
            problems=[each.problem for each, _ in changed],
        )
