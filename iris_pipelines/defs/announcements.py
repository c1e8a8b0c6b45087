"""Tell Dagster of many materializations at once."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import dagster as dg
from dagster._core.events import DagsterEvent, DagsterEventBatchMetadata


def announce(context: dg.OpExecutionContext, materializations: Sequence[dg.AssetMaterialization]) -> None:
    """Log materializations in batches, if DAGSTER_EVENT_BATCH_SIZE allows it.

    `context.log_event` writes one by one, at some 10 ms each: minutes for the hours of a year. Dagster itself writes
    those of a partition range in batches, through the calls used here, which are not public.
    """
    batch = str(uuid4())
    step = context.get_step_execution_context()
    for number, materialization in enumerate(materializations, start=1):
        is_last = number == len(materializations)
        DagsterEvent.asset_materialization(step, materialization, DagsterEventBatchMetadata(batch, is_last))
