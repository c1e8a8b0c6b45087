"""Rules judged all at once: one incident, one message of its beginning and one of its end, however often one looks."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from iris_pipelines.alerting.evaluation import Evaluation, evaluate_rules
from iris_pipelines.alerting.rounds import evaluating
from iris_pipelines.alerting.rules import delete_rule, silence
from iris_pipelines.db.database import Database, queries
from tests.integration.alerting.platform import (
    EMAIL,
    MINUTE,
    NOW,
    event,
    insert,
    insert_raw_rule,
    make_empty_rollup,
    make_rule,
    make_tenant,
    messages,
    rows,
    send,
)


@pytest.fixture(params=["before the first rollup", "with a rollup"])
def tenant(database: Database, request: pytest.FixtureRequest) -> UUID:
    """A tenant whose rules are judged one by one, or by the database first."""
    if request.param == "with a rollup":
        make_empty_rollup(database)
    return make_tenant(database)


def alerts(database: Database) -> list[tuple[str, str]]:
    return rows(database, "select alert_type, status from iris.system_alerts order by created_at, 1")  # type: ignore[return-value]


def state(database: Database) -> str:
    ((found,),) = rows(database, "select state from iris.alert_rule_states")
    return str(found)


def kinds(database: Database) -> list[str]:
    return [kind for kind, *_ in messages(database)]


def test_a_thousand_evaluations_of_one_incident_make_one_firing_and_one_resolved_message(
    database: Database, tenant: UUID
) -> None:
    make_rule(database, tenant, condition={"time_window": 60, "cooldown": 10_000})
    send(database, tenant, 100, delivered=50, at=NOW - MINUTE)
    step = timedelta(seconds=3)
    for n in range(500):
        evaluate_rules(database, now=NOW + n * step)
    send(database, tenant, 5_000, delivered=5_000, at=NOW + 500 * step)
    for n in range(501, 1_001):
        evaluate_rules(database, now=NOW + n * step)
    assert messages(database) == [
        ("firing", 0, "email", "ops@example.org"),
        ("resolved", 0, "email", "ops@example.org"),
    ]
    assert alerts(database) == [("alert_rule", "resolved")]


def test_two_evaluators_at_once_tell_once(database: Database, tenant: UUID) -> None:
    for n in range(20):
        make_rule(database, tenant, name=f"rule {n}")
    send(database, tenant, 100, delivered=50, at=NOW - MINUTE)
    barrier = threading.Barrier(4)
    done: list[Evaluation] = []

    def evaluate() -> None:
        with Database(database.url) as own:
            barrier.wait()
            done.extend(evaluate_rules(own, now=NOW + n * timedelta(seconds=1)) for n in range(10))

    threads = [threading.Thread(target=evaluate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 40
    assert kinds(database) == ["firing"] * 20
    assert len(alerts(database)) == 20


def test_who_finds_another_at_work_leaves_it_alone(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant)
    send(database, tenant, 100, delivered=50, at=NOW - MINUTE)
    with evaluating(database, "rules") as connection:
        assert connection is not None
        assert evaluate_rules(database, now=NOW).skipped
    assert messages(database) == []
    assert not evaluate_rules(database, now=NOW).skipped
    assert kinds(database) == ["firing"]


def test_no_traffic_is_not_a_rate_of_zero(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant)
    make_rule(database, tenant, name="none", condition={"metric": "error_rate", "operator": "=", "threshold": 0})
    send(database, tenant, 10, delivered=0, at=NOW - 20 * MINUTE)  # before the window
    assert evaluate_rules(database, now=NOW).firing == 0
    assert alerts(database) == []


def test_no_data_alerts_where_that_was_asked_for(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant, condition={"no_data": "alert"})
    evaluate_rules(database, now=NOW)
    ((message,),) = rows(database, "select message from iris.system_alerts")
    assert "no data for delivery rate over the last 15 min" in message


def test_costs_that_add_up_to_no_number_are_no_data_and_stop_no_rule(database: Database, tenant: UUID) -> None:
    condition = {"metric": "total_cost", "operator": "<", "threshold": 5}
    make_rule(database, tenant, condition=condition)
    for name, wanted in (("no data", {"no_data": "alert"}), ("any", {"operator": ">="})):
        make_rule(database, tenant, name=name, condition={**condition, **wanted})
    send(database, tenant, 1, delivered=0, at=NOW - MINUTE, cost="4")
    assert evaluate_rules(database, now=NOW).firing == 2
    send(database, tenant, 1, delivered=0, at=NOW - MINUTE, cost="2")
    assert evaluate_rules(database, now=NOW).firing == 1
    send(database, tenant, 1, delivered=0, at=NOW - MINUTE, cost="NaN")
    evaluate_rules(database, now=NOW + MINUTE)
    states = rows(
        database,
        "select rules.name, states.state from iris.alert_rule_states as states"
        " inner join iris.alert_rules as rules on states.rule_id = rules.id order by rules.name",
    )
    assert states == [("any", "firing"), ("low delivery", "unknown"), ("no data", "firing")]


def test_no_messages_are_a_count_of_zero(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant, condition={"metric": "messages_sent", "operator": "<", "threshold": 1})
    assert evaluate_rules(database, now=NOW).firing == 1


def test_three_messages_are_not_a_trend(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant, condition={"min_volume": 4})
    send(database, tenant, 3, delivered=0, at=NOW - MINUTE)
    assert evaluate_rules(database, now=NOW).firing == 0
    send(database, tenant, 1, delivered=0, at=NOW - MINUTE)
    assert evaluate_rules(database, now=NOW).firing == 1


def test_equal_compares_what_is_published(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant, condition={"operator": "=", "threshold": 66.67})
    send(database, tenant, 3, delivered=2, at=NOW - MINUTE)
    assert evaluate_rules(database, now=NOW).firing == 1


def test_a_window_holds_its_start_and_not_its_end(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant, condition={"metric": "messages_sent", "operator": "=", "threshold": 1})
    send(database, tenant, 1, delivered=0, at=NOW - 15 * MINUTE)
    send(database, tenant, 1, delivered=0, at=NOW)
    send(database, tenant, 1, delivered=0, at=NOW - 15 * MINUTE - timedelta(microseconds=1))
    assert evaluate_rules(database, now=NOW).firing == 1


def test_a_condition_must_hold_for_as_long_as_the_rule_says(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant, condition={"for": 5, "time_window": 60})
    send(database, tenant, 100, delivered=50, at=NOW)
    looks = [(1, "pending"), (4, "pending"), (5, "pending"), (6, "firing")]
    for minute, expected in looks:
        evaluate_rules(database, now=NOW + minute * MINUTE)
        assert state(database) == expected, minute
    ((since,),) = rows(database, "select data ->> 'since' from iris.system_alerts")
    assert datetime.fromisoformat(since) == NOW + MINUTE


def test_what_does_not_hold_in_between_begins_anew(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant, condition={"for": 5, "time_window": 2})
    send(database, tenant, 10, delivered=0, at=NOW)
    evaluate_rules(database, now=NOW + MINUTE)
    evaluate_rules(database, now=NOW + 4 * MINUTE)  # nothing to judge by
    assert state(database) == "unknown"
    send(database, tenant, 10, delivered=0, at=NOW + 5 * MINUTE)
    evaluate_rules(database, now=NOW + 6 * MINUTE)
    assert state(database) == "pending"
    assert alerts(database) == []


def test_nothing_to_judge_by_ends_no_incident_and_reminds_of_none(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant, condition={"cooldown": 1})
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    evaluate_rules(database, now=NOW)
    for minute in range(20, 200, 20):
        evaluate_rules(database, now=NOW + minute * MINUTE)
    assert alerts(database) == [("alert_rule", "firing")]
    assert kinds(database) == ["firing"]


def test_reminders_come_at_most_every_cooldown(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant, condition={"time_window": 600, "cooldown": 30})
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    for minute in range(100):
        evaluate_rules(database, now=NOW + minute * MINUTE)
    assert [(kind, sequence) for kind, sequence, *_ in messages(database)] == [
        ("firing", 0),
        ("reminder", 1),
        ("reminder", 2),
        ("reminder", 3),
    ]


def test_each_action_and_recipient_gets_one_message(database: Database, tenant: UUID) -> None:
    actions = [
        {"type": "email", "recipients": ["a@example.org", "b@example.org"]},
        {"type": "sms", "recipients": ["+4915112345678"]},
    ]
    make_rule(database, tenant, actions=actions)
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    for minute in range(3):
        evaluate_rules(database, now=NOW + minute * MINUTE)
    assert [(kind, recipient) for kind, _, _, recipient in messages(database)] == [
        ("firing", "a@example.org"),
        ("firing", "b@example.org"),
        ("firing", "+4915112345678"),
    ]


def test_a_silence_holds_messages_back_until_it_ends(database: Database, tenant: UUID) -> None:
    rule_id = make_rule(database, tenant, condition={"time_window": 600})
    silence(database, tenant, now=NOW, lasting=30 * MINUTE, rule_id=rule_id)
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    evaluate_rules(database, now=NOW)
    assert (alerts(database), messages(database)) == ([("alert_rule", "firing")], [])
    evaluate_rules(database, now=NOW + 30 * MINUTE)
    assert kinds(database) == ["firing"]


def test_what_begins_and_ends_in_silence_is_never_told(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant)
    silence(database, tenant, now=NOW, lasting=60 * MINUTE)
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    evaluate_rules(database, now=NOW)
    send(database, tenant, 10, delivered=10, at=NOW + 20 * MINUTE)
    evaluate_rules(database, now=NOW + 21 * MINUTE)
    assert (alerts(database), messages(database)) == ([("alert_rule", "resolved")], [])


def test_the_silence_of_one_rule_or_type_is_not_that_of_another(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant)
    silence(database, tenant, now=NOW, lasting=30 * MINUTE, rule_id=uuid4())
    silence(database, tenant, now=NOW, lasting=30 * MINUTE, alert_type="budget_threshold")
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    evaluate_rules(database, now=NOW)
    assert kinds(database) == ["firing"]


def test_quiet_hours_are_those_of_the_tenant(database: Database) -> None:
    tenant = make_tenant(database, timezone="Asia/Tokyo")  # NOW is 00:40 there
    quiet = {"start": "22:00", "end": "07:00"}
    make_rule(database, tenant, condition={"time_window": 600}, quiet_hours=quiet)
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    evaluate_rules(database, now=NOW)
    assert messages(database) == []
    evaluate_rules(database, now=NOW + timedelta(hours=6, minutes=19))
    assert messages(database) == []
    evaluate_rules(database, now=NOW + timedelta(hours=6, minutes=20))
    assert kinds(database) == ["firing"]


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ({"metric": "happiness", "operator": "<", "threshold": 1, "time_window": 5}, "unknown metric 'happiness'"),
        ({"metric": "open_rate", "operator": "<", "threshold": "low", "time_window": 5}, "threshold: must be a number"),
        ("not even an object", "condition"),
        ({}, "metric"),
    ],
)
def test_a_broken_rule_is_reported_once_and_stops_no_other(
    database: Database, tenant: UUID, condition: object, problem: str
) -> None:
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.tenant_settings values (%s, 'alert_actions', %s)",
            (tenant, '[{"type": "email", "recipients": ["admin@example.org"]}]'),
        )
    broken_id = insert_raw_rule(database, tenant, condition)
    make_rule(database, tenant)
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    for minute in range(3):
        found = evaluate_rules(database, now=NOW + minute * MINUTE)
        assert (found.rules, found.broken, found.firing) == (2, 1, 1)
    assert sorted(alerts(database)) == [("alert_rule", "firing"), ("alert_rule_broken", "firing")]
    ((told,),) = rows(database, "select message from iris.system_alerts where alert_type = 'alert_rule_broken'")
    assert problem in told
    assert sorted(recipient for *_, recipient in messages(database)) == ["admin@example.org", "ops@example.org"]

    delete_rule(database, tenant, broken_id)
    evaluate_rules(database, now=NOW + 4 * MINUTE)
    assert ("alert_rule_broken", "resolved") in alerts(database)


def test_a_rule_that_asks_for_more_than_there_can_be_stops_no_other(database: Database, tenant: UUID) -> None:
    beyond = {"metric": "p95_delivery_time_ms", "threshold": 9e19, "time_window": 15}
    for operator in (">", "<", "="):
        insert_raw_rule(database, tenant, {**beyond, "operator": operator, "min_volume": 10**30})
    make_rule(database, tenant)
    send(database, tenant, 10, delivered=1, at=NOW - MINUTE, duration_ms=5)
    found = evaluate_rules(database, now=NOW)
    assert (found.rules, found.broken, found.firing) == (4, 0, 1)


@pytest.mark.parametrize("statement", ["update iris.alert_rules set enabled = false", "delete from iris.alert_rules"])
def test_the_incident_of_a_rule_that_is_gone_ends(database: Database, tenant: UUID, statement: str) -> None:
    make_rule(database, tenant)
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    evaluate_rules(database, now=NOW)
    with database.transaction() as connection:
        connection.execute(statement.encode())
    evaluate_rules(database, now=NOW + MINUTE)
    assert kinds(database) == ["firing", "resolved"]
    assert rows(database, "select * from iris.alert_rule_states") == []


def test_an_evaluation_that_dies_leaves_neither_incident_nor_message(
    database: Database, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rule(database, tenant)
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)

    def die(*_: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(queries(), "enqueue_delivery", die)
        with pytest.raises(RuntimeError):
            evaluate_rules(database, now=NOW)
    assert (alerts(database), messages(database)) == ([], [])
    evaluate_rules(database, now=NOW)
    assert (alerts(database), kinds(database)) == ([("alert_rule", "firing")], ["firing"])


def test_tenants_do_not_see_each_other(database: Database, tenant: UUID) -> None:
    other = make_tenant(database, UUID(int=11), name="Other")
    make_rule(database, tenant)
    send(database, other, 100, delivered=0, at=NOW - MINUTE)
    assert evaluate_rules(database, now=NOW).firing == 0


def test_an_id_may_be_that_of_two_tenants_rules(database: Database, tenant: UUID) -> None:
    other = make_tenant(database, UUID(int=11), name="Other")
    rule_id = make_rule(database, tenant)
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.alert_rules (tenant_id, id, name, condition)"
            " select %s, id, name, condition from iris.alert_rules where id = %s",
            (other, rule_id),
        )
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    send(database, other, 10, delivered=10, at=NOW - MINUTE)
    assert evaluate_rules(database, now=NOW).firing == 1
    assert rows(database, "select tenant_id from iris.system_alerts") == [(tenant,)]


def test_an_incident_outlives_that_its_rule_cannot_be_read_for_a_while(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant, condition={"for": 1, "time_window": 60})
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    spoil = "update iris.alert_rules set condition = jsonb_set(condition, '{metric}', %s)"
    for minute, metric in enumerate(("delivery_rate", "delivery_rate", "nonsense", "delivery_rate", "delivery_rate")):
        with database.transaction() as connection:
            connection.execute(spoil.encode(), (f'"{metric}"',))
        evaluate_rules(database, now=NOW + minute * MINUTE)
    assert [kind for kind, *_ in messages(database)] == ["firing"]
    assert ("alert_rule", "firing") in alerts(database)


def test_a_tenant_of_no_known_time_zone_stops_no_other(database: Database, tenant: UUID) -> None:
    # PostgreSQL takes it for a rule of POSIX.
    with database.transaction() as connection:
        connection.execute("insert into iris.tenants (name, timezone) values ('Nowhere', 'MOON5')")
    make_rule(database, tenant)
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    assert evaluate_rules(database, now=NOW).firing == 1


def test_failed_requests_of_the_api_are_those_without_success(database: Database, tenant: UUID) -> None:
    condition = {"metric": "api_error_rate", "operator": "=", "threshold": 75}
    make_rule(database, tenant, condition=condition, actions=[EMAIL])
    outcomes = [True, False, False, None]
    insert(database, [event(tenant, "api.request", NOW - MINUTE, success=success) for success in outcomes])
    assert evaluate_rules(database, now=NOW).firing == 1
