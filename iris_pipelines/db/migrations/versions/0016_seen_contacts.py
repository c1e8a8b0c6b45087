"""Contacts that were seen before are not touched again."""

from iris_pipelines.db.migrations import run_script

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Replace the function that keeps iris.seen_contacts."""
    run_script("0016_seen_contacts")
