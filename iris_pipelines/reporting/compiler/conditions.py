"""Filters as conditions: on the rows of a source, and on finished rows."""

from __future__ import annotations

from uuid import UUID

from psycopg.sql import SQL, Composable

from iris_pipelines.domain.reports.definition import Filter
from iris_pipelines.domain.reports.subjects import CAMPAIGN
from iris_pipelines.reporting.compiler.parameters import Parameters
from iris_pipelines.reporting.compiler.sources import NO_CAMPAIGN, Source


def text_condition(condition: Filter, source: Source, parameters: Parameters) -> Composable:
    """Whether a row of a source is one that a filter lets through."""
    column = SQL(source.texts[condition.field])
    if condition.field != CAMPAIGN:
        return compared(SQL('({} collate "C")').format(column), condition, parameters, "text")
    return _campaign_condition(condition, column, parameters)


def _campaign_condition(condition: Filter, column: Composable, parameters: Parameters) -> Composable:
    """A campaign is meant by its id or by its name; the opposite of a condition is true of all other campaigns."""
    opposites = {"!=": "=", "not in": "in"}
    op = opposites.get(condition.op, condition.op)
    asked = Filter(field=condition.field, op=op, value=condition.value)
    name = SQL('(n.name collate "C")')
    named = SQL("select n.id from campaign_names as n where {}").format(compared(name, asked, parameters, "text"))
    ids = [_uuid(each) for each in asked.values] if op in ("=", "in") else []
    found = SQL("({column} = any(array({named})) or {column} = any({ids})").format(
        column=column, named=named, ids=parameters.add([each for each in ids if each is not None], "uuid[]")
    )
    without_name = [
        (SQL("'none'"), SQL("{} = {}").format(column, SQL(NO_CAMPAIGN))),
        (
            SQL("'unknown'"),
            SQL("{0} <> {1} and {0} <> all(array(select n.id from campaign_names as n))").format(
                column, SQL(NO_CAMPAIGN)
            ),
        ),
    ]
    for word, applies in without_name:
        meant = compared(SQL('({} collate "C")').format(word), asked, parameters, "text")
        found = found + SQL(" or ({} and {})").format(applies, meant)
    found = found + SQL(")")
    return SQL("not {}").format(found) if condition.op in opposites else found


def compared(column: Composable, condition: Filter, parameters: Parameters, kind: str) -> Composable:
    """A condition on a column, with its values as parameters of a type."""
    values = condition.values
    match condition.op:
        case "in":
            return SQL("{} = any({})").format(column, parameters.add(values, f"{kind}[]"))
        case "not in":
            return SQL("{} <> all({})").format(column, parameters.add(values, f"{kind}[]"))
        case "between":
            low, high = (parameters.add(value, kind) for value in values)
            return SQL("{} between {} and {}").format(column, low, high)
        case "contains":
            return SQL("strpos(lower({}), lower({})) > 0").format(column, parameters.add(values[0], kind))
        case op:
            sign = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}[op]
            return SQL("{} {} {}").format(column, SQL(sign), parameters.add(values[0], kind))


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None
