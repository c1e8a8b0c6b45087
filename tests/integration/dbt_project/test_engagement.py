"""The macros of engagement say what domain/engagement says."""

from __future__ import annotations

import random
from datetime import date, timedelta

from iris_pipelines.db.database import Database
from iris_pipelines.domain.engagement import POINTS, engagement_level, engagement_score, ninetieths
from tests.integration.dbt_project.macros import rendered

AS_OF = date(2024, 2, 29)
COLUMNS = {
    "delivered": "message.delivered",
    "opened": "message.opened",
    "clicked": "link.clicked",
    "answered": "call.answered",
    "converted": "conversion",
}


def test_each_type_earns_the_same_points_in_sql_and_in_python(database: Database) -> None:
    with database.transaction() as connection:
        for column, event_type in COLUMNS.items():
            worth = rendered(f"worth('{column}', '{event_type}')", "metrics.sql", "engagement.sql")
            for days in range(90):
                rows = f"(values (2, %s::date, %s::date)) as weighed ({column}, as_of_date, date)"
                found = connection.execute(
                    f"select {worth} from {rows}".encode(),
                    (AS_OF, AS_OF - timedelta(days=days)),
                ).fetchone()
                expected = 2 * ninetieths(event_type, happened_on=AS_OF - timedelta(days=days), as_of=AS_OF)
                assert found == (expected,), (event_type, days)
    assert set(COLUMNS.values()) == set(POINTS)


def test_the_types_that_earn_points_are_the_same(database: Database) -> None:
    earns = rendered("earns_points('event_type')", "metrics.sql")
    types = [*POINTS, "message.sent", "api.request", "message.unsubscribed"]
    with database.transaction() as connection:
        found = connection.execute(
            f"select event_type from unnest(%s::text[]) as types (event_type) where {earns}".encode(), (types,)
        ).fetchall()
    assert [event_type for (event_type,) in found] == list(POINTS)


def test_scores_and_levels_are_the_same(database: Database) -> None:
    rng = random.Random(7)
    parts = [[rng.choice([0, 1, 44, 45, 46, rng.randrange(10_000)]) for _ in COLUMNS] for _ in range(500)]
    columns = ", ".join(f"{column}_ninetieths" for column in COLUMNS)
    score = rendered("in_points('converted')", "metrics.sql", "engagement.sql")
    level = rendered("engagement_level(in_points('converted'))", "metrics.sql", "engagement.sql")
    with database.transaction() as connection:
        for row in parts:
            found = connection.execute(
                f"select {score}, {level} from (values (%s, %s, %s, %s, %s)) as parts ({columns})".encode(), row
            ).fetchone()
            expected = engagement_score(row)
            assert found == (expected, str(engagement_level(expected))), row
