"""Days of facts as partitions, and activity with the times of deliveries."""

from iris_pipelines.db.migrations import run_script

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Functions for such partitions; both facts are computed anew."""
    run_script("0019_days_as_partitions")
