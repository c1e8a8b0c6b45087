"""Changes of names and variants make stale what reads them, and nothing else."""

from iris_pipelines.db.migrations import run_script

revision = "0012"
down_revision = "0006"


def upgrade() -> None:
    """Tell the triggers who reads what."""
    run_script("0012_campaign_marts")
