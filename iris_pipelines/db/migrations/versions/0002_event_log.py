"""The event log, its partitions, the ledger of touched hours, rejected events and loaded files."""

from iris_pipelines.db.migrations import run_script

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create them."""
    run_script("0002_event_log")
