"""Which sources answer a question: the smallest that can, with the event log for what none of them has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from iris_pipelines.domain.metrics import Cost, Count, MeanCost, MeanTime, Metric, PercentileTime, Unique
from iris_pipelines.domain.reports.subjects import RequestCount
from iris_pipelines.domain.windows import HOUR, floor, merged
from iris_pipelines.reporting.compiler.coverage import Coverage, Ledger, cover
from iris_pipelines.reporting.compiler.question import Question
from iris_pipelines.reporting.compiler.sources import EVENTS, SOURCES, Source

# An event costs more to read than a row of a rollup, which is narrower.
_EVENT_WEIGHT = 1.5


@dataclass(frozen=True)
class Plan:
    """Where the sums come from, and the percentiles if any are asked for; or the published rows that hold both."""

    sums: Coverage
    percentiles: Coverage | None
    is_published: bool = False

    @property
    def cost(self) -> float:
        """About how many rows must be read."""
        parts = [self.sums] if self.percentiles is None else [self.sums, self.percentiles]
        events = EVENTS[self.sums.source.subject.name].bulk * _EVENT_WEIGHT
        return sum(part.bulk + part.rest_days * events for part in parts)

    @property
    def names(self) -> list[str]:
        """The sources that are read, for people."""
        parts = [self.sums] if self.percentiles is None else [self.sums, self.percentiles]
        named = [part.source.name for part in parts if part.covered]
        if any(part.rest for part in parts):
            named.append(EVENTS[self.sums.source.subject.name].name)
        return list(dict.fromkeys(named))


def choose(question: Question, ledger: Ledger) -> Plan:
    """The plan that reads the least."""
    return min(_plans(question, ledger), key=lambda plan: plan.cost)


def _plans(question: Question, ledger: Ledger) -> Iterator[Plan]:
    known = [each for each in SOURCES if each.subject is question.subject and question.texts <= each.texts.keys()]
    percentile_sources = [each for each in known if each.time_bucket is not None]
    times: list[Coverage | None] = [None]
    if question.percentiles:
        times = [cover(each, question.pieces, ledger) for each in percentile_sources]
    for source in known:
        if _is_at_grain(question, source):
            yield Plan(_whole_rows(question, source, ledger), None, is_published=True)
        coverage = cover(source, question.pieces, ledger)
        if all(_adds_up(metric, source) for metric in question.basic_metrics if not isinstance(metric, PercentileTime)):
            yield from (Plan(coverage, each) for each in times)


def _is_at_grain(question: Question, source: Source) -> bool:
    """Whether a row of the answer is a row of the source, as it stands."""
    if source.published is None:
        return False
    time, texts = source.published
    return time in question.time_dimensions and question.unit == time and set(texts) <= set(question.text_dimensions)


def _whole_rows(question: Question, source: Source, ledger: Ledger) -> Coverage:
    """The groups that are one hour or day of the source; all of a group that is not is left to the event log.

    A local day of 25 hours may hold a whole day of UTC, but it is not that day.
    """
    unit = source.unit or HOUR
    fitting = {
        piece
        for piece in question.pieces
        if piece.end - piece.start == unit and floor(piece.start, unit) == piece.start
    }
    whole = cover(source, [piece for piece in question.pieces if piece in fitting], ledger)
    other = [piece for piece in question.pieces if piece not in fitting]
    return Coverage(source, whole.covered, tuple(merged([*whole.rest, *other])))


def _adds_up(metric: Metric, source: Source) -> bool:
    """Whether a metric over any group comes from adding up rows of the source."""
    if isinstance(metric, Unique):
        return source.contact is not None
    return set(measures_of(metric)) <= source.measures.keys()


def measures_of(metric: Metric) -> tuple[str, ...]:
    """What must be summed for a metric."""
    if isinstance(metric, Count | RequestCount):
        return (metric.name,)
    if isinstance(metric, Unique):
        return _REACTIONS.get(metric.event_type or "", ())
    return _SUMS.get(type(metric), ())


_SUMS: dict[type[Metric], tuple[str, ...]] = {
    Cost: ("cost",),
    MeanCost: ("cost", "costs"),
    MeanTime: ("times", "time_ms"),
}
_REACTIONS = {"message.opened": ("messages_opened",), "link.clicked": ("messages_clicked",)}
