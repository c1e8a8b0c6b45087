"""The law of exactness: whatever happens to the events, the rollups equal a recount, and only what was touched ran."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from iris_pipelines.db.database import Database
from iris_pipelines.domain.events import CHANNELS
from iris_pipelines.domain.windows import DAY, HOUR, Window, closed_before
from iris_pipelines.ingestion.loader import load_events
from iris_pipelines.ingestion.records import ObjectBatch
from tests.pipeline.conftest import Pipeline
from tests.pipeline.recount import assert_exact

NOW = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)
TENANTS = [UUID(int=1), UUID(int=2)]
CONTACTS = [UUID(int=100 + n) for n in range(5)]
TYPES = [
    *["message.sent", "message.delivered", "message.opened", "link.clicked"] * 3,
    *["message.failed", "email.hard_bounce", "email.soft_bounce", "email.complaint", "message.unsubscribed"],
    *["call.answered", "conversion", "message.queued", "api.request", "custom.thing"],
]

# Few hours, and many events in each: groups with several members are where aggregates go wrong.
instants = st.builds(
    lambda hours_ago, seconds: NOW - timedelta(hours=hours_ago) + timedelta(seconds=seconds),
    st.sampled_from([0, 1, 2, 14, 15, 16, 40, 200, 719]),
    st.integers(0, 1500),
)
events = st.fixed_dictionaries(
    {
        "id": st.integers(1, 10_000).map(lambda n: str(UUID(int=n))),
        "tenant_id": st.sampled_from(TENANTS).map(str),
        "event_type": st.sampled_from(TYPES),
        "timestamp": instants.map(datetime.isoformat),
    },
    optional={
        "contact_id": st.sampled_from(CONTACTS).map(str),
        "channel": st.sampled_from(sorted(CHANNELS)[:2]),
        "provider": st.sampled_from(["twilio", "ses"]),
        "cost": st.integers(0, 3_000_000).map(lambda micros: f"{micros / 1_000_000:.6f}"),
        "duration_ms": st.integers(0, 100_000),
        "is_machine": st.booleans(),
    },
)


@st.composite
def loads(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events, each one to five times, in any order."""
    batch = [event for event in draw(st.lists(events, max_size=25)) for _ in range(draw(st.integers(1, 5)))]
    return draw(st.permutations(batch))


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, Any]:
    """One thing that happens to the event log, or a rebuild in between."""
    kind = draw(st.sampled_from(["load", "load", "load", "erase_hour", "erase_some", "move", "correct", "rebuild"]))
    if kind == "load":
        return kind, draw(loads())
    return kind, draw(instants)


def load(database: Database, batch: list[dict[str, Any]]) -> None:
    result = load_events(
        database,
        [ObjectBatch("test", range(1, len(batch) + 1), batch)],
        now=NOW,
        history_start=date(2020, 1, 1),
        create_tenants=True,
    )
    assert result.rejected == 0


STATEMENTS = {
    "erase_hour": "delete from iris.analytics_events where date_trunc('hour', timestamp) = date_trunc('hour', %s)",
    "erase_some": "delete from iris.analytics_events where timestamp <= %s and id::text like '%%3'",
    "move": "update iris.analytics_events set timestamp = timestamp - interval '1 hour' "
    "where date_trunc('hour', timestamp) = date_trunc('hour', %s)",
    "correct": "update iris.analytics_events set cost = cost + 1, contact_id = null where timestamp >= %s",
}


def hours_with_digest(database: Database) -> dict[datetime, str]:
    """The closed hours of the event log with a digest of what is in them."""
    with database.transaction() as connection:
        rows = connection.execute(
            "select date_trunc('hour', timestamp), md5(string_agg(e::text, ',' order by e::text))"
            " from iris.analytics_events as e where timestamp < %s group by 1",
            (closed_before(NOW),),
        ).fetchall()
    return dict(rows)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(story=st.lists(changes(), min_size=2, max_size=7))
def test_the_rollups_equal_a_recount_and_nothing_untouched_was_rebuilt(
    pipeline: Pipeline, story: list[tuple[str, Any]]
) -> None:
    database = pipeline.database
    with database.transaction() as connection:
        connection.execute("truncate iris.analytics_events")
    pipeline.refresh(now=NOW)
    assert_exact(database, closed_before=closed_before(NOW))

    before: dict[datetime, str] = {}
    for kind, detail in [*story, ("rebuild", None)]:
        if kind == "load":
            load(database, detail)
        elif kind in STATEMENTS:
            with database.transaction() as connection:
                connection.execute(STATEMENTS[kind], (detail,))
        else:
            rebuilds = pipeline.refresh(now=NOW)
            after = hours_with_digest(database)
            changed = {hour for hour in before.keys() | after.keys() if before.get(hour) != after.get(hour)}
            rebuilt = pipeline.rebuilt(rebuilds, "analytics.analytics_hourly")
            rebuilt_hours = {hour.start for window in rebuilt for hour in window.split(HOUR)}
            assert changed <= rebuilt_hours
            assert {hour.start for hour in map(Window.day_of, rebuilt_hours)} == {
                window.start for window in pipeline.rebuilt(rebuilds, "analytics.analytics_daily")
            }
            before = after
    assert_exact(database, closed_before=closed_before(NOW))
    assert pipeline.refresh(now=NOW) == []


def test_one_late_event_rebuilds_its_hour_and_its_day_and_nothing_else(pipeline: Pipeline) -> None:
    history = [
        {
            "id": str(UUID(int=n)),
            "tenant_id": str(TENANTS[0]),
            "event_type": "message.sent",
            "timestamp": (NOW - n * HOUR).isoformat(),
        }
        for n in range(1, 200)
    ]
    load(pipeline.database, history)
    pipeline.refresh(now=NOW)

    late = NOW - 5 * DAY
    load(pipeline.database, [{**history[0], "timestamp": late.isoformat()}])
    rebuilds = pipeline.refresh(now=NOW)

    assert pipeline.rebuilt(rebuilds, "analytics.analytics_hourly") == {Window.hour_of(late)}
    assert pipeline.rebuilt(rebuilds, "analytics.analytics_daily") == {Window.day_of(late)}
    assert_exact(pipeline.database, closed_before=closed_before(NOW))


def test_a_duplicate_makes_nothing_stale(pipeline: Pipeline) -> None:
    event = {"tenant_id": str(TENANTS[0]), "event_type": "message.sent", "timestamp": (NOW - DAY).isoformat()}
    load(pipeline.database, [event])
    pipeline.refresh(now=NOW)
    load(pipeline.database, [event, event])
    assert pipeline.refresh(now=NOW) == []


def test_the_day_in_progress_holds_its_closed_hours_and_grows_as_they_close(pipeline: Pipeline) -> None:
    load(
        pipeline.database,
        [
            {
                "tenant_id": str(TENANTS[0]),
                "event_type": "message.sent",
                "channel": "sms",
                "timestamp": (NOW - hours * HOUR).isoformat(),
            }
            for hours in (0, 1, 2)
        ],
    )
    for now, expected in ((NOW, 2), (NOW + HOUR, 3)):
        pipeline.refresh(now=now)
        assert_exact(pipeline.database, closed_before=closed_before(now))
        with pipeline.database.transaction() as connection:
            row = connection.execute("select sum(messages_sent) from analytics.analytics_daily").fetchone()
        assert row == (expected,)


def test_what_no_rule_would_accept_is_counted_and_holds_up_no_other_event(pipeline: Pipeline) -> None:
    """Other services insert what they have: refunds, times by clocks that differ, numbers at the end of their type."""
    insert = (
        "insert into iris.analytics_events"
        " (tenant_id, event_type, timestamp, channel, provider, contact_id, duration_ms, cost, success)"
        " values (%s, %s, %s, 'fax', 'Twilio', %s, %s, %s, null)"
    )
    odd = [
        *[("message.delivered", milliseconds, -1) for milliseconds in (-5, -(2**40), 0)],
        *[(event_type, -1, -1) for event_type in ("message.sent", "conversion", "api.request", "", "Message.Sent")],
    ]
    for hours, events in (
        (200, odd),
        (300, [("message.delivered", 2**63 - 1, 1)] * 3 + [("api.request", 2**62, 1)] * 3),
    ):
        with pipeline.database.transaction() as connection:
            connection.cursor().executemany(
                insert,
                [
                    (TENANTS[0], event_type, NOW - hours * HOUR, CONTACTS[0], milliseconds, cost)
                    for event_type, milliseconds, cost in events
                ],
            )
        pipeline.refresh(now=NOW)
        if events is odd:
            assert_exact(pipeline.database, closed_before=closed_before(NOW))
    with pipeline.database.transaction() as connection:
        row = connection.execute(
            "select avg_delivery_time_ms, p50_delivery_time_ms, p99_delivery_time_ms"
            " from analytics.analytics_hourly where timestamp = date_trunc('hour', %s)",
            (NOW - 300 * HOUR,),
        ).fetchone()
    assert row == (2**63 - 1,) * 3
