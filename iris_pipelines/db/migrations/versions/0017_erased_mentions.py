"""An erased contact is found however it was written."""

from iris_pipelines.db.migrations import run_script

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Functions that find addresses and UUIDs in texts."""
    run_script("0017_erased_mentions")
