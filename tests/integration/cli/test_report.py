"""`iris report` on a database of its own."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iris_pipelines.cli import main
from iris_pipelines.db.database import Database
from tests.integration.reporting.conftest import Inbox, inbox

__all__ = ["inbox"]
Iris = Callable[..., tuple[int, str]]
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
YESTERDAY = f"{TODAY - timedelta(days=1):%Y-%m-%d}"


@pytest.fixture
def iris(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iris:
    monkeypatch.setenv("IRIS_DATABASE_URL", database.url)
    with database.transaction() as connection:
        connection.execute("insert into iris.tenants (id, name) values (gen_random_uuid(), 'Acme')")
        connection.execute(
            "insert into iris.analytics_events (tenant_id, event_type, timestamp, channel, provider, cost)"
            " select tenants.id, 'message.sent', %s, channel, 'twilio', 0.5"
            " from iris.tenants, unnest(array['sms', 'sms', 'email']) as channels (channel)",
            (TODAY - timedelta(hours=5),),
        )

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["iris", "report", *map(str, arguments)])
        try:
            main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code or 0
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


BY_CHANNEL = ("--metrics", "messages_sent,total_cost", "--dimensions", "date,channel", "--range", "yesterday")


def test_a_report_is_written_where_one_says(iris: Iris, tmp_path: Path) -> None:
    code, said = iris("run", *BY_CHANNEL, "--name", "By channel", "--out", tmp_path)
    path = tmp_path / f"by-channel_{YESTERDAY}_{YESTERDAY}.csv"
    assert (code, said.split(":")[0]) == (0, str(path))
    assert list(csv.reader(path.read_text().splitlines()))[1:] == [
        [YESTERDAY, "email", "1", "0.500000"],
        [YESTERDAY, "sms", "2", "1.000000"],
    ]
    code, said = iris(
        "run", *BY_CHANNEL, "--filter", "channel in sms, voice", "--filter", "messages_sent>1", "--out", "-"
    )
    assert (code, said.splitlines()[1:]) == (0, [f'"{YESTERDAY}","sms",2,1.000000'])


def test_the_format_is_what_one_asks_for(iris: Iris, tmp_path: Path) -> None:
    for kind, start in [("xlsx", b"PK"), ("pdf", b"%PDF"), ("json", b'{"report"')]:
        code, said = iris("run", *BY_CHANNEL, "--format", kind, "--out", tmp_path / f"x.{kind}", "--json")
        assert code == 0, said
        assert (json.loads(said)["rows"], json.loads(said)["sources"]) == (2, ["the event log"])
        assert (tmp_path / f"x.{kind}").read_bytes().startswith(start)
    assert iris("run", *BY_CHANNEL, "--format", "pdf", "--out", "-")[0] == 2


def test_a_definition_is_a_template_a_file_or_both_changed_by_options(iris: Iris, tmp_path: Path) -> None:
    code, said = iris("templates", "--json")
    assert code == 0
    document = json.loads(said)["provider-comparison"]
    (tmp_path / "d.json").write_text(json.dumps({**document, "format": "json", "date_range": "yesterday"}))
    code, said = iris(
        "run", "--definition", tmp_path / "d.json", "--metrics", "messages_sent", "--order", "-channel", "--out", "-"
    )
    assert [(row["channel"], row["messages_sent"]) for row in json.loads(said)["rows"]] == [("sms", 2), ("email", 1)]
    code, said = iris("preview", "--template", "provider-comparison", "--range", "yesterday", "--json", "--sql")
    assert (code, json.loads(said)["rows"][0]["provider"]) == (0, "twilio")
    assert "drop" not in json.loads(said)["sql"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--metrics", "sent", "--range", "today"], "unknown metric 'sent': use messages_sent"),
        (["run", "--metrics", "messages_sent"], "which time? give --range"),
        (["run", "--template", "nope"], "unknown template 'nope': use one of weekly-summary"),
        (["run", *BY_CHANNEL, "--filter", "channel"], "a filter reads like 'channel = sms'"),
        (["run", *BY_CHANNEL, "--filter", "messages_sent > many"], "compared with numbers"),
        (["run", *BY_CHANNEL, "--tenant", "Nobody"], "no one tenant is 'Nobody'; tenants: Acme"),
        (["run", *BY_CHANNEL, "--out", "/no/such/folder/x.csv"], "there is no folder /no/such/folder"),
        (["schedule", "--every", "weekly", "--on", "someday", *BY_CHANNEL, "--recipient", "a@b.io"], "one of monday"),
        (
            ["schedule", "--every", "monthly", "--on", "32", *BY_CHANNEL, "--recipient", "a@b.io"],
            "1 to 31, or on `last`",
        ),
        (["schedule", "--every", "daily", "--at", "25:00", *BY_CHANNEL, "--recipient", "a@b.io"], "reads like 08:00"),
        (["schedule", "--every", "daily", *BY_CHANNEL, "--recipient", "nobody"], "not an email address: 'nobody'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(iris: Iris, arguments: list[str], message: str) -> None:
    code, said = iris(*arguments)
    assert code == 1
    assert message in " ".join(said.split())


def test_a_report_recurs_is_made_mailed_and_stopped(
    iris: Iris, database: Database, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, said = iris(
        "schedule", "--every", "monthly", "--on", "last", "--at", "06:00", *BY_CHANNEL, "--recipient", "a@example.com"
    )
    report_id, _, note = said.partition("\n")
    assert code == 0
    assert "IRIS_SMTP_URL is not set" in note
    (listed,) = json.loads(iris("list", "--json")[1])
    assert (listed["id"], listed["schedule"]) == (report_id, "monthly on the last day at 06:00")
    assert iris("due") == (0, "nothing is due\n")
    with database.transaction() as connection:
        connection.execute("delete from iris.touched_hours")
        connection.execute(
            "update iris.scheduled_reports set schedule = 'daily', month_day = null, local_time = '00:00',"
            " planned_until = current_date - 1"
        )
    monkeypatch.setenv("IRIS_SMTP_URL", inbox.url)
    monkeypatch.setenv("IRIS_MAIL_FROM", "reports@acme.example")
    assert iris("due") == (0, f"Report of {TODAY:%Y-%m-%d}: made\nmail to a@example.com: sent\n")
    (run,) = json.loads(iris("history", "--json")[1])
    assert (run["status"], run["deliveries"]) == ("succeeded", {"a@example.com": "sent"})
    assert "a@example.com (sent)" in iris("history", report_id)[1]
    code, said = iris("file", run["id"], "--out", tmp_path)
    assert (tmp_path / run["file_name"]).read_text().splitlines()[2] == f'"{YESTERDAY}","sms",2,1.000000'
    token = inbox.mails[0][1]["List-Unsubscribe"].partition("unsubscribe%20")[2].rstrip(">")
    assert iris("unsubscribe", token) == (0, "a@example.com no longer gets Report\n")
    assert iris("unsubscribe", "x")[0] == 1
    assert iris("stop", report_id) == (0, "stopped\n")
    assert iris("stop", report_id)[0] == 1


def test_the_schema_of_a_definition_can_be_had(iris: Iris) -> None:
    code, said = iris("schema")
    assert (code, json.loads(said)["title"]) == (0, "IRIS report")
