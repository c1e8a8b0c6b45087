"""Days without a messaging event make no row in engagement_scores."""

from iris_pipelines.db.migrations import run_script

revision = "0018"
down_revision = "0016"


def upgrade() -> None:
    """Have the facts of contacts computed anew."""
    run_script("0018_active_days")
