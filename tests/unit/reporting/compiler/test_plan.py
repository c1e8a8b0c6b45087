"""Which sources a question is answered from, and what is left to the event log."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from iris_pipelines.domain.reports.calendar import zone
from iris_pipelines.domain.reports.definition import read_definition
from iris_pipelines.domain.reports.ranges import resolve
from iris_pipelines.domain.windows import DAY, HOUR, Window
from iris_pipelines.reporting.compiler.coverage import Ledger, cover
from iris_pipelines.reporting.compiler.plan import Plan, choose
from iris_pipelines.reporting.compiler.question import Question
from iris_pipelines.reporting.compiler.sources import ACTIVITY, DAILY, HOURLY, SOURCES

BUILT = Ledger({source.consumer: set() for source in SOURCES if source.consumer is not None})
MIDNIGHT = datetime(2026, 4, 1, tzinfo=UTC)


def planned(ledger: Ledger = BUILT, timezone: str = "UTC", **parts: Any) -> Plan:
    asked = {"name": "x", "date_range": {"start": "2026-03-01", "end": "2026-04-01"}, **parts}
    definition = read_definition(asked)
    return choose(Question(definition, resolve(definition.date_range, zone(timezone), today=date(2026, 4, 7))), ledger)


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ({"metrics": ["messages_sent"]}, ["analytics_daily"]),
        ({"metrics": ["messages_sent", "total_cost"], "dimensions": ["week", "channel"]}, ["analytics_daily"]),
        ({"metrics": ["messages_sent"], "dimensions": ["provider"]}, ["int_channel_activity_daily"]),
        ({"metrics": ["unique_opens"], "dimensions": ["channel"]}, ["int_message_activity_daily"]),
        ({"metrics": ["unique_opens", "p95_delivery_time_ms"], "dimensions": ["date", "channel"]}, ["analytics_daily"]),
        (
            {"metrics": ["p95_delivery_time_ms"], "dimensions": ["provider"]},
            ["int_channel_activity_daily", "int_delivery_times_daily"],
        ),
        ({"metrics": ["avg_cost_per_message"]}, ["int_channel_activity_daily"]),
        ({"metrics": ["messages_sent"], "dimensions": ["campaign"]}, ["int_message_activity_daily"]),
        ({"metrics": ["messages_sent"], "dimensions": ["country"]}, ["the event log"]),
        (
            {"metrics": ["messages_sent"], "filters": [{"field": "error_code", "op": "=", "value": "x"}]},
            ["the event log"],
        ),
        ({"metrics": ["total_requests"], "dimensions": ["endpoint"]}, ["int_api_requests_daily"]),
    ],
)
def test_the_smallest_source_that_has_the_answer_is_read(parts: dict[str, Any], names: list[str]) -> None:
    assert planned(**parts).names == names


def test_days_of_a_zone_away_from_utc_come_from_hours_and_where_they_begin_within_one_its_events() -> None:
    by_day = {"metrics": ["messages_sent"], "dimensions": ["date"]}
    assert planned(timezone="Europe/Berlin", **by_day).names == ["analytics_hourly"]
    plan = planned(timezone="Asia/Kathmandu", **by_day)
    assert plan.names == ["analytics_hourly", "the event log"]
    # The hour in which one day ends and the next begins: 30 of them within March, and the parts at both ends.
    assert len(plan.sums.rest) == 32
    assert plan.sums.rest_days == 31 / 24


def test_only_the_edges_of_a_long_range_in_another_zone_come_from_events() -> None:
    plan = planned(timezone="Europe/Berlin", metrics=["unique_opens"])
    assert plan.names == ["int_message_activity_daily", "the event log"]
    # March in Berlin begins and ends an hour or two before March in UTC.
    assert plan.sums.rest == (
        Window(datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        Window(datetime(2026, 3, 31, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC)),
    )


def test_stale_hours_come_from_events_and_a_source_that_is_not_built_answers_nothing() -> None:
    window = Window(MIDNIGHT, MIDNIGHT + 2 * DAY)
    stale = MIDNIGHT + timedelta(hours=5)
    ledger = Ledger({"analytics.analytics_hourly": {stale}, "analytics.analytics_daily": {stale}})
    assert cover(HOURLY, [window], ledger).rest == (Window(stale, stale + HOUR),)
    assert cover(HOURLY, [window], ledger).covered == (Window(window.start, stale), Window(stale + HOUR, window.end))
    assert cover(DAILY, [window], ledger).rest == (Window(MIDNIGHT, MIDNIGHT + DAY),)
    assert cover(ACTIVITY, [window], ledger).rest == (window,)
    assert planned(Ledger({}), metrics=["messages_sent"]).names == ["the event log"]


def test_a_day_of_25_hours_is_no_row_of_a_rollup_though_it_holds_a_day_of_utc() -> None:
    plan = planned(
        Ledger({"analytics.analytics_daily": set()}),
        timezone="Europe/London",
        metrics=["unique_opens"],
        dimensions=["date", "channel"],
        date_range={"start": "2026-10-24", "end": "2026-10-28"},
    )
    assert plan.is_published
    assert plan.sums.rest == (Window(datetime(2026, 10, 23, 23, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC)),)


def test_conditions_on_time_leave_less_to_read() -> None:
    plan = planned(
        metrics=["messages_sent"], filters=[{"field": "date", "op": "in", "value": ["2026-03-02", "2026-03-04"]}]
    )
    starts = [datetime(2026, 3, day, tzinfo=UTC) for day in (2, 4)]
    assert plan.sums.covered == tuple(Window(start, start + DAY) for start in starts)
