"""Contacts that events have named, and the consumer that writes scores back."""

from iris_pipelines.db.migrations import run_script

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Create the table, the consumers and the trigger."""
    run_script("0008_engagement")
