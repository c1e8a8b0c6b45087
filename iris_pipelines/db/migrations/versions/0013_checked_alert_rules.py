"""Rules as they were read, for one statement to judge."""

from iris_pipelines.db.migrations import run_script

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Create the table, and count the revisions of rules."""
    run_script("0013_checked_alert_rules")
