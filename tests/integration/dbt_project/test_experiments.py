"""The macro experiment_results says what domain/experiments says, whatever was counted."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import fields
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from psycopg.rows import dict_row

from iris_pipelines.db.database import Database
from iris_pipelines.domain.experiments import VariantCounts, VariantResult, experiment_results
from tests.integration.dbt_project.macros import rendered

Test = tuple[UUID, UUID, str]
NAMES = ["control", "A", "B", "C", "a", "Control", "é", "b-2"]


def results_in_sql(
    database: Database, tests: dict[Test, list[VariantCounts]], call: str = "experiment_results('counted')"
) -> dict[Test, dict[str, dict[str, Any]]]:
    """What the macro makes of the tests: the columns of each variant."""
    found: dict[Test, dict[str, dict[str, Any]]] = defaultdict(dict)
    with database.transaction() as connection:
        connection.execute(
            "create temp table counted (tenant_id uuid, campaign_id uuid, variant text, metric text,"
            " sent bigint, successes bigint) on commit drop"
        )
        with connection.cursor().copy("copy counted from stdin") as copy:
            for (tenant_id, campaign_id, metric), counts in tests.items():
                for each in counts:
                    copy.write_row((tenant_id, campaign_id, each.variant, metric, each.sent, each.successes))
        statement = rendered(call, "metrics.sql", "experiments.sql")
        for row in connection.cursor(row_factory=dict_row).execute(statement.encode()):
            found[row["tenant_id"], row["campaign_id"], row["metric"]][row["variant"]] = row
    return found


def assert_agreement(row: dict[str, Any], result: VariantResult) -> None:
    for field in fields(VariantResult):
        in_sql, in_python = row[field.name], getattr(result, field.name)
        if field.name == "lift_high" and in_sql is not None and in_python is not None:
            # Where the control's rate is hardly told from zero, its last bit moves what is a ratio to it.
            assert float(in_sql) == pytest.approx(float(in_python), rel=1e-6, abs=0.01), (field.name, row, result)
        else:
            assert in_sql == in_python, (field.name, row, result)


def counts_of(rng: random.Random, *, scale: int) -> list[VariantCounts]:
    """One test: mostly an even split and a common rate, with everything that is rare in life."""
    messages, rate = rng.randrange(scale), rng.choice([0.0, 1.0, rng.random(), rng.random() / 100])
    counts = []
    for variant in rng.sample(NAMES, rng.choice([1, 2, 2, 2, 3, 4, 8])):
        sent = rng.choice([messages, messages, max(0, messages - rng.randrange(1 + messages // 20)), 0])
        successes = round(sent * min(1.0, rate * rng.choice([1, 1, 1.02, 1.1, 1.5])))
        counts.append(VariantCounts(variant, sent, rng.choice([successes, successes, successes, sent, 0, sent + 3])))
    return counts


@pytest.mark.parametrize("seed", [1, 2])
def test_sql_and_python_agree_on_whatever_is_counted(database: Database, seed: int) -> None:
    rng = random.Random(seed)
    tests = {
        (UUID(int=i % 2), UUID(int=i // 4), f"metric {i // 2 % 2}"): counts_of(
            rng, scale=rng.choice([2, 10, 300, 10**4, 10**6, 10**12])
        )
        for i in range(2000)
    }
    found = results_in_sql(database, tests)
    assert found.keys() == tests.keys()
    verdicts = set()
    for test, counts in tests.items():
        expected = experiment_results(counts)
        assert found[test].keys() == expected.keys()
        for variant, result in expected.items():
            assert_agreement(found[test][variant], result)
            verdicts.add(result.verdict)
    assert len(verdicts) == 4


def test_sql_and_python_agree_on_another_minimum_lift(database: Database) -> None:
    test = (UUID(int=1), UUID(int=2), "opened")
    counts = [VariantCounts("A", 900, 300), VariantCounts("B", 900, 310)]
    found = results_in_sql(database, {test: counts}, "experiment_results('counted', minimum_lift=0.03)")
    for variant, result in experiment_results(counts, minimum_lift=0.03).items():
        assert_agreement(found[test][variant], result)


def test_columns_are_numbers_that_can_be_stored_and_hold_what_was_counted(database: Database) -> None:
    test = (UUID(int=1), UUID(int=2), "opened")
    counts = [VariantCounts("A", 10_000, 2000), VariantCounts("B", 10_000, 2300)]
    row = results_in_sql(database, {test: counts})[test]["B"]
    assert {name: type(value) for name, value in row.items()} == {
        **dict.fromkeys(["tenant_id", "campaign_id"], UUID),
        **dict.fromkeys(["variant", "metric", "verdict"], str),
        "is_control": bool,
        **dict.fromkeys(["sent", "successes", "sample_size", "sample_size_needed"], int),
        **dict.fromkeys(["rate", "rate_low", "rate_high", "difference", "difference_low", "difference_high"], Decimal),
        **dict.fromkeys(["lift", "lift_low", "lift_high"], Decimal),
        **dict.fromkeys(["p_value", "uncorrected_p_value", "mismatch_p_value"], Decimal),
    }
    assert (row["rate"], row["lift"], row["verdict"]) == (Decimal("23.00"), Decimal("15.00"), "winner")
