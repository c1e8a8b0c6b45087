"""What is exported, as statements that send it."""

from __future__ import annotations

from psycopg import sql

from iris_pipelines.db.database import queries


def exported_events() -> sql.Composable:
    """The events of a window, by timestamp and id; wants `window_start` and `window_end`."""
    return sql.SQL(queries().exported_events.sql.rstrip(";"))


def as_json(selection: sql.Composable) -> sql.Composed:
    """Sends what is selected as JSON, an object a line."""
    return sql.SQL(queries().copy_as_json.sql).format(selection=selection)


def as_csv(selection: sql.Composable) -> sql.Composed:
    """Sends what is selected as CSV; null is nothing, and an empty text is in quotes."""
    return sql.SQL(queries().copy_as_csv.sql).format(selection=selection)
