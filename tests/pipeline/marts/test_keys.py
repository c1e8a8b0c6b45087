"""What a mart refers to is there: every key of one that names a row of another finds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from psycopg import sql

from iris_pipelines.db.database import Database
from iris_pipelines.domain.windows import DAY
from tests.pipeline.conftest import Pipeline
from tests.pipeline.marts.traffic import TENANTS, execute, insert, load

# The day before is a leap day.
MARCH = datetime(2024, 3, 1, tzinfo=UTC)
NOW = MARCH + timedelta(hours=9, minutes=40)
BY_CAMPAIGN = ("channels", "costs", "devices", "geography", "hourly", "links", "variants")
# Mart, its columns, the mart that they name a row of, and its columns where they are called otherwise.
KEYS = [
    *((f"campaign_{name}", "tenant_id campaign_id", "campaign_performance", "") for name in BY_CAMPAIGN),
    ("channel_provider_daily", "tenant_id date channel", "channel_daily", ""),
    ("channel_errors_daily", "tenant_id date channel provider", "channel_provider_daily", ""),
    ("delivery_quality_daily", "tenant_id date channel", "channel_daily", ""),
    ("cost_daily", "tenant_id date channel provider", "channel_provider_daily", ""),
    ("lcr_savings", "tenant_id date channel", "channel_daily", ""),
    ("provider_rankings", "tenant_id channel provider", "channel_provider_daily", ""),
    ("send_cohorts_daily", "tenant_id sent_date channel provider", "cost_daily", "tenant_id date channel provider"),
    ("engagement_scores", "tenant_id as_of_date engagement_level", "engagement_segments", ""),
]


def orphans(database: Database, mart: str, columns: str, parent: str, named: str) -> int:
    def listed(names: str) -> sql.Composable:
        return sql.SQL(", ").join(map(sql.Identifier, names.split()))

    statement = sql.SQL("select count(*), count(*) filter (where ({}) not in (select {} from {})) from {}").format(
        listed(columns),
        listed(named or columns),
        sql.Identifier("analytics", parent),
        sql.Identifier("analytics", mart),
    )
    with database.transaction() as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    assert row[0], f"{mart} has rows to look at"
    return int(row[1])


def test_every_key_names_a_row(pipeline: Pipeline, database: Database) -> None:
    load(database, MARCH - 3 * DAY, NOW, events_per_day=900, seed=9)
    insert(database, MARCH - DAY, {"event_type": "message.failed", "success": False}, tenant_id=TENANTS[1])
    pipeline.refresh(now=NOW)
    assert {key[0]: orphans(database, *key) for key in KEYS} == {key[0]: 0 for key in KEYS}

    # The control: what is missing is seen.
    assert execute(database, "delete from analytics.campaign_performance")
    assert orphans(database, *KEYS[0]) > 0
