"""The marts of campaigns equal a recount of the events, whatever happens to these, and only what had to ran."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.defs.rebuilds import Rebuild
from iris_pipelines.domain.windows import DAY, HOUR, Window, closed_before
from iris_pipelines.ingestion.machines.verdicts import judge_stale_machines
from iris_pipelines.ingestion.user_agents import describe_user_agents
from iris_pipelines.simulator import TrafficPlan, simulate
from iris_pipelines.simulator.loading import load_simulation
from tests.pipeline.conftest import Pipeline
from tests.pipeline.marts.campaigns_recount import CampaignRecount, stored

# The day before is a leap day.
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
NOW = MARCH + timedelta(hours=9, minutes=40)
MICROSECOND = timedelta(microseconds=1)
TENANTS = [UUID(int=1), UUID(int=2)]
CAMPAIGN, UNKNOWN_CAMPAIGN = UUID(int=11), UUID(int=12)
ANN, BOB, CY = (UUID(int=n) for n in (101, 102, 103))
FIRST, SECOND, THIRD = (UUID(int=n) for n in (201, 202, 203))
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
GOOGLE = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
BERLIN, HOME_OF_GOOGLE = {"country": "DE", "city": "Berlin"}, {"country": "US", "city": "Mountain View"}
BY_CAMPAIGN = {
    "analytics.campaign_performance",
    "analytics.campaign_links",
    "analytics.campaign_variants",
    "analytics_intermediate.int_campaign_opens",
}

# What is rare in life, mostly by Ann; what an event does not say is in COLUMNS.
Corner = Mapping[str, Any]
CORNERS: list[Corner] = [
    {"event_type": "message.sent", "message_id": FIRST, "event_data": {"variant": "B"}, "cost": Decimal("0.000001")},
    {"event_type": "message.sent", "message_id": SECOND, "event_data": {"variant": "control"}, "contact_id": BOB},
    {"event_type": "message.sent", "message_id": THIRD, "event_data": {"variant": ""}, "cost": Decimal("0.000002")},
    *({"event_type": "message.delivered", "message_id": FIRST, "duration_ms": ms} for ms in (1, 2, None, 2**40)),
    {"event_type": "message.opened", "message_id": FIRST, "user_agent": GOOGLE, "geo_location": HOME_OF_GOOGLE},
    {"event_type": "message.opened", "message_id": FIRST, "user_agent": IPHONE, "geo_location": BERLIN},
    {"event_type": "message.opened", "message_id": FIRST, "user_agent": IPHONE, "geo_location": {"country": "DE"}},
    {"event_type": "message.opened", "message_id": SECOND, "contact_id": None, "is_machine": True},
    {"event_type": "message.opened", "message_id": None, "user_agent": "", "geo_location": {"city": "", "country": ""}},
    {"event_type": "message.opened", "message_id": SECOND, "contact_id": CY, "geo_location": ["Berlin"]},
    {"event_type": "link.clicked", "message_id": SECOND, "event_data": {"url": "https://example.org/" + "a" * 9000}},
    {"event_type": "link.clicked", "message_id": SECOND, "event_data": {"url": ""}, "contact_id": None},
    {"event_type": "link.clicked", "message_id": SECOND, "event_data": None, "is_machine": True, "contact_id": BOB},
    {"event_type": "conversion", "message_id": FIRST, "event_data": {"value": 19.99}, "provider": None},
    {"event_type": "conversion", "message_id": FIRST, "event_data": {"value": "-5"}, "channel": None},
    {"event_type": "conversion", "message_id": SECOND, "event_data": {"value": "a lot"}, "contact_id": BOB},
    {"event_type": "email.complaint", "message_id": FIRST, "success": False},
    {"event_type": "email.soft_bounce", "message_id": THIRD, "success": False, "cost": Decimal("0.5")},
    {"event_type": "weather.changed", "message_id": None, "contact_id": CY, "cost": Decimal("1.25")},
    {"event_type": "api.request", "message_id": None, "contact_id": UUID(int=999), "cost": Decimal(7)},
]
COLUMNS = {
    "contact_id": ANN,
    "channel": "email",
    "provider": "ses",
    "event_data": {},
    "user_agent": None,
    "geo_location": None,
    "cost": None,
    "duration_ms": None,
    "is_machine": False,
    "success": True,
}


def insert(
    database: Database, tenant_id: UUID, timestamp: datetime, *events: Corner, campaign: UUID = CAMPAIGN
) -> None:
    columns = ["tenant_id", "timestamp", "campaign_id", "event_type", "message_id", *COLUMNS]
    with (
        database.transaction() as connection,
        connection.cursor() as cursor,
        cursor.copy(f"copy iris.analytics_events ({', '.join(columns)}) from stdin") as copy,
    ):
        for event in events:
            row = {**COLUMNS, **event, "tenant_id": tenant_id, "timestamp": timestamp, "campaign_id": campaign}
            for name in ("event_data", "geo_location"):
                row[name] = None if row[name] is None else json.dumps(row[name])
            copy.write_row([row[name] for name in columns])


def execute(database: Database, statement: str, *parameters: object) -> int:
    with database.transaction() as connection:
        return connection.execute(statement, parameters).rowcount  # type: ignore[arg-type]


def assert_exact(database: Database) -> None:
    """Every row of every mart equals the recount, and none is missing or too many."""
    for mart, expected in CampaignRecount(database, closed_before=closed_before(NOW)).marts().items():
        found = stored(database, mart)
        assert found.keys() == expected.keys(), mart
        for key, row in expected.items():
            if mart == "campaign_variants" and row["lift_high"] is not None:
                # Where the control's rate is hardly told from zero, its last bit moves what is a ratio to it.
                assert float(found[key].pop("lift_high")) == pytest.approx(float(row.pop("lift_high")), rel=1e-6)
            assert found[key] == row, (mart, key)


def rebuilt_campaigns(database: Database, rebuilds: Sequence[Rebuild]) -> dict[str, int]:
    """How many campaigns each model got anew."""
    with database.transaction() as connection:
        rows = connection.execute(
            "select relation, sum(campaign_count)::integer from iris.rebuilt_campaigns"
            " where rebuild_id = any(%s) group by relation",
            ([each.rebuild_id for each in rebuilds],),
        ).fetchall()
    return dict(rows)


def performance(database: Database, tenant_id: UUID, campaign_id: UUID) -> dict[str, Any]:
    return stored(database, "campaign_performance")[tenant_id, campaign_id]


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_every_mart_equals_a_recount_also_after_late_erased_and_corrected_events(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    plan = TrafficPlan(MARCH - 3 * DAY, NOW, tenants=2, events_per_day=1500, seed=seed)
    load_simulation(database, simulate(plan), now=NOW, history_start=date(2020, 1, 1))
    for tenant_id in TENANTS:
        insert(database, tenant_id, MARCH - DAY, *CORNERS)
    insert(database, TENANTS[0], MARCH - MICROSECOND, *CORNERS[7:])
    insert(database, TENANTS[0], MARCH, *CORNERS[3:9], campaign=UNKNOWN_CAMPAIGN)
    insert(database, TENANTS[0], closed_before(NOW) - MICROSECOND, *CORNERS[4:6])
    insert(database, TENANTS[0], closed_before(NOW), *CORNERS)
    judge_stale_machines(database, now=NOW)
    pipeline.refresh(now=NOW)
    assert_exact(database)
    assert pipeline.refresh(now=NOW) == []

    # Late events, erasure of a contact, a purge of a day, and corrections.
    insert(database, TENANTS[1], MARCH - 3 * DAY, *CORNERS)
    assert execute(
        database,
        "update iris.analytics_events set contact_id = %s, ip_address = null, user_agent = null, geo_location = null,"
        " event_data = null where tenant_id = %s and contact_id = %s",
        *(UUID(int=998), TENANTS[0], ANN),
    )
    assert execute(
        database,
        "delete from iris.analytics_events where event_type = 'message.delivered' and timestamp >= %s",
        MARCH - DAY,
    )
    assert execute(database, "update iris.analytics_events set is_machine = true where event_type = 'link.clicked'")
    pipeline.refresh(now=NOW)
    assert_exact(database)
    assert pipeline.refresh(now=NOW) == []


def test_campaigns_are_told_apart_by_tenant_and_have_the_rates_of_the_contract(
    pipeline: Pipeline, database: Database
) -> None:
    insert(database, TENANTS[0], MARCH - DAY, *CORNERS)
    insert(database, TENANTS[1], MARCH - 2 * DAY, CORNERS[0], *[{**CORNERS[7], "contact_id": BOB}] * 2)
    insert(database, TENANTS[1], MARCH - DAY, CORNERS[7], {**CORNERS[13], "contact_id": BOB})
    pipeline.refresh(now=NOW)
    assert_exact(database)
    first, second = (performance(database, tenant_id, CAMPAIGN) for tenant_id in TENANTS)
    assert (first["unique_opens"], first["total_delivered"], first["open_rate"]) == (2, 4, 50)
    assert (first["delivery_rate"], first["total_cost"]) == (Decimal("133.33"), Decimal("1.750003"))
    assert first["cost_per_conversion"] == Decimal("0.583334")
    # Ann and Bob opened, Bob clicked, and nothing was delivered.
    assert (second["total_opened"], second["unique_opens"], second["open_rate"]) == (3, 2, None)
    assert second["click_rate"] == 50


def test_one_late_event_builds_its_hour_its_day_and_its_campaign_and_nothing_else(
    pipeline: Pipeline, database: Database
) -> None:
    for days in range(1, 4):
        for number in range(4):
            insert(database, TENANTS[0], MARCH - days * DAY, *CORNERS, campaign=UUID(int=20 + number))
    pipeline.refresh(now=NOW)
    insert(database, TENANTS[0], MARCH - 2 * DAY + HOUR, CORNERS[8], campaign=UUID(int=21))
    rebuilds = pipeline.refresh(now=NOW)
    assert_exact(database)
    late = MARCH - 2 * DAY + HOUR
    hourly, daily = "int_campaign_activity_hourly", "int_campaign_visits_daily"
    assert pipeline.rebuilt(rebuilds, f"analytics_intermediate.{hourly}") == {Window.hour_of(late)}
    assert pipeline.rebuilt(rebuilds, f"analytics_intermediate.{daily}") == {Window.day_of(late)}
    # The day held four campaigns: a day is replaced as a whole.
    assert rebuilt_campaigns(database, rebuilds) == dict.fromkeys(BY_CAMPAIGN, 4)


def test_a_new_name_changes_the_overview_and_a_new_variant_the_tests_and_neither_more(
    pipeline: Pipeline, database: Database
) -> None:
    execute(database, "insert into iris.tenants (id, name) values (%s, 'a')", TENANTS[0])
    insert(database, TENANTS[0], MARCH - DAY, *CORNERS)
    insert(database, TENANTS[0], MARCH - DAY, *CORNERS, campaign=UNKNOWN_CAMPAIGN)
    pipeline.refresh(now=NOW)
    assert performance(database, TENANTS[0], CAMPAIGN)["campaign_name"] is None

    execute(
        database, "insert into iris.campaigns (tenant_id, id, name) values (%s, %s, 'Spring')", TENANTS[0], CAMPAIGN
    )
    rebuilds = pipeline.refresh(now=NOW)
    assert rebuilt_campaigns(database, rebuilds) == {"analytics.campaign_performance": 1}
    execute(database, "update iris.campaigns set name = 'Summer'")
    pipeline.refresh(now=NOW)
    assert performance(database, TENANTS[0], CAMPAIGN)["campaign_name"] == "Summer"
    assert_exact(database)

    execute(
        database,
        "insert into iris.messages (tenant_id, id, campaign_id, variant) values (%s, %s, %s, 'A')",
        *(TENANTS[0], THIRD, CAMPAIGN),
    )
    rebuilds = pipeline.refresh(now=NOW)
    assert rebuilt_campaigns(database, rebuilds) == {"analytics.campaign_variants": 1}
    assert_exact(database)
    # The platform's word stands over that of the event.
    execute(database, "update iris.messages set id = %s, variant = 'B' where id = %s", SECOND, THIRD)
    pipeline.refresh(now=NOW)
    assert_exact(database)
    variants = {key[1:3] for key in stored(database, "campaign_variants")}
    assert variants == {(CAMPAIGN, "B"), (UNKNOWN_CAMPAIGN, "B"), (UNKNOWN_CAMPAIGN, "control")}


def test_an_opener_counts_once_over_messages_and_days_and_for_the_variant_of_the_message(
    pipeline: Pipeline, database: Database
) -> None:
    sent = {"event_type": "message.sent"}
    insert(
        database,
        TENANTS[0],
        MARCH - 2 * DAY,
        {**sent, "message_id": FIRST, "event_data": {"variant": "A"}},
        {**sent, "message_id": SECOND, "event_data": {"variant": "A"}},
        {**sent, "message_id": THIRD, "event_data": {"variant": "B"}, "contact_id": BOB},
    )
    opened = {"event_type": "message.opened"}
    insert(
        database,
        TENANTS[0],
        MARCH,
        {**opened, "message_id": FIRST},
        {**opened, "message_id": SECOND},
        {**opened, "message_id": THIRD, "contact_id": BOB, "is_machine": True},
        {"event_type": "conversion", "message_id": THIRD, "contact_id": BOB, "event_data": {"value": 7}},
    )
    pipeline.refresh(now=NOW)
    assert_exact(database)
    found = {key[2:]: row for key, row in stored(database, "campaign_variants").items()}
    assert {key: (row["sent"], row["successes"]) for key, row in found.items() if row["successes"]} == {
        ("A", "open"): (2, 1),
        ("A", "human_open"): (2, 1),
        ("B", "open"): (1, 1),
        ("B", "conversion"): (1, 1),
    }
    assert found["A", "open"]["is_control"]
    assert found["B", "click"]["total_revenue"] == 7


def test_a_user_agent_that_is_described_later_or_anew_is_right_at_once(pipeline: Pipeline, database: Database) -> None:
    insert(database, TENANTS[0], MARCH - DAY, *CORNERS)
    pipeline.refresh(now=NOW)
    assert_exact(database)
    assert {key[2] for key in stored(database, "campaign_devices")} == {"unknown"}

    describe_user_agents(database, [Window(MARCH - DAY, MARCH)])
    assert_exact(database)
    assert {key[2] for key in stored(database, "campaign_devices")} == {"phone", "proxy", "unknown"}
    assert {key[2:] for key in stored(database, "campaign_geography")} == {(None, None), ("DE", None), ("DE", "Berlin")}
    execute(database, "update iris.user_agents set device_type = 'tv' where device_type = 'phone'")
    assert {key[2] for key in stored(database, "campaign_devices")} == {"tv", "proxy", "unknown"}


def test_a_campaign_whose_events_are_all_gone_has_no_rows(pipeline: Pipeline, database: Database) -> None:
    insert(database, TENANTS[0], MARCH - DAY, *CORNERS)
    insert(database, TENANTS[1], MARCH - DAY, *CORNERS)
    pipeline.refresh(now=NOW)
    execute(database, "delete from iris.analytics_events where tenant_id = %s", TENANTS[0])
    pipeline.refresh(now=NOW)
    assert_exact(database)
    assert {key[0] for key in stored(database, "campaign_performance")} == {TENANTS[1]}
