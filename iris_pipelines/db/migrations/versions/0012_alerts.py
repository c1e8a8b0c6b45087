"""Alert rules, incidents, and the outbox of notifications."""

from iris_pipelines.db.migrations import run_script

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Create them; what was noted in system_alerts before stays as it is."""
    run_script("0012_alerts")
