import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from iris_pipelines.db.database import Database
from iris_pipelines.db.staleness import Consumer, Grain, plan_stale, register_consumers, request_rebuild
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.domain.windows import DAY, HOUR, Window

NOW = datetime(2026, 11, 3, 12, 30, tzinfo=UTC)
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def insert_event(database: Database, timestamp: datetime) -> None:
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.analytics_events (tenant_id, event_type, timestamp) values (%s, 'message.sent', %s)",
            (uuid4(), timestamp),
        )


def test_an_event_makes_its_hour_and_its_day_stale_and_nothing_else(database: Database) -> None:
    register_consumers(database, {"analytics.hourly": Consumer(Grain.HOUR), "analytics.daily": Consumer(Grain.DAY)})
    insert_event(database, MONDAY + timedelta(hours=3, minutes=20))

    plan = {stale.consumer: stale.windows(now=NOW) for stale in plan_stale(database, now=NOW)}

    three = MONDAY + 3 * HOUR
    assert plan == {
        "analytics.hourly": [Window(three, three + HOUR)],
        "analytics.daily": [Window(MONDAY, MONDAY + DAY)],
    }


def test_hours_that_have_not_closed_wait_and_today_ends_at_the_last_closed_hour(database: Database) -> None:
    register_consumers(database, {"analytics.daily": Consumer(Grain.DAY)})
    insert_event(database, NOW - 2 * HOUR)
    insert_event(database, NOW)

    (stale,) = plan_stale(database, now=NOW)
    assert stale.hours == (datetime(2026, 11, 3, 10, tzinfo=UTC),)
    assert stale.windows(now=NOW) == [Window(datetime(2026, 11, 3, tzinfo=UTC), datetime(2026, 11, 3, 12, tzinfo=UTC))]

    (later,) = plan_stale(database, now=NOW + HOUR)
    assert later.hours[-1] == datetime(2026, 11, 3, 12, tzinfo=UTC)


def test_update_delete_and_truncate_are_noted_as_inserts_are(database: Database) -> None:
    register_consumers(database, {"analytics.hourly": Consumer(Grain.HOUR)})
    insert_event(database, MONDAY)

    def hours_after(statement: str) -> list[datetime]:
        with database.transaction() as connection:
            connection.execute("delete from iris.stale_hours")
            connection.execute("delete from iris.touched_hours")
            connection.execute(statement)  # type: ignore[arg-type]
        return [hour for stale in plan_stale(database, now=NOW) for hour in stale.hours]

    assert hours_after("update iris.analytics_events set timestamp = timestamp - interval '1 day'") == [
        MONDAY - DAY,
        MONDAY,
    ]
    assert hours_after("update iris.analytics_events set cost = 1 where false") == []
    assert hours_after("truncate iris.analytics_events") == [MONDAY - DAY]
    insert_event(database, MONDAY)
    assert hours_after("delete from iris.analytics_events") == [MONDAY]


def test_a_new_consumer_has_every_hour_with_events_to_build(database: Database) -> None:
    insert_event(database, MONDAY)
    insert_event(database, MONDAY + 5 * HOUR)
    plan_stale(database, now=NOW)
    register_consumers(database, {"analytics.hourly": Consumer(Grain.HOUR)})
    register_consumers(database, {"analytics.hourly": Consumer(Grain.HOUR)})

    (stale,) = plan_stale(database, now=NOW)
    assert stale.hours == (MONDAY, MONDAY + 5 * HOUR)


def test_a_slow_transaction_that_commits_after_a_later_one_was_planned_is_not_lost(
    database: Database,
) -> None:
    register_consumers(database, {"analytics.hourly": Consumer(Grain.HOUR)})
    inserted, may_commit = threading.Event(), threading.Event()

    def slow_writer() -> None:
        with database.transaction() as connection:
            connection.execute(
                "insert into iris.analytics_events (tenant_id, event_type, timestamp) values (%s, 'a.b', %s)",
                (uuid4(), MONDAY),
            )
            inserted.set()
            may_commit.wait(30)

    writer = threading.Thread(target=slow_writer)
    writer.start()
    assert inserted.wait(30)
    insert_event(database, MONDAY + HOUR)
    (first,) = plan_stale(database, now=NOW)
    assert first.hours == (MONDAY + HOUR,)
    may_commit.set()
    writer.join()

    (second,) = plan_stale(database, now=NOW)
    assert second.hours == (MONDAY, MONDAY + HOUR)


def test_a_rebuild_is_requested_in_windows_within_a_day(database: Database) -> None:
    with database.transaction() as connection:
        rebuild_id = request_rebuild(
            connection, [Window(MONDAY - HOUR, MONDAY + HOUR), Window(MONDAY + HOUR, MONDAY + 2 * HOUR)]
        )
        rows = connection.execute(
            "select window_start, window_end from iris.rebuild_windows where rebuild_id = %s order by 1",
            (rebuild_id,),
        ).fetchall()
    assert rows == [(MONDAY - HOUR, MONDAY), (MONDAY, MONDAY + 2 * HOUR)]


def test_what_stands_on_a_table_is_not_told_of_the_events(database: Database) -> None:
    insert_event(database, NOW - 3 * HOUR)
    fact, mart = Consumer(Grain.DAY), Consumer(Grain.DAY, inputs=("analytics.fact",))
    register_consumers(database, {"analytics.fact": fact, "analytics.mart": mart})
    # A new one has everything to build, whatever it stands on.
    assert {each.consumer for each in plan_stale(database, now=NOW)} == {"analytics.fact", "analytics.mart"}
    with database.transaction() as connection:
        connection.execute("delete from iris.stale_hours")
    insert_event(database, NOW - 3 * HOUR)
    assert {each.consumer for each in plan_stale(database, now=NOW)} == {"analytics.fact"}


def test_what_reaches_over_days_is_due_as_far_as_it_reaches_and_when_the_day_is_over(database: Database) -> None:
    insert_event(database, NOW - DAY)
    register_consumers(database, {"analytics.ranking": Consumer(Grain.CLOSED_DAY, inputs=("x",), reach_days=2)})
    today = Window.day_of(NOW)

    def due(now: datetime) -> list[Window]:
        return [window for stale in plan_stale(database, now=now) for window in stale.windows(now=now)]

    assert due(NOW) == [Window(today.start - DAY, today.start)]
    assert due(today.end - timedelta(minutes=1)) == due(NOW)
    assert due(today.end) == [*due(NOW), today]
    assert due(today.end + 5 * DAY) == [*due(NOW), today, Window(today.end, today.end + DAY)]


def test_a_consumer_that_stands_on_other_things_now_is_built_anew(database: Database) -> None:
    insert_event(database, NOW - 3 * HOUR)
    register_consumers(database, {"analytics.mart": Consumer(Grain.DAY)})
    assert plan_stale(database, now=NOW) != []
    with database.transaction() as connection:
        connection.execute("delete from iris.stale_hours")
    register_consumers(database, {"analytics.mart": Consumer(Grain.DAY)})
    assert plan_stale(database, now=NOW) == []
    register_consumers(database, {"analytics.mart": Consumer(Grain.DAY, inputs=("analytics.fact",))})
    assert [each.consumer for each in plan_stale(database, now=NOW)] == ["analytics.mart"]


def test_campaigns_are_stale_for_those_who_read_their_names_or_variants_when_these_change(database: Database) -> None:
    tenant, other, campaign, plain = uuid4(), uuid4(), uuid4(), uuid4()
    for each in (tenant, other):
        create_tenant(database, Tenant(each, str(each)))
    consumers = {
        "analytics.links": Consumer(Grain.CAMPAIGN, inputs=("analytics.fact",)),
        "analytics.overviews": Consumer(Grain.CAMPAIGN, inputs=("analytics.fact", "iris.campaigns")),
        "analytics.tests": Consumer(Grain.CAMPAIGN, inputs=("analytics.fact", "iris.messages")),
    }
    register_consumers(database, consumers)

    def noted(statement: str, *values: object) -> set[UUID]:
        reader = "analytics.tests" if "iris.messages" in statement else "analytics.overviews"
        with database.transaction() as connection:
            connection.execute("delete from iris.stale_campaigns")
            connection.execute(statement, values)  # type: ignore[arg-type]
            rows = connection.execute("select consumer, campaign_id from iris.stale_campaigns").fetchall()
        assert {consumer for consumer, _ in rows} <= {reader}
        return {found for _, found in rows}

    assert noted("insert into iris.campaigns (tenant_id, id, name) values (%s, %s, 'a')", tenant, campaign) == {
        campaign
    }
    assert noted("update iris.campaigns set status = 'sent', name = 'a'") == set()
    assert noted("update iris.campaigns set name = 'b'") == {campaign}
    message = "insert into iris.messages (tenant_id, id, campaign_id, variant) values (%s, %s, %s, %s)"
    assert noted(message, tenant, uuid4(), plain, None) == set()
    assert noted(message, tenant, uuid4(), campaign, "A") == {campaign}
    assert noted("update iris.messages set status = 'sent', open_count = open_count + 1") == set()
    assert noted("update iris.messages set variant = 'B' where variant = 'A'") == {campaign}
    assert noted("update iris.messages set campaign_id = %s where variant = 'B'", plain) == {campaign, plain}
    assert noted("delete from iris.messages") == {plain}
    assert noted("delete from iris.campaigns") == {campaign}
