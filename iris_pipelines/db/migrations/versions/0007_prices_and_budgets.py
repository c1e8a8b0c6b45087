"""Prices of providers, the accounts of tenants at them, and time zones that exist."""

from iris_pipelines.db.migrations import run_script

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the tables and the check."""
    run_script("0007_prices_and_budgets")
