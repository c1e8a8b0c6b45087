"""Rules left alone are those that would say nothing: all of them at once come to what one by one comes to."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from iris_pipelines.alerting.checked_rules import RuleKey
from iris_pipelines.alerting.evaluation import evaluate_rules
from iris_pipelines.alerting.rules import create_rule, observe_rule
from iris_pipelines.alerting.standouts import find_standouts
from iris_pipelines.db.database import Database
from iris_pipelines.domain.alerts.lifecycle import Standing, State, advance
from iris_pipelines.domain.alerts.metrics import WATCHABLE
from iris_pipelines.domain.alerts.rules import Rule
from iris_pipelines.domain.windows import HOUR
from tests.integration.alerting.platform import MINUTE, NOW, event, insert, make_rule, make_tenant, rows, send
from tests.pipeline.alerting.test_measures import CAMPAIGNS, TENANTS, random_event
from tests.pipeline.conftest import Pipeline

REACH = timedelta(hours=30)


def random_rule(database: Database, chance: random.Random, number: int) -> Rule:
    """A rule whose threshold is often just what there is to see, where comparisons differ most."""
    metric = chance.choice((*WATCHABLE, "p95_delivery_time_ms", "p95_delivery_time_ms"))
    filters: dict[str, Any] = {}
    if metric != "api_error_rate":
        filters = {
            "channel": chance.choice(("sms", "email", "unknown", None, None)),
            "provider": chance.choice(("twilio", "ses", "unknown", None, None)),
            "campaign": chance.choice((*CAMPAIGNS, None, None)),
        }
    condition = {
        "metric": metric,
        "operator": chance.choice((">", "<", ">=", "<=", "=")),
        "threshold": chance.choice((0, 33.33, 50, 100, 5000)),
        "time_window": chance.choice((1, 2, 5, 40, 41, 60, 90, 240, 1440, 1500)),
        "min_volume": chance.choice((0, 0, 3, 20)),
        "no_data": chance.choice(("skip", "skip", "alert")),
        "for": chance.choice((0, 0, 2)),
        **filters,
    }
    tenant_id = chance.choice(TENANTS)
    rule = create_rule(database, tenant_id, {"name": f"rule {number}", "condition": condition})
    seen = observe_rule(database, rule, now=NOW).value
    if seen is None or chance.random() < 0.3:
        return rule
    condition["threshold"] = float(abs(seen))
    with database.transaction() as connection:
        connection.execute("delete from iris.alert_rules where id = %s", (rule.id,))
    return create_rule(database, tenant_id, {"name": f"rule {number}", "condition": condition})


def one_by_one(
    database: Database, rules: list[Rule], before: Mapping[RuleKey, Standing], *, now: datetime
) -> dict[RuleKey, Standing]:
    """The states of all rules, each observed and judged by itself."""
    return {
        (rule.tenant_id, rule.id): advance(
            before.get((rule.tenant_id, rule.id)),
            rule.condition.judge(observe_rule(database, rule, now=now)),
            hold=timedelta(minutes=rule.condition.hold),
            now=now,
        )
        for rule in rules
    }


def stored(database: Database) -> dict[RuleKey, Standing]:
    found = rows(database, "select tenant_id, rule_id, state, since from iris.alert_rule_states")
    return {(tenant_id, rule_id): Standing(State(state), since) for tenant_id, rule_id, state, since in found}


def prepare(pipeline: Pipeline, database: Database, chance: random.Random, count: int) -> list[Rule]:
    for tenant_id in (*TENANTS, UUID(int=12), UUID(int=13), UUID(int=14), UUID(int=15), UUID(int=16)):
        make_tenant(database, tenant_id)  # most have no rules, so that some spans are read tenant by tenant
    insert(database, [random_event(chance, REACH) for _ in range(2_000)])
    pipeline.refresh(now=NOW)
    return [random_rule(database, chance, number) for number in range(count)]


@pytest.mark.parametrize("seed", range(3))
def test_exactly_those_stand_out_that_do_not_stand_where_they_stood(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    rules = prepare(pipeline, database, random.Random(seed), 250)
    verdicts = {
        (rule.tenant_id, rule.id): rule.condition.judge(observe_rule(database, rule, now=NOW)) for rule in rules
    }
    evaluate_rules(database, now=NOW)
    percentiles = {
        (rule.tenant_id, rule.id) for rule in rules if rule.condition.metric == "p95_delivery_time_ms"
    }  # may be looked at in vain
    with database.transaction() as connection:
        connection.execute("delete from iris.system_alerts")
    for state, quiet in (("ok", False), ("unknown", None), ("firing", "never")):
        with database.transaction() as connection:
            connection.execute("update iris.alert_rule_states set state = %s", (state,))
        with database.snapshot() as connection:
            found = find_standouts(connection, now=NOW).standouts
        expected = {key for key, holds in verdicts.items() if holds is not quiet}
        assert expected <= found
        assert found - expected <= percentiles


@pytest.mark.parametrize("seed", range(3))
def test_all_rules_at_once_come_to_what_they_come_to_one_by_one(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    chance = random.Random(seed)
    rules = prepare(pipeline, database, chance, 120)
    standings: dict[RuleKey, Standing] = {}
    left_alone = 0
    for minute in range(5):
        now = NOW + minute * MINUTE
        standings = one_by_one(database, rules, standings, now=now)
        found = evaluate_rules(database, now=now)
        assert stored(database) == standings, minute
        assert found.rules == len(rules)
        assert found.firing == sum(standing.state is State.FIRING for standing in standings.values())
        left_alone += found.rules - found.looked_at
        insert(database, [random_event(chance, REACH) for _ in range(40)])  # also late ones: their hours are stale
        if minute == 2:
            pipeline.refresh(now=now)
        if minute == 3:
            with database.transaction() as connection:
                connection.execute("delete from iris.analytics_events where duration_ms between 100 and 3000")
    assert left_alone > 50  # the control: were all rules looked at, the comparison would show nothing


def test_times_that_add_up_to_more_than_a_bigint_stop_no_rule(pipeline: Pipeline, database: Database) -> None:
    tenant = make_tenant(database)
    longest = 2**63 - 1
    insert(database, [event(tenant, "message.delivered", NOW - MINUTE, duration_ms=longest)] * 3)
    pipeline.refresh(now=NOW)
    mean = {"metric": "avg_delivery_time_ms", "operator": ">=", "threshold": 2**62}
    rules = [make_rule(database, tenant, condition=condition) for condition in (mean, {"threshold": 10})]
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    assert evaluate_rules(database, now=NOW).firing == 1
    with database.transaction() as connection:
        connection.execute("update iris.alert_rule_states set state = 'ok'")
        connection.execute("delete from iris.system_alerts")
    with database.snapshot() as connection:
        assert find_standouts(connection, now=NOW).standouts == {(tenant, rules[0])}


def test_a_rule_that_was_changed_by_plain_sql_is_read_again(pipeline: Pipeline, database: Database) -> None:
    tenant = make_tenant(database)
    send(database, tenant, 10, delivered=10, at=NOW - MINUTE)
    pipeline.refresh(now=NOW)
    rule_id = make_rule(database, tenant)
    evaluate_rules(database, now=NOW)
    assert evaluate_rules(database, now=NOW + MINUTE).looked_at == 0
    for minute, (threshold, firing) in enumerate(((101, 1), (90, 0), (100.01, 1)), 2):
        with database.transaction() as connection:
            connection.execute(
                "update iris.alert_rules set condition = condition || jsonb_build_object('threshold', %s::numeric)"
                " where id = %s",
                (threshold, rule_id),
            )
        assert evaluate_rules(database, now=NOW + minute * MINUTE).firing == firing


def test_rules_read_by_other_code_are_read_again(pipeline: Pipeline, database: Database) -> None:
    tenant = make_tenant(database)
    send(database, tenant, 10, delivered=5, at=NOW - MINUTE)
    pipeline.refresh(now=NOW)
    make_rule(database, tenant, condition={"threshold": 10})
    evaluate_rules(database, now=NOW)
    spoil = "update iris.checked_alert_rules set threshold = 90"
    rows(database, f"{spoil} returning true")
    assert evaluate_rules(database, now=NOW).looked_at == 1  # the control: what was read is what is judged by
    rows(database, f"{spoil}, checked_by = 'an older release' returning true")
    assert evaluate_rules(database, now=NOW).looked_at == 0


def test_an_open_incident_is_looked_at_however_quiet_its_rule_is(pipeline: Pipeline, database: Database) -> None:
    tenant = make_tenant(database)
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    pipeline.refresh(now=NOW)
    make_rule(database, tenant)
    assert evaluate_rules(database, now=NOW).settled.opened == 1
    with database.transaction() as connection:
        connection.execute("delete from iris.analytics_events")
        connection.execute("update iris.alert_rule_states set state = 'unknown'")
    send(database, tenant, 10, delivered=10, at=NOW + HOUR)
    assert evaluate_rules(database, now=NOW + HOUR + MINUTE).settled.resolved == 1
