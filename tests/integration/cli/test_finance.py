"""`iris prices` and `iris budget` on a database of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from iris_pipelines.cli import main
from iris_pipelines.db.database import Database
from iris_pipelines.db.tenants import Tenant, create_tenant

Iris = Callable[..., tuple[int, str]]
TENANT = str(UUID(int=1))


@pytest.fixture
def iris(database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iris:
    monkeypatch.setenv("IRIS_DATABASE_URL", database.url)
    create_tenant(database, Tenant(UUID(TENANT), "Acme"))

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["iris", *arguments])
        try:
            main()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code or 0
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


def test_a_price_list_is_loaded_or_refused_as_a_whole(iris: Iris, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("provider,channel,price,valid_from\ntwilio,sms,0.0079,2026-01-01\n")
    code, out = iris("prices", "load", str(file), "--json")
    found = json.loads(out)
    assert code == 0
    assert {name: found[name] for name in ("received", "added", "unchanged", "replaced")} == {
        "received": 1,
        "added": 1,
        "unchanged": 0,
        "replaced": 0,
    }
    code, out = iris("prices", "load", str(file))
    assert code == 0
    assert "1 prices, 0 new, 1 as they were" in out
    file.write_text("provider,channel,price,valid_from\ntwilio,sms,free,2026-01-01\nses,mail,1,2026-01-01\n")
    code, out = iris("prices", "load", str(file))
    assert code == 1
    assert "line 2: column price is 'free'" in out
    assert "line 3: column channel is 'mail'" in out
    code, out = iris("prices", "load", str(tmp_path / "missing.csv"))
    assert code == 1
    assert "missing.csv" in out


def test_a_default_provider_is_set(iris: Iris) -> None:
    assert iris("prices", "default", TENANT, "SMS", "Twilio") == (0, "sms goes by twilio by default\n")
    assert iris("prices", "default", TENANT, "fax", "twilio")[0] == 1


def test_a_budget_is_set_shown_and_cleared(iris: Iris) -> None:
    assert iris("budget", "set", TENANT, "500") == (0, "500 a month\n")
    code, out = iris(
        "budget", "set", TENANT, "1E+3", "--alert", "email:ada@example.org", "--alert", "sms:+4915112345678", "--json"
    )
    assert code == 0
    shown = json.loads(out)
    assert (shown["monthly_budget"], len(shown["alert_actions"])) == ("1000", 2)
    assert iris("budget", "set", TENANT, "750.50")[0] == 0
    found = json.loads(iris("budget", "show", TENANT, "--json")[1])
    assert found == {
        "tenant_id": TENANT,
        "monthly_budget": "750.50",
        "alert_actions": [
            {"type": "email", "recipients": ["ada@example.org"]},
            {"type": "sms", "recipients": ["+4915112345678"]},
        ],
        "months": [],
    }
    assert iris("budget", "clear", TENANT) == (0, "no budget\n")
    assert iris("budget", "show", TENANT) == (0, "no budget\n")


@pytest.mark.parametrize("amount", ["0", "NaN", "Infinity", "1e15", "0.0000001"])
def test_a_budget_is_an_amount_above_nothing(iris: Iris, amount: str) -> None:
    code, out = iris("budget", "set", TENANT, amount)
    assert code == 1
    assert "a budget is an amount above 0" in out


@pytest.mark.parametrize(
    ("recipient", "problem"),
    [
        ("pigeon:roof", "'pigeon:roof' tells nobody: expected type:recipient, such as email:ada@example.org"),
        ("email:", "'email:' tells nobody"),
        ("ada@example.org", "'ada@example.org' tells nobody"),
        ("email:ada", "'ada' is no email address"),
        ("sms:0151", "'0151' is no phone number: use +4915112345678"),
        ("webhook:ftp://example.org", "a webhook needs an http:// or https:// URL"),
        ("pagerduty:short", "PagerDuty needs the 32 characters of an integration key"),
    ],
)
def test_a_recipient_that_cannot_be_reached_is_refused_and_nothing_is_set(
    iris: Iris, recipient: str, problem: str
) -> None:
    code, out = iris("budget", "set", TENANT, "5", "--alert", recipient)
    assert code == 1
    assert problem in out
    assert iris("budget", "show", TENANT) == (0, "no budget\n")


def test_what_is_no_amount_or_no_tenant_is_told(iris: Iris) -> None:
    assert iris("budget", "set", TENANT, "much")[0] == 2
    code, out = iris("budget", "set", str(UUID(int=7)), "5")
    assert code == 1
    assert "there is no tenant" in out
