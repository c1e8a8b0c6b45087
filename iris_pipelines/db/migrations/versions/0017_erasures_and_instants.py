"""An erased contact is found however it was written, and no event is at an instant that has no hour."""

from iris_pipelines.db.migrations import run_script

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Functions that find addresses and UUIDs in texts, and a door that stays shut to infinity."""
    run_script("0017_erasures_and_instants")
