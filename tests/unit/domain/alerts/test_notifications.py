"""One message in the words of each channel."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from iris_pipelines.domain.alerts.notifications import SMS_LENGTH, Kind, Notification
from iris_pipelines.domain.alerts.rules import Severity

SINCE = datetime(2026, 11, 20, 2, 10, tzinfo=UTC)


def notification(**changes: Any) -> Notification:
    whole = Notification(
        alert_id=UUID(int=1),
        tenant_id=UUID(int=2),
        tenant="Acme <b>",
        timezone="Europe/Berlin",
        kind=Kind.FIRING,
        alert_type="alert_rule",
        severity=Severity.CRITICAL,
        what="delivery rate is 60.00% <!channel>",
        since=SINCE,
        at=SINCE + timedelta(minutes=65),
        facts=(("Actual", "60.00%"), ("Alerts when", "< 90.00%")),
        look_at=("the provider's status page",),
    )
    return replace(whole, **changes)


def test_times_are_those_of_the_tenant() -> None:
    assert "Since: 2026-11-20 03:10 CET, for 1 h 5 min" in notification().lines()
    assert "Since: 2026-11-20 03:10 CET, over after 1 h 5 min" in notification(kind=Kind.RESOLVED).lines()


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [(0, "less than a minute"), (1, "1 min"), (60, "1 h"), (1440, "1 d"), (1500, "1 d 1 h"), (2881, "2 d")],
)
def test_durations_have_at_most_two_units(minutes: int, shown: str) -> None:
    lines = notification(at=SINCE + timedelta(minutes=minutes)).lines()
    assert lines[2].endswith(f"for {shown}")


@pytest.mark.parametrize(
    ("kind", "label"),
    [(Kind.FIRING, "[CRITICAL]"), (Kind.REMINDER, "[CRITICAL, STILL]"), (Kind.RESOLVED, "[RESOLVED]")],
)
def test_the_subject_says_where_in_its_life_it_is(kind: Kind, label: str) -> None:
    assert notification(kind=kind).subject == f"{label} delivery rate is 60.00% <!channel>"


def test_what_is_over_needs_no_advice() -> None:
    assert "status page" in notification().text()
    assert "status page" not in notification(kind=Kind.RESOLVED).text()


def test_a_short_message_keeps_its_link_however_long_the_rest_is() -> None:
    link = "https://iris.example/alerts/{alert_id}"
    text = notification(what="x" * 1000).linked(link).sms()
    assert len(text) == SMS_LENGTH
    assert text.startswith("[CRITICAL] Acme <b>: xxx")
    assert text.endswith(f"x... https://iris.example/alerts/{UUID(int=1)}")


def test_a_short_message_says_since_when_or_after_how_long_it_is_over() -> None:
    assert notification().sms().endswith("60.00% <!channel>. Since 2026-11-20 03:10 CET.")
    assert notification(kind=Kind.RESOLVED).sms().endswith("60.00% <!channel>. Over after 1 h 5 min.")


def test_names_of_tenants_and_rules_mention_nobody_and_are_no_markup() -> None:
    content = notification().slack()
    assert "<!channel>" not in str(content["text"])
    assert "&lt;!channel&gt;" in content["text"]
    assert "<b>" not in str(content["blocks"][1])
    assert "Acme &lt;b&gt;" in notification().html()


def test_slack_takes_ten_fields_a_section() -> None:
    facts = tuple((f"fact {n}", "x") for n in range(25))
    sections = [block for block in notification(facts=facts).slack()["blocks"] if "fields" in block]
    assert [len(section["fields"]) for section in sections] == [10, 10, 8]


def test_pagerduty_resolves_with_the_key_that_it_triggered() -> None:
    trigger, again, end = (notification(kind=kind).pagerduty("key") for kind in Kind)
    assert [each["event_action"] for each in (trigger, again, end)] == ["trigger", "trigger", "resolve"]
    assert len({each["dedup_key"] for each in (trigger, again, end)}) == 1
    assert trigger["payload"]["severity"] == "critical"
    assert trigger["payload"]["summary"].startswith("Acme <b>: delivery rate")
    assert trigger["payload"]["custom_details"]["Since"] == "2026-11-20 03:10 CET"
    assert "payload" not in end


def test_it_comes_out_of_the_outbox_as_it_went_in() -> None:
    sent = notification(data={"value": "60.00"}).linked("https://x/{tenant_id}")
    assert Notification.from_json(sent.to_json()) == sent
