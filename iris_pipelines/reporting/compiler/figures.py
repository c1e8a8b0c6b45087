"""Metrics as expressions of what was summed for them."""

from __future__ import annotations

from psycopg.sql import SQL, Composable, Identifier

from iris_pipelines.domain.metrics import Cost, MeanCost, MeanTime, Metric, PercentileTime, Unique
from iris_pipelines.reporting.compiler.plan import measures_of


def basic(metric: Metric) -> Composable:
    """A metric from the sums of its group."""
    name = Identifier(metric.name)
    match metric:
        case PercentileTime():
            return SQL("p.{}").format(name)
        case Cost():
            return SQL("g.cost as {}").format(name)
        case MeanCost():
            return SQL("round(g.cost / nullif(g.costs, 0), 6) as {}").format(name)
        case MeanTime():
            return SQL("round(g.time_ms / nullif(g.times, 0))::bigint as {}").format(name)
        case Unique():
            return SQL("g.{0} as {0}").format(name)
        case _:
            return SQL("coalesce(g.{0}, 0)::bigint as {0}").format(name)


def distinct(metric: Unique) -> Composable:
    """How many contacts of a group did something, from one row for each."""
    name = Identifier(metric.name)
    if metric.event_type is None:
        return SQL("count(r.contact_id) as {}").format(name)
    (measure,) = measures_of(metric)
    return SQL("count(r.contact_id) filter (where r.{} > 0) as {}").format(Identifier(measure), name)


def percentile(metric: PercentileTime) -> Composable:
    """Between the two durations around the place, in proportion."""
    share = {0.5: SQL("0.5"), 0.95: SQL("0.95"), 0.99: SQL("0.99")}[metric.share]
    return SQL(
        "round((min(k.milliseconds) filter (where k.up_to > floor({rank})) "
        "+ (min(k.milliseconds) filter (where k.up_to > ceil({rank})) "
        "- min(k.milliseconds) filter (where k.up_to > floor({rank}))) * ({rank} - floor({rank})))::numeric)::bigint "
        "as {name}"
    ).format(rank=SQL("{} * (k.total - 1)").format(share), name=Identifier(metric.name))
