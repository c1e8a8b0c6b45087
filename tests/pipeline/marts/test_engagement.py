"""Engagement equals a recount of the events as of any date, however it came to be computed, and is written back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import dagster as dg
import pytest

from iris_pipelines.db.contact_scores import WrittenScores, scores_are_due, write_contact_scores
from iris_pipelines.db.database import Database
from iris_pipelines.db.staleness import request_rebuild
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.defs import build_defs
from iris_pipelines.defs.rebuilds import build_views
from iris_pipelines.defs.resources import Clock, DatabaseResource
from iris_pipelines.defs.sensors.late_events import late_events_sensor
from iris_pipelines.domain.windows import DAY, HOUR, Window, closed_before, floor
from iris_pipelines.settings import Settings
from iris_pipelines.simulator import TrafficPlan, simulate
from iris_pipelines.simulator.loading import load_simulation
from tests.pipeline.conftest import Pipeline
from tests.pipeline.marts import engagement_recount
from tests.pipeline.marts.engagement_recount import Contacts, assert_same

# The day before is a leap day, and the end of a month.
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
NOW = MARCH + timedelta(hours=9, minutes=40)
YESTERDAY = (MARCH - DAY).date()
MICROSECOND = timedelta(microseconds=1)
PARTS = "analytics_intermediate.int_engagement_parts"
ADA, BEA, CAI, DAN, EVE, FAY = (UUID(int=0xC0 + n) for n in range(6))
ONE, TWO = UUID(int=1), UUID(int=2)


@pytest.fixture(autouse=True)
def tenants(database: Database) -> None:
    for tenant_id in (ONE, TWO):
        create_tenant(database, Tenant(tenant_id, f"tenant {tenant_id.int}"))


def insert(
    database: Database,
    contact_id: UUID,
    event_type: str,
    timestamp: datetime,
    *,
    tenant_id: UUID = ONE,
    times: int = 1,
    is_machine: bool = False,
) -> None:
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.analytics_events (tenant_id, contact_id, event_type, timestamp, is_machine, event_data)"
            # A stated verdict is left alone.
            " select %s, %s, %s, %s, %s, '{\"is_machine\": true}' from generate_series(1, %s)",
            (tenant_id, contact_id, event_type, timestamp, is_machine, times),
        )


def add_contact(database: Database, contact_id: UUID, created_at: datetime, *, tenant_id: UUID = ONE) -> None:
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.contacts (tenant_id, id, created_at) values (%s, %s, %s)",
            (tenant_id, contact_id, created_at),
        )


def execute(database: Database, statement: str, *parameters: object) -> int:
    with database.transaction() as connection:
        return connection.execute(statement, parameters).rowcount  # type: ignore[arg-type]


def assert_exact(database: Database, *, now: datetime, asked: list[date] | None = None) -> None:
    """Rows, segments and what is written back, as of every kept date; the function as of these and of others."""
    contacts = Contacts(database, closed_before=closed_before(now))
    kept = engagement_recount.kept_dates(database)
    assert kept
    for as_of in kept:
        expected = contacts.scores(as_of)
        assert_same(engagement_recount.rows(database, as_of), expected)
        assert engagement_recount.segments(database, as_of) == contacts.segments(as_of), as_of
    for as_of in [kept[0], kept[-1], *(asked or [])]:
        assert_same(engagement_recount.answered(database, as_of), contacts.scores(as_of))
    assert engagement_recount.written(database) == contacts.written((floor(now, DAY) - DAY).date())


def refresh(pipeline: Pipeline, *, now: datetime) -> WrittenScores | None:
    pipeline.refresh(now=now)
    return write_contact_scores(pipeline.database, now=now)


def corners(database: Database) -> None:
    """Events at every edge that the formula has."""
    first = MARCH - 90 * DAY  # 89 days before the leap day
    insert(database, ADA, "conversion", first)
    insert(database, BEA, "conversion", first - MICROSECOND)
    insert(database, BEA, "message.sent", MARCH - 3 * DAY)
    insert(database, CAI, "link.clicked", MARCH - 9 * DAY)
    insert(database, CAI, "message.opened", MARCH - 82 * DAY)  # 81 days: where the decay ends
    insert(database, CAI, "message.opened", MARCH - 81 * DAY)
    insert(database, DAN, "message.opened", MARCH - MICROSECOND, is_machine=True, times=3)
    insert(database, DAN, "link.clicked", MARCH - DAY, is_machine=True, tenant_id=TWO)
    insert(database, DAN, "link.clicked", MARCH, times=4)
    insert(database, DAN, "message.delivered", MARCH - 46 * DAY)  # 45 days: half a point
    insert(database, EVE, "message.delivered", MARCH - 46 * DAY, tenant_id=TWO)
    insert(database, EVE, "call.answered", MARCH - 400 * DAY, tenant_id=TWO)
    insert(database, FAY, "api.request", MARCH - 3 * DAY)
    insert(database, FAY, "weather.changed", MARCH - 30 * DAY, tenant_id=TWO)
    for n, contact_id in enumerate((ADA, BEA, DAN, EVE)):
        add_contact(database, contact_id, MARCH - n * 100 * DAY, tenant_id=ONE)
    add_contact(database, EVE, MARCH - MICROSECOND, tenant_id=TWO)
    add_contact(database, FAY, MARCH - DAY, tenant_id=TWO)
    add_contact(database, UUID(int=0xCF), MARCH - 50 * DAY)


@pytest.mark.parametrize("seed", [5, 6])
def test_scores_and_segments_equal_a_recount_also_after_late_erased_and_corrected_events(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    plan = TrafficPlan(MARCH - 5 * DAY, NOW, tenants=2, events_per_day=500, seed=seed)
    load_simulation(database, simulate(plan), now=NOW, history_start=date(2020, 1, 1))
    # The same people half a year ago, on single days.
    for days in (60, 90, 150):
        execute(
            database,
            "insert into iris.analytics_events (tenant_id, contact_id, event_type, timestamp)"
            " select tenant_id, contact_id, event_type, timestamp - make_interval(days => %s)"
            " from iris.analytics_events where timestamp >= %s and timestamp < %s",
            days,
            MARCH - 2 * DAY,
            MARCH - DAY,
        )
    corners(database)
    others = [date(2023, 10, 5), date(2024, 1, 15), MARCH.date()]
    refresh(pipeline, now=NOW)
    assert_exact(database, now=NOW, asked=others)
    assert refresh(pipeline, now=NOW) is None

    insert(database, CAI, "conversion", MARCH - 120 * DAY, times=2)
    insert(database, BEA, "message.opened", MARCH - 300 * DAY, tenant_id=TWO)
    assert execute(
        database,
        "update iris.analytics_events set contact_id = gen_random_uuid() where contact_id = any(%s)",
        [ADA, EVE],
    )
    assert execute(
        database,
        "delete from iris.analytics_events where timestamp >= %s and timestamp < %s",
        MARCH - 62 * DAY,
        MARCH - 61 * DAY,
    )
    refresh(pipeline, now=NOW)
    assert_exact(database, now=NOW, asked=others)


def test_day_by_day_comes_to_the_same_as_a_backfill_years_later(pipeline: Pipeline, database: Database) -> None:
    corners(database)
    for now in (MARCH - 2 * DAY + HOUR, MARCH - DAY + HOUR, NOW, MARCH + DAY + HOUR):
        refresh(pipeline, now=now)
        # What is yet to come is in no closed hour.
        assert_exact(database, now=now)
    days = [MARCH - n * DAY for n in (0, 1, 12)]
    by_day = {day: engagement_recount.rows(database, day.date()) for day in days}
    assert all(by_day.values())

    for table in ("int_engagement_parts", "int_engagement_levels", "int_contact_points_daily"):
        execute(database, f"drop table analytics_intermediate.{table} cascade")
    execute(database, "delete from iris.event_consumers where consumer like 'analytics%%'")
    insert(database, DAN, "message.delivered", MARCH + 800 * DAY)
    years_later = MARCH + 800 * DAY + 30 * HOUR
    refresh(pipeline, now=years_later)
    assert_exact(database, now=years_later, asked=[day.date() for day in days])
    assert {MARCH.date(), date(2024, 2, 18)}.isdisjoint(engagement_recount.kept_dates(database))
    assert {day: engagement_recount.answered(database, day.date()) for day in days} == by_day


def test_a_day_goes_on_from_the_day_before_unless_that_is_stale_or_the_day_is_a_monday(
    pipeline: Pipeline, database: Database
) -> None:
    corners(database)
    refresh(pipeline, now=NOW)
    exact = engagement_recount.rows(database, YESTERDAY)
    wednesday, monday = YESTERDAY - timedelta(days=1), YESTERDAY - timedelta(days=3)

    def rebuilt(day: date, *, stale: bool) -> object:
        """The scores of a day whose day before was spoiled, and is noted as stale or not."""
        start = datetime.combine(day, datetime.min.time(), UTC)
        spoil = f"update {PARTS} set opened_ninetieths = opened_ninetieths + 900 where as_of_date = %s"
        assert execute(database, spoil, day - timedelta(days=1))
        if stale:
            note = "insert into iris.stale_hours (consumer, hour) values (%s, %s)"
            execute(database, note, PARTS, start - DAY)
        with database.transaction() as connection:
            rebuild_id = request_rebuild(connection, [Window(start, start + DAY)])
        build = pipeline.dbt.build(database.url, ["int_engagement_parts"], rebuild_id=rebuild_id, command="run")
        build.raise_failures()
        execute(database, spoil.replace("+ 900", "- 900"), day - timedelta(days=1))
        execute(database, "delete from iris.stale_hours where consumer = %s", PARTS)
        return engagement_recount.rows(database, day)

    assert YESTERDAY.isoweekday() == 4
    assert rebuilt(YESTERDAY, stale=True) == exact
    assert rebuilt(YESTERDAY, stale=False) != exact
    assert rebuilt(YESTERDAY, stale=True) == exact
    as_of_monday = engagement_recount.rows(database, monday)
    assert rebuilt(monday, stale=False) == as_of_monday
    as_of_wednesday = engagement_recount.rows(database, wednesday)
    assert rebuilt(wednesday, stale=False) != as_of_wednesday


def test_kept_are_the_last_35_days_and_month_ends(pipeline: Pipeline, database: Database) -> None:
    insert(database, ADA, "message.opened", MARCH - 100 * DAY)
    insert(database, ADA, "message.opened", MARCH)
    refresh(pipeline, now=NOW)
    ends = [date(2023, 11, 30), date(2023, 12, 31)]
    last_days = [(MARCH - n * DAY).date() for n in range(35, 0, -1)]
    # The first event leaves the 90 days on 20 February.
    expected = [day for day in [*ends, *last_days] if day <= date(2024, 2, 19)]
    assert engagement_recount.kept_dates(database) == expected

    insert(database, ADA, "message.opened", MARCH + 2 * DAY)
    later = MARCH + 3 * DAY + HOUR
    refresh(pipeline, now=later)
    assert engagement_recount.kept_dates(database) == [
        *ends,
        *((MARCH + n * DAY).date() for n in range(-33, -10)),
        MARCH.date(),
        (MARCH + DAY).date(),
        (MARCH + 2 * DAY).date(),
    ]


def test_a_date_that_somebody_reads_is_forgotten_next_time(pipeline: Pipeline, database: Database) -> None:
    corners(database)
    refresh(pipeline, now=NOW)
    forgotten = (MARCH - 34 * DAY).date()
    insert(database, ADA, "message.sent", MARCH + 2 * DAY)
    later = MARCH + 3 * DAY + HOUR
    with database.transaction() as reading:
        reading.execute("select from analytics_intermediate.int_engagement_parts limit 1")
        refresh(pipeline, now=later)
        assert forgotten in engagement_recount.kept_dates(database)
        insert(database, FAY, "conversion", MARCH - 34 * DAY)
        refresh(pipeline, now=later)
        assert forgotten in engagement_recount.kept_dates(database)
    refresh(pipeline, now=later)
    assert forgotten not in engagement_recount.kept_dates(database)
    assert_exact(database, now=later)
    assert pipeline.refresh(now=later) == []


def test_a_late_event_rebuilds_the_dates_that_it_reaches_and_no_others(pipeline: Pipeline, database: Database) -> None:
    corners(database)
    refresh(pipeline, now=NOW)
    before = stamps(database)
    insert(database, FAY, "conversion", MARCH - 105 * DAY)
    rebuilds = pipeline.refresh(now=NOW)
    reached = [Window(MARCH + n * DAY, MARCH + (n + 1) * DAY) for n in range(-105, -14)]
    kept = engagement_recount.kept_dates(database)
    assert pipeline.rebuilt(rebuilds, PARTS) == {window for window in reached if window.start.date() in kept}
    assert pipeline.refresh(now=NOW) == []
    write_contact_scores(database, now=NOW)
    assert_exact(database, now=NOW)
    after = stamps(database)
    written_anew = {as_of for as_of in before | after if before.get(as_of) != after.get(as_of)}
    assert written_anew == {as_of for as_of in after if date(2023, 11, 17) <= as_of <= date(2024, 2, 15)}
    assert written_anew != after.keys()


def test_an_engagement_from_before_the_window_shows_at_once(pipeline: Pipeline, database: Database) -> None:
    insert(database, FAY, "message.sent", MARCH - 3 * DAY)
    refresh(pipeline, now=NOW)
    before = stamps(database)
    insert(database, FAY, "link.clicked", MARCH - 200 * DAY)
    refresh(pipeline, now=NOW)
    assert stamps(database)[YESTERDAY] == before[YESTERDAY]
    assert_exact(database, now=NOW)
    execute(database, "delete from iris.analytics_events where event_type = 'link.clicked'")
    refresh(pipeline, now=NOW)
    assert_exact(database, now=NOW)


def stamps(database: Database) -> dict[date, str]:
    """Which transactions wrote the rows of each date."""
    with database.transaction() as connection:
        rows = connection.execute(
            "select as_of_date, string_agg(distinct xmin::text, ',')"
            " from analytics_intermediate.int_engagement_parts group by 1"
        )
        return dict(rows.fetchall())


def test_only_contacts_whose_score_changed_are_written(pipeline: Pipeline, database: Database) -> None:
    corners(database)
    first = refresh(pipeline, now=NOW)
    assert first == WrittenScores(
        YESTERDAY, changed=4
    )  # ADA, DAN and BEA, whose events are too old, in one; EVE in two
    before = versions(database)

    insert(database, BEA, "call.answered", MARCH - 3 * HOUR)
    assert scores_are_due(database, now=NOW) is False  # its hour is not handed out yet
    assert refresh(pipeline, now=NOW) == WrittenScores(YESTERDAY, changed=1)
    after = versions(database)
    assert {key for key in before if before[key] != after[key]} == {(ONE, BEA)}

    # Once more, with nothing to change.
    execute(database, "insert into iris.stale_hours (consumer, hour) values ('iris.contacts', %s)", MARCH - DAY)
    assert write_contact_scores(database, now=NOW) == WrittenScores(YESTERDAY, changed=0)
    assert versions(database) == after
    assert write_contact_scores(database, now=NOW) is None


def versions(database: Database) -> dict[tuple[UUID, UUID], str]:
    with database.transaction() as connection:
        rows = connection.execute("select tenant_id, id, xmin::text || ctid::text from iris.contacts").fetchall()
    return {(tenant, contact): version for tenant, contact, version in rows}


def test_a_contact_falls_back_to_0_when_its_last_event_leaves_the_90_days(
    pipeline: Pipeline, database: Database
) -> None:
    add_contact(database, ADA, MARCH - 200 * DAY)
    insert(database, ADA, "conversion", MARCH - 90 * DAY)
    refresh(pipeline, now=NOW)
    assert engagement_recount.written(database) == {(ONE, ADA): (5, MARCH - 90 * DAY)}

    assert refresh(pipeline, now=NOW + DAY) == WrittenScores(MARCH.date(), changed=1)
    assert engagement_recount.written(database) == {(ONE, ADA): (0, MARCH - 90 * DAY)}

    execute(database, "delete from iris.analytics_events where contact_id = %s", ADA)
    refresh(pipeline, now=NOW + DAY)
    assert engagement_recount.written(database) == {(ONE, ADA): (0, None)}


def test_a_new_contact_gets_the_score_that_its_events_have_earned(pipeline: Pipeline, database: Database) -> None:
    insert(database, ADA, "conversion", MARCH - DAY)
    insert(database, BEA, "conversion", MARCH - 200 * DAY)
    refresh(pipeline, now=NOW)
    add_contact(database, ADA, MARCH)
    add_contact(database, BEA, MARCH)
    assert scores_are_due(database, now=NOW)
    assert write_contact_scores(database, now=NOW) == WrittenScores(YESTERDAY, changed=2)
    assert engagement_recount.written(database) == {
        (ONE, ADA): (50, MARCH - DAY),
        (ONE, BEA): (0, MARCH - 200 * DAY),
    }


def test_scores_are_not_written_while_those_of_the_day_are_still_to_be_rebuilt(
    pipeline: Pipeline, database: Database
) -> None:
    add_contact(database, ADA, MARCH - DAY)
    insert(database, ADA, "conversion", MARCH - DAY)
    refresh(pipeline, now=NOW)
    execute(database, "insert into iris.stale_hours (consumer, hour) values (%s, %s)", PARTS, MARCH - DAY)
    execute(database, "insert into iris.stale_hours (consumer, hour) values ('iris.contacts', %s)", MARCH - DAY)
    execute(database, "update iris.contacts set engagement_score = 7")
    assert write_contact_scores(database, now=NOW) is None
    assert refresh(pipeline, now=NOW) == WrittenScores(YESTERDAY, changed=1)


def test_the_function_answers_for_one_tenant_or_contact_and_analysts_may_call_it(
    pipeline: Pipeline, database: Database
) -> None:
    corners(database)
    refresh(pipeline, now=NOW)
    with database.transaction() as connection:
        connection.execute("set local role iris_analyst")
        found = connection.execute(
            "select tenant_id, contact_id from analytics.engagement_as_of(%s, of_tenant => %s)", (YESTERDAY, TWO)
        ).fetchall()
        one = connection.execute(
            "select * from analytics.engagement_as_of(%s, %s, %s)", (YESTERDAY, ONE, DAN)
        ).fetchall()
        row = connection.execute(
            "select * from analytics.engagement_scores where (as_of_date, tenant_id, contact_id) = (%s, %s, %s)",
            (YESTERDAY, ONE, DAN),
        ).fetchall()
    assert {tenant for tenant, _ in found} == {TWO}
    assert {contact for _, contact in found} == {DAN, EVE}
    assert one == row
    assert len(one) == 1


def test_dagster_writes_scores_with_a_rebuild_and_by_themselves(
    pipeline: Pipeline, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> None:
    resources = {"database": DatabaseResource(lambda: database.url), "dbt": pipeline.dbt, "clock": Clock(lambda: NOW)}
    definitions = build_defs(Settings(home=tmp_path_factory.getbasetemp() / "home"), resources)
    key = dg.AssetKey(["iris", "contacts"])
    add_contact(database, ADA, MARCH - DAY)
    insert(database, ADA, "conversion", MARCH - DAY)
    with dg.DagsterInstance.ephemeral() as instance:
        assert definitions.resolve_job_def("stale_windows_job").execute_in_process(instance=instance).success
        event = instance.get_latest_materialization_event(key)
        assert event is not None and event.asset_materialization is not None
        assert event.asset_materialization.metadata["changed"].value == 1
        assert isinstance(late_events_sensor(dg.build_sensor_context(instance, resources=resources)), dg.SkipReason)

        add_contact(database, BEA, MARCH - DAY)
        assert isinstance(late_events_sensor(dg.build_sensor_context(instance, resources=resources)), dg.RunRequest)
        done = definitions.resolve_job_def("contact_scores_job").execute_in_process(instance=instance)
        (materialization,) = done.asset_materializations_for_node("iris__contacts")
        assert materialization.metadata["as_of"].value == "2024-02-29"


def test_views_are_there_before_the_first_event(pipeline: Pipeline, database: Database) -> None:
    build_views(database, pipeline.dbt)
    add_contact(database, ADA, MARCH - DAY)
    assert engagement_recount.rows(database, YESTERDAY) == engagement_recount.answered(database, YESTERDAY) == {}
