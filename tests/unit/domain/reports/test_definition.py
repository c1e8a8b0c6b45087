"""Definitions: what is unknown, mixed or malformed is refused by name, and nothing is dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from iris_pipelines.domain.metrics import METRICS
from iris_pipelines.domain.reports.definition import InvalidDefinition, ReportDefinition, read_definition
from iris_pipelines.domain.reports.templates import TEMPLATES

GOOD: dict[str, Any] = {"name": "A report", "date_range": "last_7_days", "metrics": ["messages_sent"]}


def test_what_is_left_out_has_a_meaning() -> None:
    found = read_definition(GOOD)
    assert (found.dimensions, found.filters, found.limit, found.timezone, found.format) == ((), (), None, None, "csv")


def test_a_definition_survives_being_stored() -> None:
    document = {
        **GOOD,
        "date_range": {"start": "2026-01-01", "end": "2026-02-01T00:00:00+01:00"},
        "dimensions": ["hour", "campaign"],
        "filters": [
            {"field": "hour", "op": ">=", "value": "2026-01-01T10:00"},
            {"field": "delivery_rate", "op": "between", "value": [1, 2.5]},
        ],
        "order": ["-messages_sent"],
        "limit": 5,
        "format": "xlsx",
    }
    found = read_definition(json.dumps(document))
    assert read_definition(found.model_dump_json()) == found
    assert found.model_dump(mode="json")["date_range"] == {"start": "2026-01-01", "end": "2026-02-01T00:00:00+01:00"}


def test_every_metric_of_the_registry_can_be_asked_for() -> None:
    assert read_definition({**GOOD, "metrics": list(METRICS)}).metrics == tuple(METRICS)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("metrics", ["messages_snet"], "unknown metric 'messages_snet': use messages_sent, "),
        ("metrics", [], "at least 1 item"),
        ("metrics", ["messages_sent", "messages_sent"], "named twice: messages_sent"),
        ("dimensions", ["city"], "unknown dimension 'city': use date, hour, week, month, channel, "),
        ("filters", [{"field": "city", "op": "=", "value": "x"}], "unknown field 'city': use date"),
        ("filters", [{"field": "channel", "op": "like", "value": "x"}], "filters.0.op: Input should be '='"),
        ("filters", [{"field": "channel", "op": "=", "value": 5}], "channel is compared with text, not with 5"),
        ("filters", [{"field": "channel", "op": "=", "value": None}], "channel is compared with text"),
        ("filters", [{"field": "messages_sent", "op": ">", "value": "5"}], "compared with numbers, not with '5'"),
        ("filters", [{"field": "messages_sent", "op": ">", "value": True}], "compared with numbers"),
        ("filters", [{"field": "messages_sent", "op": ">", "value": float("nan")}], "of ordinary size"),
        ("filters", [{"field": "messages_sent", "op": "contains", "value": "5"}], "is no text"),
        ("filters", [{"field": "channel", "op": "in", "value": "sms"}], "`in` needs a list"),
        ("filters", [{"field": "channel", "op": "in", "value": []}], "at least one value"),
        ("filters", [{"field": "channel", "op": "between", "value": ["a"]}], "needs two values"),
        ("filters", [{"field": "date", "op": "=", "value": "yesterday"}], "with values such as 2026-01-31"),
        ("filters", [{"field": "channel", "op": "=", "value": "x", "or": 1}], "Extra inputs are not permitted"),
        ("order", ["-total_cost"], "unknown column to order by 'total_cost': use messages_sent"),
        ("limit", 0, "greater than or equal to 1"),
        ("timezone", "Mars/Base", "unknown time zone 'Mars/Base'"),
        ("format", "docx", "'csv', 'json', 'xlsx' or 'pdf'"),
        ("date_range", "last_x_days", "unknown date range 'last_x_days': use one of today, yesterday"),
        ("date_range", {"start": "2026-01-02", "end": "2026-01-02"}, "must end after it starts"),
        ("date_range", {"start": "2026-01-02T10:00:00", "end": "2026-01-03"}, "has no offset"),
        ("date_range", {"start": "soon", "end": "2026-01-03"}, "expected a day such as"),
        ("metrics", ["messages_sent", "total_requests"], "cannot be mixed in one report"),
        ("dimensions", ["endpoint"], "cannot be mixed in one report"),
        ("name", "a\nb", "control characters"),
        ("name", "  ", "must not be blank"),
        ("colour", "red", "colour: Extra inputs are not permitted"),
    ],
)
def test_what_is_wrong_is_named(part: str, value: object, message: str) -> None:
    with pytest.raises(InvalidDefinition) as error:
        read_definition({**GOOD, part: value})
    assert message in str(error.value)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(InvalidDefinition, match=r"metrics: unknown metric 'a'.*dimensions: unknown dimension 'b'"):
        read_definition({**GOOD, "metrics": ["a"], "dimensions": ["b"]})


def test_templates_are_definitions_under_their_names() -> None:
    assert set(TEMPLATES) == {
        *(
            "weekly-summary",
            "campaign-results",
            "provider-comparison",
            "cost-by-campaign",
            "deliverability",
            "api-usage",
        )
    }
    for each in TEMPLATES.values():
        assert read_definition(each.model_dump(mode="json")) == each


def test_the_schema_is_published() -> None:
    assert set(ReportDefinition.model_json_schema()["required"]) == {"name", "date_range", "metrics"}
