from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.ingestion.files.discovery import find_files
from iris_pipelines.ingestion.ingested_files import ingest_files
from iris_pipelines.ingestion.platform_records import Kind, load_records
from iris_pipelines.simulator import TrafficPlan, simulate
from iris_pipelines.simulator.files import Compression, FileFormat, write_simulation
from iris_pipelines.simulator.loading import load_simulation

START = datetime(2026, 10, 6, 9, tzinfo=UTC)
NOW = datetime(2026, 10, 20, tzinfo=UTC)
HISTORY = date(2020, 1, 1)
PLAN = TrafficPlan(
    START,
    START + timedelta(days=2),
    tenants=2,
    events_per_day=2_000,
    seed=5,
    late=0.03,
    duplicates=0.03,
    malformed=0.02,
)


def rows(database: Database, query: str) -> list[Any]:
    with database.transaction() as connection:
        return connection.execute(query).fetchall()  # type: ignore[arg-type]


def everything(database: Database) -> dict[str, list[Any]]:
    tables = ("tenants", "contacts", "campaigns", "messages", "email_bounces", "suppression_list", "rejected_events")
    found = {table: rows(database, f"select * from iris.{table} order by 1, 2") for table in tables}
    found["events"] = rows(database, "select * from iris.analytics_events order by tenant_id, timestamp, id")
    return found


def expected_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def test_a_simulation_is_loaded_as_it_was_made_and_a_second_time_changes_nothing(
    database: Database, tmp_path: Path
) -> None:
    simulation = simulate(PLAN)
    write_simulation(simulation, tmp_path, file_format=FileFormat.PARQUET)
    expected = expected_of(tmp_path)

    loaded = load_simulation(database, simulation, now=NOW, history_start=HISTORY)
    assert {name: expected[name] for name in ("received", "accepted", "duplicates", "rejected")} == vars(loaded.events)
    assert (loaded.tenants, loaded.messages) == (2, expected["messages"])
    assert loaded.contacts == sum(len(batch) for batch in simulation.contacts())
    assert loaded.campaigns == len(simulation.campaigns())
    types = dict(rows(database, "select event_type, count(*) from iris.analytics_events group by 1"))
    assert types == expected["event_types"]
    reasons = dict(rows(database, "select reason, count(*) from iris.rejected_events group by 1"))
    assert reasons == expected["rejected_by_reason"]

    before = everything(database)
    again = load_simulation(database, simulate(PLAN), now=NOW, history_start=HISTORY)
    assert (again.events.accepted, again.tenants, again.contacts, again.campaigns, again.messages) == (0, 0, 0, 0, 0)
    assert everything(database) == before


def test_what_webhooks_leave_out_is_filled_in_from_the_messages(database: Database) -> None:
    load_simulation(database, simulate(PLAN), now=NOW, history_start=HISTORY)
    assert rows(
        database,
        """
        select count(*) from iris.analytics_events as events
        left join iris.messages as messages
            on messages.tenant_id = events.tenant_id and messages.id = events.message_id
        where events.event_type <> 'api.request'
            and (events.contact_id, events.channel, events.provider)
                is distinct from (messages.to_contact_id, messages.channel, messages.provider)
        """,
    ) == [(0,)]


def test_a_later_plan_adds_what_happened_since(database: Database) -> None:
    load_simulation(database, simulate(PLAN), now=NOW, history_start=HISTORY)
    longer = replace(PLAN, end=PLAN.end + timedelta(hours=20))
    load_simulation(database, simulate(longer), now=NOW, history_start=HISTORY)
    after = everything(database)
    expected = {
        (batch_row["tenant_id"], batch_row["id"])
        for day in simulate(longer).days()
        for batch in day.batches()
        for batch_row in batch.good.to_pylist()
    }
    found = rows(database, "select tenant_id::text, id::text from iris.analytics_events")
    assert len(found) == len(expected)
    assert set(found) == expected
    statuses = dict(rows(database, "select id::text, status from iris.campaigns"))
    assert statuses == {row["id"]: row["status"] for row in simulate(longer).campaigns().to_pylist()}
    assert len(after["messages"]) == sum(len(batch) for day in simulate(longer).days() for batch in day.messages)


@pytest.mark.parametrize(
    ("file_format", "compression"),
    [
        (FileFormat.NDJSON, Compression.GZ),
        (FileFormat.NDJSON, Compression.ZST),
        (FileFormat.CSV, Compression.GZ),
        (FileFormat.PARQUET, Compression.ZST),
    ],
)
def test_ingesting_the_files_comes_to_the_counts_of_the_manifest(
    database: Database, tmp_path: Path, file_format: FileFormat, compression: Compression
) -> None:
    write_simulation(simulate(PLAN), tmp_path, file_format=file_format, compression=compression)
    expected = expected_of(tmp_path)
    found = find_files([str(tmp_path / "events")], {})
    results = list(ingest_files(database, found.files, now=NOW, history_start=HISTORY, create_tenants=True))

    for name in ("received", "accepted", "duplicates", "rejected"):
        assert sum(getattr(result.events, name) for result in results) == expected[name]
    reasons = Counter(dict(rows(database, "select reason, count(*) from iris.rejected_events group by 1")))
    assert reasons == expected["rejected_by_reason"]
    types = dict(rows(database, "select event_type, count(*) from iris.analytics_events group by 1"))
    assert types == expected["event_types"]
    tenants = dict(rows(database, "select tenant_id::text, count(*) from iris.analytics_events group by 1"))
    assert tenants == {tenant["id"]: tenant["events"] for tenant in expected["tenants"]}


def test_the_platform_files_load_as_the_records_do(database: Database, tmp_path: Path) -> None:
    simulation = simulate(PLAN)
    write_simulation(simulation, tmp_path)
    load_simulation(database, simulation, now=NOW, history_start=HISTORY)
    before = everything(database)
    for kind in Kind:
        (file,) = find_files([str(tmp_path / f"{kind}.ndjson")], {}).files
        result = load_records(database, kind, file)
        assert (result.added, result.changed) == (0, 0)
        assert result.unchanged == result.received > 0
    assert everything(database) == before
