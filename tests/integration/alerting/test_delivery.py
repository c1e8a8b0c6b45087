"""Messages arrive once: over failures, hangs, restarts and two senders at a time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from iris_pipelines.alerting.delivery import LEASE, MOST_ATTEMPTS, Deliveries, deliver_due, pause_after
from iris_pipelines.alerting.evaluation import evaluate_rules
from iris_pipelines.alerting.senders.directory import Channels, senders
from iris_pipelines.alerting.senders.outcomes import Delivered, Message, Outcome
from iris_pipelines.alerting.tenant_settings import webhook_secret
from iris_pipelines.db.database import Database
from iris_pipelines.domain.alerts.rules import ActionType
from tests.commands import eventually, python, started
from tests.integration.alerting.platform import MINUTE, NOW, make_rule, make_tenant, rows, send
from tests.integration.alerting.receivers import (
    FakeClock,
    HttpReceiver,
    MailReceiver,
    Request,
    failing,
    http_receiver,
    mail_receiver,
)

LOOPBACK = "127.0.0.0/8"
ROUTING_KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def tenant(database: Database) -> UUID:
    return make_tenant(database)


@pytest.fixture
def http() -> Iterator[HttpReceiver]:
    with http_receiver() as receiver:
        yield receiver


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


class Deployment:
    """A database with channels that lead to receivers on loopback, and a clock."""

    def __init__(self, database: Database, http: HttpReceiver, mail: MailReceiver) -> None:
        import ipaddress

        self.database = database
        self.clock = FakeClock(NOW)
        self.channels = Channels(
            smtp_url=mail.url,
            mail_from="IRIS <alerts@iris.example>",
            slack_url=http.url,
            slack_token="xoxb-secret",
            pagerduty_url=http.url,
            twilio_url=http.url,
            twilio_account_sid="AC1",
            twilio_auth_token="token",
            twilio_sender="+15005550006",
            webhook_networks=(ipaddress.ip_network(LOOPBACK),),
            apprise_targets={"teams": http.url.replace("http://", "json://") + "/apprise"},
        )

    def deliver(self, *, workers: int = 1) -> Deliveries:
        ways = senders(self.channels, self.database, clock=self.clock)
        return deliver_due(
            self.database,
            ways,
            clock=self.clock,
            link="https://iris.example/alerts/{alert_id}",
            workers=workers,
            chance=lambda: 0.0,
        )

    def evaluate(self) -> None:
        evaluate_rules(self.database, now=self.clock.now)


@pytest.fixture
def deployment(database: Database, http: HttpReceiver, mail: MailReceiver) -> Deployment:
    return Deployment(database, http, mail)


def fire(deployment: Deployment, tenant: UUID, kind: str, *recipients: str) -> None:
    """An incident of a rule with this action."""
    make_rule(deployment.database, tenant, actions=[{"type": kind, "recipients": recipients}])
    send(deployment.database, tenant, 100, delivered=60, at=deployment.clock.now - MINUTE)
    deployment.evaluate()


def resolve(deployment: Deployment, tenant: UUID) -> None:
    deployment.clock.now += 30 * MINUTE
    send(deployment.database, tenant, 100, delivered=100, at=deployment.clock.now - MINUTE)
    deployment.evaluate()


def statuses(database: Database) -> list[tuple[str, int]]:
    return rows(database, "select status, attempts from iris.alert_deliveries order by created_at, id")  # type: ignore[return-value]


def test_a_mail_says_what_since_when_how_bad_and_what_to_look_at(
    deployment: Deployment, tenant: UUID, mail: MailReceiver
) -> None:
    fire(deployment, tenant, "email", "ops@example.org")
    assert deployment.deliver() == Deliveries(delivered=1)
    (sent,) = mail.mails
    assert sent["To"] == "ops@example.org"
    assert sent["From"] == "IRIS <alerts@iris.example>"
    assert sent["Subject"] == (
        "[WARNING] low delivery: delivery rate is 60.00% over the last 15 min (alerts when < 90.00%)"
    )
    ((delivery_id, alert_id),) = rows(deployment.database, "select id, alert_id from iris.alert_deliveries")
    assert sent["Message-ID"] == f"<{delivery_id}@iris.example>"
    text = sent.get_body(("plain",)).get_content()  # type: ignore[attr-defined]
    for line in (
        "Tenant: Acme",
        "Since: 2026-11-20 15:40 UTC",
        "Actual: 60.00%",
        "Alerts when: < 90.00%",
        f"Link: https://iris.example/alerts/{alert_id}",
        "What to look at:",
    ):
        assert line in text
    assert "low delivery" in sent.get_body(("html",)).get_content()  # type: ignore[attr-defined]


def test_slack_gets_blocks_by_webhook_and_by_token(deployment: Deployment, tenant: UUID, http: HttpReceiver) -> None:
    http.answer = lambda request: (200, {"ok": True, "ts": "1.2"} if request.path == "/chat.postMessage" else "ok")
    fire(deployment, tenant, "slack", f"{http.url}/services/T/B/x", "#ops")
    assert deployment.deliver() == Deliveries(delivered=2)
    by_path = {request.path: request for request in http.requests}
    assert by_path["/services/T/B/x"].json["blocks"][0]["type"] == "header"
    assert "authorization" not in by_path["/services/T/B/x"].headers
    posted = by_path["/chat.postMessage"]
    assert posted.json["channel"] == "#ops"
    assert posted.headers["authorization"] == "Bearer xoxb-secret"


def test_what_slack_refuses_with_a_200_is_not_delivered(
    deployment: Deployment, tenant: UUID, http: HttpReceiver
) -> None:
    http.answer = lambda _: (200, {"ok": False, "error": "channel_not_found"})
    fire(deployment, tenant, "slack", "#ops")
    assert deployment.deliver() == Deliveries(dead=1)


def test_pagerduty_gets_one_trigger_and_one_resolve_of_the_same_incident(
    deployment: Deployment, tenant: UUID, http: HttpReceiver
) -> None:
    http.answer = lambda _: (202, {"status": "success"})
    fire(deployment, tenant, "pagerduty", ROUTING_KEY)
    deployment.deliver()
    resolve(deployment, tenant)
    deployment.deliver()
    trigger, end = (request.json for request in http.requests)
    assert {request.path for request in http.requests} == {"/v2/enqueue"}
    assert (trigger["event_action"], end["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == end["dedup_key"]
    assert trigger["routing_key"] == ROUTING_KEY
    assert trigger["payload"]["severity"] == "warning"
    assert trigger["payload"]["custom_details"]["Actual"] == "60.00%"


def test_twilio_gets_a_short_text_with_an_idempotency_key(
    deployment: Deployment, tenant: UUID, http: HttpReceiver
) -> None:
    http.answer = lambda _: (201, {"sid": "SM1"})
    fire(deployment, tenant, "sms", "+4915112345678")
    deployment.deliver()
    (request,) = http.requests
    assert request.path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert request.headers["authorization"].startswith("Basic ")
    assert (request.form["To"], request.form["From"]) == ("+4915112345678", "+15005550006")
    assert len(request.form["Body"]) <= 320
    assert "60.00%" in request.form["Body"]
    ((delivery_id, reference),) = rows(deployment.database, "select id, reference from iris.alert_deliveries")
    assert (request.headers["idempotency-key"], reference) == (str(delivery_id), "SM1")


def test_webhooks_are_signed_as_standard_webhooks_are(deployment: Deployment, tenant: UUID, http: HttpReceiver) -> None:
    fire(deployment, tenant, "webhook", f"{http.url}/hook")
    assert deployment.deliver() == Deliveries(delivered=1)
    (request,) = http.requests
    assert is_signed(request, webhook_secret(deployment.database, tenant))
    assert not is_signed(request, "whsec_" + "A" * 44)
    assert request.json["type"] == "alert.firing"
    assert request.json["data"]["tenant_id"] == str(tenant)


def is_signed(request: Request, secret: str) -> bool:
    """As a receiver checks it, written anew from the specification."""
    import base64
    import hashlib
    import hmac

    content = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    digest = hmac.new(base64.b64decode(secret[6:]), content, hashlib.sha256).digest()
    return request.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()


def test_a_hundred_other_services_are_reached_by_the_name_of_a_target(
    deployment: Deployment, tenant: UUID, http: HttpReceiver
) -> None:
    fire(deployment, tenant, "apprise", "teams", "nobody")
    assert deployment.deliver() == Deliveries(delivered=1, dead=1)
    assert "60.00%" in http.requests[0].json["message"]


def test_a_receiver_that_answers_500_twice_gets_the_message_once_it_works(
    deployment: Deployment, tenant: UUID, http: HttpReceiver
) -> None:
    http.answer = failing(2)
    fire(deployment, tenant, "webhook", f"{http.url}/hook")
    assert deployment.deliver() == Deliveries(retried=1)
    assert deployment.deliver() == Deliveries()  # not before its pause is over
    deployment.clock.now += pause_after(1, 0.0)
    assert deployment.deliver() == Deliveries(retried=1)
    deployment.clock.now += pause_after(2, 0.0)
    assert deployment.deliver() == Deliveries(delivered=1)
    assert len({request.headers["webhook-id"] for request in http.requests}) == 1
    log = rows(deployment.database, "select attempt, outcome from iris.alert_delivery_attempts order by attempt")
    assert log == [(1, "retry"), (2, "retry"), (3, "delivered")]


def test_mail_is_retried_after_4xx_and_given_up_after_5xx(
    deployment: Deployment, tenant: UUID, mail: MailReceiver
) -> None:
    mail.refusals = ["451 try later"]
    fire(deployment, tenant, "email", "ops@example.org")
    assert deployment.deliver() == Deliveries(retried=1)
    deployment.clock.now += MINUTE
    assert deployment.deliver() == Deliveries(delivered=1)
    mail.refusals = ["550 no such mailbox"]
    resolve(deployment, tenant)
    assert deployment.deliver() == Deliveries(dead=1)
    assert len(mail.mails) == 1


def test_who_asks_to_wait_is_left_alone_for_that_long(deployment: Deployment, tenant: UUID, http: HttpReceiver) -> None:
    http.answer = failing(1, status=429)
    http.headers = {"retry-after": "600"}
    fire(deployment, tenant, "webhook", f"{http.url}/hook")
    deployment.deliver()
    deployment.clock.now += 9 * MINUTE
    assert deployment.deliver() == Deliveries()
    deployment.clock.now += MINUTE
    assert deployment.deliver() == Deliveries(delivered=1)


def test_what_never_works_becomes_a_dead_letter_that_says_why(
    deployment: Deployment, tenant: UUID, http: HttpReceiver
) -> None:
    http.answer = lambda _: (503, "down")
    fire(deployment, tenant, "webhook", f"{http.url}/hook")
    for _ in range(MOST_ATTEMPTS + 3):
        deployment.deliver()
        deployment.clock.now += timedelta(hours=3)
    assert statuses(deployment.database) == [("dead", MOST_ATTEMPTS)]
    ((error,),) = rows(deployment.database, "select last_error from iris.alert_deliveries")
    assert error == f"given up after {MOST_ATTEMPTS} attempts: HTTP 503: down"


def test_a_refusal_for_good_is_not_tried_again(deployment: Deployment, tenant: UUID, http: HttpReceiver) -> None:
    http.answer = lambda _: (410, "gone")
    fire(deployment, tenant, "webhook", f"{http.url}/hook")
    assert deployment.deliver() == Deliveries(dead=1)


def test_a_receiver_that_hangs_holds_up_no_other(
    deployment: Deployment, tenant: UUID, http: HttpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    import httpx

    from iris_pipelines.alerting.senders import webhook

    monkeypatch.setattr(webhook, "TIMEOUT", httpx.Timeout(0.5))
    http.answer = lambda request: None if request.path == "/hang" else (200, {})
    fire(deployment, tenant, "webhook", f"{http.url}/hang", f"{http.url}/works")
    assert deployment.deliver(workers=2) == Deliveries(delivered=1, retried=1)
    http.answer = lambda _: (200, {})
    deployment.clock.now += MINUTE
    assert deployment.deliver() == Deliveries(delivered=1)


def test_the_end_of_an_incident_is_not_told_before_its_beginning(
    deployment: Deployment, tenant: UUID, http: HttpReceiver
) -> None:
    http.answer = failing(1)
    fire(deployment, tenant, "webhook", f"{http.url}/hook")
    deployment.deliver()
    with deployment.database.transaction() as connection:  # the first message waits for long
        connection.execute("update iris.alert_deliveries set due_at = %s", (NOW + timedelta(hours=2),))
    resolve(deployment, tenant)
    assert deployment.deliver() == Deliveries()
    deployment.clock.now = NOW + timedelta(hours=2)
    assert deployment.deliver() == Deliveries(delivered=2)
    assert [request.json["type"] for request in http.requests] == ["alert.firing", "alert.firing", "alert.resolved"]


def test_two_senders_at_once_send_each_message_once(deployment: Deployment, tenant: UUID, http: HttpReceiver) -> None:
    urls = [f"{http.url}/hook/{n}" for n in range(60)]
    fire(deployment, tenant, "webhook", *urls)
    threads = [threading.Thread(target=deployment.deliver, kwargs={"workers": 2}) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(request.path for request in http.requests) == sorted(f"/hook/{n}" for n in range(60))
    assert set(statuses(deployment.database)) == {("delivered", 1)}


def test_a_sender_that_trips_over_a_message_stops_no_other(
    deployment: Deployment, tenant: UUID, mail: MailReceiver
) -> None:
    class Tripping:
        def send(self, message: Message) -> Outcome:
            if message.recipient == "a@example.org":
                raise ZeroDivisionError("a bug")
            return Delivered("ok")

    fire(deployment, tenant, "email", "a@example.org", "b@example.org")
    done = deliver_due(
        deployment.database, {ActionType.EMAIL: Tripping()}, clock=deployment.clock, workers=1, chance=lambda: 0.0
    )
    assert done == Deliveries(delivered=1, retried=1)


SENDER = """
import ipaddress, sys
from datetime import datetime
from iris_pipelines.alerting.delivery import deliver_due
from iris_pipelines.alerting.senders.directory import Channels, senders
from iris_pipelines.db.database import Database

now = datetime.fromisoformat(sys.argv[2])
channels = Channels(webhook_networks=(ipaddress.ip_network("127.0.0.0/8"),))
with Database(sys.argv[1]) as database:
    print("sending", flush=True)
    deliver_due(database, senders(channels, database, clock=lambda: now), clock=lambda: now, workers=1)
"""


def test_a_killed_sender_loses_nothing_and_repeats_only_the_message_in_flight(
    deployment: Deployment, tenant: UUID, http: HttpReceiver, tmp_path: Path
) -> None:
    answered: list[str] = []

    def answer(request: Request) -> tuple[int, dict[str, str]] | None:
        if len(answered) == 3:
            return None  # the fourth hangs: it is in flight
        answered.append(request.path)
        return 200, {}

    http.answer = answer
    urls = [f"{http.url}/hook/{n}" for n in range(8)]
    fire(deployment, tenant, "webhook", *urls)
    program = tmp_path / "sender.py"
    program.write_text(SENDER)
    with started(python(program, deployment.database.url, deployment.clock.now.isoformat())) as child:
        eventually(lambda: len(http.requests) == 4, "the fourth message in flight")
        child.send(signal.SIGKILL)
        child.finished()
    in_flight = http.requests[3]
    http.answer = lambda _: (200, {})
    assert deployment.deliver() == Deliveries(delivered=4)  # its claim has not run out yet
    deployment.clock.now += LEASE
    assert deployment.deliver() == Deliveries(delivered=1)

    paths = [request.path for request in http.requests]
    assert {path: paths.count(path) for path in paths} == {
        f"/hook/{n}": 2 if f"/hook/{n}" == in_flight.path else 1 for n in range(8)
    }
    repeated = [request for request in http.requests if request.path == in_flight.path]
    assert len({request.headers["webhook-id"] for request in repeated}) == 1
    assert {status for status, _ in statuses(deployment.database)} == {"delivered"}


EVALUATOR = """
import sys, time
from datetime import datetime, timedelta
from iris_pipelines.alerting.delivery import deliver_due
from iris_pipelines.alerting.evaluation import evaluate_rules
from iris_pipelines.alerting.senders.directory import Channels, senders
from iris_pipelines.db.database import Database

url, smtp_url, start, rounds = sys.argv[1:]
now, done = datetime.fromisoformat(start), 0
with Database(url) as database:
    ways = senders(Channels(smtp_url=smtp_url, mail_from="alerts@iris.example"), database, clock=lambda: now)
    while True:
        if evaluate_rules(database, now=now).skipped:
            time.sleep(0.001)  # the other one is at work
            continue
        deliver_due(database, ways, clock=lambda: now, workers=1)
        now += timedelta(seconds=1)
        done += 1
        if done == int(rounds):
            print(done, flush=True)
"""


def test_a_restart_in_the_middle_of_a_thousand_evaluations_repeats_nothing(
    deployment: Deployment, tenant: UUID, mail: MailReceiver, tmp_path: Path
) -> None:
    """Two evaluators at once, killed while the incident lasts and replaced by two others, twice."""
    program = tmp_path / "evaluator.py"
    program.write_text(EVALUATOR)

    def evaluate_by_two(rounds: str) -> None:
        command = python(program, deployment.database.url, mail.url, deployment.clock.now.isoformat(), rounds)
        with started(command) as first, started(command) as second:
            assert [first.heard(), second.heard()] == [rounds, rounds]
            for child in (first, second):
                child.send(signal.SIGKILL)
                child.finished()

    condition = {"time_window": 600}
    make_rule(deployment.database, tenant, condition=condition)
    send(deployment.database, tenant, 100, delivered=60, at=NOW - MINUTE)
    evaluate_by_two("125")
    assert [sent["Subject"].split("]")[0] for sent in mail.mails] == ["[WARNING"]
    deployment.clock.now += 10 * MINUTE
    evaluate_by_two("250")
    assert [sent["Subject"].split("]")[0] for sent in mail.mails] == ["[WARNING"]
    send(deployment.database, tenant, 9_000, delivered=9_000, at=NOW)
    deployment.clock.now += 10 * MINUTE
    evaluate_by_two("125")
    assert [sent["Subject"].split("]")[0] for sent in mail.mails] == ["[WARNING", "[RESOLVED"]
    assert rows(deployment.database, "select status from iris.system_alerts") == [("resolved",)]
