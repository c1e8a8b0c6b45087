"""The activity of a day is kept in arrays; what held a row per message goes."""

from iris_pipelines.db.migrations import run_script

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Drop the table that became a view, and what was noted for it."""
    run_script("0015_activity_in_arrays")
