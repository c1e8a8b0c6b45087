"""The statement of a question: common table expressions, each put together from fragments written here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg.sql import SQL, Composable, Composed, Identifier

from iris_pipelines.domain.metrics import Cost, Difference, MeanCost, PercentileTime, Rate
from iris_pipelines.domain.reports.subjects import CAMPAIGN, Time
from iris_pipelines.domain.windows import DAY, Window
from iris_pipelines.reporting.compiler.conditions import compared, text_condition
from iris_pipelines.reporting.compiler.coverage import Coverage
from iris_pipelines.reporting.compiler.figures import basic, distinct, percentile
from iris_pipelines.reporting.compiler.parameters import Parameters
from iris_pipelines.reporting.compiler.plan import Plan, measures_of
from iris_pipelines.reporting.compiler.question import Question
from iris_pipelines.reporting.compiler.sources import EVENTS, NO_CAMPAIGN, Source

_COMMA = SQL(", ")
_AND = SQL(" and ")
_GROUP = "time_group"
# A window in which nothing happens, for a question whose conditions leave no time.
_NEVER = Window(datetime(1900, 1, 1, tzinfo=UTC), datetime(1900, 1, 2, tzinfo=UTC))


@dataclass(frozen=True)
class Statement:
    """One SELECT with its parameters, and the names of its columns in order."""

    query: Composed
    parameters: dict[str, object]
    columns: tuple[str, ...]
    sources: tuple[str, ...]


def compile_statement(question: Question, plan: Plan, tenant_id: UUID, *, rows: int) -> Statement:
    """The statement that answers a question by a plan, with at most so many rows."""
    return _Compiler(question, plan, tenant_id).statement(rows)


class _Compiler:
    """Keeps the parameters together while the parts of one statement are made."""

    def __init__(self, question: Question, plan: Plan, tenant_id: UUID) -> None:
        self._question = question
        self._plan = plan
        self._parameters = Parameters()
        self._tenant = self._parameters.add(tenant_id, "uuid")
        self._events = EVENTS[question.subject.name]

    def statement(self, rows: int) -> Statement:
        question = self._question
        parts: list[tuple[str, Composable]] = [("campaign_names", self._campaign_names())] if self._needs_names else []
        parts += self._published() if self._plan.is_published else self._computed()
        parts.append(("finished", self._finished()))
        columns = [*self._dimension_columns(), *question.definition.metrics]
        query = SQL("with {parts} select {columns} from finished as f {where} order by {order} limit {rows}").format(
            parts=SQL(", ").join(SQL("{} as ({})").format(Identifier(name), body) for name, body in parts),
            columns=_COMMA.join(SQL("f.{}").format(Identifier(name)) for name in columns),
            where=self._having(),
            order=self._order(),
            rows=self._parameters.add(rows, "bigint"),
        )
        return Statement(query, self._parameters.values, tuple(columns), tuple(self._plan.names))

    # What the answer is grouped by.

    @property
    def _keys(self) -> list[str]:
        return [*([_GROUP] if self._question.time_dimensions else []), *self._question.text_dimensions]

    def _key_list(self, prefix: str) -> list[Composable]:
        return [SQL("{}.{}").format(Identifier(prefix), Identifier(key)) for key in self._keys]

    def _group_by(self, *more: Composable, prefix: str) -> Composable:
        keys = [*self._key_list(prefix), *more]
        return SQL("group by {}").format(_COMMA.join(keys)) if keys else SQL("")

    # Rows of a source, or of the event log: the keys, then what is summed.

    def _rows(self, source: Source, windows: Sequence[Window], columns: Iterable[tuple[str, str]]) -> Composable:
        selected: list[Composable] = [
            SQL("{} as {}").format(self._key(source, key), Identifier(key)) for key in self._keys
        ]
        selected += [SQL("{} as {}").format(SQL(sql), Identifier(name)) for name, sql in columns]
        conditions: list[Composable] = [SQL("s.tenant_id = {}").format(self._tenant)]
        if source.condition is not None:
            conditions.append(SQL(source.condition))
        conditions += [text_condition(each, source, self._parameters) for each in self._question.text_filters]
        spans = self._spans(source, windows, conditions)
        return SQL("select {columns} from {relation} as s{histogram}{spans} where {conditions}").format(
            columns=_COMMA.join(selected) if selected else SQL("1 as one"),
            relation=SQL(source.relation),
            histogram=SQL(source.histogram or ""),
            spans=spans,
            conditions=_AND.join(conditions),
        )

    def _key(self, source: Source, key: str) -> Composable:
        if key != _GROUP:
            return SQL(source.texts[key])
        # The pieces are in order and next to each other or apart; each row read lies in one of them.
        return SQL("({groups})[width_bucket({instant}, {starts})]").format(
            groups=self._parameters.add(self._question.group_of_piece, "integer[]"),
            instant=SQL(source.instant),
            starts=self._parameters.add([each.start for each in self._question.pieces], "timestamptz[]"),
        )

    def _spans(self, source: Source, windows: Sequence[Window], conditions: list[Composable]) -> Composable:
        """Add the condition that a row lies in one of the windows; what must be joined for it."""
        by_day = source.unit == DAY
        column = SQL("s.date") if by_day else SQL("s.timestamp")
        edge = SQL("({} at time zone 'UTC')::date") if by_day else SQL("{}")
        first = self._parameters.add(windows[0].start, "timestamptz")
        last = self._parameters.add(windows[-1].end, "timestamptz")
        within = SQL("{column} >= {first} and {column} < {last}")
        conditions.append(within.format(column=column, first=edge.format(first), last=edge.format(last)))
        if len(windows) == 1:
            return SQL("")
        conditions.append(
            within.format(column=column, first=edge.format(SQL("w.starts")), last=edge.format(SQL("w.ends")))
        )
        return SQL(" cross join unnest({}, {}) as w (starts, ends)").format(
            self._parameters.add([each.start for each in windows], "timestamptz[]"),
            self._parameters.add([each.end for each in windows], "timestamptz[]"),
        )

    def _rows_of(self, coverage: Coverage, columns: Iterable[tuple[str, Any, Any]]) -> Composable:
        """The rows of a source where it covers the range, and those of the event log elsewhere."""
        columns = list(columns)
        parts = []
        if coverage.covered:
            parts.append(self._rows(coverage.source, coverage.covered, [(name, sql) for name, sql, _ in columns]))
        if coverage.rest or not parts:
            rest = coverage.rest or (_NEVER,)
            parts.append(self._rows(self._events, rest, [(name, sql) for name, _, sql in columns]))
        return SQL(" union all ").join(parts)

    # Figures by group.

    def _computed(self) -> list[tuple[str, Composable]]:
        parts = self._sums(self._plan.sums, "sums")
        if self._plan.percentiles is not None:
            parts += self._percentiles(self._plan.percentiles)
        return [*parts, ("basics", self._basics(with_percentiles=self._plan.percentiles is not None))]

    def _published(self) -> list[tuple[str, Composable]]:
        """Rows of a rollup as they stand; those of the event log are computed to the same grain."""
        coverage = self._plan.sums
        names = [metric.name for metric in self._question.basic_metrics]
        parts: list[tuple[str, Composable]] = []
        stored = []
        if coverage.covered:
            stored.append(self._rows(coverage.source, coverage.covered, [(name, f"s.{name}") for name in names]))
        if coverage.rest or not stored:
            rest = Coverage(self._events, (), coverage.rest or (_NEVER,))
            parts += self._sums(rest, "sums")
            if self._question.percentiles:
                parts += self._percentiles(rest)
            basics = self._basics(with_percentiles=bool(self._question.percentiles))
            parts.append(("recent", basics))
            columns = _COMMA.join([*self._key_list("r"), *(SQL("r.{}").format(Identifier(name)) for name in names)])
            stored.append(SQL("select {} from recent as r").format(columns))
        return [*parts, ("basics", SQL(" union all ").join(stored))]

    def _sums(self, coverage: Coverage, name: str) -> list[tuple[str, Composable]]:
        question = self._question
        metrics = [each for each in question.basic_metrics if not isinstance(each, PercentileTime)]
        measures = list(dict.fromkeys(each for metric in metrics for each in measures_of(metric)))
        source, events = coverage.source, self._events
        columns: list[tuple[str, Any, Any]] = [
            (each, source.measures.get(each), events.measures[each]) for each in measures
        ]
        if not question.uniques:
            totals: list[Composable] = [SQL("sum(r.{0}) as {0}").format(Identifier(each)) for each in measures]
            body = self._select("rows_to_sum", "r", totals)
            return [("rows_to_sum", self._rows_of(coverage, columns)), (name, body)]
        # Two steps: a contact has one row of its group, whatever the order, so that contacts are counted by hashing.
        columns.append(("contact_id", source.contact, events.contact))
        rows = self._rows_of(coverage, columns)
        contact = SQL("r.contact_id")
        totals = [contact, *(SQL("sum(r.{0}) as {0}").format(Identifier(each)) for each in measures)]
        by_contact = SQL("select {} from rows_to_sum as r {}").format(
            _COMMA.join([*self._key_list("r"), *totals]), self._group_by(contact, prefix="r")
        )
        counted: list[Composable] = [SQL("sum(r.{0}) as {0}").format(Identifier(each)) for each in measures]
        counted += [distinct(each) for each in question.uniques]
        return [
            ("rows_to_sum", rows),
            ("by_contact", by_contact),
            (name, self._select("by_contact", "r", counted)),
        ]

    def _select(self, relation: str, alias: str, columns: Sequence[Composable]) -> Composable:
        """The columns by group. Without a column, as for percentiles alone, the groups themselves."""
        selected = [*self._key_list(alias), *columns] or [SQL("count(*) as rows")]
        return SQL("select {} from {} as {} {}").format(
            _COMMA.join(selected), Identifier(relation), Identifier(alias), self._group_by(prefix=alias)
        )

    def _percentiles(self, coverage: Coverage) -> list[tuple[str, Composable]]:
        """As percentile_cont interpolates, from how many durations there are of each length or bucket."""
        bucket, count = coverage.source.time_bucket or ("", "")
        from_events = self._events.time_bucket or ("", "")
        bucket_time = coverage.source.bucket_time if coverage.covered else "bucket::float8"
        if not coverage.covered and self._events.whole_percentiles:
            from_events = ("s.duration_ms", from_events[1])
        rows = self._rows_of(coverage, [("bucket", bucket, from_events[0]), ("durations", count, from_events[1])])
        keys = self._key_list("d")
        partition = SQL("partition by {}").format(_COMMA.join(keys)) if keys else SQL("")
        ranked = SQL(
            "select {columns}, {time} as milliseconds, "
            "sum(sum(d.durations)) over ({partition} order by d.bucket) as up_to, "
            "sum(sum(d.durations)) over ({partition}) as total "
            "from durations as d where d.durations > 0 {group}"
        ).format(
            columns=_COMMA.join([*keys, SQL("d.bucket")]),
            time=SQL(bucket_time or "bucket::float8"),
            partition=partition,
            group=self._group_by(SQL("d.bucket"), prefix="d"),
        )
        figures = [percentile(each) for each in self._question.percentiles]
        chosen = SQL("select {} from ranked as k {}").format(
            _COMMA.join([*self._key_list("k"), *figures]), self._group_by(SQL("k.total"), prefix="k")
        )
        return [("durations", rows), ("ranked", ranked), ("percentiles", chosen)]

    def _basics(self, *, with_percentiles: bool) -> Composable:
        """One row a group with every metric that is computed from events."""
        metrics = self._question.basic_metrics
        selected = [*self._key_list("g"), *(basic(metric) for metric in metrics)]
        join: Composable = SQL("")
        if with_percentiles:
            same: list[Composable] = [SQL("p.{0} = g.{0}").format(Identifier(key)) for key in self._keys]
            same = same or [SQL("true")]
            join = SQL("left join percentiles as p on {}").format(_AND.join(same))
        return SQL("select {} from sums as g {}").format(_COMMA.join(selected), join)

    # The finished rows.

    @property
    def _needs_names(self) -> bool:
        return CAMPAIGN in self._question.texts

    def _campaign_names(self) -> Composable:
        return SQL("select c.id, c.name from iris.campaigns as c where c.tenant_id = {}").format(self._tenant)

    def _dimension_columns(self) -> list[str]:
        return [
            column
            for name in self._question.definition.dimensions
            for column in (["campaign_id", CAMPAIGN] if name == CAMPAIGN else [name])
        ]

    def _finished(self) -> Composable:
        question = self._question
        selected: list[Composable] = []
        for name in question.definition.dimensions:
            if name in question.time_dimensions:
                position = question.time_dimensions.index(name)
                labels = [label[position] for label in question.labels]
                kind = "timestamptz[]" if name == Time.HOUR else "date[]"
                selected.append(
                    SQL("({})[b.time_group] as {}").format(self._parameters.add(labels, kind), Identifier(name))
                )
            elif name == CAMPAIGN:
                selected.append(SQL("nullif(b.campaign, {}) as campaign_id").format(SQL(NO_CAMPAIGN)))
                selected.append(
                    SQL(
                        "case when b.campaign = {} then 'none' else coalesce(n.name, 'unknown') end as campaign"
                    ).format(SQL(NO_CAMPAIGN))
                )
            else:
                selected.append(SQL("b.{}").format(Identifier(name)))
        selected += [SQL("{} as {}").format(self._metric(name), Identifier(name)) for name in question.shown_metrics]
        join = SQL("left join campaign_names as n on n.id = b.campaign") if CAMPAIGN in self._keys else SQL("")
        return SQL("select {} from basics as b {}").format(_COMMA.join(selected), join)

    def _metric(self, name: str) -> Composable:
        metric = self._question.subject.metrics[name]
        if isinstance(metric, Difference):
            return SQL("({} - {})").format(self._metric(metric.whole), self._metric(metric.part))
        if isinstance(metric, Rate):
            return SQL("round(100.0 * {} / nullif({}, 0), 2)").format(
                self._metric(metric.numerator), self._metric(metric.denominator)
            )
        # An event may cost NaN, by plain SQL: what is no amount is missing.
        value = SQL("nullif(b.{}, 'NaN')") if isinstance(metric, Cost | MeanCost) else SQL("b.{}")
        return value.format(Identifier(name))

    def _having(self) -> Composable:
        conditions = [
            compared(SQL("f.{}").format(Identifier(each.field)), each, self._parameters, "numeric")
            for each in self._question.metric_filters
        ]
        return SQL("where {}").format(_AND.join(conditions)) if conditions else SQL("")

    def _order(self) -> Composable:
        wanted = [(each.field, each.direction == "desc") for each in self._question.definition.order]
        named = [name for name, _ in wanted]
        wanted += [(name, False) for name in self._question.definition.dimensions if name not in named]
        terms: list[Composable] = []
        for name, falls in wanted:
            is_text = name in self._question.subject.texts
            collation = SQL(' collate "C"') if is_text else SQL("")
            direction = SQL(" desc nulls last") if falls else SQL(" asc nulls last")
            terms.append(SQL("f.{}{}{}").format(Identifier(name), collation, direction))
            if name == CAMPAIGN:
                terms.append(SQL("f.campaign_id"))
        return _COMMA.join(terms) if terms else SQL("1")
