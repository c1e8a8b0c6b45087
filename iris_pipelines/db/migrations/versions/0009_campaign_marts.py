"""Changes of names and variants make stale what reads them, and nothing else."""

from iris_pipelines.db.migrations import run_script

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Tell the triggers who reads what."""
    run_script("0009_campaign_marts")
