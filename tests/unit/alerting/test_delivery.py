"""How long a message waits after a failure."""

from __future__ import annotations

from datetime import timedelta

from iris_pipelines.alerting.delivery import pause_after


def test_pauses_double_up_to_hours_and_half_of_them_is_chance() -> None:
    seconds = [pause_after(n, 1.0).total_seconds() for n in range(1, 14)]
    assert seconds[:5] == [10, 20, 40, 80, 160]
    assert seconds[-1] == 7200
    assert pause_after(3, 0.0) == pause_after(3, 1.0) / 2
    assert pause_after(10_000, 1.0) == timedelta(hours=2)
