"""`iris alerts` on a database of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from iris_pipelines.alerting.evaluation import evaluate_rules
from iris_pipelines.cli import main
from iris_pipelines.db.database import Database
from tests.integration.alerting.platform import insert_raw_rule, make_tenant, send
from tests.integration.alerting.receivers import http_receiver, mail_receiver

Iris = Callable[..., tuple[int, str]]


@pytest.fixture
def tenant(database: Database) -> UUID:
    return make_tenant(database)


@pytest.fixture
def iris(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iris:
    monkeypatch.setenv("IRIS_DATABASE_URL", database.url)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["iris", "alerts", *arguments])
        try:
            main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code or 0
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_a_rule_is_made_listed_tried_and_its_history_read(iris: Iris, database: Database, tenant: UUID) -> None:
    now = datetime.now(UTC)
    start, end = (f"{now + timedelta(hours=hours):%H:00}" for hours in (2, 4))  # not now, whenever this runs
    options = ["--window", "30", "--channel", "sms", "--for", "5", "--action", "email:ops@example.org"]
    code, out = iris("create", str(tenant), "low", "delivery_rate < 90", *options, "--quiet", f"{start}-{end}")
    assert code == 0
    rule_id = UUID(out.strip())
    assert "low (delivery_rate < 90.0 over 30 min)" in iris("list")[1]
    (listed,) = json.loads(iris("list", "--tenant", str(tenant), "--json")[1])
    assert listed["condition"] == {
        "metric": "delivery_rate",
        "operator": "<",
        "threshold": 90.0,
        "time_window": 30,
        "channel": "sms",
        "min_volume": 0,
        "no_data": "skip",
        "for": 5,
        "cooldown": 60,
    }
    assert listed["quiet_hours"] == {"start": f"{start}:00", "end": f"{end}:00"}

    assert "delivery_rate is no data" in iris("test", str(rule_id))[1]
    send(database, tenant, 4, delivered=3, at=now - timedelta(minutes=1))
    code, out = iris("test", str(rule_id))
    assert (code, "delivery_rate is 75.00 over the last 30 min (4 to judge by): < 90 would fire" in out) == (0, True)

    assert iris("history")[1] == "nothing has happened\n"
    for minutes in (0, 6):
        evaluate_rules(database, now=now + timedelta(minutes=minutes))
    (past,) = json.loads(iris("history", "--json")[1])
    assert (past["status"], past["pending"]) == ("firing", 1)
    assert "low: delivery rate (channel sms) is 75.00%" in iris("history")[1]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["r", "happiness < 1"], "unknown metric 'happiness'"),
        (["r", "open_rate ~ 1"], "expected a metric, an operator and a number"),
        (["r", "open_rate < 1.2.3"], "is no number"),
        (["r", "open_rate < 5", "--action", "ops"], "expected type:recipient"),
        (["r", "open_rate < 5", "--action", "sms=12"], "no phone number"),
        (["r", "open_rate < 5", "--channel", "fax"], "unknown channel 'fax'"),
        (["r", "open_rate < 5", "--quiet", "night"], "22:00-07:00"),
    ],
)
def test_what_could_not_be_evaluated_is_refused(iris: Iris, tenant: UUID, arguments: list[str], problem: str) -> None:
    code, out = iris("create", str(tenant), *arguments)
    assert code in (1, 2)
    assert problem in out
    assert "no rules" in iris("list")[1]


def test_an_unknown_tenant_or_rule_is_said_to_be_unknown(iris: Iris) -> None:
    assert iris("create", str(uuid4()), "r", "open_rate < 5")[0] == 1
    code, out = iris("test", str(uuid4()))
    assert (code, "there is no rule" in out) == (1, True)


def test_a_broken_rule_is_listed_with_its_problem(iris: Iris, database: Database, tenant: UUID) -> None:
    rule_id = insert_raw_rule(database, tenant, {"metric": "nonsense"})
    evaluate_rules(database, now=datetime.now(UTC))
    assert "cannot be evaluated: " in iris("list")[1]
    code, out = iris("test", str(rule_id))
    assert (code, "cannot be evaluated" in out) == (1, True)


def test_recipients_that_cannot_be_read_are_named(iris: Iris, database: Database, tenant: UUID) -> None:
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.tenant_settings values (%s, 'alert_actions', 'ops@example.org')", (tenant,)
        )
    code, out = iris("list")
    assert (code, f"alert_actions of tenant {tenant} tells nobody: alert_actions is no JSON" in out) == (0, True)


def test_a_silence_is_kept(iris: Iris, database: Database, tenant: UUID) -> None:
    assert "silent until" in iris("silence", str(tenant), "--hours", "2", "--reason", "maintenance")[1]
    with database.transaction() as connection:
        (silence,) = connection.execute("select ends_at - starts_at, reason from iris.alert_silences").fetchall()
    assert silence == (timedelta(hours=2), "maintenance")


def test_test_messages_are_sent_at_once_and_failures_are_told(
    iris: Iris, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_receiver() as mail, http_receiver() as http:
        monkeypatch.setenv("IRIS_SMTP_URL", mail.url)
        actions = ["--action", "email=ops@example.org", "--action", f"webhook:{http.url}/hook"]
        rule_id = iris("create", str(tenant), "r", "open_rate < 5", *actions)[1].strip()
        code, out = iris("test", rule_id, "--send")
        assert code == 1
        assert "not on the public internet" in out
        assert mail.mails[0]["Subject"] == "[INFO] Test of the alert rule 'r': nothing has happened"
        assert http.connections == 0

        monkeypatch.setenv("IRIS_WEBHOOK_NETWORKS", "127.0.0.1/32")
        assert iris("test", rule_id, "--send")[0] == 0
        assert http.requests[0].json["type"] == "alert.firing"


def test_the_secret_of_webhooks_stays_the_same(iris: Iris, tenant: UUID) -> None:
    code, out = iris("webhook-secret", str(tenant))
    assert (code, out.startswith("whsec_")) == (0, True)
    assert iris("webhook-secret", str(tenant)) == (0, out)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("IRIS_SMTP_URL", "mail.example.org"),
        ("IRIS_WEBHOOK_NETWORKS", "everywhere"),
        ("IRIS_APPRISE_TARGETS", "{not json"),
        ("IRIS_ALERT_LINK", "https://x/{other}"),
        ("IRIS_SLACK_URL", "slack.com"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(
    iris: Iris, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    code, out = iris("list")
    assert code == 1
    assert variable in out or variable.removeprefix("IRIS_").lower() in out
