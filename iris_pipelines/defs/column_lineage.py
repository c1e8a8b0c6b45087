"""Which columns of its inputs a column of a model comes from, traced through the compiled SQL.

Tracing takes seconds, so it is done by `make docs`, which keeps the result beside the models; what loads the code
location only reads it, and a test says when it is out of date.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from iris_pipelines.defs.dbt import PROJECT_FOLDER, DbtProject

if TYPE_CHECKING:
    from sqlglot.lineage import Node

FILE = PROJECT_FOLDER / "column_lineage.json"

ColumnSources = Mapping[str, Sequence[str]]
"""The columns of a relation, each with those it comes from: `schema.table.column`."""


def read_column_lineage() -> Mapping[str, ColumnSources]:
    """What was traced last, by relation."""
    lineage: Mapping[str, ColumnSources] = json.loads(FILE.read_text())
    return lineage


def column_lineage_metadata(sources: ColumnSources) -> dict[str, Any]:
    """For machines as Dagster names it; for people, whose UI does not draw that, as a table."""
    records = [
        dg.TableRecord({"column": column, "comes from": ", ".join(each.split(".", 1)[1] for each in found)})
        for column, found in sources.items()
    ]
    deps = {column: [_dependency(source) for source in found] for column, found in sources.items()}
    return {
        "dagster/column_lineage": dg.TableColumnLineage(deps),
        "columns_come_from": dg.MetadataValue.table(records),
    }


def _dependency(source: str) -> dg.TableColumnDep:
    schema, table, column = source.split(".")
    return dg.TableColumnDep(asset_key=dg.AssetKey([schema, table]), column_name=column)


def trace_column_lineage(dbt: DbtProject) -> dict[str, ColumnSources]:
    """Find out for every model, and every column that its contract promises."""
    manifest = dbt.manifest()
    return {
        f"{node['schema']}.{node['alias']}": _sources_of_columns(manifest, node, sql)
        for node_id, sql in sorted(dbt.compiled_models().items())
        for node in [manifest["nodes"][node_id]]
    }


def _sources_of_columns(manifest: Mapping[str, Any], node: Mapping[str, Any], sql: str) -> ColumnSources:
    from sqlglot import MappingSchema, parse_one
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    schema = MappingSchema(_columns_of_inputs(manifest, node), dialect="postgres")
    query = qualify(
        parse_one(sql, dialect="postgres"), schema=schema, dialect="postgres", validate_qualify_columns=False
    )
    # One analysis of the statement serves all of its columns.
    scope = build_scope(query)
    own = f"{node['schema']}.{node['alias']}."
    sources: dict[str, list[str]] = {}
    for column in node["columns"]:
        found = set(_leaves(lineage(column, query, schema, scope=scope, dialect="postgres", trim_selects=False)))
        sources[column] = sorted(each for each in found if not each.startswith(own))
    return sources


def _columns_of_inputs(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, object]:
    """What stars stand for, a model's own rows among it; staging views name the columns of their sources."""
    columns: dict[str, dict[str, dict[str, str]]] = {}
    inputs = [manifest["nodes"].get(input_id) for input_id in node["depends_on"]["nodes"]]
    for found in (node, *inputs):
        if found is not None and found["columns"]:
            types = {name: column["data_type"] or "text" for name, column in found["columns"].items()}
            columns.setdefault(found["schema"], {})[found["alias"]] = types
    return {**columns}


def _leaves(node: Node) -> Iterator[str]:
    from sqlglot import exp

    for each in node.walk():
        table = None if each.downstream else each.expression.find(exp.Table)
        if table is not None:
            yield f"{table.db}.{table.name}.{exp.to_column(each.name).name}"


def as_text(lineage: Mapping[str, ColumnSources]) -> str:
    """The file's text: sorted by relation, with the columns in the contract's order."""
    relations = [
        f"  {json.dumps(relation)}: {{\n"
        + ",\n".join(f"    {json.dumps(column)}: {json.dumps(found)}" for column, found in sources.items())
        + "\n  }"
        for relation, sources in sorted(lineage.items())
    ]
    return "{\n" + ",\n".join(relations) + "\n}\n"


def write_column_lineage() -> None:
    """Trace it anew and keep it, a line for each column."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        FILE.write_text(as_text(trace_column_lineage(DbtProject(Path(folder)))))
