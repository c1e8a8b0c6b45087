"""A definition, resolved: which instants, which groups of them, and which figures must be computed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from zoneinfo import ZoneInfo

from iris_pipelines.domain.metrics import Difference, Metric, PercentileTime, Rate, Unique
from iris_pipelines.domain.reports.calendar import Slot, slots
from iris_pipelines.domain.reports.definition import Filter, ReportDefinition, Value
from iris_pipelines.domain.reports.ranges import Period
from iris_pipelines.domain.reports.subjects import Subject, Time
from iris_pipelines.domain.windows import Window, merged


@dataclass(frozen=True)
class Question:
    """A definition over a period, with its time cut into the groups that it asks for."""

    definition: ReportDefinition
    period: Period

    @property
    def subject(self) -> Subject:
        """What it is about."""
        return self.definition.subject

    @property
    def zone(self) -> ZoneInfo:
        """Whose days and hours are meant."""
        return self.period.zone

    @property
    def time_dimensions(self) -> list[str]:
        """Dimensions of time that it shows."""
        return [name for name in self.definition.dimensions if name in list(Time)]

    @property
    def text_dimensions(self) -> list[str]:
        """The other dimensions that it shows."""
        return [name for name in self.definition.dimensions if name not in list(Time)]

    @property
    def text_filters(self) -> list[Filter]:
        """Conditions on dimensions other than those of time."""
        return [each for each in self.definition.filters if each.field in self.subject.texts]

    @property
    def metric_filters(self) -> list[Filter]:
        """Conditions on finished rows."""
        return [each for each in self.definition.filters if each.field in self.subject.metrics]

    @property
    def texts(self) -> set[str]:
        """Dimensions that a source must know."""
        return {*self.text_dimensions, *(each.field for each in self.text_filters)}

    @property
    def shown_metrics(self) -> list[str]:
        """Metrics to compute: those shown, then those of conditions only."""
        return list(dict.fromkeys([*self.definition.metrics, *(each.field for each in self.metric_filters)]))

    @cached_property
    def basic_metrics(self) -> list[Metric]:
        """The metrics that are computed from events, on which all others stand."""
        found: dict[str, Metric] = {}
        waiting = list(self.shown_metrics)
        while waiting:
            metric = self.subject.metrics[waiting.pop(0)]
            if isinstance(metric, Rate):
                waiting += [metric.numerator, metric.denominator]
            elif isinstance(metric, Difference):
                waiting += [metric.whole, metric.part]
            else:
                found[metric.name] = metric
        return [metric for name, metric in self.subject.metrics.items() if name in found]

    @property
    def percentiles(self) -> list[PercentileTime]:
        """The percentiles among them."""
        return [each for each in self.basic_metrics if isinstance(each, PercentileTime)]

    @property
    def uniques(self) -> list[Unique]:
        """The distinct counts among them."""
        return [each for each in self.basic_metrics if isinstance(each, Unique)]

    @cached_property
    def unit(self) -> Time | None:
        """What its time must be cut into: the finest dimension of time that it shows or filters by."""
        named = {*self.definition.dimensions, *(each.field for each in self.definition.filters)}
        if Time.HOUR in named:
            return Time.HOUR
        return Time.DATE if named & set(Time) else None

    @cached_property
    def slots(self) -> list[Slot]:
        """Its hours or days, those alone that its conditions on time let through."""
        conditions = [each for each in self.definition.filters if each.field in list(Time)]
        return [
            slot
            for slot in slots(self.period.window, self.unit, self.zone)
            if all(_holds(each, slot.label(each.field), self.zone) for each in conditions)
        ]

    @cached_property
    def windows(self) -> list[Window]:
        """All the time that counts."""
        return merged(slot.window for slot in self.slots)

    @property
    def pieces(self) -> list[Window]:
        """The same time, cut where one group of time ends and the next begins."""
        return [window for window, _ in self._pieces]

    @property
    def group_of_piece(self) -> list[int]:
        """The group of each piece; counted from 1, as PostgreSQL counts."""
        return [group for _, group in self._pieces]

    @cached_property
    def _pieces(self) -> list[tuple[Window, int]]:
        numbers = {label: number for number, label in enumerate(self.labels, start=1)}
        found: list[tuple[Window, int]] = []
        for slot in self.slots:
            group = numbers[self._label(slot)]
            if found and found[-1][1] == group and found[-1][0].end == slot.window.start:
                found[-1] = (Window(found[-1][0].start, slot.window.end), group)
            else:
                found.append((slot.window, group))
        return found

    @cached_property
    def labels(self) -> list[tuple[datetime | date, ...]]:
        """What the dimensions of time show, group by group."""
        return list(dict.fromkeys(self._label(slot) for slot in self.slots))

    def _label(self, slot: Slot) -> tuple[datetime | date, ...]:
        return tuple(slot.label(name) for name in self.time_dimensions)


def _holds(condition: Filter, label: date | datetime, zone: ZoneInfo) -> bool:
    """Whether a label of time meets a condition; an hour is compared as an instant, or as a local clock shows it."""
    values = condition.values
    if isinstance(label, datetime):
        local = label.astimezone(zone).replace(tzinfo=None)
        pairs = [(local if value.tzinfo is None else label, value) for value in _instants(values)]
    else:
        pairs = [(label, value) for value in values]  # type: ignore[misc]
    return _compared(condition.op, pairs)


def _instants(values: Sequence[Value]) -> Iterable[datetime]:
    return (value for value in values if isinstance(value, datetime))


def _compared(op: str, pairs: Sequence[tuple[date, date]]) -> bool:
    if op == "between":
        return pairs[0][0] >= pairs[0][1] and pairs[1][0] <= pairs[1][1]
    every = all if op in ("!=", "not in") else any
    return every(_SIGNS[op](label, value) for label, value in pairs)


_SIGNS: dict[str, Callable[[date, date], bool]] = {
    "=": operator.eq,
    "in": operator.eq,
    "!=": operator.ne,
    "not in": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
