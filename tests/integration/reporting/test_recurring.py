"""Recurring reports: each period once and in order, after downtime, crashes and failures; and their mails."""

from __future__ import annotations

import csv
import hashlib
import itertools
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import psycopg
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.domain.reports.definition import read_definition
from iris_pipelines.domain.reports.schedules import Cadence, InvalidSchedule, Schedule
from iris_pipelines.mail import InvalidMailServer
from iris_pipelines.reporting.history import UnknownRun, keep_report, read_file, report_history
from iris_pipelines.reporting.recurring import runs
from iris_pipelines.reporting.recurring.deliveries import Delivery, send_waiting_mails, unsubscribe
from iris_pipelines.reporting.recurring.mail import SmtpMailer
from iris_pipelines.reporting.recurring.runs import (
    DueReport,
    Outcome,
    due_cadences,
    make_due_reports,
)
from iris_pipelines.reporting.recurring.schedules import (
    UnknownReport,
    change_report,
    plan_occurrences,
    schedule_report,
    scheduled_reports,
    stop_report,
)
from tests.integration.reporting.conftest import Inbox

TENANT = UUID(int=0xA)
HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
BEGIN = datetime(2026, 3, 26, 12, tzinfo=UTC)  # three days before clocks go forward in Berlin
EIGHT = Schedule(Cadence.DAILY, time(8))
MORNING = datetime(2026, 3, 27, 7, tzinfo=UTC)  # the first time it is due, at 8 in Berlin


@pytest.fixture
def tenant(database: Database) -> Iterator[Database]:
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.tenants (id, name, timezone) values (%s, 'Acme', 'Europe/Berlin')", (TENANT,)
        )
        for day in range(24, 32):
            connection.execute(
                "insert into iris.analytics_events (tenant_id, event_type, timestamp, channel)"
                " select %s, 'message.sent', %s, 'sms' from generate_series(1, %s)",
                (TENANT, datetime(2026, 3, day, 12, tzinfo=UTC), day),
            )
        connection.execute("delete from iris.touched_hours")
    yield database


def recurring(database: Database, schedule: Schedule = EIGHT, *recipients: str, **parts: Any) -> UUID:
    asked = {"name": "Daily", "date_range": "yesterday", "metrics": ["messages_sent"], "dimensions": ["date"], **parts}
    return schedule_report(
        database, TENANT, read_definition(asked), schedule, recipients or ("a@example.com",), now=BEGIN
    )


def looked(database: Database, now: datetime) -> list[DueReport]:
    plan_occurrences(database, now=now)
    return list(make_due_reports(database, now=now))


def outcomes(database: Database, now: datetime) -> list[tuple[int, str]]:
    return [(each.day.day, each.outcome.value) for each in looked(database, now)]


def test_a_report_is_made_once_when_it_is_due(tenant: Database) -> None:
    report_id = recurring(tenant)
    assert looked(tenant, MORNING - MINUTE) == []
    (made,) = looked(tenant, MORNING)
    assert (made.report.id, made.day, made.outcome) == (report_id, date(2026, 3, 27), Outcome.MADE)
    assert looked(tenant, MORNING) == []
    (run,) = report_history(tenant, TENANT)
    assert (run.status, run.row_count, run.occurrence_date) == ("succeeded", 1, date(2026, 3, 27))
    assert run.period_start == datetime(2026, 3, 25, 23, tzinfo=UTC)
    name, content = read_file(tenant, TENANT, run.id)
    assert name == "daily_2026-03-26_2026-03-26.csv"
    assert list(csv.reader(content.decode().splitlines())) == [["date", "messages_sent"], ["2026-03-26", "26"]]
    assert (run.sha256, run.file_bytes) == (hashlib.sha256(content).hexdigest(), len(content))


def test_what_was_missed_is_caught_up_in_order_each_period_as_of_its_day(tenant: Database) -> None:
    recurring(tenant)
    looked(tenant, MORNING)
    found = looked(tenant, MORNING + 4 * DAY + 3 * HOUR)
    assert [each.day.day for each in found] == [28, 29, 30, 31]
    counts = [each.content.decode().splitlines()[1].split(",")[1] for each in found]
    assert counts == ["27", "28", "29", "30"]
    periods = [each.made.period.window for each in found if each.made is not None]
    assert all(a.end == b.start for a, b in itertools.pairwise(periods))
    assert [(each.end - each.start) / HOUR for each in periods] == [24, 24, 23, 24]


def test_looks_at_any_times_plan_what_one_look_plans(tenant: Database) -> None:
    schedules = [
        EIGHT,
        Schedule(Cadence.WEEKLY, time(2, 30), weekday=6),
        Schedule(Cadence.MONTHLY, time(0), month_day=31),
    ]
    often, once = ([recurring(tenant, each) for each in schedules] for _ in range(2))
    set_active(tenant, once, is_active=False)
    draw, now, end = random.Random(1), BEGIN, BEGIN + 400 * DAY
    while now < end:
        now = min(now + draw.choice([MINUTE, HOUR, DAY, 9 * DAY, 30 * DAY]), end)
        plan_occurrences(tenant, now=now)
        assert plan_occurrences(tenant, now=now) == 0
    set_active(tenant, once, is_active=True)
    plan_occurrences(tenant, now=end)
    for one, other, least in zip(often, once, [400, 57, 14], strict=True):
        assert planned(tenant, one) == planned(tenant, other)
        assert len(planned(tenant, one)) == least


def set_active(database: Database, reports: list[UUID], *, is_active: bool) -> None:
    with database.transaction() as connection:
        connection.execute("update iris.scheduled_reports set is_active = %s where id = any(%s)", (is_active, reports))


def planned(database: Database, report_id: UUID) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(
            "select occurrence_date, occurs_at from iris.report_occurrences where scheduled_report_id = %s order by 1",
            (report_id,),
        ).fetchall()


def test_no_period_comes_twice_though_the_tenant_moves_or_the_plan_is_lost(tenant: Database) -> None:
    recurring(tenant)
    looked(tenant, MORNING)
    with tenant.transaction() as connection:
        connection.execute("update iris.tenants set timezone = 'America/New_York'")
        connection.execute("update iris.scheduled_reports set planned_until = '2026-03-01'")
    # What was before it is planned anew, the day that is done is not.
    days = [each.day.day for each in looked(tenant, MORNING + 10 * HOUR)]
    assert 27 not in days
    assert len(report_history(tenant, TENANT)) == len({run.occurrence_date for run in report_history(tenant, TENANT)})


# Waiting for the period.


def note_stale(database: Database, hour: datetime) -> None:
    with database.transaction() as connection:
        connection.execute("insert into iris.touched_hours (hour) values (%s)", (hour,))


def test_a_report_waits_until_its_period_is_complete(tenant: Database) -> None:
    recurring(tenant)
    note_stale(tenant, datetime(2026, 3, 26, 22, tzinfo=UTC))
    (waiting,) = looked(tenant, MORNING)
    assert waiting.outcome is Outcome.WAITING
    assert "waits for 1 hour of its period to be rebuilt" in waiting.reason
    assert looked(tenant, MORNING + MINUTE) == []
    rebuilt(tenant)
    (made,) = looked(tenant, MORNING + 5 * MINUTE)
    assert made.made is not None
    assert (made.outcome, made.made.notes) == (Outcome.MADE, ())


def test_past_its_deadline_it_goes_out_and_says_so(tenant: Database) -> None:
    recurring(tenant)
    note_stale(tenant, datetime(2026, 3, 26, 22, tzinfo=UTC))
    assert outcomes(tenant, MORNING) == [(27, "waiting")]
    assert outcomes(tenant, MORNING + 2 * HOUR - MINUTE) == [(27, "waiting")]
    (made,) = looked(tenant, MORNING + 2 * HOUR)
    assert made.made is not None
    assert "1 hour of this period still had to be rebuilt" in made.made.notes[0]
    (run,) = report_history(tenant, TENANT)
    assert run.notes == list(made.made.notes)


@pytest.mark.parametrize("hour", [datetime(2026, 3, 25, 22, tzinfo=UTC), datetime(2026, 3, 26, 23, tzinfo=UTC)])
def test_hours_outside_the_period_are_not_waited_for(tenant: Database, hour: datetime) -> None:
    recurring(tenant)
    note_stale(tenant, hour)
    assert outcomes(tenant, MORNING) == [(27, "made")]


def test_after_downtime_the_time_to_wait_begins_anew_and_later_periods_wait_behind(tenant: Database) -> None:
    recurring(tenant)
    note_stale(tenant, datetime(2026, 3, 26, 22, tzinfo=UTC))
    late = MORNING + 3 * DAY
    assert outcomes(tenant, late) == [(27, "waiting")]
    assert outcomes(tenant, late + 2 * HOUR) == [(27, "made"), (28, "made"), (29, "made"), (30, "made")]


def rebuilt(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute("delete from iris.touched_hours")


# Failures.


def test_a_report_that_fails_is_tried_again_then_the_next_has_its_turn(
    tenant: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recurring(tenant)
    good = runs.make_report

    def broken(*arguments: Any, **options: Any) -> Any:
        if options["today"] == date(2026, 3, 27):
            raise ValueError("out of paper")
        return good(*arguments, **options)

    monkeypatch.setattr(runs, "make_report", broken)
    now = MORNING + DAY + HOUR
    for attempt in range(1, 7):
        found = looked(tenant, now)
        expected = [(27, "failed")] + ([(28, "made")] if attempt == 6 else [])
        assert [(each.day.day, each.outcome.value) for each in found] == expected
        assert looked(tenant, now) == []
        now += timedelta(minutes=2 ** (attempt - 1))
    states = [run.status for run in report_history(tenant, TENANT)]
    assert states.count("failed") == 6
    with tenant.transaction() as connection:
        (alert,) = connection.execute("select alert_type, message from iris.system_alerts").fetchall()
    assert alert == ("report_failure", "the report Daily of 2026-03-27 could not be made: ValueError: out of paper")


def test_a_report_whose_maker_died_is_made_by_another_after_a_while(
    tenant: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    recurring(tenant)

    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "make_report", killed)
        with pytest.raises(KeyboardInterrupt):
            looked(tenant, MORNING)
    assert looked(tenant, MORNING + 29 * MINUTE) == []
    (made,) = looked(tenant, MORNING + 30 * MINUTE)
    assert made.outcome is Outcome.MADE
    assert sorted((run.status, run.error) for run in report_history(tenant, TENANT)) == [
        ("failed", "interrupted"),
        ("succeeded", None),
    ]


def test_two_at_work_never_make_the_same_report(tenant: Database) -> None:
    recurring(tenant)
    plan_occurrences(tenant, now=MORNING)
    found = []
    for _ in make_due_reports(tenant, now=MORNING):
        found.append("first")
        found += ["second" for _ in make_due_reports(tenant, now=MORNING)]
    assert found == ["first"]
    with tenant.transaction() as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(
            "insert into iris.report_runs (tenant_id, scheduled_report_id, occurrence_date, name, definition, format,"
            " status, started_at) select tenant_id, scheduled_report_id, occurrence_date, name, definition, format,"
            " status, started_at from iris.report_runs"
        )


# Schedules.


@pytest.mark.parametrize(
    "recipient",
    [
        *("nobody", "a@b", "a b@example.com", "a@example.com,b@example.com", "a@example.com\nBcc: x@example.com"),
        *("A <a@example.com>", "", "@example.com", f"{'a' * 250}@example.com", "a@example.com ", "a@exa mple.com"),
    ],
)
def test_what_is_no_address_is_refused(tenant: Database, recipient: str) -> None:
    with pytest.raises(InvalidSchedule, match="not an email address"):
        recurring(tenant, EIGHT, "good@example.com", recipient)


def test_a_fixed_range_cannot_recur(tenant: Database) -> None:
    with pytest.raises(InvalidSchedule, match="the same period for ever"):
        recurring(tenant, date_range={"start": "2026-01-01", "end": "2026-02-01"})


def test_a_report_that_is_stopped_makes_nothing_more(tenant: Database) -> None:
    report_id = recurring(tenant)
    plan_occurrences(tenant, now=MORNING)
    stop_report(tenant, TENANT, report_id)
    assert looked(tenant, MORNING + DAY) == []
    assert [each.is_active for each in scheduled_reports(tenant, TENANT)] == [False]
    with pytest.raises(UnknownReport):
        stop_report(tenant, TENANT, report_id)


def test_a_change_counts_from_the_next_occurrence_on(tenant: Database) -> None:
    report_id = recurring(tenant)
    looked(tenant, MORNING)
    changed = read_definition({"name": "Weekly", "date_range": "last_7_days", "metrics": ["messages_sent"]})
    sundays = Schedule(Cadence.WEEKLY, time(9), weekday=6)
    change_report(tenant, TENANT, report_id, definition=changed, schedule=sundays, recipients=["b@example.com"])
    (made,) = looked(tenant, MORNING + 5 * DAY)
    assert (made.report.name, made.day.day, made.report.recipients) == ("Weekly", 29, ("b@example.com",))
    with pytest.raises(UnknownReport):
        change_report(tenant, UUID(int=0xB), report_id, recipients=["c@example.com"])
    with pytest.raises(InvalidSchedule):
        change_report(tenant, TENANT, report_id, recipients=["nobody"])


def test_a_report_made_once_can_be_kept(tenant: Database) -> None:
    asked = {"name": "Kept", "date_range": "yesterday", "metrics": ["messages_sent"]}
    run_id = keep_report(tenant, TENANT, read_definition(asked), now=MORNING)
    assert read_file(tenant, TENANT, run_id) == ("kept_2026-03-26_2026-03-26.csv", b'"messages_sent"\r\n26\r\n')
    with pytest.raises(UnknownRun):
        read_file(tenant, UUID(int=0xB), run_id)


def test_the_first_one_is_the_next_that_falls_due(tenant: Database) -> None:
    noon = Schedule(Cadence.DAILY, time(13))  # exactly when it is scheduled
    evening = Schedule(Cadence.DAILY, time(18))
    recurring(tenant, noon, name="Noon")
    recurring(tenant, evening, name="Evening")
    found = looked(tenant, BEGIN + DAY)
    assert [(each.report.name, each.day.day) for each in found] == [("Evening", 26), ("Noon", 27)]


def test_rows_of_other_programs_need_no_more_than_the_guide_has(tenant: Database) -> None:
    insert = (
        "insert into iris.scheduled_reports (tenant_id, name, definition, schedule, recipients)"
        " values (%s, %s, %s, %s, %s)"
    )
    definition = '{"name": "Theirs", "date_range": "last_7_days", "metrics": ["messages_sent"]}'
    with tenant.transaction() as connection:
        for name, schedule in [("W", "weekly"), ("M", "monthly"), ("D", "daily")]:
            connection.execute(insert, (TENANT, name, definition, schedule, '["a@example.com"]'))
        connection.execute("update iris.scheduled_reports set planned_until = '2026-03-26'")
    found = looked(tenant, datetime(2026, 4, 1, 12, tzinfo=UTC))
    assert sorted((each.report.schedule.cadence.value, each.day.day) for each in found) == [
        *(("daily", 1), ("daily", 27), ("daily", 28), ("daily", 29), ("daily", 30), ("daily", 31)),
        *(("monthly", 1), ("weekly", 30)),
    ]


@pytest.mark.parametrize("when", ["before it is planned", "before it is made"])
def test_a_report_that_cannot_be_read_is_stopped_and_holds_no_other_back(tenant: Database, when: str) -> None:
    broken, good = recurring(tenant, name="Broken"), recurring(tenant, name="Good")
    if when == "before it is made":
        plan_occurrences(tenant, now=MORNING)
    with tenant.transaction() as connection:
        connection.execute(
            'update iris.scheduled_reports set definition = definition || \'{"metrics": ["sent"]}\' where id = %s',
            (broken,),
        )
    if when == "before it is planned":
        assert [each.report.id for each in looked(tenant, MORNING)] == [good]
    else:
        assert [each.report.id for each in make_due_reports(tenant, now=MORNING)] == [good]
    with tenant.transaction() as connection:
        (alert,) = connection.execute("select tenant_id, message from iris.system_alerts").fetchall()
        active = connection.execute("select id from iris.scheduled_reports where is_active").fetchall()
    assert (alert[0], active) == (TENANT, [(good,)])
    assert (
        "Broken was stopped, because it cannot be read: the report cannot be made: metrics: unknown metric" in alert[1]
    )


# Mails.


def sent(database: Database, inbox: Inbox, now: datetime, public_url: str | None = None) -> list[Delivery]:
    mailer = SmtpMailer(inbox.url, "Acme reports <reports@acme.example>")
    return list(send_waiting_mails(database, mailer, now=now, public_url=public_url))


def test_each_recipient_gets_a_mail_of_their_own_with_the_file(tenant: Database, inbox: Inbox) -> None:
    recurring(tenant, EIGHT, "a@example.com", "b@example.com", "A@example.com", format="pdf", description="For you.")
    looked(tenant, MORNING)
    done = sent(tenant, inbox, MORNING, "https://iris.example/")
    assert [(each.recipient, each.status) for each in done] == [("A@example.com", "sent"), ("b@example.com", "sent")]
    (run,) = report_history(tenant, TENANT)
    for recipient, message in inbox.mails:
        assert message["To"] == recipient
        others = {who for who, _ in inbox.mails} - {recipient}
        assert not any(other in message.as_string() for other in others)
        assert message["Subject"] == "Daily: 26 March 2026"
        assert message["From"] == "Acme reports <reports@acme.example>"
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        assert message["List-Unsubscribe"].startswith("<https://iris.example/reports/unsubscribe/")
        (attachment,) = message.iter_attachments()
        assert (attachment.get_filename(), attachment.get_content_type()) == (run.file_name, "application/pdf")
        assert hashlib.sha256(attachment.get_content()).hexdigest() == run.sha256
        text = body(message)
        assert "Daily of Acme, 26 March 2026." in text
        assert "For you." in text
        assert f"attached as {run.file_name}" in text
    assert len({message["Message-ID"] for _, message in inbox.mails}) == 2
    assert sent(tenant, inbox, MORNING + DAY) == []
    assert report_history(tenant, TENANT)[0].deliveries == {"A@example.com": "sent", "b@example.com": "sent"}


def body(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_a_note_of_the_report_is_in_its_mail(tenant: Database, inbox: Inbox) -> None:
    recurring(tenant)
    note_stale(tenant, datetime(2026, 3, 26, 22, tzinfo=UTC))
    looked(tenant, MORNING)
    looked(tenant, MORNING + 2 * HOUR)
    sent(tenant, inbox, MORNING + 2 * HOUR)
    assert "Note: 1 hour of this period still had to be rebuilt" in body(inbox.mails[0][1]).replace("\n", " ")


def test_a_mail_that_is_not_taken_now_is_tried_again_and_is_the_same(tenant: Database, inbox: Inbox) -> None:
    recurring(tenant)
    looked(tenant, MORNING)
    inbox.answers = ["451 try later"]
    (tried,) = sent(tenant, inbox, MORNING)
    assert (tried.status, tried.error) == ("waiting", "SMTP 451: try later")
    assert sent(tenant, inbox, MORNING) == []
    assert due_cadences(tenant, now=MORNING, can_mail=True) == set()
    assert due_cadences(tenant, now=MORNING + MINUTE, can_mail=True) == {Cadence.DAILY}
    assert due_cadences(tenant, now=MORNING + MINUTE, can_mail=False) == set()
    (again,) = sent(tenant, inbox, MORNING + MINUTE)
    assert again.status == "sent"


def test_a_mail_that_is_refused_for_good_is_not_tried_again(tenant: Database, inbox: Inbox) -> None:
    recurring(tenant)
    looked(tenant, MORNING)
    inbox.answers = ["550 no such user"]
    (tried,) = sent(tenant, inbox, MORNING)
    assert (tried.status, tried.error) == ("failed", "SMTP 550: no such user")
    assert sent(tenant, inbox, MORNING + DAY) == []


def test_without_a_server_a_mail_is_tried_twelve_times(tenant: Database) -> None:
    recurring(tenant)
    looked(tenant, MORNING)
    nowhere, now, states = SmtpMailer("smtp://127.0.0.1:1", "a@example.com"), MORNING, []
    for _ in range(20):
        states += [each.status for each in send_waiting_mails(tenant, nowhere, now=now)]
        now += 2 * HOUR
    assert states == ["waiting"] * 11 + ["failed"]


def test_who_leaves_a_report_gets_it_no_more(tenant: Database, inbox: Inbox) -> None:
    recurring(tenant, EIGHT, "a@example.com", "b@example.com")
    looked(tenant, MORNING)
    sent(tenant, inbox, MORNING, "https://iris.example")
    mails = dict(inbox.mails)
    token = mails["a@example.com"]["List-Unsubscribe"].split(">")[0].rpartition("/")[2]
    looked(tenant, MORNING + DAY)
    left = unsubscribe(tenant, token, now=MORNING + DAY)
    assert left is not None
    assert (left.recipient, left.report) == ("a@example.com", "Daily")
    assert unsubscribe(tenant, token, now=MORNING + DAY) == left
    assert unsubscribe(tenant, "0" * 64, now=MORNING) is None
    looked(tenant, MORNING + 2 * DAY)
    assert {each.recipient for each in sent(tenant, inbox, MORNING + 2 * DAY)} == {"b@example.com"}
    assert [who for who, _ in inbox.mails].count("a@example.com") == 1


def test_a_file_too_large_for_a_mail_is_not_attached(
    tenant: Database, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    recurring(tenant)
    looked(tenant, MORNING)
    monkeypatch.setattr("iris_pipelines.reporting.recurring.mail.LARGEST_ATTACHMENT", 10)
    sent(tenant, inbox, MORNING)
    ((_, message),) = inbox.mails
    assert list(message.iter_attachments()) == []
    assert "too large for a mail" in body(message)


def test_a_password_that_is_refused_is_no_reason_to_give_up(tenant: Database, inbox: Inbox) -> None:
    recurring(tenant)
    looked(tenant, MORNING)
    with_password = SmtpMailer(inbox.url.replace("//", "//me:secret@"), "a@example.com")
    (tried,) = send_waiting_mails(tenant, with_password, now=MORNING)
    assert tried.status == "waiting"
    assert "secret" not in str(tried)
    encrypted = SmtpMailer(inbox.url.replace("smtp:", "smtp+starttls:"), "a@example.com")
    (tried,) = send_waiting_mails(tenant, encrypted, now=MORNING + MINUTE)
    assert (tried.status, len(inbox.mails)) == ("waiting", 0)


@pytest.mark.parametrize(("url", "sender"), [("http://x", "a@b.c"), ("smtp://", "a@b.c"), ("smtp://x", "nobody")])
def test_a_mail_server_that_cannot_be_used_is_refused(server: object, url: str, sender: str) -> None:
    with pytest.raises(InvalidMailServer):
        SmtpMailer(url, sender)
