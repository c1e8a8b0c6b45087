from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_pipelines.domain.windows import DAY, HOUR, Window, closed_before, merged

instants = st.datetimes(datetime(2019, 1, 1), datetime(2031, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
hours = instants.map(Window.hour_of)


def test_an_instant_on_the_hour_belongs_to_the_hour_it_starts() -> None:
    on_the_hour = datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert Window.hour_of(on_the_hour) == Window(on_the_hour, on_the_hour + HOUR)


def test_a_day_is_utc_whatever_the_offset_of_the_instant() -> None:
    in_nepal = datetime(2026, 11, 2, 5, 44, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    assert Window.day_of(in_nepal).start == datetime(2026, 11, 1, tzinfo=UTC)


def test_a_window_without_time_zone_or_length_is_refused() -> None:
    instant = datetime(2026, 11, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="time zone"):
        Window(instant.replace(tzinfo=None), instant)
    with pytest.raises(ValueError, match="end after it starts"):
        Window(instant, instant)


def test_the_running_hour_is_not_closed() -> None:
    assert closed_before(datetime(2026, 11, 1, 10, 59, 59, tzinfo=UTC)) == datetime(2026, 11, 1, 10, tzinfo=UTC)


@given(st.sets(hours))
def test_merging_keeps_exactly_the_same_hours(windows: set[Window]) -> None:
    pieces = [piece for window in merged(windows) for piece in window.split(HOUR)]
    assert pieces == sorted(windows)


@given(hours, st.integers(1, 100))
def test_a_split_covers_the_window_once_and_never_crosses_midnight(first: Window, length: int) -> None:
    window = Window(first.start, first.start + length * HOUR)
    pieces = list(window.split(DAY))
    assert merged(pieces) == [window]
    assert all(Window.day_of(piece.start).end >= piece.end for piece in pieces)
