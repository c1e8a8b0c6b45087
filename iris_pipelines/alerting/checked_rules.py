"""Rules read once: what each asks is stored in columns, until the rule changes or other code would read it otherwise."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections import defaultdict
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


def check_rules(connection: Connection) -> None:
    """Read the rules that have changed; of one that cannot be evaluated, the reason is stored."""
    columns: defaultdict[str, list[Any]] = defaultdict(list)
    reader = _reader()
    for tenant_id, rule_id, revision, *texts in queries().rules_to_check(connection, checked_by=reader):
        rule, problem = read_rule((tenant_id, rule_id), *texts)
        row = {"tenant_ids": tenant_id, "rule_ids": rule_id, "revisions": revision, "problems": problem}
        for name, value in {**row, **_asked(None if rule is None else rule.condition)}.items():
            columns[name].append(value)
    if columns:
        queries().store_checked_rules(connection, checked_by=reader, **columns)


def read_rule(
    key: RuleKey, name: str, condition: Any, actions: Any, severity: str, quiet_hours: Any
) -> tuple[Rule | None, str | None]:
    """A stored rule, or why it is none."""
    tenant_id, rule_id = key
    fields = {
        "tenant_id": tenant_id,
        "id": rule_id,
        "name": name,
        "condition": condition,
        "actions": actions,
        "severity": severity,
        "quiet_hours": quiet_hours,
    }
    try:
        return parse_rule(fields), None
    except InvalidRule as error:
        return None, str(error)


def _asked(condition: Condition | None) -> dict[str, Any]:
    """The columns of what a rule asks; all empty for one that cannot be evaluated."""
    known = condition is not None
    kind, numerator, denominator = _quotient(condition.definition) if known else (None, None, None)
    return {
        "sources": _stored_source(condition) if known else None,
        "kinds": kind,
        "numerators": numerator,
        "denominators": denominator,
        "operators": condition.operator if known else None,
        "thresholds": condition.compared_threshold if known else None,
        "time_limits": _time_limit(condition) if known else None,
        "time_windows": condition.time_window if known else None,
        "channels": condition.channel if known else None,
        "providers": condition.provider if known else None,
        "campaign_ids": condition.campaign if known else None,
        "min_volumes": condition.min_volume if known else None,
        "alerts_without_data": condition.no_data == "alert" if known else None,
    }


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
        return math.floor(condition.threshold) + 1
    return math.ceil(condition.threshold)


def _quotient(metric: Metric) -> tuple[str, str, str]:
    """How a metric comes from two measures; the second is its volume."""
    match metric:
        case Rate():
            return "rate", metric.numerator, metric.denominator
        case Cost():
            return "cost", "messages_sent", "messages_sent"
        case MeanTime():
            return "mean", "delivery_ms", "delivery_times"
        case PercentileTime():
            return "percentile", "delivery_times", "delivery_times"
    return "count", metric.name, metric.name


@cache
def _reader() -> str:
    """This code, by its text: a new release reads every rule again."""
    modules = (rules, watchable, metrics, events, measures, inspect.getmodule(check_rules))
    return hashlib.sha256("".join(inspect.getsource(module) for module in modules if module).encode()).hexdigest()
