"""Who was reading: user agents taken apart, and the opens and clicks that machines made."""

import warnings
from collections.abc import Sequence

import dagster as dg

from iris_pipelines.db.database import Database, queries
from iris_pipelines.db.staleness import request_rebuild
from iris_pipelines.defs.assets.event_log import EVENT_LOG
from iris_pipelines.defs.resources import Clock, DatabaseResource
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.archive import restore
from iris_pipelines.exports.events import Destination
from iris_pipelines.ingestion.machines.rules import RULES_VERSION
from iris_pipelines.ingestion.machines.verdicts import (
    CONSUMER,
    JudgedDay,
    count_visits,
    judge_machines,
    unjudged_windows,
)
from iris_pipelines.ingestion.user_agents import describe_user_agents, parser_version

USER_AGENTS = dg.AssetKey(["iris", "user_agents"])
MACHINE_VERDICTS = dg.AssetKey(["iris", "machine_verdicts"])


@dg.asset(key=USER_AGENTS, deps=[EVENT_LOG], group_name="iris", owners=["team:data"], kinds={"postgres", "python"})
def user_agents(
    database: dg.ResourceParam[DatabaseResource], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """Device, operating system and mail client of every user agent that opened or clicked; proxies told apart."""
    db = database.get()
    described = describe_user_agents(db, unjudged_windows(db, now=clock.now()))
    return dg.MaterializeResult(
        metadata={"new": described.new, "renewed": described.renewed, "parser_version": parser_version()}
    )


def machine_verdicts(daily: dg.DailyPartitionsDefinition) -> dg.AssetsDefinition:
    """The asset whose partitions are the days that were judged."""

    def judged_days(
        context: dg.AssetExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        exports: dg.ResourceParam[Destination],
    ) -> dg.MaterializeResult[None]:
        db = database.get()
        window = Window(*context.partition_time_window)
        restore(db, exports.environment, window)
        judged = judge_machines(db, [window])
        _note_rebuilt(db, judged, requested_by=context.run.run_id)
        return dg.MaterializeResult(
            metadata={**verdict_metadata(judged), "verdicts": dg.MetadataValue.md(_table(db, window))}
        )

    with warnings.catch_warnings():
        # dagster-dbt gives its assets this policy too, without the warning.
        warnings.filterwarnings("ignore", "Parameter `backfill_policy`", dg.BetaWarning)
        return dg.asset(
            key=MACHINE_VERDICTS,
            deps=[EVENT_LOG, USER_AGENTS],
            partitions_def=daily,
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name="iris",
            owners=["team:data"],
            kinds={"postgres", "python"},
            description="Which opens and clicks machines made, and why, by the present rules: `is_machine` and "
            "`machine_reason` of the event log. Backfill it after a change of the rules to change the past; "
            "what is built on it is rebuilt by itself.",
        )(judged_days)


def announcements(judged: Sequence[JudgedDay]) -> list[dg.AssetMaterialization]:
    """What Dagster is told of days that were judged outside of the asset."""
    return [
        dg.AssetMaterialization(MACHINE_VERDICTS, partition=f"{day.day:%Y-%m-%d}", metadata=verdict_metadata([day]))
        for day in judged
    ]


def verdict_metadata(judged: Sequence[JudgedDay]) -> dict[str, int]:
    """What judging came to, for the UI."""
    return {
        "changed": sum(day.changed for day in judged),
        "new_user_agents": sum(day.new_user_agents for day in judged),
        "rules_version": RULES_VERSION,
    }


def _note_rebuilt(db: Database, judged: Sequence[JudgedDay], *, requested_by: str) -> None:
    """So that who asked for the run is told what it did, as of other rebuilds."""
    with db.transaction() as connection:
        rebuild_id = request_rebuild(connection, [day.window for day in judged], requested_by=requested_by)
        queries().note_rebuilt_window(
            connection,
            [
                {
                    "rebuild_id": rebuild_id,
                    "relation": CONSUMER,
                    "window_start": day.window.start,
                    "window_end": day.window.end,
                    "row_count": day.changed,
                }
                for day in judged
            ],
        )


def _table(db: Database, window: Window) -> str:
    head = ["| event | by | reason | events |", "| --- | --- | --- | ---: |"]
    rows = [
        f"| {each.event_type} | {'machines' if each.is_machine else 'people'} | {each.reason or ''} | {each.events:,} |"
        for each in count_visits(db, window)
    ]
    return "\n".join([*head, *rows])
