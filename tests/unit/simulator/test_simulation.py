from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from iris_pipelines.simulator import Simulation, TrafficPlan, simulate
from iris_pipelines.simulator.arrivals import DUPLICATE, LATE, MALFORMED

START = datetime(2026, 10, 5, tzinfo=UTC)  # a Monday
PLAN = TrafficPlan(START, START + timedelta(days=14), tenants=3, events_per_day=10_000, seed=7)
SMALL = TrafficPlan(START, START + timedelta(days=3), tenants=2, events_per_day=800, seed=7)
Row = dict[str, Any]


def arrivals(simulation: Simulation) -> list[tuple[date, int, Row]]:
    return [
        (day.day, int(origin), event)
        for day in simulation.days()
        for batch in day.batches()
        for origin, event in zip(batch.origin, batch.events.to_pylist(), strict=True)
    ]


def messages_of(simulation: Simulation) -> list[Row]:
    return [row for day in simulation.days() for batch in day.messages for row in batch.to_pylist()]


@pytest.fixture(scope="module")
def traffic() -> list[tuple[date, int, Row]]:
    return arrivals(simulate(PLAN))


@pytest.fixture(scope="module")
def good(traffic: list[tuple[date, int, Row]]) -> list[Row]:
    return [event for _, origin, event in traffic if origin < DUPLICATE]


@pytest.fixture(scope="module")
def messages() -> dict[str, Row]:
    return {row["id"]: row for row in messages_of(simulate(PLAN))}


def counted(events: list[Row], name: str = "event_type") -> Counter[str]:
    return Counter(event[name] for event in events)


def of_type(events: list[Row], *types: str) -> list[Row]:
    return [event for event in events if event["event_type"] in types]


def share(part: float, whole: float) -> float:
    return part / whole


def test_the_same_plan_gives_the_same_traffic_and_another_seed_another() -> None:
    assert arrivals(simulate(SMALL)) == arrivals(simulate(SMALL))
    assert messages_of(simulate(SMALL)) == messages_of(simulate(SMALL))
    other = {event["id"] for _, _, event in arrivals(simulate(replace(SMALL, seed=8)))}
    assert not other & {event["id"] for _, _, event in arrivals(simulate(SMALL))}


def test_days_can_be_made_in_any_order() -> None:
    plan = replace(SMALL, end=START + timedelta(days=16), late=0.1)
    simulation = simulate(plan)
    in_order = {day.day: day for day in simulation.days()}
    assert list(in_order) == list(simulation.dates)
    for day in reversed(simulation.dates[-4:]):
        alone = simulate(plan).day(day)
        assert [batch.columns() for batch in alone.batches()] == [batch.columns() for batch in in_order[day].batches()]
        assert alone.messages == in_order[day].messages
    with pytest.raises(ValueError, match="not a day of this simulation"):
        simulation.day(date(2026, 10, 1))


def test_a_later_plan_continues_an_earlier_one() -> None:
    later = replace(SMALL, start=SMALL.start + timedelta(hours=30), end=SMALL.end + timedelta(hours=20))
    first = {event["id"]: event for _, _, event in arrivals(simulate(SMALL))}
    second = {event["id"]: event for _, _, event in arrivals(simulate(later))}
    made = {row["id"]: row["created_at"] for row in messages_of(simulate(SMALL))}
    both = {
        event_id
        for event_id, event in first.items()
        if (event["timestamp"] if event["message_id"] is None else made[event["message_id"]]) >= later.start
    }
    assert both
    assert {event_id: second[event_id] for event_id in both} == {event_id: first[event_id] for event_id in both}
    assert {event_id for event_id in second if second[event_id]["timestamp"] < SMALL.end} == both


def test_the_volume_is_what_was_asked_for(good: list[Row]) -> None:
    assert abs(len(good) / 14 - PLAN.events_per_day) < 0.06 * PLAN.events_per_day
    api = len(of_type(good, "api.request"))
    assert abs(share(api, len(good)) - 0.12) < 0.01


def test_tenants_have_zipf_sizes_and_names_zones_and_currencies(good: list[Row]) -> None:
    tenants = simulate(PLAN).tenants
    sizes = counted(good, "tenant_id")
    parts = [sizes[str(tenant.id)] / len(good) for tenant in tenants]
    assert all(abs(part - 6 / 11 / rank) < 0.04 for rank, part in enumerate(parts, 1))
    many = simulate(replace(PLAN, tenants=200)).tenants
    assert len({tenant.name for tenant in many}) == 200
    assert len({tenant.timezone for tenant in many}) > 8
    assert len({tenant.currency for tenant in many}) > 5


def test_everything_happens_in_the_window_and_to_messages_made_in_it(good: list[Row], messages: dict[str, Row]) -> None:
    assert all(PLAN.start <= row["created_at"] < PLAN.end for row in messages.values())
    for event in good:
        assert PLAN.start <= event["timestamp"] < PLAN.end
        if event["event_type"] != "api.request":
            assert event["timestamp"] >= messages[event["message_id"]]["created_at"]


def test_a_plan_that_begins_and_ends_within_an_hour_has_traffic_in_it_only() -> None:
    start = datetime(2026, 10, 6, 9, 20, tzinfo=UTC)
    plan = TrafficPlan(start, start + timedelta(minutes=7), tenants=2, events_per_day=200_000, seed=1)
    simulation = simulate(plan)
    events = [event for _, origin, event in arrivals(simulation) if origin < DUPLICATE]
    assert len(events) > 100
    assert all(plan.start <= event["timestamp"] < plan.end for event in events)
    assert simulation.dates == (date(2026, 10, 6),)


def test_messages_agree_with_their_events_and_contacts(good: list[Row], messages: dict[str, Row]) -> None:
    simulation = simulate(PLAN)
    contacts = {row["id"]: row for batch in simulation.contacts() for row in batch.to_pylist()}
    campaigns = {row["id"]: row for row in simulation.campaigns().to_pylist()}
    for event in good:
        if event["message_id"] is None:
            continue
        message = messages[event["message_id"]]
        for field, column in (
            ("tenant_id", "tenant_id"),
            ("campaign_id", "campaign_id"),
            ("contact_id", "to_contact_id"),
            ("channel", "channel"),
            ("provider", "provider"),
        ):
            assert event[field] in (None, message[column])
    for message in messages.values():
        contact = contacts[message["to_contact_id"]]
        assert contact["tenant_id"] == message["tenant_id"]
        if message["campaign_id"] is not None:
            campaign = campaigns[message["campaign_id"]]
            assert (campaign["tenant_id"], campaign["channel"]) == (message["tenant_id"], message["channel"])
            assert campaign["status"] in ("running", "completed")
            assert campaign["created_at"] < message["created_at"]
        expected = {"email": contact["email"], "push": f"device:{contact['id']}", "social": f"profile:{contact['id']}"}
        assert message["to_address"] == expected.get(message["channel"], contact["phone"])
    assert len({(contact["tenant_id"], contact["email"]) for contact in contacts.values()}) == len(contacts)
    assert all(contact["email"].isascii() for contact in contacts.values())
    assert {row["status"] for row in campaigns.values()} >= {"completed", "scheduled"}


def test_a_message_is_sent_before_it_is_delivered_and_delivered_before_it_is_opened(
    good: list[Row], messages: dict[str, Row]
) -> None:
    at: dict[str, dict[str, datetime]] = {}
    for event in sorted(good, key=lambda each: each["timestamp"]):
        at.setdefault(event["message_id"], {}).setdefault(event["event_type"], event["timestamp"])
    del at[None]  # type: ignore[arg-type]
    steps = ("message.queued", "message.sending", "message.sent", "message.delivered")
    for times in at.values():
        seen = [times[step] for step in steps if step in times]
        assert seen == sorted(seen)
        for outcome in ("message.opened", "link.clicked", "call.answered", "message.unsubscribed", "email.complaint"):
            if outcome in times:
                assert times["message.delivered"] < times[outcome]
        endings = {"message.delivered", "message.failed", "email.hard_bounce", "email.soft_bounce"}
        assert len(endings & times.keys()) <= 1
    for event in of_type(good, "message.delivered"):
        elapsed = event["timestamp"] - messages[event["message_id"]]["created_at"]
        assert elapsed == timedelta(milliseconds=event["duration_ms"])


def test_the_shares_of_the_model_come_out(good: list[Row], messages: dict[str, Row]) -> None:
    sent = of_type(good, "message.sent")
    count = len(sent)
    types = counted(good)
    assert abs(share(types["message.queued"], count) - 0.25) < 0.01
    assert abs(share(types["message.sending"], count) - 0.08) < 0.01
    assert 0.93 < share(types["message.delivered"], count) < 0.98
    assert all(event["cost"] is not None for event in sent)

    mails = [each for each in messages.values() if each["channel"] == "email"]
    delivered = {each["message_id"] for each in of_type(good, "message.delivered")}
    by_people = {each["message_id"] for each in of_type(good, "message.opened") if not each["is_machine"]}
    by_machines = {each["message_id"] for each in of_type(good, "message.opened") if each["is_machine"]}
    got = [each["id"] for each in mails if each["id"] in delivered]
    assert 0.2 < share(len(by_people & set(got)), len(got)) < 0.36
    assert 0.38 < share(len(by_machines & set(got)), len(got)) < 0.52
    bounced = types["email.hard_bounce"] + types["email.soft_bounce"]
    assert 0.01 < share(bounced, len(mails)) < 0.04
    assert types["email.hard_bounce"] > types["email.soft_bounce"]
    calls = [each for each in messages.values() if each["channel"] == "voice" and each["id"] in delivered]
    assert abs(share(types["call.answered"], len(calls)) - 0.46) < 0.05
    assert types["conversion"] > 30
    assert types["email.complaint"] > 0
    assert types["message.unsubscribed"] > 20


def test_a_plan_means_as_many_messages_as_their_events_say(good: list[Row], messages: dict[str, Row]) -> None:
    from iris_pipelines.simulator.providers import CHANNELS
    from iris_pipelines.simulator.rates import EVENTS_PER_MESSAGE

    events = Counter(messages[event["message_id"]]["channel"] for event in good if event["message_id"])
    made = counted(list(messages.values()), "channel")
    for channel, expected in zip(CHANNELS, EVENTS_PER_MESSAGE, strict=True):
        assert abs(events[channel] / made[channel] - expected) < 0.12 * expected


def test_providers_differ_in_delivery_rate_latency_and_price(good: list[Row]) -> None:
    from iris_pipelines.simulator.providers import CHANNELS, ROUTES

    sent = counted(
        [{"route": (event["channel"], event["provider"])} for event in of_type(good, "message.sent")], "route"
    )
    arrived: dict[Any, list[int]] = {}
    for event in of_type(good, "message.delivered"):
        arrived.setdefault((event["channel"], event["provider"]), []).append(event["duration_ms"])
    checked = 0
    for route in ROUTES:
        key: Any = (CHANNELS[route.channel], route.provider)
        if sent[key] < 1_500:
            continue
        checked += 1
        assert abs(len(arrived[key]) / sent[key] - route.delivery_rate) < 0.02
        median = sorted(arrived[key])[len(arrived[key]) // 2]
        assert abs(median - route.latency_ms - 200) < 0.12 * (route.latency_ms + 200)
    assert checked >= 8


def test_failures_carry_codes_and_successes_do_not(good: list[Row]) -> None:
    for event in good:
        kind = event["event_type"]
        failed = kind in ("message.failed", "email.hard_bounce", "email.soft_bounce")
        assert (event["error_code"] is not None) == failed
        assert (event["error_message"] is not None) == failed
        if kind != "api.request":
            assert event["success"] == (not failed and kind != "email.complaint")
    assert len({event["error_code"] for event in of_type(good, "message.failed")}) > 8


def test_event_data_says_what_each_type_promises(good: list[Row]) -> None:
    for event in good:
        data = {} if event["event_data"] is None else json.loads(event["event_data"])
        match event["event_type"]:
            case "link.clicked":
                assert data["url"].startswith("https://www.")
            case "conversion":
                assert data["order_id"]
                assert data.get("value", 1) > 0
            case "email.hard_bounce":
                assert data["bounce_subtype"] in ("NoEmail", "General")
            case "email.soft_bounce":
                assert data["bounce_subtype"] in ("MailboxFull", "General", "MessageTooLarge")
            case "call.answered":
                assert data["call_seconds"] >= 0
            case "api.request":
                assert data["path"].startswith("/v1/")
                assert data["user_agent"] == event["user_agent"]
                assert event["success"] == (data["status_code"] < 400)
                assert event["duration_ms"] > 0
            case "message.sent" if event["channel"] == "sms":
                assert data["segments"] in (1, 2, 3)
        if event["geo_location"] is not None:
            assert json.loads(event["geo_location"]).keys() == {"city", "region", "country", "lat", "lon", "timezone"}


def test_the_variant_of_a_message_is_that_of_its_sent_event(good: list[Row], messages: dict[str, Row]) -> None:
    for event in of_type(good, "message.sent"):
        data = {} if event["event_data"] is None else json.loads(event["event_data"])
        assert data.get("variant") == messages[event["message_id"]]["variant"]
    variants = counted(list(messages.values()), "variant")
    assert {"A", "B", "control", "short_subject", "emoji"} <= variants.keys()


def test_a_variant_with_a_lift_is_opened_more_often() -> None:
    # This seed has a campaign by email with a treatment that makes a difference.
    plan = TrafficPlan(START, START + timedelta(days=7), tenants=1, events_per_day=40_000, seed=13)
    simulation = simulate(plan)
    day = (plan.start - datetime(1970, 1, 1, tzinfo=UTC)).days
    campaign = next(
        each
        for each in simulation._worlds[0].campaigns(day, day + 6)
        if each.lift == (1.0, 1.35) and each.channel_name == "email" and not each.is_draft
    )
    variant = {row["id"]: row["variant"] for row in messages_of(simulation) if row["campaign_id"] == campaign.id}
    opened = {
        event["message_id"]
        for each in simulation.days()
        for batch in each.batches()
        for event in batch.good.select(["event_type", "is_machine", "message_id"]).to_pylist()
        if event["event_type"] == "message.opened" and not event["is_machine"]
    }
    sent = Counter(variant.values())
    openers = Counter(variant[message] for message in opened & variant.keys())
    assert min(sent.values()) > 1_000
    rates = [openers[name] / sent[name] for name in campaign.variants]
    assert 1.2 < rates[1] / rates[0] < 1.5


def test_tenants_sleep_at_night_and_do_less_at_the_weekend(good: list[Row]) -> None:
    zones = {str(tenant.id): ZoneInfo(tenant.timezone) for tenant in simulate(PLAN).tenants}
    sent = of_type(good, "message.sent")
    hours = Counter(event["timestamp"].astimezone(zones[event["tenant_id"]]).hour for event in sent)
    assert sum(hours[hour] for hour in range(1, 6)) < 0.05 * len(sent)
    days = Counter(event["timestamp"].weekday() for event in good)
    assert 0.55 < (days[5] + days[6]) / (days[1] + days[2]) < 0.8


def test_machines_come_within_seconds_and_from_nowhere(good: list[Row]) -> None:
    delivered = {event["message_id"]: event["timestamp"] for event in of_type(good, "message.delivered")}
    machines = [event for event in good if event["is_machine"]]
    assert {event["event_type"] for event in machines} == {"message.opened", "link.clicked"}
    agents = {event["user_agent"] for event in machines}
    assert any("GoogleImageProxy" in agent for agent in agents)
    people = {event["user_agent"] for event in good if not event["is_machine"]}
    assert not agents & people
    for event in machines:
        assert event["timestamp"] - delivered[event["message_id"]] < timedelta(minutes=2)
        assert event["geo_location"] is None
        assert event["ip_address"].startswith("198.51.100.")


def test_addresses_come_from_documentation_ranges_only(good: list[Row]) -> None:
    ranges = ("203.0.113.", "198.51.100.", "192.0.2.", "2001:db8:")
    assert all(event["ip_address"].startswith(ranges) for event in good if event["ip_address"] is not None)


def test_webhooks_leave_out_what_the_message_knows(good: list[Row]) -> None:
    tracked = of_type(good, "message.opened", "link.clicked")
    without = {field: sum(event[field] is None for event in tracked) / len(tracked) for field in
               ("provider", "contact_id", "channel")}  # fmt: skip
    assert abs(without["provider"] - 0.9) < 0.02
    assert abs(without["contact_id"] - 0.2) < 0.02
    assert abs(without["channel"] - 0.06) < 0.02
    receipts = of_type(good, "message.delivered")
    assert abs(sum(event["contact_id"] is None for event in receipts) / len(receipts) - 0.35) < 0.02
    assert all(event["contact_id"] and event["provider"] for event in of_type(good, "message.sent"))


def test_late_duplicated_and_malformed_events_have_their_shares(traffic: list[tuple[date, int, Row]]) -> None:
    good = sum(origin < DUPLICATE for _, origin, _ in traffic)
    for wanted, found in (
        (PLAN.late, sum(origin == LATE for _, origin, _ in traffic)),
        (PLAN.duplicates, sum(origin == DUPLICATE for _, origin, _ in traffic)),
        (PLAN.malformed, sum(origin >= MALFORMED for _, origin, _ in traffic)),
    ):
        assert abs(found - wanted * good) < 5 * (wanted * good) ** 0.5


def test_late_events_arrive_on_a_later_day_and_others_on_their_own(traffic: list[tuple[date, int, Row]]) -> None:
    last = (PLAN.end - timedelta(microseconds=1)).date()
    delays = Counter()
    for day, origin, event in traffic:
        happened = event["timestamp"].date()
        if origin == LATE:
            assert day > happened or day == last
            delays[(day - happened).days] += 1
        elif origin < DUPLICATE:
            assert day == happened
    assert {1, 2, 3} <= delays.keys()
    assert max(delays) <= 4


def test_a_duplicate_is_the_same_event_again_and_sometimes_on_another_day(
    traffic: list[tuple[date, int, Row]],
) -> None:
    first = {event["id"]: (day, event) for day, origin, event in traffic if origin < DUPLICATE}
    copies = [(day, event) for day, origin, event in traffic if origin == DUPLICATE]
    assert all(first[event["id"]][1] == event for _, event in copies)
    elsewhere = sum(first[event["id"]][0] != day for day, event in copies)
    assert 0 < elsewhere < len(copies)
    assert len(first) == sum(origin < DUPLICATE for _, origin, _ in traffic)


def test_late_events_can_be_asked_for_on_their_own() -> None:
    for day in simulate(SMALL).days():
        whole = [event for batch in day.batches() for event in batch.events.to_pylist()]
        parts = [
            event for late in (False, True) for batch in day.batches(late=late) for event in batch.events.to_pylist()
        ]
        assert sorted(map(str, whole)) == sorted(map(str, parts))


def test_batches_number_their_rows_through_the_day() -> None:
    day = simulate(SMALL).day(SMALL.start.date())
    batches = list(day.batches(rows=100))
    assert [batch.first_line for batch in batches] == [1 + 100 * number for number in range(len(batches))]
    whole = pa.Table.from_batches([batch.columns() for batch in day.batches()])
    assert pa.Table.from_batches([batch.columns() for batch in batches]).equals(whole)


def test_one_event_a_day_of_a_single_tenant_is_a_simulation_too() -> None:
    plan = TrafficPlan(START, START + timedelta(days=30), tenants=1, events_per_day=1, seed=2)
    assert 5 < len(arrivals(simulate(plan))) < 90
