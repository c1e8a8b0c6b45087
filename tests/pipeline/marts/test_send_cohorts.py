"""Send cohorts equal a recount: each message once, whenever its receipts came, and as mature as others were."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.domain.windows import DAY, Window, closed_before
from tests.pipeline.conftest import Pipeline
from tests.pipeline.marts import cohorts_recount
from tests.pipeline.marts.channels_recount import Key, Row, events_of, stored
from tests.pipeline.marts.traffic import TENANTS, execute, insert, load

# The day before is a leap day.
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
NOW = MARCH + timedelta(hours=9, minutes=40)
MICROSECOND = timedelta(microseconds=1)
KEY = ["tenant_id", "sent_date", "channel", "provider"]
FACT = "analytics_intermediate.int_activity_daily"


def message(number: int, event_type: str, **columns: Any) -> dict[str, Any]:
    defaults = {"channel": "sms", "provider": "twilio"}
    return {"event_type": event_type, "message_id": UUID(int=number), **defaults, **columns}


def assert_exact(database: Database) -> dict[Key, Row]:
    found = stored(database, "analytics.send_cohorts_daily", KEY)
    expected = cohorts_recount.cohorts(events_of(database, closed_before=closed_before(NOW)))
    for row in found.values():
        assert all(rate is None or 0 <= rate <= 100 for name, rate in row.items() if name.endswith("_rate"))
        row["maturity"] = pytest.approx(float(row["maturity"]), abs=0.006)
    assert expected == found
    return expected


@pytest.mark.parametrize("seed", [13, 14])
def test_cohorts_equal_a_recount_also_after_late_erased_and_corrected_events(
    pipeline: Pipeline, database: Database, seed: int
) -> None:
    load(database, MARCH - 8 * DAY, NOW, events_per_day=400, seed=seed)
    insert(database, MARCH, message(1, "message.sent", message_id=None), message(2, "message.delivered"))
    pipeline.refresh(now=NOW)
    found = assert_exact(database)
    maturities = {row["maturity"] for row in found.values()}
    assert max(maturities) == 100
    assert 0 < min(maturities) < 100
    assert pipeline.refresh(now=NOW) == []

    ((late, tenant_id),) = _fetch(
        database,
        "select message_id, tenant_id from iris.analytics_events where event_type = 'message.sent'"
        f" and timestamp < '{MARCH - 6 * DAY}' order by id limit 1",
    )
    opened = {"event_type": "message.opened", "message_id": late, "is_machine": True}
    insert(database, MARCH - 3 * DAY, opened, opened, tenant_id=tenant_id)
    rebuilds = pipeline.refresh(now=NOW)
    assert_exact(database)
    assert pipeline.rebuilt(rebuilds, FACT) == {Window(MARCH - 3 * DAY, MARCH - 2 * DAY)}

    assert execute(database, "delete from iris.analytics_events where event_type = 'message.delivered'")
    assert execute(
        database,
        "update iris.analytics_events set message_id = null where event_type = 'message.sent' and channel = 'email'",
    )
    pipeline.refresh(now=NOW)
    assert_exact(database)


def test_a_message_counts_once_whatever_happens_to_it(pipeline: Pipeline, database: Database) -> None:
    insert(
        database,
        MARCH - 3 * DAY - MICROSECOND,
        message(1, "message.sent"),
        message(1, "message.sent"),
        message(2, "message.sent"),
        message(3, "message.delivered"),
        message(4, "message.sent", channel=None, provider=None),
    )
    insert(
        database,
        MARCH - 3 * DAY,
        message(1, "message.delivered"),
        message(1, "message.opened", provider=None),
        message(1, "message.opened", is_machine=True),
        message(2, "message.failed"),
        message(3, "message.sent"),
        message(4, "message.opened", channel="email", is_machine=True),
    )
    # Tried again, elsewhere; and another tenant's message of the same id.
    insert(database, MARCH - DAY, message(2, "message.sent", provider="telnyx"), message(1, "link.clicked"))
    insert(database, MARCH, message(2, "message.delivered", provider="telnyx"), message(1, "message.opened"))
    insert(database, MARCH, message(1, "message.sent"), tenant_id=TENANTS[1])
    pipeline.refresh(now=NOW)
    found = assert_exact(database)
    first = found[TENANTS[0], (MARCH - 4 * DAY).date(), "sms", "twilio"]
    counts = {name: value for name, value in first.items() if name.startswith(("messages_", "human_"))}
    assert counts == {
        "messages_sent": 2,
        "messages_delivered": 2,
        "messages_failed": 1,
        "messages_opened": 1,
        "messages_clicked": 1,
        "messages_bounced": 0,
        "human_opened": 1,
        "human_clicked": 1,
        "human_open_rate": 50,
        "human_click_rate": 50,
    }
    assert found[TENANTS[0], (MARCH - 4 * DAY).date(), "unknown", "unknown"]["human_opened"] == 0
    assert found[TENANTS[0], (MARCH - 3 * DAY).date(), "sms", "twilio"]["delivery_rate"] == 100
    assert found[TENANTS[0], (MARCH - DAY).date(), "sms", "telnyx"]["messages_failed"] == 1
    assert found[TENANTS[1], MARCH.date(), "sms", "twilio"]["messages_opened"] == 0


def _fetch(database: Database, statement: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(statement.encode()).fetchall()
