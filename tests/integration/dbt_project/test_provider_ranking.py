"""The macro provider_scores says what domain/provider_ranking says, to the digit."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import fields
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row

from iris_pipelines.db.database import Database
from iris_pipelines.domain.provider_ranking import ProviderScore, ProviderTotals, rank_providers
from tests.integration.dbt_project.macros import rendered

Ranking = tuple[UUID, date, int, str]
NAMES = ["twilio", "telnyx", "ses", "Ses", "sendgrid", "émile", "b-2", "b_2"]
TOTALS = [field.name for field in fields(ProviderTotals)]


def scores_in_sql(
    database: Database, totals: dict[Ranking, list[ProviderTotals]]
) -> dict[Ranking, list[dict[str, Any]]]:
    """What the macro makes of the totals, in the order of the ranks."""
    found: dict[Ranking, list[dict[str, Any]]] = defaultdict(list)
    with database.transaction() as connection:
        connection.execute(
            "create temp table totals (tenant_id uuid, as_of_date date, window_days integer, channel text,"
            " provider text, total_sent bigint, total_delivered bigint, total_events bigint, successful_events bigint,"
            " avg_delivery_time_ms bigint, avg_cost_per_message numeric) on commit drop"
        )
        with connection.cursor().copy("copy totals from stdin") as copy:
            for ranking, providers in totals.items():
                for each in providers:
                    copy.write_row((*ranking, *(getattr(each, name) for name in TOTALS)))
        statement = rendered("provider_scores('totals')", "metrics.sql", "provider_ranking.sql")
        for row in connection.cursor(row_factory=dict_row).execute(statement.encode()):
            found[row["tenant_id"], row["as_of_date"], row["window_days"], row["channel"]].append(row)
    return {ranking: sorted(rows, key=lambda row: row["rank"]) for ranking, rows in found.items()}


def assert_agreement(rows: list[dict[str, Any]], expected: list[ProviderScore]) -> None:
    for field in fields(ProviderScore):
        in_sql = [row[field.name] for row in rows]
        assert in_sql == [getattr(score, field.name) for score in expected], (field.name, rows, expected)


def totals_of(rng: random.Random, provider: str) -> ProviderTotals:
    """A provider's window with everything that is rare in life, and few enough values that scores tie."""
    sent = rng.choice([0, 1, 3, 10, rng.randrange(10**4), rng.randrange(10**12)])
    delivered = rng.choice([0, sent, sent + 2, rng.randint(0, sent)])
    events = rng.choice([0, sent + delivered, 2 * sent])
    return ProviderTotals(
        provider,
        sent,
        delivered,
        events,
        rng.choice([0, events, rng.randint(0, events)]),
        rng.choice([None, 0, 1, 999, 100_000, 250_000, rng.randrange(100_000)]),
        rng.choice([None, Decimal(0), Decimal("0.000001"), Decimal("2.5"), Decimal(rng.randrange(12_000)).scaleb(-6)]),
    )


def test_sql_and_python_agree_on_whatever_providers_did(database: Database) -> None:
    rng = random.Random(1)
    totals = {
        (UUID(int=i % 3), date(2026, 11, 1 + i // 6 % 30), (7, 30)[i // 3 % 2], f"channel {i // 180}"): [
            totals_of(rng, provider) for provider in rng.sample(NAMES, rng.randint(1, len(NAMES)))
        ]
        for i in range(1500)
    }
    found = scores_in_sql(database, totals)
    assert found.keys() == totals.keys()
    ties = 0
    for ranking, providers in totals.items():
        expected = rank_providers(providers)
        assert_agreement(found[ranking], expected)
        ties += len(expected) - len({score.composite_score for score in expected})
    assert ties > 0


def test_names_decide_between_equal_scores_by_their_bytes(database: Database) -> None:
    ranking = (UUID(int=1), date(2026, 2, 28), 7, "sms")
    providers = [ProviderTotals(name, 10, 9, 20, 19, 500, Decimal("0.001")) for name in NAMES]
    found = scores_in_sql(database, {ranking: providers})[ranking]
    assert [row["provider"] for row in found] == sorted(NAMES, key=str.encode)
    assert_agreement(found, rank_providers(providers))


def test_events_whose_success_is_unknown_are_not_successes(database: Database) -> None:
    """Counted as a model does, with `filter (where success)`, and with the sum of none, which is null."""
    statement = rendered("provider_scores('totals')", "metrics.sql", "provider_ranking.sql")
    with database.transaction() as connection:
        connection.execute(
            """
            create temp table totals on commit drop as
            select
                1 as tenant_id, 1 as as_of_date, 7 as window_days, 'sms' as channel, provider,
                2::bigint as total_sent, 1::bigint as total_delivered, count(*) as total_events,
                sum(1) filter (where success) as successful_events,
                800::bigint as avg_delivery_time_ms, 0.001 as avg_cost_per_message
            from (values ('a', true), ('a', null), ('a', false), ('a', null), ('b', null)) as event (provider, success)
            group by provider
            """
        )
        rows = connection.cursor(row_factory=dict_row).execute(statement.encode()).fetchall()
    expected = rank_providers(
        [ProviderTotals(name, 2, 1, *counts, 800, Decimal("0.001")) for name, counts in (("a", (4, 1)), ("b", (1, 0)))]
    )
    assert_agreement(sorted(rows, key=lambda row: row["rank"]), expected)
    assert [score.success_rate for score in expected] == [Decimal("25.00"), Decimal("0.00")]
