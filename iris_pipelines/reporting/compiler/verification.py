"""The last look at a statement before it runs: PostgreSQL's own parser must see nothing but what we ever write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from iris_pipelines.reporting.compiler.sources import SOURCES
from iris_pipelines.reporting.compiler.statement import Statement

_PLACEHOLDER = re.compile(r"%\((p[0-9]+)\)s")
_RELATIONS = {*(source.relation for source in SOURCES), "iris.campaigns"}
_PARTS = {
    *("campaign_names", "rows_to_sum", "by_contact", "sums", "durations", "ranked", "percentiles", "recent"),
    *("basics", "finished"),
}
_FUNCTIONS = {
    *("sum", "count", "min", "round", "floor", "ceil", "ln", "power", "width_bucket", "unnest", "strpos", "lower"),
    *("upper", "left", "replace", "regexp_replace", "split_part", "timezone", "abs", "sign"),
}
_TYPES = {
    *("uuid", "text", "numeric", "int2", "int4", "int8", "bigint", "integer", "float8", "date", "timestamp"),
    *("timestamptz", "bool"),
}
_NODES = {
    *("A_ArrayExpr", "A_Const", "A_Expr", "A_Indirection", "A_Indices", "Alias", "BoolExpr", "Boolean", "CaseExpr"),
    *("BooleanTest", "CaseWhen", "CoalesceExpr", "CollateClause", "ColumnRef", "CommonTableExpr", "Float", "FuncCall"),
    *("Integer", "JoinExpr", "MinMaxExpr", "NullTest", "ParamRef", "RangeFunction", "RangeSubselect", "RangeVar"),
    *(
        "RawStmt",
        "ResTarget",
        "SelectStmt",
        "SortBy",
        "String",
        "SubLink",
        "TypeCast",
        "TypeName",
        "WindowDef",
        "WithClause",
    ),
}


class ForbiddenStatement(Exception):
    """A compiled statement holds what no report may hold. A fault of the compiler: it never runs."""


def verify(statement: Statement) -> str:
    """The statement as PostgreSQL parses it; raises ForbiddenStatement for what is not on the lists above."""
    import pglast

    names = list(statement.parameters)
    text = _PLACEHOLDER.sub(lambda found: f"${names.index(found[1]) + 1}", statement.query.as_string(None))
    text = text.replace("%%", "%")
    parsed = pglast.parse_sql(text)
    if len(parsed) != 1:
        raise ForbiddenStatement("more than one statement")
    for node in _walk(parsed[0]):
        _check(node)
    return text


def _walk(node: Any) -> Iterator[Any]:
    if isinstance(node, tuple | list):
        for each in node:
            yield from _walk(each)
    elif hasattr(node, "__slots__") and hasattr(type(node), "__mro__") and type(node).__module__ == "pglast.ast":
        yield node
        for name in node.__slots__:
            yield from _walk(getattr(node, name))


def _check(node: Any) -> None:
    kind = type(node).__name__
    if kind not in _NODES:
        raise ForbiddenStatement(f"a {kind} has no place in a report")
    if kind == "SelectStmt" and (node.intoClause or node.lockingClause or node.valuesLists):
        raise ForbiddenStatement("a report only reads")
    if kind == "RangeVar":
        name = node.relname if node.schemaname is None else f"{node.schemaname}.{node.relname}"
        if name not in (_PARTS if node.schemaname is None else _RELATIONS) or node.catalogname is not None:
            raise ForbiddenStatement(f"the relation {name} has no place in a report")
    if kind == "FuncCall":
        _check_name("function", node.funcname, _FUNCTIONS)
    if kind == "TypeName":
        _check_name("type", node.names, _TYPES)
    if kind == "CollateClause":
        _check_name("collation", node.collname, {"C"})


def _check_name(what: str, names: tuple[Any, ...], known: set[str]) -> None:
    words = [each.sval for each in names]
    if words[0] == "pg_catalog":
        words = words[1:]
    if len(words) != 1 or words[0] not in known:
        raise ForbiddenStatement(f"the {what} {'.'.join(words)} has no place in a report")
