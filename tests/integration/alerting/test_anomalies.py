"""Drops and silences of a channel that was well for four weeks: seen once, explained, over when it is well again."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from iris_pipelines.alerting.anomalies import AnomalyRound, evaluate_anomalies
from iris_pipelines.alerting.baselines import BaselineProblems, DayNotOver, check_day, learn_day
from iris_pipelines.db.database import Database
from tests.integration.alerting.platform import make_tenant, rows

DAY = date(2026, 11, 19)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
# A message every 30 seconds, by two providers in turn; of 33, one fails.
TRAFFIC = """
    insert into iris.analytics_events
    (tenant_id, event_type, timestamp, channel, provider, message_id, error_code, success, event_data)
    select %(tenant)s, kind, at, 'sms', case when n %% 2 = 0 then 'twilio' else 'telnyx' end, message_id,
        case kind when 'message.failed' then case when n %% 33 = 0 then '30003' else '30007' end end,
        kind <> 'message.failed', jsonb_build_object('country', case when n %% 3 = 0 then 'DE' else 'US' end)
    from (
        select n, md5(n::text)::uuid as message_id, sent_at,
            n %% 33 = 0 or (n %% 2 = 0 and n %% 10 < %(bad)s) as fails
        from (
            select sent_at, (extract(epoch from sent_at) / 30)::bigint as n
            from generate_series(%(start)s, %(end)s::timestamptz - interval '1 s', interval '30 s') as sent_at
        ) as numbered
    ) as messages
    cross join lateral (
        select 'message.sent', sent_at
        union all
        select case when fails then 'message.failed' else 'message.delivered' end, sent_at + interval '20 s'
        where %(receipts)s
    ) as events (kind, at)
"""


def traffic(database: Database, tenant: UUID, start: datetime, end: datetime, **changes: Any) -> None:
    values = {"tenant": tenant, "start": start, "end": end, "bad": 0, "receipts": True, **changes}
    with database.transaction() as connection:
        connection.execute(TRAFFIC.encode(), values)


@pytest.fixture
def tenant(database: Database) -> UUID:
    """A tenant that was well for four weeks, and is until NOW."""
    tenant = make_tenant(database)
    traffic(database, tenant, NOW - timedelta(days=29), NOW)
    with database.transaction() as connection:
        actions = json.dumps([{"type": "email", "recipients": ["admin@example.org"]}])
        connection.execute("insert into iris.tenant_settings values (%s, 'alert_actions', %s)", (tenant, actions))
    learn_day(database, DAY, now=NOW)
    return tenant


def look(database: Database, start: datetime, quarters: int) -> list[AnomalyRound]:
    """Look every five minutes."""
    return [evaluate_anomalies(database, now=start + n * QUARTER / 3) for n in range(quarters * 3 + 1)]


def alerts(database: Database) -> list[tuple[str, str]]:
    statement = """
        select alert_type, status from iris.system_alerts
        where starts_with(incident_key, 'anomaly:') order by created_at
    """
    return rows(database, statement)  # type: ignore[return-value]


def told(database: Database) -> list[str]:
    return [kind for (kind,) in rows(database, "select kind from iris.alert_deliveries order by created_at")]


def test_a_healthy_channel_is_left_in_peace(database: Database, tenant: UUID) -> None:
    traffic(database, tenant, NOW, NOW + timedelta(hours=5))
    look(database, NOW, 16)
    assert alerts(database) == []


def test_a_drop_is_one_incident_that_says_whose_it_is_and_ends(database: Database, tenant: UUID) -> None:
    traffic(database, tenant, NOW, NOW + timedelta(hours=1), bad=6)
    traffic(database, tenant, NOW + timedelta(hours=1), NOW + timedelta(hours=8))
    look(database, NOW, 4)
    ((message, data),) = rows(database, "select message, data from iris.system_alerts")
    assert message.startswith("Delivery rate anomaly detected for sms: ")
    assert 96.5 < data["expected"] < 97.5
    parts = data["contributions"]
    drop = data["expected"] - data["actual"]
    for dimension in ("provider", "country", "error"):
        assert sum(parts[dimension].values()) == pytest.approx(drop, abs=0.01)
    assert max(parts["provider"], key=parts["provider"].get) == "twilio"
    assert max(parts["error"], key=parts["error"].get) == "30007"
    look(database, NOW + timedelta(hours=1), 24)
    assert alerts(database) == [("delivery_rate_anomaly", "resolved")]
    assert told(database) == ["firing", "resolved"]


def test_sends_without_receipts_are_seen(database: Database, tenant: UUID) -> None:
    traffic(database, tenant, NOW, NOW + timedelta(hours=1), receipts=False)
    look(database, NOW, 2)
    assert alerts(database) == [("delivery_rate_anomaly", "firing")]
    ((facts,),) = rows(database, "select content ->> 'facts' from iris.alert_deliveries")
    assert "none at all" in facts


def test_no_sends_are_seen_and_over_when_they_come_again(database: Database, tenant: UUID) -> None:
    look(database, NOW, 4)
    assert alerts(database) == [("send_outage", "firing")]
    ((message,),) = rows(database, "select message from iris.system_alerts")
    assert message == "No messages sent by sms since 2026-11-20 12:00 UTC"
    look(database, NOW + timedelta(hours=1), 60)
    traffic(database, tenant, NOW + timedelta(hours=16), NOW + timedelta(hours=17))
    look(database, NOW + timedelta(hours=16), 3)
    assert alerts(database) == [("send_outage", "resolved")]
    assert [kind for kind in told(database) if kind != "reminder"] == ["firing", "resolved"]


def test_a_tenant_that_is_not_known_stops_no_other(database: Database, tenant: UUID) -> None:
    stranger = UUID(int=99)
    traffic(database, stranger, NOW - timedelta(days=29), NOW)
    learn_day(database, DAY, now=NOW)
    look(database, NOW, 4)
    assert alerts(database) == [("send_outage", "firing")]


def test_only_new_quarters_of_an_hour_are_judged(database: Database, tenant: UUID) -> None:
    traffic(database, tenant, NOW, NOW + timedelta(hours=1))
    assert [found.channels for found in look(database, NOW, 2)] == [1, 0, 0, 1, 0, 0, 1]


def test_a_day_is_learnt_when_it_is_over_and_learning_again_changes_nothing(database: Database, tenant: UUID) -> None:
    statement = "select to_jsonb(b) from iris.delivery_baselines as b"
    before = rows(database, statement)
    assert learn_day(database, DAY, now=NOW).channels == 1
    assert rows(database, statement) == before
    assert check_day(database, DAY) == BaselineProblems(missing=0, impossible=0)
    with pytest.raises(DayNotOver):
        learn_day(database, DAY + timedelta(days=1), now=NOW)


def test_the_check_of_a_day_finds_what_is_missing(database: Database, tenant: UUID) -> None:
    with database.transaction() as connection:
        connection.execute("delete from iris.delivery_baselines")
    assert check_day(database, DAY) == BaselineProblems(missing=1, impossible=0)


def test_cohorts_are_a_recount_of_messages(database: Database, tenant: UUID) -> None:
    statement = """
        select count(*), sum(sent), sum(delivered) from iris.send_cohorts
        where slot >= %s and slot < %s
    """
    ((slots, sent, delivered),) = rows(database, statement, NOW - timedelta(days=2), NOW - timedelta(days=1))
    numbers = [int((NOW - timedelta(days=2)).timestamp()) // 30 + n for n in range(2880)]
    assert (slots, sent, delivered) == (96, 2880, sum(n % 33 != 0 for n in numbers))
