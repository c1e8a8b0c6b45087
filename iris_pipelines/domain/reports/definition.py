"""What a report shows: metrics by dimensions over a range, filtered, ordered, limited, in a format.

Every name is checked here against the lists of what there is; an unknown one is an error that names the known ones.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.reports.calendar import UnknownTimeZone, zone
from iris_pipelines.domain.reports.ranges import AbsoluteRange, RelativeRange
from iris_pipelines.domain.reports.subjects import (
    MESSAGES,
    REPORT_DIMENSIONS,
    REPORT_METRICS,
    SUBJECTS,
    Subject,
    Time,
    subject_of,
)

# Also what makes a terminal or a mail client act: reports go to both by their names.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MOST_VALUES = 1000
Value = Decimal | date | datetime | str


class InvalidDefinition(IrisError):
    """A report that cannot be made as asked; the message says which part is wrong."""


class Format(StrEnum):
    """What a report is written as."""

    CSV = "csv"
    JSON = "json"
    XLSX = "xlsx"
    PDF = "pdf"


class Filter(BaseModel):
    """A condition on a dimension, or on a metric of the finished rows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str = Field(description="A dimension or a metric.")
    op: Literal["=", "!=", "in", "not in", "<", "<=", ">", ">=", "between", "contains"]
    value: Any = Field(description="One value; a list for `in` and `not in`; two values, both included, for `between`.")

    @field_validator("op", mode="before")
    @classmethod
    def _spelled_otherwise(cls, op: object) -> object:
        same = {"==": "=", "eq": "=", "<>": "!=", "ne": "!=", "not_in": "not in", "lt": "<", "lte": "<="}
        return {**same, "gt": ">", "gte": ">="}.get(op, op) if isinstance(op, str) else op

    @field_validator("field")
    @classmethod
    def _known(cls, field: str) -> str:
        if field not in REPORT_METRICS and field not in REPORT_DIMENSIONS:
            raise ValueError(_unknown("field", [field], [*REPORT_DIMENSIONS, *REPORT_METRICS]))
        return field

    @model_validator(mode="after")
    def _fits(self) -> Filter:
        if self.op == "contains" and (self.field in REPORT_METRICS or self.field in list(Time)):
            raise ValueError(f"{self.field} is no text: `contains` needs one")
        if self.op in ("in", "not in", "between") and not isinstance(self.value, list | tuple):
            raise ValueError(f"`{self.op}` needs a list of values")
        if len(self.values) > _MOST_VALUES:
            raise ValueError(f"`{self.op}` takes at most {_MOST_VALUES} values")
        if self.op == "between" and len(self.values) != 2:
            raise ValueError("`between` needs two values: the lowest and the highest")
        if self.op in ("in", "not in") and not self.values:
            raise ValueError(f"`{self.op}` needs at least one value")
        return self

    @property
    def values(self) -> list[Value]:
        """The values, each of the type of its field; a single one as a list."""
        raw: Sequence[Any] = self.value if isinstance(self.value, list | tuple) else [self.value]
        return [_value(self.field, each) for each in raw]


class Order(BaseModel):
    """A column to sort by; `-messages_sent` for short."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: str
    direction: Literal["asc", "desc"] = "asc"

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        if isinstance(value, str):
            return {"field": value.removeprefix("-"), "direction": "desc" if value.startswith("-") else "asc"}
        return value


class ReportDefinition(BaseModel):
    """A report: stored, sent and read as this JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="IRIS report")

    name: str = Field(min_length=1, max_length=200)
    description: str = Field(default="", max_length=2000)
    date_range: AbsoluteRange | RelativeRange = Field(
        description="A start and an end (not included), or a relative range such as `last_7_days`, which is resolved "
        "on the local day that the report is for."
    )
    metrics: tuple[str, ...] = Field(min_length=1, max_length=40)
    dimensions: tuple[str, ...] = Field(default=(), max_length=6, description="None: one row of totals.")
    filters: tuple[Filter, ...] = Field(default=(), max_length=50, description="All of them must hold.")
    order: tuple[Order, ...] = Field(default=(), max_length=10, description="By the dimensions unless stated.")
    limit: int | None = Field(default=None, ge=1, le=5_000_000)
    timezone: str | None = Field(default=None, description="IANA name; the tenant's unless stated.")
    format: Format = Format.CSV

    @field_validator("name", "description")
    @classmethod
    def _readable(cls, text: str, info: Any) -> str:
        allowed = text.replace("\n", " ") if info.field_name == "description" else text
        if _CONTROL.search(allowed):
            raise ValueError("must not contain control characters")
        if info.field_name == "name" and not text.strip():
            raise ValueError("must not be blank")
        return text.strip()

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _checked("metric", names, REPORT_METRICS)

    @field_validator("dimensions")
    @classmethod
    def _known_dimensions(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _checked("dimension", names, REPORT_DIMENSIONS)

    @field_validator("order", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return [value] if isinstance(value, str | dict) else value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                zone(name)
            except UnknownTimeZone as error:
                raise ValueError(str(error)) from None
        return name

    @model_validator(mode="after")
    def _fits(self) -> ReportDefinition:
        shown = [*self.dimensions, *self.metrics]
        foreign = [each.field for each in self.order if each.field not in shown]
        if foreign:
            raise ValueError(_unknown("column to order by", foreign, shown))
        names = [*shown, *(each.field for each in self.filters)]
        if subject_of(names) is None:
            known = "; or ".join(f"{', '.join(each.metrics)} by {', '.join(each.dimensions)}" for each in SUBJECTS)
            raise ValueError(f"messages and API requests cannot be mixed in one report: use {known}")
        return self

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return subject_of([*self.metrics, *self.dimensions, *(each.field for each in self.filters)]) or MESSAGES


def read_definition(document: object) -> ReportDefinition:
    """A definition from JSON or from what was parsed of it; raises InvalidDefinition with every problem in words."""
    try:
        if isinstance(document, str | bytes):
            return ReportDefinition.model_validate_json(document)
        return ReportDefinition.model_validate(document)
    except ValidationError as error:
        raise InvalidDefinition(f"the report cannot be made: {_sentences(error)}") from None


def _sentences(error: ValidationError) -> str:
    found = []
    errors = error.errors(include_url=False, include_input=False)
    for each in errors:
        # Of a union, pydantic reports each branch: that a name is no start and end, and the other way round.
        if each["type"] in ("model_type", "string_type") and each["loc"][0] == "date_range" and len(errors) > 1:
            continue
        place = ".".join(str(part) for part in each["loc"] if not str(part).startswith("function-"))
        text = each["msg"].removeprefix("Value error, ")
        found.append(f"{place}: {text}" if place else text)
    return "; ".join(dict.fromkeys(found))


def _checked(kind: str, names: tuple[str, ...], known: Iterable[str]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(_unknown(kind, unknown, known))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{kind} named twice: {', '.join(twice)}")
    return names


def _unknown(kind: str, names: Iterable[str], known: Iterable[str]) -> str:
    return f"unknown {kind} {', '.join(repr(name) for name in names)}: use {', '.join(known)}"


def _value(field: str, value: object) -> Value:
    if field in REPORT_METRICS:
        return _number(field, value)
    if field in list(Time):
        return _time(field, value)
    if not isinstance(value, str):
        raise ValueError(f"{field} is compared with text, not with {value!r}")  # noqa: TRY004 (pydantic listens to ValueError)
    if "\x00" in value:
        raise ValueError(f"{field} is compared with text without NUL")
    return value


def _number(field: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"{field} is compared with numbers, not with {value!r}")  # noqa: TRY004 (pydantic listens to ValueError)
    if not math.isfinite(value) or abs(Decimal(value)) > Decimal(10) ** 30:
        raise ValueError(f"{field} is compared with numbers of ordinary size, not with {value!r}")
    return Decimal(str(value))


def _time(field: str, value: object) -> date | datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if field == Time.HOUR else date.fromisoformat(value)
        except ValueError:
            example = "2026-01-31T10:00" if field == Time.HOUR else "2026-01-31"
            raise ValueError(f"{field} is compared with values such as {example}, not with {value!r}") from None
    if field == Time.HOUR and isinstance(value, datetime):
        return value
    if field != Time.HOUR and isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError(f"{field} is compared with {'hours' if field == Time.HOUR else 'days'}, not with {value!r}")
