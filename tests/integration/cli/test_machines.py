"""`iris machines` on a database of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from iris_pipelines.cli import main
from iris_pipelines.db.database import Database

Iris = Callable[..., tuple[int, str]]
INSERT = """
    insert into iris.analytics_events (tenant_id, event_type, timestamp, user_agent)
    values
        (gen_random_uuid(), 'message.opened', '2026-11-02 10:00+00', 'Barracuda Sentinel (EE)'),
        (gen_random_uuid(), 'message.opened', '2026-11-03 23:59+00', 'Mozilla/5.0'),
        (gen_random_uuid(), 'link.clicked', '2026-11-04 00:00+00', 'curl/8.5.0')
"""


@pytest.fixture
def iris(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iris:
    monkeypatch.setenv("IRIS_DATABASE_URL", database.url)
    with database.transaction() as connection:
        connection.execute(INSERT)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["iris", "machines", *arguments])
        try:
            main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code or 0
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_days_are_judged_once_and_their_verdicts_counted(iris: Iris) -> None:
    code, out = iris("judge", "--from", "2026-11-02", "--to", "2026-11-04", "--json")
    assert code == 0
    found = json.loads(out)
    assert {name: found[name] for name in ("days", "changed", "new_user_agents")} == {
        "days": 2,
        "changed": 2,
        "new_user_agents": 2,
    }
    assert [(each["event_type"], each["reason"], each["events"]) for each in found["visits"]] == [
        ("message.opened", "link_scanner", 1),
        ("message.opened", "privacy_proxy", 1),
    ]
    assert json.loads(iris("judge", "--from", "2026-11-02", "--to", "2026-11-04", "--json")[1])["changed"] == 0


def test_people_read_what_was_found_and_what_to_do_next(iris: Iris) -> None:
    code, out = iris("judge", "--from", "2026-11-02", "--to", "2026-11-05")
    assert code == 0
    assert "machine  privacy_proxy" in out
    assert "3 verdicts changed in 3 days" in out
    assert "iris refresh" in out


def test_a_range_without_a_day_is_wrong_usage(iris: Iris) -> None:
    code, out = iris("judge", "--from", "2026-11-02", "--to", "2026-11-02")
    assert code == 2
    assert "no day" in out


def test_new_user_agents_are_described(iris: Iris) -> None:
    assert json.loads(iris("describe", "--json")[1])["new"] == 3
    assert iris("describe") == (0, "0 new user agents, 0 taken apart anew\n")
