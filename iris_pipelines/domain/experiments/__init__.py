"""A/B tests that may be looked at at any time: rates, lift, p-values and verdicts that peeking does not spoil.

`docs/experiments.md` has the method, its sources and its limits; the dbt macro `experiment_results` has the same
formulas.
"""

from iris_pipelines.domain.experiments.inference import Verdict
from iris_pipelines.domain.experiments.results import VariantCounts, VariantResult, control_of, experiment_results

__all__ = ["VariantCounts", "VariantResult", "Verdict", "control_of", "experiment_results"]
