"""Contributions add up to the drop, whatever the counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_pipelines.domain.alerts.anomalies.contributions import SEASON, Contribution, Counts, by_group, by_outcome

counts = st.integers(1, 500).flatmap(lambda sent: st.integers(0, sent).map(lambda delivered: Counts(sent, delivered)))
groups = st.dictionaries(st.sampled_from("abcdef"), counts, min_size=1)
outcomes = st.dictionaries(
    st.sampled_from(["delivered", "30003", "30005", "no receipt"]), st.integers(1, 500), min_size=1
)


@given(groups, groups, st.floats(50, 100))
def test_groups_add_up_to_the_drop(now: dict[str, Counts], before: dict[str, Counts], expected: float) -> None:
    actual = 100 * sum(each.delivered for each in now.values()) / sum(each.sent for each in now.values())
    parts = by_group(now, before, expected=expected)
    assert sum(each.points for each in parts) == pytest.approx(expected - actual, abs=1e-9)


@given(outcomes, outcomes, st.floats(50, 100))
def test_outcomes_add_up_to_the_drop(now: dict[str, int], before: dict[str, int], expected: float) -> None:
    actual = 100 * now.get("delivered", 0) / sum(now.values())
    parts = by_outcome(now, before, expected=expected)
    assert sum(each.points for each in parts) == pytest.approx(expected - actual, abs=1e-9)


def test_the_provider_that_fails_accounts_for_the_drop() -> None:
    before = {"twilio": Counts(500, 485), "telnyx": Counts(500, 485)}
    now = {"twilio": Counts(50, 20), "telnyx": Counts(50, 49)}
    first, *_, season = by_group(now, before, expected=97.0)
    assert first == Contribution("twilio", pytest.approx(28.5))  # type: ignore[arg-type]
    assert season == Contribution(SEASON, 0.0)


def test_more_through_a_worse_provider_is_its_part_too() -> None:
    before = {"good": Counts(900, 900), "bad": Counts(100, 50)}
    now = {"good": Counts(100, 100), "bad": Counts(900, 450)}
    parts = {each.value: each.points for each in by_group(now, before, expected=95.0)}
    assert parts["bad"] == pytest.approx(36.0)
    assert sum(parts.values()) == pytest.approx(40.0)


def test_the_error_that_is_new_accounts_for_the_drop() -> None:
    before = {"delivered": 970, "30003": 30}
    now = {"delivered": 80, "30003": 3, "30007": 17}
    first, *_ = by_outcome(now, before, expected=97.0)
    assert first.value == "30007"
    assert first.points == pytest.approx(17.0)
