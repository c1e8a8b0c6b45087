"""What gets in as a rule, what is refused and why, and when its condition holds."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from iris_pipelines.domain.alerts.metrics import WATCHABLE, Measures, Observation, observe
from iris_pipelines.domain.alerts.rules import InvalidRule, QuietHours, Rule, parse_actions, parse_rule
from iris_pipelines.domain.errors import IrisError


def rule(condition: Any = None, **fields: Any) -> Rule:
    whole = {"metric": "delivery_rate", "operator": "<", "threshold": 90, "time_window": 15}
    condition = {**whole, **condition} if isinstance(condition, dict) else condition or whole
    return parse_rule({"tenant_id": UUID(int=1), "id": UUID(int=2), "name": "r", "condition": condition, **fields})


@pytest.mark.parametrize("metric", WATCHABLE)
@pytest.mark.parametrize("operator", [">", "<", ">=", "<=", "="])
def test_every_metric_and_operator_of_the_contract_is_accepted(metric: str, operator: str) -> None:
    assert rule({"metric": metric, "operator": operator}).condition.metric == metric


@pytest.mark.parametrize(
    ("condition", "problem"),
    [
        ({"metric": "delivery"}, "unknown metric 'delivery': use one of delivery_rate, error_rate"),
        ({"operator": "!="}, "operator"),
        ({"threshold": math.nan}, "finite"),
        ({"threshold": math.inf}, "finite"),
        ({"threshold": -1}, "greater than or equal to 0"),
        ({"threshold": "90"}, "must be a number"),
        ({"threshold": True}, "must be a number"),
        ({"threshold": None}, "must be a number"),
        ({"time_window": 0}, "greater than or equal to 1"),
        ({"time_window": 1.5}, "whole number of minutes"),
        ({"time_window": 100_000}, "less than or equal to 44640"),
        ({"channel": "fax"}, "unknown channel 'fax': use one of email"),
        ({"min_volume": -1}, "min_volume"),
        ({"no_data": "maybe"}, "no_data"),
        ({"for": -5}, "for"),
        ({"campaign": "spring"}, "campaign"),
        ({"treshold": 5}, "treshold"),
        ({"metric": "api_error_rate", "channel": "sms"}, "no channel"),
        ([], "condition"),
        ("x", "condition"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_with_a_reason(condition: Any, problem: str) -> None:
    with pytest.raises(InvalidRule) as refused:
        rule(condition if isinstance(condition, dict) else [condition])
    assert problem in str(refused.value)
    assert isinstance(refused.value, IrisError)


@pytest.mark.parametrize(
    ("kind", "recipient"),
    [
        ("email", "no address"),
        ("email", "a@b@c"),
        ("sms", "0151 1234"),
        ("webhook", "ftp://example.org/"),
        ("webhook", "https://user:secret@example.org/"),
        ("webhook", "https://"),
        ("webhook", "https://example.org:99999/"),
        ("slack", "ops"),
        ("pagerduty", "short"),
        ("apprise", "json://10.0.0.1"),
        ("pigeon", "ops"),
    ],
)
def test_recipients_that_nothing_reaches_are_refused(kind: str, recipient: str) -> None:
    with pytest.raises(InvalidRule):
        rule(actions=[{"type": kind, "recipients": [recipient]}])


@pytest.mark.parametrize(
    ("kind", "recipient"),
    [
        ("email", "ops+night@mail.example.org"),
        ("sms", "+4915112345678"),
        ("webhook", "https://example.org:8443/hook?x=1"),
        ("slack", "#on-call"),
        ("slack", "https://hooks.slack.com/services/T0/B0/x"),
        ("pagerduty", "0123456789abcdef0123456789abcdef"),
        ("apprise", "ops-teams"),
    ],
)
def test_recipients_that_can_be_reached_are_accepted(kind: str, recipient: str) -> None:
    (action,) = rule(actions=[{"type": kind, "recipients": [recipient]}]).actions
    assert action.recipients == (recipient,)


def test_no_recipients_and_the_same_one_twice_are_refused() -> None:
    for recipients in ([], ["a@example.org", "a@example.org"]):
        with pytest.raises(InvalidRule):
            parse_actions([{"type": "email", "recipients": recipients}])
    with pytest.raises(InvalidRule, match="must be a list"):
        parse_actions({"type": "email"})


@pytest.mark.parametrize(
    ("operator", "value", "threshold", "holds"),
    [
        ("<", "89.99", 90, True),
        ("<", "90.00", 90, False),
        ("<=", "90.00", 90, True),
        (">", "90.00", 90, False),
        (">=", "90.00", 90, True),
        ("=", "66.67", 66.666666, True),
        ("=", "66.66", 66.666666, False),
    ],
)
def test_a_condition_compares_the_published_value(operator: str, value: str, threshold: float, holds: bool) -> None:
    condition = rule({"operator": operator, "threshold": threshold}).condition
    assert condition.judge(Observation(Decimal(value), 100)) is holds


def test_what_cannot_be_said_is_neither_true_nor_false() -> None:
    plain = rule({"min_volume": 10}).condition
    assert plain.judge(Observation(None, 0)) is None
    assert plain.judge(Observation(Decimal(0), 9)) is None
    assert plain.judge(Observation(Decimal(0), 10)) is True
    assert rule({"no_data": "alert"}).condition.judge(Observation(None, 0)) is True


def test_metrics_of_nothing_are_missing_and_counts_of_nothing_are_zero() -> None:
    found = {name: observe(metric, Measures()).value for name, metric in WATCHABLE.items()}
    assert found.pop("messages_sent") == 0
    assert set(found.values()) == {None}


@pytest.mark.parametrize(
    ("quiet", "hour", "holds"),
    [
        (("22:00", "07:00"), 23, True),
        (("22:00", "07:00"), 6, True),
        (("22:00", "07:00"), 7, False),
        (("22:00", "07:00"), 21, False),
        (("12:00", "14:00"), 12, True),
        (("12:00", "14:00"), 14, False),
    ],
)
def test_quiet_hours_may_go_over_midnight(quiet: tuple[str, str], hour: int, holds: bool) -> None:
    hours = QuietHours.model_validate({"start": quiet[0], "end": quiet[1]})
    assert hours.hold(datetime(2026, 11, 20, hour, tzinfo=UTC), ZoneInfo("UTC")) is holds
