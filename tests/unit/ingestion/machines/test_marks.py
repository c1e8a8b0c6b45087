"""Events as they are loaded: who says what of who made them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pyarrow as pa

from iris_pipelines.ingestion.columns import SCHEMA
from iris_pipelines.ingestion.machines.marks import with_verdicts

PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"
SCANNER = "Barracuda Sentinel (EE)"


def verdicts(*events: tuple[str, str | None, bool | None]) -> list[tuple[Any, Any]]:
    """`is_machine` and `machine_reason` of events, given as type, user agent and what their sender stated."""
    rows = [
        {"id": UUID(int=number).bytes, "event_type": kind, "user_agent": agent, "is_machine": stated}
        for number, (kind, agent, stated) in enumerate(events)
    ]
    marked = with_verdicts(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
    assert marked.schema.names == [*SCHEMA.names, "machine_reason"]
    assert marked["id"].to_pylist() == [row["id"] for row in rows]
    return list(zip(marked["is_machine"].to_pylist(), marked["machine_reason"].to_pylist(), strict=True))


def test_opens_and_clicks_are_marked_by_their_user_agent() -> None:
    assert verdicts(
        ("message.sent", None, None),
        ("message.opened", SCANNER, None),
        ("message.opened", PERSON, None),
        ("link.clicked", SCANNER, None),
        ("link.clicked", None, None),
        ("api.request", SCANNER, None),
    ) == [
        (False, None),
        (True, "link_scanner"),
        (False, None),
        (True, "link_scanner"),
        (False, None),
        (False, None),
    ]


def test_what_its_sender_states_stands_and_is_kept_as_such() -> None:
    assert verdicts(
        ("message.opened", SCANNER, False), ("message.opened", PERSON, True), ("link.clicked", SCANNER, None)
    ) == [(False, "reported"), (True, "reported"), (True, "link_scanner")]


def test_what_is_stated_of_other_events_is_kept_without_a_reason() -> None:
    assert verdicts(("message.sent", None, True), ("message.sent", None, False), ("message.delivered", None, None)) == [
        (True, None),
        (False, None),
        (False, None),
    ]


def test_a_batch_may_hold_nothing_of_interest_or_nothing_at_all() -> None:
    assert verdicts(("message.sent", SCANNER, None)) == [(False, None)]
    assert verdicts() == []
