"""How a report is described on the command line: a template, a file, or options; options change the others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import time
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from iris_pipelines.db.database import Database
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.reports.definition import Format, InvalidDefinition, ReportDefinition, read_definition
from iris_pipelines.domain.reports.schedules import LAST_DAY, Cadence, InvalidSchedule, Schedule
from iris_pipelines.domain.reports.subjects import REPORT_METRICS
from iris_pipelines.domain.reports.templates import template as template_of

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Longest first: `>=` is not `>`.
_FILTER = re.compile(r"\s*(\w+)\s*(not in\b|between\b|contains\b|in\b|!=|<=|>=|=|<|>)\s*(.+?)\s*\Z", re.IGNORECASE)

Tenant = Annotated[str | None, typer.Option(help="Its id or its name; not needed if there is only one.")]
Command = Callable[..., None]


class TenantNotChosen(IrisError):
    """It is not clear whose report is meant."""


def definition_from(
    *,
    template: Annotated[str | None, typer.Option(help="Begin with one: `iris report templates` lists them.")] = None,
    definition: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Begin with a JSON document.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the report is called.")] = None,
    metrics: Annotated[str | None, typer.Option(help="Separated by commas: messages_sent,delivery_rate.")] = None,
    dimensions: Annotated[
        str | None, typer.Option(help="Separated by commas: date,channel; an empty one for totals.")
    ] = None,
    date_range: Annotated[
        str | None, typer.Option("--range", help="last_7_days, previous_month, this_week, today, ...")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="First day, or instant with offset.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="The day after the last, or an instant.")] = None,
    filters: Annotated[
        list[str] | None, typer.Option("--filter", help="'channel = sms', 'provider in twilio,telnyx'.")
    ] = None,
    order: Annotated[str | None, typer.Option(help="Columns separated by commas; -messages_sent for the most.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many rows.")] = None,
    timezone: Annotated[str | None, typer.Option(help="IANA name; the tenant's by default.")] = None,
    file_format: Annotated[Format | None, typer.Option("--format", help="What to write.")] = None,
) -> ReportDefinition:
    """The definition that options describe; raises InvalidDefinition."""
    document = _begun_with(template, definition)
    options = {
        "name": name,
        "metrics": metrics,
        "dimensions": dimensions,
        "date_range": date_range,
        "order": order,
        "limit": limit,
        "timezone": timezone,
        "format": file_format,
    }
    document |= {field: value for field, value in options.items() if value is not None}
    for field in ("metrics", "dimensions", "order"):
        if isinstance(document.get(field), str):
            document[field] = [each.strip() for each in document[field].split(",") if each.strip()]
    if start is not None or end is not None:
        document["date_range"] = {"start": start, "end": end}
    if filters:
        document["filters"] = [parsed_filter(each) for each in filters]
    if "date_range" not in document:
        raise InvalidDefinition("which time? give --range, or --from and --to")
    return read_definition(document)


def described_by_options(*, without: Sequence[str] = ()) -> Callable[[Command], Command]:
    """Give a command the options of `definition_from`; what they describe is its argument `wanted`."""
    options = [
        option for name, option in signature(definition_from, eval_str=True).parameters.items() if name not in without
    ]

    def decorate(command: Command) -> Command:
        own = signature(command, eval_str=True)
        parameters = [*options, *(each for name, each in own.parameters.items() if name != "wanted")]

        @wraps(command)
        def described(**given: Any) -> None:
            asked = {option.name: given.pop(option.name) for option in options}
            command(wanted=definition_from(**asked), **given)

        # What Typer makes the command line from.
        described.__dict__["__signature__"] = own.replace(parameters=parameters)
        described.__annotations__ = {each.name: each.annotation for each in parameters}
        return described

    return decorate


def _begun_with(template_name: str | None, file: Path | None) -> dict[str, Any]:
    if template_name is not None and file is not None:
        raise InvalidDefinition("give a template or a definition, not both")
    if template_name is not None:
        return template_of(template_name).model_dump(mode="json")
    if file is None:
        return {"name": "Report"}
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise InvalidDefinition(f"{file} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidDefinition(f"{file} holds no JSON object")
    return document


def parsed_filter(text: str) -> dict[str, Any]:
    """`delivery_rate < 95` in parts; raises InvalidDefinition."""
    found = _FILTER.match(text)
    if found is None:
        raise InvalidDefinition(f"a filter reads like 'channel = sms' or 'delivery_rate < 95', not {text!r}")
    field, op, rest = found[1], found[2].lower(), found[3]
    values = [each.strip() for each in rest.split(",")] if op in ("in", "not in", "between") else [rest]
    typed = [_number(each) if field in REPORT_METRICS else each for each in values]
    return {"field": field, "op": op, "value": typed if op in ("in", "not in", "between") else typed[0]}


def _number(text: str) -> float | int | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def chosen_tenant(database: Database, asked: str | None) -> UUID:
    """Whose report it is; raises TenantNotChosen."""
    from iris_pipelines.db.tenants import all_tenants

    tenants = all_tenants(database)
    if asked is None and len(tenants) == 1:
        return tenants[0].id
    matching = [each for each in tenants if asked is not None and asked.lower() in (str(each.id), each.name.lower())]
    if len(matching) == 1:
        return matching[0].id
    known = ", ".join(f"{each.name} ({each.id})" for each in tenants) or "none: `iris tenants create` makes one"
    what = "whose report? give --tenant" if asked is None else f"no one tenant is {asked!r}"
    raise TenantNotChosen(f"{what}; tenants: {known}")


def schedule_from(every: Cadence, on: str | None, at: str) -> Schedule:
    """`weekly` on `monday`, `monthly` on `15` or `last`; raises InvalidSchedule."""
    try:
        local = time.fromisoformat(at)
    except ValueError:
        raise InvalidSchedule(f"a time reads like 08:00, not {at!r}") from None
    weekday = month_day = None
    if every is Cadence.WEEKLY:
        day = (on or "monday").lower()
        if day not in _WEEKDAYS:
            raise InvalidSchedule(f"a weekly report is due on one of {', '.join(_WEEKDAYS)}, not on {day!r}")
        weekday = _WEEKDAYS.index(day)
    elif every is Cadence.MONTHLY:
        text = (on or "1").lower()
        if text != "last" and not (text.isascii() and text.isdigit() and 1 <= int(text) <= LAST_DAY):
            raise InvalidSchedule(f"a monthly report is due on a day from 1 to 31, or on `last`, not on {text!r}")
        month_day = LAST_DAY if text == "last" else int(text)
    elif on is not None:
        raise InvalidSchedule("a daily report is due every day: leave --on out")
    return Schedule(every, local, weekday, month_day)


def in_words(schedule: Schedule) -> str:
    """A schedule in words."""
    at = f"{schedule.at:%H:%M}"
    if schedule.weekday is not None:
        return f"weekly on {_WEEKDAYS[schedule.weekday]} at {at}"
    if schedule.month_day is not None:
        day = "the last day" if schedule.month_day == LAST_DAY else f"day {schedule.month_day}"
        return f"monthly on {day} at {at}"
    return f"daily at {at}"
