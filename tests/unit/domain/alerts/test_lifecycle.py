"""Steps of rules and incidents, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_pipelines.domain.alerts.lifecycle import OpenIncident, Standing, State, Step, advance, due

NOW = datetime(2026, 11, 20, 15, 40, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EARLIER = NOW - 10 * MINUTE


@pytest.mark.parametrize(
    ("before", "holds", "hold", "after"),
    [
        (None, True, 0, Standing(State.FIRING, NOW)),
        (None, True, 5, Standing(State.PENDING, NOW)),
        (Standing(State.PENDING, EARLIER), True, 11, Standing(State.PENDING, EARLIER)),
        (Standing(State.PENDING, EARLIER), True, 10, Standing(State.FIRING, EARLIER)),
        (Standing(State.PENDING, EARLIER), None, 10, Standing(State.UNKNOWN, NOW)),
        (Standing(State.PENDING, EARLIER), False, 10, Standing(State.OK, NOW)),
        (Standing(State.FIRING, EARLIER), True, 60, Standing(State.FIRING, EARLIER)),
        (Standing(State.FIRING, EARLIER), None, 0, Standing(State.FIRING, EARLIER)),
        (Standing(State.FIRING, EARLIER), False, 0, Standing(State.OK, NOW)),
        (Standing(State.OK, EARLIER), False, 0, Standing(State.OK, EARLIER)),
        (Standing(State.BROKEN, EARLIER), False, 0, Standing(State.OK, NOW)),
        (Standing(State.BROKEN, EARLIER), True, 5, Standing(State.PENDING, NOW)),
    ],
)
def test_a_rule_moves_on(before: Standing | None, holds: bool | None, hold: int, after: Standing) -> None:
    assert advance(before, holds, hold=hold * MINUTE, now=NOW) == after


@pytest.mark.parametrize(
    ("incident", "holds", "muted", "step"),
    [
        (None, True, False, Step.OPEN),
        (None, True, True, Step.OPEN),
        (None, False, False, None),
        (None, None, False, None),
        (OpenIncident(None, None, MINUTE), True, False, Step.ANNOUNCE),
        (OpenIncident(None, None, MINUTE), True, True, None),
        (OpenIncident(EARLIER, EARLIER, 10 * MINUTE), True, False, Step.REMIND),
        (OpenIncident(EARLIER, EARLIER, 11 * MINUTE), True, False, None),
        (OpenIncident(EARLIER, EARLIER, 10 * MINUTE), True, True, None),
        (OpenIncident(EARLIER, EARLIER, 10 * MINUTE), False, True, Step.RESOLVE),
        (OpenIncident(EARLIER, EARLIER, 10 * MINUTE), None, False, None),
    ],
)
def test_what_is_due_for_an_incident(
    incident: OpenIncident | None, holds: bool | None, muted: bool, step: Step | None
) -> None:
    assert due(incident, holds, muted=muted, now=NOW) is step


@given(st.lists(st.sampled_from([True, False, None]), max_size=60), st.integers(0, 5))
def test_a_rule_fires_only_after_holding_without_a_gap_and_ends_only_when_seen_to(
    looks: list[bool | None], hold: int
) -> None:
    standing: Standing | None = None
    unbroken = 0
    for n, holds in enumerate(looks):
        before = standing
        standing = advance(standing, holds, hold=hold * MINUTE, now=NOW + n * MINUTE)
        unbroken = unbroken + 1 if holds else 0
        was_firing = before is not None and before.state is State.FIRING
        if standing.state is State.FIRING and not was_firing:
            assert unbroken == hold + 1
        if was_firing and standing.state is not State.FIRING:
            assert holds is False
