"""What is normal: learnt for each day that is over from the four weeks up to it; anomalies are judged by the newest."""

import warnings
from datetime import date

import dagster as dg

from iris_pipelines.alerting.baselines import check_day, learn_day
from iris_pipelines.defs.assets.event_log import EVENT_LOG
from iris_pipelines.defs.resources import Clock, DatabaseResource
from iris_pipelines.domain.windows import DAY, Window, floor

DELIVERY_BASELINES = dg.AssetKey(["iris", "delivery_baselines"])


def delivery_baselines(closed_days: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset whose partitions are the days that baselines are learnt of."""

    def learnt_days(
        context: dg.AssetExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        clock: dg.ResourceParam[Clock],
    ) -> dg.MaterializeResult[None]:
        days = Window(*context.partition_time_window).split(DAY)
        learnt = [learn_day(database.get(), day.start.date(), now=clock.now()) for day in days]
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(day.channels for day in learnt),
                "days_counted": sum(day.days_counted for day in learnt),
            }
        )

    with warnings.catch_warnings():
        # dagster-dbt gives its assets this policy too, without the warning.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return dg.asset(
            key=DELIVERY_BASELINES,
            deps=[EVENT_LOG],
            partitions_def=closed_days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name="iris",
            owners=["team:data"],
            kinds={"postgres", "python"},
            description="What is normal for each tenant and channel, by hour of the week: the share of messages "
            "delivered within a quarter of an hour, how it varies, and how much is sent. "
            "To learn a day again sends nothing to anybody.",
        )(learnt_days)


@dg.asset_check(
    asset=DELIVERY_BASELINES,
    description="Every tenant and channel that sent enough in four weeks has a baseline, with rates between 0 and 1.",
)
def every_sending_channel_has_a_possible_baseline(
    context: dg.AssetCheckExecutionContext,
    database: dg.ResourceParam[DatabaseResource],
    clock: dg.ResourceParam[Clock],
) -> dg.AssetCheckResult:
    """Look at the partition of the run, or at yesterday's where the check is run alone."""
    run = context.run.tags
    key = run.get("dagster/partition") or run.get("dagster/asset_partition_range_end")
    day = date.fromisoformat(key) if key else (floor(clock.now(), DAY) - DAY).date()
    found = check_day(database.get(), day)
    return dg.AssetCheckResult(
        passed=found.missing == 0 and found.impossible == 0,
        metadata={"day": f"{day:%Y-%m-%d}", "missing": found.missing, "impossible": found.impossible},
    )
