"""User agents, and the verdicts on which opens and clicks machines made."""

from iris_pipelines.db.migrations import run_script

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create them."""
    run_script("0004_machines")
