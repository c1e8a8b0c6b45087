"""Tenants, contacts, campaigns, messages, bounces and suppressions."""

from iris_pipelines.db.migrations import run_script

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    run_script("0001_platform_tables")
