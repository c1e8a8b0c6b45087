from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from iris_pipelines.domain.events import Reason
from iris_pipelines.simulator import TrafficBatch, TrafficPlan, simulate
from iris_pipelines.simulator.faults import FAULTS, Medium
from iris_pipelines.simulator.lines import ndjson_lines

START = datetime(2026, 10, 5, tzinfo=UTC)
PLAN = TrafficPlan(START, START + timedelta(days=1), tenants=1, events_per_day=20_000, seed=3, malformed=0.2)


@pytest.fixture(scope="module")
def batch() -> TrafficBatch:
    (only,) = simulate(PLAN).day(START.date()).batches()
    return only


def test_every_fault_names_a_reason_that_the_rules_know() -> None:
    assert {fault.reason for fault in FAULTS} <= {reason.value for reason in Reason}


@pytest.mark.parametrize("medium", list(Medium))
def test_every_fault_that_a_medium_can_hold_is_used_about_equally(batch: TrafficBatch, medium: Medium) -> None:
    _, faults = batch.faults(medium)
    possible = [fault for fault in FAULTS if medium in fault.media]
    used = Counter(map(id, faults))
    assert len(used) == len(possible)
    assert min(used.values()) > 0.7 * len(faults) / len(possible)


def test_only_the_malformed_rows_are_changed(batch: TrafficBatch) -> None:
    rows, faults = batch.faults(Medium.COLUMNS)
    whole, broken = batch.events.to_pylist(), batch.columns().to_pylist()
    for row, fault in zip(rows.tolist(), faults, strict=True):
        assert broken[row] == whole[row] | fault.replaced
        broken[row] = whole[row]
    assert broken == whole


def test_a_broken_line_is_broken_in_one_way_only(batch: TrafficBatch) -> None:
    lines = ndjson_lines(batch).to_pylist()
    whole = ndjson_lines(TrafficBatch(batch.day, 1, batch.events, batch.origin * 0)).to_pylist()
    rows, faults = batch.faults(Medium.NDJSON)
    for row, fault in zip(rows.tolist(), faults, strict=True):
        if fault.reason == "invalid_json":
            with pytest.raises(json.JSONDecodeError):
                json.loads(lines[row])
            continue
        found, expected = json.loads(lines[row]), json.loads(whole[row])
        changed = {name for name in expected | found if expected.get(name) != found.get(name)}
        assert changed <= fault.replaced.keys()
        if fault.reason == "too_large":
            assert len(lines[row]) > 65_536
