from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest

from iris_pipelines.simulator import TrafficPlan, simulate
from iris_pipelines.simulator.files import Compression, FileFormat, OutputError, write_simulation

START = datetime(2026, 10, 5, 9, tzinfo=UTC)
PLAN = TrafficPlan(START, START + timedelta(days=2), tenants=2, events_per_day=1_500, seed=5, malformed=0.02)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def ndjson(folder: Path) -> list[bytes]:
    return [line for path in sorted(folder.glob("events/*.ndjson")) for line in path.read_bytes().splitlines()]


@pytest.mark.parametrize("file_format", list(FileFormat))
@pytest.mark.parametrize("compression", list(Compression))
def test_the_same_plan_makes_the_same_bytes(tmp_path: Path, file_format: FileFormat, compression: Compression) -> None:
    for name in ("one", "two"):
        write_simulation(simulate(PLAN), tmp_path / name, file_format=file_format, compression=compression)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert sorted(contents(tmp_path / "one"))[2:5] == [
        f"events/events_2026-10-0{day}.{file_format}"
        + ("" if file_format is FileFormat.PARQUET or compression is Compression.NONE else f".{compression}")
        for day in (5, 6, 7)
    ]


def test_the_manifest_tells_what_is_in_the_files(tmp_path: Path) -> None:
    written = write_simulation(simulate(PLAN), tmp_path, compression=Compression.NONE)
    told = manifest(tmp_path)
    lines = ndjson(tmp_path)
    assert told["received"] == len(lines) == told["accepted"] + told["duplicates"] + told["rejected"]
    assert sum(told["rejected_by_reason"].values()) == told["rejected"] > 10
    readable = []
    for line in lines:
        try:
            readable.append(orjson.loads(line))
        except orjson.JSONDecodeError:
            continue
    assert told["rejected_by_reason"]["invalid_json"] == len(lines) - len(readable)
    ids = Counter(event["id"] for event in readable)
    assert sum(count - 1 for count in ids.values()) == told["duplicates"]
    assert sum(told["event_types"].values()) == told["accepted"]
    assert sum(tenant["events"] for tenant in told["tenants"]) == told["accepted"]
    for name in ("received", "accepted", "duplicates", "rejected"):
        assert sum(file[name] for file in told["files"]) == told[name]
    assert told["messages"] == written.messages == len((tmp_path / "messages.ndjson").read_bytes().splitlines())


def test_every_good_line_says_what_the_columns_say(tmp_path: Path) -> None:
    plan = replace(PLAN, malformed=0)
    write_simulation(simulate(plan), tmp_path, compression=Compression.NONE)
    events = [event for day in simulate(plan).days() for batch in day.batches() for event in batch.events.to_pylist()]
    for line, event in zip(ndjson(tmp_path), events, strict=True):
        found = json.loads(line)
        for name, value in event.items():
            if name in ("event_data", "geo_location") and value is not None:
                assert found[name] == json.loads(value)
            elif name == "timestamp":
                assert datetime.fromisoformat(found[name]) == value
            elif name == "cost" and value is not None:
                assert found[name] == float(value)
            else:
                assert found.get(name) == (value or None if name == "is_machine" else value)
        assert not {name for name, value in found.items() if value is None}


def test_csv_and_parquet_hold_the_same_events(tmp_path: Path) -> None:
    plan = replace(PLAN, malformed=0)
    for file_format in FileFormat:
        write_simulation(simulate(plan), tmp_path / file_format, file_format=file_format, compression=Compression.GZ)
    lines = [
        line
        for path in sorted((tmp_path / "ndjson" / "events").iterdir())
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    ids = [orjson.loads(line)["id"] for line in lines]
    parquet = pa.concat_tables(
        [pyarrow.parquet.read_table(path) for path in sorted((tmp_path / "parquet" / "events").iterdir())]
    )
    assert parquet["id"].to_pylist() == ids
    rows = [
        row
        for path in sorted((tmp_path / "csv" / "events").iterdir())
        for row in csv.DictReader(io.StringIO(gzip.decompress(path.read_bytes()).decode()))
    ]
    assert [row["id"] for row in rows] == ids
    for row, event in zip(rows, parquet.to_pylist(), strict=True):
        assert row["event_data"] == (event["event_data"] or "")
        assert datetime.fromisoformat(row["timestamp"]) == event["timestamp"]


def test_platform_records_are_lines_of_json(tmp_path: Path) -> None:
    simulation = simulate(PLAN)
    write_simulation(simulation, tmp_path)
    expected = {
        "contacts": [row for batch in simulation.contacts() for row in batch.to_pylist()],
        "campaigns": simulation.campaigns().to_pylist(),
        "messages": [row for day in simulation.days() for batch in day.messages for row in batch.to_pylist()],
    }
    for name, rows in expected.items():
        lines = [json.loads(line) for line in (tmp_path / f"{name}.ndjson").read_text(encoding="utf-8").splitlines()]
        for line, row in zip(lines, rows, strict=True):
            line["created_at"] = datetime.fromisoformat(line["created_at"])
            assert line == {column: value for column, value in row.items() if value is not None}
    tenants = [json.loads(line) for line in (tmp_path / "tenants.ndjson").read_text(encoding="utf-8").splitlines()]
    assert [tenant["id"] for tenant in tenants] == [str(tenant.id) for tenant in simulation.tenants]


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("three years of work")
    with pytest.raises(OutputError, match=r"other files in it, such as thesis\.docx"):
        write_simulation(simulate(PLAN), tmp_path)
    assert contents(tmp_path) == {"thesis.docx": b"three years of work"}
    with pytest.raises(OutputError, match="is a file"):
        write_simulation(simulate(PLAN), tmp_path / "thesis.docx")


def test_a_folder_of_an_earlier_simulation_is_written_anew(tmp_path: Path) -> None:
    write_simulation(simulate(PLAN), tmp_path / "again", file_format=FileFormat.CSV)
    other = replace(PLAN, seed=6)
    write_simulation(simulate(other), tmp_path / "again")
    write_simulation(simulate(other), tmp_path / "new")
    assert contents(tmp_path / "again") == contents(tmp_path / "new")
    (tmp_path / "again" / "events" / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        write_simulation(simulate(PLAN), tmp_path / "again")


def test_a_folder_that_cannot_be_written_to_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write to"):
        write_simulation(simulate(PLAN), tmp_path / "file" / "below")
