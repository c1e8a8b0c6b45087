"""The SQL of the rollups, against a recount in Python, and the promises of the materialization `windowed`."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row

from iris_pipelines.db.database import Database
from iris_pipelines.db.staleness import Consumer, Grain, plan_stale, register_consumers, request_rebuild
from iris_pipelines.defs.dbt import DbtBuild, DbtProject
from iris_pipelines.defs.rebuilds import rebuild_everything_stale
from iris_pipelines.domain.windows import DAY, HOUR, Window
from tests.pipeline.recount import assert_exact

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
TUESDAY = MONDAY + DAY
NOW = MONDAY + 4 * DAY
HOURLY, DAILY = "analytics_hourly", "analytics_daily"
TYPES = (
    ["message.sent", "message.delivered", "message.opened", "link.clicked"] * 4
    + ["message.queued", "message.failed", "email.hard_bounce", "email.soft_bounce", "email.complaint"]
    + ["message.unsubscribed", "call.answered", "conversion", "weather.changed", "api.request"]
)
TENANTS = [UUID(int=1), UUID(int=2)]


@dataclass(frozen=True)
class Event:
    """The columns of an event that rollups look at."""

    id: UUID
    tenant_id: UUID
    event_type: str
    timestamp: datetime
    contact_id: UUID | None = None
    channel: str | None = None
    provider: str | None = None
    cost: Decimal | None = None
    duration_ms: int | None = None
    is_machine: bool = False


@pytest.fixture
def built(dbt: DbtProject, database: Database) -> Callable[..., DbtBuild]:
    """Builds models for windows, or for everything when there are none, and fails if dbt does."""

    def build(*models: str, windows: Sequence[Window] = ()) -> DbtBuild:
        result = attempt(dbt, database, *models, windows=windows)
        result.raise_failures()
        return result

    attempt(dbt, database, "stg_iris__events").raise_failures()
    return build


def attempt(dbt: DbtProject, database: Database, *models: str, windows: Sequence[Window] = ()) -> DbtBuild:
    rebuild_id = None
    if windows:
        with database.transaction() as connection:
            rebuild_id = request_rebuild(connection, windows)
    return dbt.build(database.url, models, rebuild_id=rebuild_id)


def random_events(seed: int, count: int, *, start: datetime = MONDAY, hours: int = 30) -> list[Event]:
    """Events with everything that is rare in life: no contact, ties when rounded, odd types, costs of API requests."""
    rng = random.Random(seed)
    contacts = [None, *(UUID(int=rng.getrandbits(128)) for _ in range(12))]
    events = []
    for _ in range(count):
        second = rng.choice([0, 0, 3599, rng.randrange(3600)])
        carries_cost = rng.random() < 0.4
        events.append(
            Event(
                id=UUID(int=rng.getrandbits(128)),
                tenant_id=rng.choice(TENANTS),
                event_type=rng.choice(TYPES),
                timestamp=start
                + timedelta(hours=rng.randrange(hours), seconds=second, microseconds=rng.choice([0, 999999])),
                contact_id=rng.choice(contacts),
                channel=rng.choice(["email", "sms", None]),
                provider=rng.choice(["twilio", "ses", None]),
                cost=Decimal(rng.choice([0, 1, 2, 15000])).scaleb(-6) if carries_cost else None,
                duration_ms=rng.choice([None, 0, 1, 2, 3, rng.randrange(10**6)]),
                is_machine=rng.random() < 0.3,
            )
        )
    return events


def insert(database: Database, events: Iterable[Event]) -> None:
    columns = tuple(Event.__dataclass_fields__)
    with (
        database.transaction() as connection,
        connection.cursor() as cursor,
        cursor.copy(f"copy iris.analytics_events ({', '.join(columns)}) from stdin") as copy,
    ):
        for event in events:
            copy.write_row([getattr(event, column) for column in columns])


def execute(database: Database, statement: str, *parameters: object) -> None:
    with database.transaction() as connection:
        connection.execute(statement, parameters)


def rows_of(database: Database, model: str) -> list[dict[str, Any]]:
    with database.transaction() as connection:
        return connection.cursor(row_factory=dict_row).execute(f"select * from analytics.{model}").fetchall()


def sent(timestamp: datetime, **facts: Any) -> Event:
    return Event(uuid4(), TENANTS[0], "message.sent", timestamp, **facts)


@pytest.mark.parametrize(("seed", "count", "timezone"), [(1, 3000, "UTC"), (2, 400, "Asia/Kathmandu")])
def test_every_column_of_every_row_equals_a_recount_of_the_events(
    built: Callable[..., DbtBuild], database: Database, seed: int, count: int, timezone: str
) -> None:
    execute(database, f"alter database {database.url.rsplit('/', 1)[1]} set timezone = '{timezone}'")
    events = random_events(seed, count)
    insert(database, events)

    built(HOURLY, DAILY, windows=[Window(MONDAY, MONDAY + 2 * DAY)])

    assert_exact(database, closed_before=NOW)


def test_rows_hold_exact_values_where_floats_and_small_types_would_not(
    built: Callable[..., DbtBuild], database: Database
) -> None:
    cheap = [sent(MONDAY, cost=Decimal("0.000001")), sent(MONDAY, cost=Decimal("0.000002"))]
    late = [
        Event(uuid4(), TENANTS[0], "message.delivered", MONDAY, duration_ms=duration)
        for duration in (1, 2, *[2**53 + 1] * 2000)
    ]
    insert(database, [*cheap, *late])

    built(HOURLY, windows=[Window(MONDAY, MONDAY + DAY)])

    (row,) = rows_of(database, HOURLY)
    assert row["avg_cost_per_message"] == Decimal("0.000002")
    assert row["delivery_rate"] == Decimal("100100.00")
    assert row["avg_delivery_time_ms"] == (2 * (3 + 2000 * (2**53 + 1)) + 2002) // (2 * 2002)


def test_a_rebuild_replaces_its_windows_and_touches_no_other_row(
    built: Callable[..., DbtBuild], database: Database
) -> None:
    insert(database, random_events(3, 600, hours=48))
    built(HOURLY, DAILY, windows=[Window(MONDAY, MONDAY + 2 * DAY)])
    before = rows_of(database, HOURLY)

    three, emptied = MONDAY + 3 * HOUR, TUESDAY + 5 * HOUR
    insert(database, [sent(three, channel="voice")])
    execute(
        database, "delete from iris.analytics_events where timestamp >= %s and timestamp < %s", emptied, emptied + HOUR
    )
    execute(
        database,
        "update iris.analytics_events set channel = 'push' where timestamp >= %s and timestamp < %s",
        TUESDAY,
        TUESDAY + HOUR,
    )
    windows = [Window(hour, hour + HOUR) for hour in (three, emptied, TUESDAY)]
    built(HOURLY, windows=windows)
    built(DAILY, windows=[Window(MONDAY, TUESDAY), Window(TUESDAY, TUESDAY + DAY)])

    assert_exact(database, closed_before=NOW)
    after = rows_of(database, HOURLY)
    assert {row["timestamp"] for row in after if row not in before} == {three, TUESDAY}
    assert {row["timestamp"] for row in before if row not in after} == {three, emptied, TUESDAY}


def test_a_rebuild_takes_its_hours_off_the_list_and_says_what_it_replaced(
    built: Callable[..., DbtBuild], dbt: DbtProject, database: Database
) -> None:
    register_consumers(
        database, {f"analytics.{HOURLY}": Consumer(Grain.HOUR), f"analytics.{DAILY}": Consumer(Grain.DAY)}
    )
    insert(database, [sent(MONDAY), sent(MONDAY + HOUR, provider="ses"), sent(MONDAY + HOUR)])
    plan_stale(database, now=NOW)
    with database.transaction() as connection:
        rebuild_id = request_rebuild(connection, [Window(MONDAY + HOUR, MONDAY + 2 * HOUR)])

    dbt.build(database.url, [HOURLY], rebuild_id=rebuild_id).raise_failures()
    dbt.build(database.url, [HOURLY], rebuild_id=rebuild_id).raise_failures()

    plan = {stale.consumer: list(stale.hours) for stale in plan_stale(database, now=NOW)}
    assert plan == {f"analytics.{HOURLY}": [MONDAY], f"analytics.{DAILY}": [MONDAY, MONDAY + HOUR]}
    with database.transaction() as connection:
        replaced = connection.execute(
            "select relation, window_start, window_end, row_count from iris.rebuilt_windows where rebuild_id = %s",
            (rebuild_id,),
        ).fetchall()
    assert replaced == [(f"analytics.{HOURLY}", MONDAY + HOUR, MONDAY + 2 * HOUR, 2)]


@contextmanager
def locked(database: Database, model: str, day: datetime) -> Iterator[psycopg.Connection[Any]]:
    """Hold what a rebuild of this day holds, as one in another process would."""
    with psycopg.connect(database.url) as connection:
        connection.execute(
            "select pg_advisory_xact_lock(hashtext(%s), %s)", (f"analytics.{model}", int(day.timestamp()) // 86400)
        )
        yield connection


def waiting_backend(database: Database) -> int:
    """The process of the server that waits for an advisory lock."""
    for _ in range(600):
        with database.transaction() as connection:
            found = connection.execute(
                "select pid from pg_stat_activity where wait_event = 'advisory' and datname = current_database()"
            ).fetchone()
        if found is not None:
            return int(found[0])
        time.sleep(0.05)
    raise AssertionError("nothing waits")


def test_a_rebuild_waits_for_another_one_of_its_day_and_then_sees_what_came_meanwhile(
    built: Callable[..., DbtBuild], database: Database
) -> None:
    insert(database, [sent(MONDAY)])
    built(HOURLY, windows=[Window(MONDAY, MONDAY + HOUR)])

    with locked(database, HOURLY, MONDAY) as other:
        second = threading.Thread(target=built, args=[HOURLY], kwargs={"windows": [Window(MONDAY, MONDAY + HOUR)]})
        second.start()
        waiting_backend(database)
        insert(database, [sent(MONDAY)])
        other.commit()
    second.join()

    assert [row["messages_sent"] for row in rows_of(database, HOURLY)] == [2]


def test_a_rebuild_killed_in_the_middle_leaves_each_window_old_or_new_and_the_old_ones_stale(
    built: Callable[..., DbtBuild], dbt: DbtProject, database: Database
) -> None:
    register_consumers(database, {f"analytics.{HOURLY}": Consumer(Grain.HOUR)})
    windows = [Window(MONDAY, MONDAY + HOUR), Window(TUESDAY, TUESDAY + HOUR)]
    insert(database, [sent(MONDAY), sent(TUESDAY)])
    plan_stale(database, now=NOW)
    built(HOURLY, windows=windows)
    insert(database, [sent(MONDAY), sent(TUESDAY)])
    plan_stale(database, now=NOW)

    results: list[DbtBuild] = []
    with locked(database, HOURLY, TUESDAY):
        run = threading.Thread(target=lambda: results.append(attempt(dbt, database, HOURLY, windows=windows)))
        run.start()
        execute(database, "select pg_terminate_backend(%s)", waiting_backend(database))
        run.join()

    assert results[0].failures
    assert {row["timestamp"]: row["messages_sent"] for row in rows_of(database, HOURLY)} == {MONDAY: 2, TUESDAY: 1}
    assert [stale.hours for stale in plan_stale(database, now=NOW)] == [(TUESDAY,)]


def test_a_plain_build_covers_all_history_and_never_the_running_hour(
    built: Callable[..., DbtBuild], database: Database
) -> None:
    now = datetime.now(UTC)
    running = now.replace(minute=0, second=0, microsecond=0)
    insert(database, [sent(MONDAY - 900 * DAY), sent(running - HOUR), sent(running), sent(running + 2 * HOUR)])

    built(HOURLY, DAILY)
    assert_exact(database, closed_before=running)
    assert len(rows_of(database, HOURLY)) == 2

    execute(database, "delete from iris.analytics_events where timestamp < %s", MONDAY)
    built(HOURLY, DAILY)
    assert_exact(database, closed_before=running)
    assert len(rows_of(database, HOURLY)) == 1


def test_the_day_in_progress_holds_its_closed_hours(built: Callable[..., DbtBuild], database: Database) -> None:
    insert(database, [sent(MONDAY), sent(MONDAY + 10 * HOUR)])

    built(DAILY, windows=[Window(MONDAY, MONDAY + 10 * HOUR)])
    assert [(row["date"], row["messages_sent"]) for row in rows_of(database, DAILY)] == [(date(2026, 11, 2), 1)]
    built(DAILY, windows=[Window(MONDAY, MONDAY + 11 * HOUR)])
    assert [(row["date"], row["messages_sent"]) for row in rows_of(database, DAILY)] == [(date(2026, 11, 2), 2)]


@pytest.mark.parametrize(
    ("model", "window", "reason"),
    [
        (DAILY, Window(MONDAY + HOUR, MONDAY + DAY), "whole days"),
        (HOURLY, Window(MONDAY + timedelta(minutes=5), MONDAY + HOUR), "whole hours"),
    ],
)
def test_a_window_that_would_leave_half_a_row_is_refused(
    dbt: DbtProject, database: Database, model: str, window: Window, reason: str
) -> None:
    attempt(dbt, database, "stg_iris__events").raise_failures()
    (failure,) = attempt(dbt, database, model, windows=[window]).failures
    assert reason in failure


def test_a_rebuild_without_windows_makes_the_tables_and_replaces_nothing(
    built: Callable[..., DbtBuild], dbt: DbtProject, database: Database
) -> None:
    insert(database, [sent(MONDAY)])
    dbt.build(database.url, [HOURLY, DAILY], rebuild_id=uuid4()).raise_failures()
    assert rows_of(database, HOURLY) == rows_of(database, DAILY) == []


def test_a_column_that_the_table_lacks_is_appended_with_its_comment(
    built: Callable[..., DbtBuild], database: Database
) -> None:
    insert(database, [sent(MONDAY), sent(TUESDAY)])
    built(DAILY, windows=[Window(MONDAY, MONDAY + 2 * DAY)])
    execute(database, "alter table analytics.analytics_daily drop column messages_sent")

    built(DAILY, windows=[Window(TUESDAY, TUESDAY + DAY)])

    assert {row["date"]: row["messages_sent"] for row in rows_of(database, DAILY)} == {
        MONDAY.date(): None,
        TUESDAY.date(): 1,
    }
    with database.transaction() as connection:
        undocumented = connection.execute(
            """
            select attname from pg_attribute
            where attrelid = 'analytics.analytics_daily'::regclass and attnum > 0 and not attisdropped
            and col_description(attrelid, attnum) is null
            """
        ).fetchall()
    assert undocumented == []


def test_the_grain_is_unique_and_null_is_refused_by_the_tables_themselves(
    built: Callable[..., DbtBuild], database: Database
) -> None:
    insert(database, [sent(MONDAY)])
    built(HOURLY, DAILY, windows=[Window(MONDAY, MONDAY + DAY)])
    for model in (HOURLY, DAILY):
        with pytest.raises(psycopg.errors.UniqueViolation):
            execute(database, f"insert into analytics.{model} select * from analytics.{model}")
        with pytest.raises(psycopg.errors.NotNullViolation):
            execute(database, f"update analytics.{model} set messages_sent = null")


def test_data_tests_of_a_rebuild_look_at_its_windows_and_those_of_a_plain_build_at_everything(
    built: Callable[..., DbtBuild], dbt: DbtProject, database: Database
) -> None:
    insert(database, [sent(MONDAY), sent(TUESDAY)])
    built(HOURLY, DAILY, windows=[Window(MONDAY, MONDAY + 2 * DAY)])
    for model in (HOURLY, DAILY):
        execute(database, f"update analytics.{model} set machine_opens = 5")

    built(HOURLY, DAILY, windows=[Window(TUESDAY, TUESDAY + DAY)])

    failures = dbt.build(database.url, [HOURLY, DAILY], command="test").failures
    assert sorted(failure.split(":")[0] for failure in failures) == [
        "analytics_daily_parts_are_no_larger_than_their_wholes",
        "analytics_hourly_parts_are_no_larger_than_their_wholes",
    ]


def test_the_unit_tests_of_the_models_pass(dbt: DbtProject, database: Database) -> None:
    for each in rebuild_everything_stale(database, dbt, now=MONDAY):
        each.build.raise_failures()
    assert dbt.manifest()["unit_tests"]
    dbt.build(database.url, ["test_type:unit"], command="test").raise_failures()
