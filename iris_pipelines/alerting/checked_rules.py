"""Rules read once: what each asks is stored in columns, until it is changed or read by other code."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any
from uuid import UUID

from iris_pipelines.alerting import measures
from iris_pipelines.alerting.measures import Source, source_of
from iris_pipelines.db.database import Connection, queries
from iris_pipelines.domain import events, metrics
from iris_pipelines.domain.alerts import metrics as watchable
from iris_pipelines.domain.alerts import rules
from iris_pipelines.domain.alerts.rules import Condition, InvalidRule, Rule, parse_rule
from iris_pipelines.domain.metrics import Cost, MeanTime, Metric, PercentileTime, Rate

RuleKey = tuple[UUID, UUID]
"""A tenant and a rule: an id may be that of another tenant's rule, too."""


# What is more than any count or time: one rule that asks for it must not stop the others.
_BIGINT = 2**63 - 1
_FIELDS = ("name", "condition", "actions", "severity", "quiet_hours")


def check_rules(connection: Connection) -> None:
    """Read the rules that have changed; of one that cannot be evaluated, the reason is stored."""
    columns: defaultdict[str, list[Any]] = defaultdict(list)
    reader = _reader()
    for tenant_id, rule_id, revision, *fields in queries().rules_to_check(connection, checked_by=reader):
        rule, problem = read_rule((tenant_id, rule_id), fields)
        known = {"tenant_ids": tenant_id, "rule_ids": rule_id, "revisions": revision, "problems": problem}
        asked = dict.fromkeys(_ASKED) if rule is None else _asked(rule.condition)
        for name, value in {**known, **asked}.items():
            columns[name].append(value)
    if columns:
        queries().store_checked_rules(connection, checked_by=reader, **columns)


def read_rule(key: RuleKey, fields: Sequence[Any]) -> tuple[Rule | None, str | None]:
    """A rule from its stored name, condition, actions, severity and quiet hours, or why it is none."""
    tenant_id, rule_id = key
    try:
        return parse_rule({"tenant_id": tenant_id, "id": rule_id, **dict(zip(_FIELDS, fields, strict=True))}), None
    except InvalidRule as error:
        return None, str(error)


def _stored_source(condition: Condition) -> str:
    """Requests are counted beside other events, and so is on which side of a limit a percentile is."""
    source = source_of(condition.definition, condition.campaign)
    if source is Source.REQUESTS or _time_limit(condition) is not None:
        return Source.EVENTS.value
    return source.value


def _time_limit(condition: Condition) -> int | None:
    """The least whole number of milliseconds that fulfils > or >=, and that does not fulfil < or <=."""
    if not isinstance(condition.definition, PercentileTime) or condition.operator == "=":
        return None
    if condition.operator in (">", "<="):
        return min(math.floor(condition.threshold) + 1, _BIGINT)
    return min(math.ceil(condition.threshold), _BIGINT)


def _quotient(metric: Metric) -> tuple[str, str, str]:
    """How a metric comes from two measures; the second is its volume. Sums of costs and times stand beside them."""
    match metric:
        case Rate():
            return "rate", metric.numerator, metric.denominator
        case Cost():
            return "cost", "messages_sent", "messages_sent"
        case MeanTime():
            return "mean", "delivery_times", "delivery_times"
        case PercentileTime():
            return "percentile", "delivery_times", "delivery_times"
    return "count", metric.name, metric.name


_ASKED: Mapping[str, Callable[[Condition], Any]] = {
    "sources": _stored_source,
    "kinds": lambda condition: _quotient(condition.definition)[0],
    "numerators": lambda condition: _quotient(condition.definition)[1],
    "denominators": lambda condition: _quotient(condition.definition)[2],
    "operators": lambda condition: condition.operator,
    "thresholds": lambda condition: condition.compared_threshold,
    "time_limits": _time_limit,
    "time_windows": lambda condition: condition.time_window,
    "channels": lambda condition: condition.channel,
    "providers": lambda condition: condition.provider,
    "campaign_ids": lambda condition: condition.campaign,
    "min_volumes": lambda condition: min(condition.min_volume, _BIGINT),
    "alerts_without_data": lambda condition: condition.no_data == "alert",
}


def _asked(condition: Condition) -> dict[str, Any]:
    """The columns of what a rule asks."""
    return {name: value(condition) for name, value in _ASKED.items()}


@cache
def _reader() -> str:
    """This code, by its text: a new release reads every rule again."""
    modules = (rules, watchable, metrics, events, measures, inspect.getmodule(check_rules))
    return hashlib.sha256("".join(inspect.getsource(module) for module in modules if module).encode()).hexdigest()
