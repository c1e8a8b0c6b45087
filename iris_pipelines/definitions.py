"""The code location: the one place that Dagster loads, and the one that reads the environment for it."""

from iris_pipelines.defs import build_defs
from iris_pipelines.settings import Settings

defs = build_defs(Settings())
