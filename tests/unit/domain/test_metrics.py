"""Every kind of metric says how it is computed; one that does not cannot be made."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from iris_pipelines.domain.alerts.metrics import WATCHABLE
from iris_pipelines.domain.metrics import METRICS, Metric, Unit


def test_a_metric_without_a_formula_cannot_be_made() -> None:
    @dataclass(frozen=True)
    class Wordless(Metric):
        """Says nothing of where it comes from."""

    with pytest.raises(TypeError, match="formula"):
        Wordless("words", "Words", Unit.COUNT)  # type: ignore[abstract]


def test_every_metric_that_rules_may_watch_is_of_a_kind_that_can_be_observed() -> None:
    assert len(WATCHABLE) == 11
    assert all(WATCHABLE[name] is METRICS[name] for name in WATCHABLE if name != "api_error_rate")
