"""Opens and clicks by machines: marked when they are loaded, judged again whenever somebody asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.db.staleness import Consumer, Grain, plan_stale, register_consumers
from iris_pipelines.domain.windows import DAY, HOUR, Window
from iris_pipelines.ingestion.loader import load_events
from iris_pipelines.ingestion.machines import rules
from iris_pipelines.ingestion.machines.verdicts import JudgedDay, judge_machines, judge_stale_machines
from iris_pipelines.ingestion.records import ObjectBatch
from iris_pipelines.ingestion.user_agents import describe_user_agents, parse_user_agent
from tests.commands import eventually

TENANT = UUID(int=1)
MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
TEN = MONDAY + 10 * HOUR
NOW = MONDAY + 3 * DAY
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
WHOLE_DAY = [Window(MONDAY, MONDAY + DAY)]

PERSON = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
)
APPLE_PROXY = "Mozilla/5.0"
GOOGLE_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
SCANNER = "Mozilla/5.0 (compatible; Proofpoint URL Defense)"
INVENTED = "Zustellprobe 3.1"

Verdict = tuple[bool, str | None]


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Rules that a test may change; what was remembered by them is forgotten."""

    def forget() -> None:
        rules.machine_reason.cache_clear()
        parse_user_agent.cache_clear()

    forget()
    yield monkeypatch
    monkeypatch.undo()
    forget()


def new_rules(patched: pytest.MonkeyPatch, pattern: str) -> None:
    """The next version of the rules: link scanners are those of this pattern."""
    patched.setattr(rules, "_SCANNERS", rules.re.compile(pattern))
    patched.setattr(rules, "RULES_VERSION", rules.RULES_VERSION + 1)
    rules.machine_reason.cache_clear()
    parse_user_agent.cache_clear()


def insert(database: Database, event_type: str, timestamp: datetime, **values: Any) -> UUID:
    """An event by plain SQL, as other services write it."""
    values = {"id": uuid4(), "tenant_id": TENANT, "event_type": event_type, "timestamp": timestamp, **values}
    if "url" in values:
        values["event_data"] = f'{{"url": "{values.pop("url")}"}}'
    with database.transaction() as connection:
        names = ", ".join(values)
        places = ", ".join(f"%({name})s" for name in values)
        connection.execute(f"insert into iris.analytics_events ({names}) values ({places})", values)  # type: ignore[arg-type]
    event_id: UUID = values["id"]
    return event_id


def load(database: Database, *records: dict[str, Any]) -> None:
    filled = [{"tenant_id": str(TENANT), "event_type": "message.opened", **record} for record in records]
    load_events(
        database,
        [ObjectBatch("test", range(1, len(filled) + 1), filled)],
        now=NOW,
        history_start=date(2020, 1, 1),
        create_tenants=True,
    )


def verdicts(database: Database) -> dict[UUID, Verdict]:
    with database.transaction() as connection:
        rows = connection.execute("select id, is_machine, machine_reason from iris.analytics_events").fetchall()
    return {event_id: (is_machine, reason) for event_id, is_machine, reason in rows}


def noted_hours(database: Database) -> list[datetime]:
    """The hours that are in the ledger now."""
    with database.transaction() as connection:
        rows = connection.execute("select hour from iris.touched_hours order by hour").fetchall()
    return [hour for (hour,) in rows]


def forget_noted_hours(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("delete from iris.touched_hours")
        connection.execute("delete from iris.stale_hours")


def changed(judged: Sequence[JudgedDay]) -> int:
    return sum(day.changed for day in judged)


def test_plain_inserts_are_judged_by_who_made_them(database: Database) -> None:
    person = insert(database, "message.opened", TEN, user_agent=PERSON)
    nobody = insert(database, "message.opened", TEN)
    apple = insert(database, "message.opened", TEN, user_agent=APPLE_PROXY)
    google = insert(database, "message.opened", TEN, user_agent=GOOGLE_PROXY)
    scanner = insert(database, "link.clicked", TEN, user_agent=SCANNER)
    tool = insert(database, "link.clicked", TEN, user_agent="curl/8.5.0")
    request = insert(database, "api.request", TEN, user_agent="curl/8.5.0")

    judged = judge_machines(database, WHOLE_DAY)

    assert judged == [JudgedDay(MONDAY.date(), changed=3, new_user_agents=5)]
    assert verdicts(database) == {
        person: (False, None),
        nobody: (False, None),
        apple: (True, "privacy_proxy"),
        google: (False, None),
        scanner: (True, "link_scanner"),
        tool: (True, "bot"),
        request: (False, None),
    }


def test_an_email_opened_as_soon_as_it_was_there_was_opened_by_a_machine(database: Database) -> None:
    message, other = uuid4(), uuid4()
    mail = {"message_id": message, "channel": "email", "user_agent": PERSON}
    insert(database, "message.sent", TEN, message_id=message, channel="email")
    at_once = insert(database, "message.opened", TEN + SECOND, **mail)
    insert(database, "message.delivered", TEN + 10 * SECOND, message_id=message, channel="email")
    before_the_receipt = insert(database, "message.opened", TEN + 9 * SECOND, **mail)
    with_the_receipt = insert(database, "link.clicked", TEN + 10 * SECOND, **mail)
    in_time = insert(database, "message.opened", TEN + 12 * SECOND, **mail)
    of_another = insert(database, "message.opened", TEN + SECOND, **{**mail, "message_id": other})
    of_a_text = insert(database, "link.clicked", TEN + SECOND, **{**mail, "channel": "sms"})
    of_nothing = insert(database, "message.opened", TEN + SECOND, channel="email")

    judge_machines(database, WHOLE_DAY)

    found = verdicts(database)
    assert [found[each] for each in (at_once, with_the_receipt)] == [(True, "too_soon")] * 2
    people = (before_the_receipt, in_time, of_another, of_a_text, of_nothing)
    assert [found[each] for each in people] == [(False, None)] * len(people)


def test_different_links_of_one_message_within_a_second_were_followed_by_a_machine(database: Database) -> None:
    message = uuid4()

    def click(after: timedelta, url: str | None, **values: Any) -> UUID:
        return insert(database, "link.clicked", TEN + after, url=url, **{"message_id": message, **values})

    first = click(timedelta(), "https://a.example")
    second = click(timedelta(milliseconds=900), "https://b.example")
    twice = [click(MINUTE, "https://a.example"), click(MINUTE, "https://a.example")]
    in_time = [click(2 * MINUTE, "https://a.example"), click(2 * MINUTE + SECOND, "https://b.example")]
    of_two = [
        click(3 * MINUTE, "https://a.example", message_id=uuid4()),
        click(3 * MINUTE, "https://b.example", message_id=uuid4()),
        click(3 * MINUTE, "https://a.example", message_id=None),
        click(3 * MINUTE, "https://b.example", message_id=None),
        click(3 * MINUTE, "https://b.example", tenant_id=UUID(int=2)),
        click(3 * MINUTE, "https://a.example"),
    ]

    judge_machines(database, WHOLE_DAY)

    found = verdicts(database)
    assert [found[each] for each in (first, second)] == [(True, "many_links")] * 2
    people = [*twice, *in_time, *of_two]
    assert [found[each] for each in people] == [(False, None)] * len(people)


def test_what_was_stated_is_never_changed(database: Database, patched: pytest.MonkeyPatch) -> None:
    load(
        database,
        {"id": str(UUID(int=10)), "timestamp": TEN.isoformat(), "user_agent": SCANNER, "is_machine": False},
        {"id": str(UUID(int=11)), "timestamp": TEN.isoformat(), "user_agent": PERSON, "is_machine": True},
    )
    by_sql = insert(database, "message.opened", TEN, user_agent=PERSON, is_machine=True)
    told = insert(database, "message.opened", TEN, user_agent=SCANNER, machine_reason="reported")
    stated = {
        UUID(int=10): (False, "reported"),
        UUID(int=11): (True, "reported"),
        by_sql: (True, None),
        told: (False, "reported"),
    }
    assert verdicts(database) == stated

    for pattern in ("Chrome", "Proofpoint"):
        assert changed(judge_machines(database, WHOLE_DAY)) == 0
        new_rules(patched, pattern)
    assert changed(judge_machines(database, WHOLE_DAY)) == 0
    assert verdicts(database) == stated


def test_loading_marks_what_the_user_agent_tells_and_judging_finds_nothing_to_correct(database: Database) -> None:
    agents = [PERSON, APPLE_PROXY, GOOGLE_PROXY, SCANNER, None]
    load(
        database,
        *(
            {"id": str(UUID(int=place)), "timestamp": TEN.isoformat(), **({"user_agent": agent} if agent else {})}
            for place, agent in enumerate(agents, 1)
        ),
        {"id": str(UUID(int=9)), "timestamp": TEN.isoformat(), "event_type": "api.request", "user_agent": SCANNER},
    )
    assert verdicts(database) == {
        UUID(int=1): (False, None),
        UUID(int=2): (True, "privacy_proxy"),
        UUID(int=3): (False, None),
        UUID(int=4): (True, "link_scanner"),
        UUID(int=5): (False, None),
        UUID(int=9): (False, None),
    }
    assert changed(judge_machines(database, WHOLE_DAY)) == 0


def test_a_changed_rule_changes_the_past_and_notes_exactly_the_hours_that_it_changed(
    database: Database, patched: pytest.MonkeyPatch
) -> None:
    found_now = insert(database, "message.opened", TEN, user_agent=INVENTED)
    cleared = insert(database, "link.clicked", TEN + 2 * HOUR, user_agent=SCANNER)
    same = insert(database, "message.opened", TEN + 4 * HOUR, user_agent=APPLE_PROXY)
    person = insert(database, "message.opened", TEN + 6 * HOUR, user_agent=PERSON)
    judge_machines(database, WHOLE_DAY)
    assert verdicts(database)[cleared] == (True, "link_scanner")
    forget_noted_hours(database)

    new_rules(patched, "^Zustellprobe")
    assert verdicts(database)[found_now] == (False, None)
    assert changed(judge_machines(database, WHOLE_DAY)) == 2

    assert verdicts(database) == {
        found_now: (True, "link_scanner"),
        cleared: (False, None),
        same: (True, "privacy_proxy"),
        person: (False, None),
    }
    assert noted_hours(database) == [TEN, TEN + 2 * HOUR]

    assert changed(judge_machines(database, WHOLE_DAY)) == 0
    assert noted_hours(database) == [TEN, TEN + 2 * HOUR]


def test_a_verdict_is_handed_to_those_who_build_on_it_and_not_to_the_judge(database: Database) -> None:
    register_consumers(database, {"analytics.hourly": Consumer(Grain.HOUR)})
    judge_stale_machines(database, now=NOW)
    insert(database, "message.opened", TEN, user_agent=SCANNER)

    def stale() -> dict[str, tuple[datetime, ...]]:
        return {each.consumer: each.hours for each in plan_stale(database, now=NOW)}

    assert stale() == {"analytics.hourly": (TEN,), "iris.machine_verdicts": (TEN,)}
    with database.transaction() as connection:
        connection.execute("delete from iris.stale_hours where consumer = 'analytics.hourly'")
    assert changed(judge_stale_machines(database, now=NOW)) == 1
    assert stale() == {"analytics.hourly": (TEN,)}
    assert judge_stale_machines(database, now=NOW) == []


def test_late_events_are_judged_and_may_change_verdicts_next_to_them(database: Database) -> None:
    message = uuid4()
    mail = {"message_id": message, "channel": "email", "user_agent": PERSON}
    opened = insert(database, "message.opened", TEN, **mail)
    insert(database, "message.opened", TEN - 5 * HOUR, user_agent=PERSON)
    judge_stale_machines(database, now=NOW)
    assert verdicts(database)[opened] == (False, None)

    # In the hour before, whose events have a say in this one.
    insert(database, "message.delivered", TEN - SECOND, message_id=message, channel="email")
    assert changed(judge_stale_machines(database, now=NOW)) == 1
    assert verdicts(database)[opened] == (True, "too_soon")


def test_a_day_that_other_rules_judged_is_judged_as_a_whole_when_one_hour_is_stale(
    database: Database, patched: pytest.MonkeyPatch
) -> None:
    morning = insert(database, "message.opened", MONDAY, user_agent=INVENTED)
    elsewhere = insert(database, "message.opened", MONDAY - DAY, user_agent=INVENTED)
    judge_stale_machines(database, now=NOW)
    new_rules(patched, "^Zustellprobe")
    assert judge_stale_machines(database, now=NOW) == []

    evening = insert(database, "message.opened", MONDAY + 20 * HOUR, user_agent=INVENTED)
    judge_stale_machines(database, now=NOW)
    assert verdicts(database) == {
        morning: (True, "link_scanner"),
        evening: (True, "link_scanner"),
        elsewhere: (False, None),
    }


def test_hours_that_have_not_closed_wait(database: Database) -> None:
    early = insert(database, "message.opened", NOW - 2 * HOUR, user_agent=SCANNER)
    judge_stale_machines(database, now=NOW + MINUTE)
    running = insert(database, "message.opened", NOW, user_agent=SCANNER)
    assert judge_stale_machines(database, now=NOW + MINUTE) == []
    assert verdicts(database) == {early: (True, "link_scanner"), running: (False, None)}
    assert changed(judge_stale_machines(database, now=NOW + HOUR)) == 1


def test_judges_at_the_same_time_agree_and_change_each_event_once(database: Database) -> None:
    for minute in range(40):
        insert(database, "message.opened", TEN + minute * MINUTE, user_agent=f"{INVENTED} {minute} curlbot/1.0")
        insert(database, "message.opened", TEN + DAY + minute * MINUTE, user_agent=f"curlbot/{minute % 7}.0")
    start = threading.Barrier(3)
    results: list[int] = []

    def judge(windows: list[Window]) -> None:
        start.wait(30)
        results.append(changed(judge_machines(database, windows)))

    both = [Window(MONDAY, MONDAY + 2 * DAY)]
    judges = [
        threading.Thread(target=judge, args=(windows,)) for windows in (both, [Window(MONDAY + DAY, NOW)], WHOLE_DAY)
    ]
    for each in judges:
        each.start()
    for each in judges:
        each.join(60)

    assert sum(results) == 80
    assert len(results) == 3
    assert set(verdicts(database).values()) == {(True, "bot")}


def test_a_sender_who_speaks_up_while_the_day_is_judged_is_heard(database: Database) -> None:
    event = insert(database, "message.opened", TEN, user_agent=SCANNER)
    judge = threading.Thread(target=judge_machines, args=(database, WHOLE_DAY))
    with database.transaction() as connection:
        connection.execute("update iris.analytics_events set machine_reason = 'reported' where id = %s", (event,))
        judge.start()
        waiting = (
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
            " and query like '%update iris.analytics_events%'"
        )
        eventually(lambda: _count(database, waiting), "the judge waits for the sender")
    judge.join(60)
    assert verdicts(database) == {event: (False, "reported")}


def _count(database: Database, statement: str) -> int:
    """The one number that a statement gives."""
    with database.transaction() as connection:
        row = connection.execute(statement).fetchone()  # type: ignore[arg-type]
    assert row is not None
    number: int = row[0]
    return number


def test_user_agents_are_described_once_and_renewed_with_the_rules(
    database: Database, patched: pytest.MonkeyPatch
) -> None:
    insert(database, "message.opened", TEN, user_agent=PERSON)
    insert(database, "message.opened", TEN, user_agent=GOOGLE_PROXY)
    insert(database, "link.clicked", TEN + HOUR, user_agent=INVENTED)
    insert(database, "link.clicked", TEN + HOUR, user_agent="Mozilla/5.0 (" + "x" * 5_000 + ")")
    insert(database, "link.clicked", TEN + HOUR, user_agent="")
    judged = judge_machines(database, WHOLE_DAY)
    assert [day.new_user_agents for day in judged] == [4]
    assert [day.new_user_agents for day in judge_machines(database, WHOLE_DAY)] == [0]
    assert describe_user_agents(database).renewed == 0

    def described() -> dict[str, tuple[Any, ...]]:
        with database.transaction() as connection:
            rows = connection.execute(
                "select events.user_agent, device_type, os, client, proxy, agents.machine_reason"
                " from iris.analytics_events as events"
                " join iris.user_agents as agents on agents.user_agent_md5 = md5(events.user_agent)::uuid"
                " where length(events.user_agent) < 1000"
            ).fetchall()
        return {row[0]: row[1:] for row in rows}

    assert described() == {
        PERSON: ("desktop", "Windows", "Chrome", None, None),
        GOOGLE_PROXY: ("proxy", "unknown", "Gmail", "google_image_proxy", None),
        INVENTED: ("unknown", "unknown", "unknown", None, None),
    }
    new_rules(patched, "^Zustellprobe")
    assert describe_user_agents(database).renewed == 4
    assert describe_user_agents(database).renewed == 0
    assert described()[INVENTED] == ("bot", "unknown", "unknown", None, "link_scanner")
