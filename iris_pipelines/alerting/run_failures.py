"""Failed runs of the pipelines themselves: no tenant's, so the operator is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from iris_pipelines.db.database import Database, queries
from iris_pipelines.domain.alerts.notifications import Kind, Notification
from iris_pipelines.domain.alerts.rules import Action, Severity

RUN_FAILURE = "run_failure"


@dataclass(frozen=True)
class FailedRun:
    """A run, and why it failed."""

    run_id: str
    job: str
    reason: str


def note_run_failure(db: Database, run: FailedRun, *, actions: Sequence[Action], now: datetime) -> None:
    """One alert and one message for each failure, however often it is noted."""
    message = f"{run.job} failed: {run.reason}"
    with db.transaction() as connection:
        alert_id = queries().note_run_failure(
            connection,
            message=message,
            data=Jsonb({"run_id": run.run_id, "job": run.job}),
            actions=Jsonb([action.model_dump(mode="json") for action in actions]),
        )
        if alert_id is None or not actions:
            return
        notification = Notification(
            alert_id=alert_id,
            tenant_id=None,
            tenant="all: the pipelines themselves",
            timezone="UTC",
            kind=Kind.FIRING,
            alert_type=RUN_FAILURE,
            severity=Severity.CRITICAL,
            what=message,
            since=now,
            at=now,
            facts=(("Run", run.run_id),),
            look_at=(
                f"the run {run.run_id} in the Dagster UI",
                "whether the next run of the job went well: what a failed run left stale is rebuilt by it",
            ),
        )
        queries().enqueue_delivery(
            connection,
            [
                {
                    "tenant_id": None,
                    "alert_id": alert_id,
                    "kind": Kind.FIRING.value,
                    "sequence": 0,
                    "action_type": action.type.value,
                    "recipient": recipient,
                    "content": Jsonb(notification.to_json()),
                    "due_at": now,
                }
                for action in actions
                for recipient in action.recipients
            ],
        )
