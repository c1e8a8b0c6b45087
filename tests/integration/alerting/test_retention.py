"""Old alerts are forgotten, but nothing that waits to be told, and nothing that keeps anybody from being told twice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from iris_pipelines.alerting.budgets import evaluate_budgets
from iris_pipelines.alerting.delivery import deliver_due
from iris_pipelines.alerting.evaluation import evaluate_rules
from iris_pipelines.alerting.retention import Forgotten, forget_old_alerts
from iris_pipelines.alerting.rules import silence
from iris_pipelines.alerting.run_failures import FailedRun, note_run_failure
from iris_pipelines.alerting.senders.outcomes import Dead, Delivered, Message, Outcome, Retry
from iris_pipelines.db.database import Database
from iris_pipelines.domain.alerts.rules import ActionType, parse_actions
from tests.integration.alerting.platform import (
    EMAIL,
    MINUTE,
    NOW,
    event,
    insert,
    make_rule,
    make_tenant,
    messages,
    rows,
    send,
)

LATER = NOW + timedelta(days=400)


@pytest.fixture
def tenant(database: Database) -> UUID:
    return make_tenant(database)


class Answering:
    """A sender whose every attempt comes to the same."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.sent: list[UUID] = []

    def send(self, message: Message) -> Outcome:
        self.sent.append(message.id)
        return self.outcome


def deliver(database: Database, outcome: Outcome) -> int:
    sender = Answering(outcome)
    deliver_due(database, {ActionType.EMAIL: sender}, clock=lambda: NOW + MINUTE, workers=1)
    return len(sender.sent)


def fire(database: Database, tenant: UUID) -> None:
    make_rule(database, tenant)
    send(database, tenant, 10, delivered=0, at=NOW - MINUTE)
    evaluate_rules(database, now=NOW)


def resolve(database: Database, tenant: UUID) -> None:
    send(database, tenant, 1000, delivered=1000, at=NOW)
    evaluate_rules(database, now=NOW + MINUTE)


def count(database: Database, table: str) -> int:
    ((found,),) = rows(database, f"select count(*) from iris.{table}")
    return int(found)


@pytest.mark.parametrize("outcome", [Delivered("250 OK"), Dead("no such mailbox")])
def test_what_ended_and_was_told_long_ago_is_forgotten(database: Database, tenant: UUID, outcome: Outcome) -> None:
    fire(database, tenant)
    resolve(database, tenant)
    assert deliver(database, outcome) == 2
    assert forget_old_alerts(database, before=NOW) == Forgotten(0, 0, 0)
    assert forget_old_alerts(database, before=LATER) == Forgotten(2, 1, 0)
    assert [count(database, table) for table in ("system_alerts", "alert_deliveries", "alert_delivery_attempts")] == [
        0,
        0,
        0,
    ]


@pytest.mark.parametrize("tried", [True, False])
def test_what_waits_to_be_delivered_stays_with_its_incident(database: Database, tenant: UUID, tried: bool) -> None:
    fire(database, tenant)
    resolve(database, tenant)
    if tried:
        deliver(database, Retry("the server is down"))
    assert forget_old_alerts(database, before=LATER) == Forgotten(0, 0, 0)
    assert len(messages(database)) == 2
    late = Answering(Delivered("250 OK"))
    deliver_due(database, {ActionType.EMAIL: late}, clock=lambda: LATER, workers=1)
    assert len(set(late.sent)) == 2


def test_an_incident_that_lasts_is_not_told_again_when_its_messages_are_forgotten(
    database: Database, tenant: UUID
) -> None:
    fire(database, tenant)
    assert deliver(database, Delivered("250 OK")) == 1
    assert forget_old_alerts(database, before=LATER) == Forgotten(1, 0, 0)
    evaluate_rules(database, now=NOW + 2 * MINUTE)
    assert messages(database) == []
    resolve(database, tenant)
    assert [kind for kind, *_ in messages(database)] == ["resolved"]


def test_a_budget_is_not_told_of_again_when_its_message_is_forgotten(database: Database, tenant: UUID) -> None:
    settings = {"monthly_budget": "10", "alert_actions": '[{"type": "email", "recipients": ["a@example.org"]}]'}
    with database.transaction() as connection:
        for key, value in settings.items():
            connection.execute("insert into iris.tenant_settings values (%s, %s, %s)", (tenant, key, value))
    insert(database, [event(tenant, "message.sent", NOW - MINUTE, cost=Decimal(8))])
    evaluate_budgets(database, now=NOW)
    assert deliver(database, Delivered("250 OK")) == 1
    assert forget_old_alerts(database, before=LATER) == Forgotten(1, 0, 0)
    evaluate_budgets(database, now=NOW + MINUTE)
    assert messages(database) == []
    rows(database, "delete from iris.system_alerts returning true")  # the control: this is what keeps it from that
    evaluate_budgets(database, now=NOW + 2 * MINUTE)
    assert len(messages(database)) == 1


def test_a_failed_run_is_not_told_of_again_when_its_message_is_forgotten(database: Database) -> None:
    run, actions = FailedRun("run-1", "archive_job", "the disk is full"), parse_actions([EMAIL])
    note_run_failure(database, run, actions=actions, now=NOW)
    assert deliver(database, Delivered("250 OK")) == 1
    forget_old_alerts(database, before=LATER)
    note_run_failure(database, run, actions=actions, now=NOW)
    assert messages(database) == []


def test_silences_that_are_over_are_forgotten(database: Database, tenant: UUID) -> None:
    silence(database, tenant, now=NOW, lasting=MINUTE)
    silence(database, tenant, now=NOW, lasting=timedelta(days=1))
    assert forget_old_alerts(database, before=NOW + timedelta(hours=1)) == Forgotten(0, 0, 1)
