"""How the windows of all rules are cut into spans that are read once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from iris_pipelines.alerting.standouts import Span, spans_of
from iris_pipelines.domain.windows import HOUR

NOW = datetime(2026, 11, 20, 15, 40, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, 20, hour, minute, second, tzinfo=UTC)


def test_closed_hours_are_rolled_and_the_rest_is_read_once() -> None:
    spans = spans_of([at(12, 40, 30), at(14, 30), at(15, 10)], set(), now=NOW)
    assert spans.rolled == [Span(at(13), at(15), 1, 1)]
    assert spans.raw == [
        Span(at(12, 40, 30), at(13), 1, 1),
        Span(at(14, 30), at(15), 2, 2),  # the first window has this hour from the rollup
        Span(at(15), at(15, 10), 1, 2),
        Span(at(15, 10), NOW, 1, 3),
    ]


def test_a_stale_hour_is_read_from_the_events_by_every_window() -> None:
    spans = spans_of([at(12), at(13, 30)], {at(13)}, now=at(15))
    assert spans.rolled == [Span(at(12), at(13), 1, 1), Span(at(14), at(15), 1, 2)]
    assert spans.raw == [Span(at(13), at(13, 30), 1, 1), Span(at(13, 30), at(14), 1, 2)]


def test_without_a_rollup_only_the_windows_cut() -> None:
    assert spans_of([at(9, 30), at(15)], None, now=NOW).raw == [Span(at(9, 30), at(15), 1, 1), Span(at(15), NOW, 1, 2)]


@given(
    minutes=st.sets(st.integers(1, 600), min_size=1, max_size=8),
    stale=st.sets(st.integers(0, 12)),
    second=st.integers(0, 3599),
)
def test_each_window_is_covered_once_without_a_gap(minutes: set[int], stale: set[int], second: int) -> None:
    now = at(15) + timedelta(seconds=second)
    starts = [now - each * MINUTE for each in sorted(minutes, reverse=True)]
    hours = {at(15) - n * HOUR for n in stale}
    spans = spans_of(starts, hours, now=now)
    for number, start in enumerate(starts, 1):
        mine = sorted(
            (span.start, span.end) for span in (*spans.raw, *spans.rolled) if span.first <= number <= span.last
        )
        assert mine[0][0] == start
        assert mine[-1][1] == now
        assert all(before[1] == after[0] for before, after in pairwise(mine))
    for span in spans.rolled:
        assert span.first == 1
        assert span.end <= at(15)
        assert not any(span.start <= hour < span.end for hour in hours)
