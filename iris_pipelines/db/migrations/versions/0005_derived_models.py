"""What stands on what: models of models, and campaigns that must be computed anew."""

from iris_pipelines.db.migrations import run_script

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create them."""
    run_script("0005_derived_models")
