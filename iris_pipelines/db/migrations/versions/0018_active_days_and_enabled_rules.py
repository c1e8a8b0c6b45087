"""Days without a messaging event make no row in engagement_scores; what enabled alert rules ask is a view."""

from iris_pipelines.db.migrations import run_script

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Have the facts of contacts computed anew, and make the view."""
    run_script("0018_active_days_and_enabled_rules")
