"""The schema `iris`, step by step: each revision runs one SQL file, in one transaction."""

from pathlib import Path

import psycopg
from alembic import op

MIGRATIONS = Path(__file__).parent


def run_script(name: str) -> None:
    """Run `sql/<name>.sql` within the revision's transaction."""
    # Straight to the driver: SQLAlchemy's text() would take `:name` in SQL for a parameter.
    connection: psycopg.Connection = op.get_bind().connection.dbapi_connection  # type: ignore[assignment]
    connection.execute((MIGRATIONS / "sql" / f"{name}.sql").read_bytes())
