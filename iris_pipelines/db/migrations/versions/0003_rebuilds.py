"""Consumers of the event log, their stale hours, and the windows that a run replaces."""

from iris_pipelines.db.migrations import run_script

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create them."""
    run_script("0003_rebuilds")
