"""Recurring reports, their runs, files and deliveries."""

from iris_pipelines.db.migrations import run_script

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create them."""
    run_script("0010_reports")
