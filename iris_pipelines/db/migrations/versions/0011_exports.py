"""What was exported, what is archived, and who was erased."""

from iris_pipelines.db.migrations import run_script

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Create their tables."""
    run_script("0011_exports")
