"""The marts in the warehouse, so that analysts find the same numbers there: each replaced as a whole by a load job."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from iris_pipelines.db.database import Database, queries
from iris_pipelines.exports.bigquery import Warehouse, WarehouseUnavailable, load_file
from iris_pipelines.exports.selections import as_json

if TYPE_CHECKING:
    from google.cloud import bigquery

_TYPES = {
    "timestamp with time zone": "TIMESTAMP",
    "date": "DATE",
    "boolean": "BOOL",
    "smallint": "INT64",
    "integer": "INT64",
    "bigint": "INT64",
    "real": "FLOAT64",
    "double precision": "FLOAT64",
    "jsonb": "JSON",
    "json": "JSON",
}


@dataclass(frozen=True)
class ExportedMart:
    """A mart as it was loaded."""

    name: str
    url: str
    row_count: int


def export_marts_to_bigquery(db: Database, warehouse: Warehouse) -> list[ExportedMart]:
    """Load every table and view of the schema `analytics`, by name."""
    with db.transaction() as connection:
        columns: dict[str, list[tuple[str, str]]] = {}
        for mart, column, type_ in queries().mart_columns(connection):
            columns.setdefault(mart, []).append((column, warehouse_type(type_)))
    with warehouse.client() as client:
        return [_export(db, client, warehouse, mart, fields) for mart, fields in columns.items()]


def warehouse_type(type_: str) -> str:
    """What a type of PostgreSQL is in BigQuery."""
    if type_.endswith("[]"):
        return "JSON"
    if type_.startswith("numeric"):
        return "NUMERIC"
    return _TYPES.get(type_, "STRING")


def _export(
    db: Database, client: bigquery.Client, warehouse: Warehouse, mart: str, fields: list[tuple[str, str]]
) -> ExportedMart:
    from google.cloud import bigquery

    rows = 0
    with tempfile.TemporaryFile() as file:
        selection = sql.SQL(queries().exported_mart.sql).format(
            columns=sql.SQL(", ").join(_selected(name, type_) for name, type_ in fields),
            mart=sql.Identifier("analytics", mart),
        )
        with db.transaction() as connection, connection.cursor().copy(as_json(selection)) as copy:
            for row in copy:
                file.write(row)
                rows += 1
        if rows == 0:
            _make_empty(client, warehouse.table(mart), fields)
            return ExportedMart(mart, f"{warehouse.url}/{mart}", 0)
        schema = [bigquery.SchemaField(name, type_) for name, type_ in fields]
        loaded = load_file(client, warehouse.table(mart), file, schema)
    if loaded != rows:
        raise WarehouseUnavailable(f"{warehouse.url}/{mart} took {loaded} of {rows:,} rows")
    return ExportedMart(mart, f"{warehouse.url}/{mart}", rows)


def _selected(column: str, type_: str) -> sql.Composable:
    name = sql.Identifier(column)
    # NUMERIC has nine decimals; rates have two, money six.
    return sql.SQL("round({}, 9) as {}").format(name, name) if type_ == "NUMERIC" else name


def _make_empty(client: bigquery.Client, table: str, fields: list[tuple[str, str]]) -> None:
    """A load job of nothing is refused."""
    columns = ", ".join(f"`{name}` {type_}" for name, type_ in fields)
    client.query(f"create or replace table `{table}` ({columns})").result()
