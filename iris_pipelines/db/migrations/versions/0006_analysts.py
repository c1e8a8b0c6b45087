"""The role of those who read the marts."""

from iris_pipelines.db.migrations import run_script

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create it, if this user may, and let it read."""
    run_script("0006_analysts")
