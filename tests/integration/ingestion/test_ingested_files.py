import gzip
import io
import json
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iris_pipelines.db.database import Database, DatabaseUnavailable
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.ingestion.files.discovery import LocalFile, find_files
from iris_pipelines.ingestion.ingested_files import FileProgress, FileResult, Outcome, ingest_files
from iris_pipelines.ingestion.loader import LoadResult

NOW = datetime(2027, 1, 1, tzinfo=UTC)
HISTORY_START = date(2020, 1, 1)
REAL_EVENTS = Path(__file__).parents[4] / "shared" / "data"
TENANT = UUID("9c4fb7e0-7d0f-4f7e-8c33-1a4e1f5b7a10")


def event(**fields: Any) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "tenant_id": str(TENANT),
        "event_type": "message.sent",
        "timestamp": "2026-11-02T10:00:00Z",
        **fields,
    }


def ndjson(events: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


def ingest(database: Database, *paths: Path, **options: Any) -> list[FileResult]:
    found = find_files(map(str, paths), {})
    assert found.problems == []
    return list(ingest_files(database, found.files, now=NOW, history_start=HISTORY_START, **options))


def rows(database: Database, query: str) -> list[tuple[Any, ...]]:
    with database.transaction() as connection:
        return connection.execute(query).fetchall()


def count(database: Database, table: str) -> int:
    ((number,),) = rows(database, f"select count(*) from iris.{table}")
    return int(number)


@pytest.fixture
def tenant(database: Database) -> Tenant:
    made = Tenant(TENANT, "Acme")
    create_tenant(database, made)
    return made


@pytest.mark.usefixtures("tenant")
def test_a_file_is_loaded_once_by_its_content_whatever_its_name(database: Database, tmp_path: Path) -> None:
    content = ndjson([event(), event()])
    first, copy = tmp_path / "first.ndjson", tmp_path / "copy.jsonl"
    first.write_bytes(content)
    copy.write_bytes(content)

    (loaded,) = ingest(database, first)
    assert (loaded.outcome, loaded.events) == (Outcome.LOADED, LoadResult(2, 2, 0, 0))
    for path in (first, copy):
        (again,) = ingest(database, path)
        assert (again.outcome, again.events) == (Outcome.ALREADY_LOADED, LoadResult(2, 0, 2, 0))
    assert count(database, "analytics_events") == 2
    assert rows(
        database, "select source, bytes, received, accepted, duplicates, rejected from iris.ingested_files"
    ) == [(str(first), len(content), 2, 2, 0, 0)]


@pytest.mark.usefixtures("tenant")
def test_again_loads_a_file_whose_events_are_gone(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson([event(), event()]))
    ingest(database, path)
    with database.transaction() as connection:
        connection.execute("delete from iris.analytics_events")

    assert ingest(database, path)[0].events.accepted == 0
    assert ingest(database, path, again=True)[0].events == LoadResult(2, 2, 0, 0)
    assert ingest(database, path, again=True)[0].events == LoadResult(2, 0, 2, 0)
    assert rows(database, "select received, accepted, duplicates from iris.ingested_files") == [(2, 2, 0)]


def test_a_file_with_rejected_events_is_judged_again_and_rejects_are_kept_once(
    database: Database, tmp_path: Path
) -> None:
    path, copy = tmp_path / "events.ndjson", tmp_path / "copy.ndjson"
    content = ndjson([event(), event(channel="pigeon"), event()]) + b"{broken\n"
    path.write_bytes(content)
    copy.write_bytes(content)

    (first,) = ingest(database, path)
    assert first.events == LoadResult(4, 0, 0, 4)
    assert [(each.reason, each.count, each.line) for each in first.rejected_by_reason] == [
        ("unknown_tenant", 2, 1),
        ("unknown_channel", 1, 2),
        ("invalid_json", 1, 4),
    ]
    for same in (path, copy):
        assert ingest(database, same)[0].events == LoadResult(4, 0, 0, 4)
    assert count(database, "rejected_events") == 4

    (fixed,) = ingest(database, path, create_tenants=True)
    assert (fixed.outcome, fixed.events) == (Outcome.LOADED, LoadResult(4, 2, 0, 2))
    assert ingest(database, path)[0].events == LoadResult(4, 0, 2, 2)
    assert rows(database, "select received, accepted, duplicates, rejected from iris.ingested_files") == [(4, 2, 0, 2)]


@pytest.mark.usefixtures("tenant")
def test_a_file_that_cannot_be_read_to_its_end_loads_nothing_and_harms_no_other(
    database: Database, tmp_path: Path
) -> None:
    events = [event(event_data={"text": uuid4().hex * 20}) for _ in range(40_000)]
    packed = gzip.compress(ndjson(events), 1)
    (tmp_path / "a.ndjson.gz").write_bytes(packed[:-100])
    (tmp_path / "b.json").write_bytes(json.dumps(events).encode()[:-1])
    (tmp_path / "c.ndjson").write_bytes(ndjson([event()]))

    cut_off, broken, whole = ingest(database, tmp_path)

    assert (cut_off.outcome, cut_off.events, broken.outcome) == (Outcome.FAILED, LoadResult(), Outcome.FAILED)
    assert "a.ndjson.gz: the gzip stream is cut off before its end" in str(cut_off.problem)
    assert "b.json: is broken JSON: the array is cut off after 40,000 elements" in str(broken.problem)
    assert whole.events == LoadResult(1, 1, 0, 0)
    assert count(database, "analytics_events") == 1
    assert count(database, "ingested_files") == 1

    (tmp_path / "a.ndjson.gz").write_bytes(packed)
    assert ingest(database, tmp_path / "a.ndjson.gz")[0].events.accepted == 40_000


@pytest.mark.usefixtures("tenant")
def test_two_loads_of_one_content_at_once_load_it_once(database: Database, tmp_path: Path) -> None:
    paths = [tmp_path / "a.ndjson", tmp_path / "b.ndjson"]
    content = ndjson([event() for _ in range(3000)])
    results: list[FileResult] = []
    for path in paths:
        path.write_bytes(content)
    threads = [threading.Thread(target=lambda path=path: results.extend(ingest(database, path))) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(result.outcome for result in results) == [Outcome.ALREADY_LOADED, Outcome.LOADED]
    assert {result.events for result in results} == {LoadResult(3000, 3000, 0, 0), LoadResult(3000, 0, 3000, 0)}
    assert count(database, "analytics_events") == 3000


def large_file(path: Path) -> Path:
    """More than one batch, so that something happens between the first and the end."""
    path.write_bytes(ndjson([event() for _ in range(60_000)]))
    return path


@pytest.mark.usefixtures("tenant")
def test_a_database_that_goes_away_in_the_middle_leaves_nothing_half_loaded(database: Database, tmp_path: Path) -> None:
    path = large_file(tmp_path / "events.ndjson")

    def kill_other_sessions(_: FileProgress) -> None:
        with psycopg.connect(database.url, autocommit=True) as admin:
            admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )

    with pytest.raises(DatabaseUnavailable, match=r"lost the connection to .*: nothing of this was stored"):
        ingest(database, path, on_progress=kill_other_sessions)
    with Database(database.url) as reconnected:
        assert count(reconnected, "analytics_events") == 0
        assert count(reconnected, "ingested_files") == 0
        assert ingest(reconnected, path)[0].events.accepted == 60_000


@pytest.mark.usefixtures("tenant")
def test_a_full_disk_of_the_server_is_named_and_leaves_nothing_half_loaded(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson([event()]))
    with database.transaction() as connection:
        connection.execute(
            "create function no_room() returns trigger language plpgsql as"
            " $$ begin raise exception using errcode = '53100', message = 'No space left on device'; end $$"
        )
        connection.execute(
            "create trigger no_room before insert on iris.ingested_files for each row execute function no_room()"
        )
    with pytest.raises(DatabaseUnavailable, match=r"the disk of .* is full: nothing of this was stored"):
        ingest(database, path)
    assert count(database, "analytics_events") == 0


@pytest.mark.usefixtures("tenant")
def test_a_file_that_is_written_to_while_it_is_read_is_not_loaded(database: Database, tmp_path: Path) -> None:
    path = large_file(tmp_path / "events.ndjson")

    def append(_: FileProgress) -> None:
        with path.open("ab") as file:
            file.write(ndjson([event()]))

    (result,) = ingest(database, path, on_progress=append)
    assert result.outcome is Outcome.FAILED
    assert "was changed while it was being read" in str(result.problem)
    assert count(database, "analytics_events") == 0


@pytest.mark.usefixtures("tenant")
def test_a_file_that_vanished_is_a_failed_one(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(ndjson([event()]))
    file = LocalFile.at(path)
    path.unlink()
    (result,) = ingest_files(database, [file], now=NOW, history_start=HISTORY_START)
    assert result.problem == f"{path}: cannot be read: No such file or directory"
    assert count(database, "read_files") == 0


@pytest.mark.usefixtures("tenant")
def test_progress_is_reported_in_the_files_own_bytes(database: Database, tmp_path: Path) -> None:
    events = [event(event_data={"number": number}) for number in range(60_000)]
    plain, packed, table = tmp_path / "a.ndjson", tmp_path / "b.ndjson.gz", tmp_path / "c.parquet"
    plain.write_bytes(ndjson(events))
    packed.write_bytes(gzip.compress(ndjson(events), 1))
    pq.write_table(pa.Table.from_pylist(events), table)
    for path in (plain, packed, table):
        seen: list[FileProgress] = []
        ingest(database, path, on_progress=seen.append)
        size = path.stat().st_size
        assert [each.size for each in seen] == [size] * len(seen)
        assert [each.bytes_read for each in seen] == sorted(each.bytes_read for each in seen)
        assert 0 < seen[0].bytes_read <= size
        assert seen[-1].bytes_read == size


def as_csv(events: Sequence[dict[str, Any]]) -> bytes:
    import csv

    out = io.StringIO()
    writer = csv.DictWriter(out, sorted({name for each in events for name in each}))
    writer.writeheader()
    for each in events:
        writer.writerow({name: value if isinstance(value, str) else json.dumps(value) for name, value in each.items()})
    return out.getvalue().encode()


def as_parquet(events: Sequence[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    names = sorted({name for each in events for name in each})
    pq.write_table(pa.Table.from_pylist([dict.fromkeys(names) | each for each in events]), out)
    return out.getvalue()


FORMATS: dict[str, Callable[[Sequence[dict[str, Any]]], bytes]] = {
    "ndjson": ndjson,
    "json": lambda events: json.dumps(events).encode(),
    "csv": as_csv,
    "parquet": as_parquet,
}


def varied(number: int) -> dict[str, Any]:
    """Events of every shape, without ids."""
    fields: dict[str, Any] = {
        "tenant_id": str(TENANT),
        "event_type": ("message.sent", "link.clicked", "api.request", "custom.thing")[number % 4],
        "timestamp": f"2026-11-02T10:00:{number % 60:02d}.{number:06d}+02:00",
        "channel": ("SMS", "email", "voice")[number % 3],
        "success": number % 5 != 0,
        "event_data": {"url": f"https://example.org/{number}", "nested": {"n": number, "list": [str(number), "é"]}},
        "geo_location": {"city": "Zürich", "lat": 47.37, "lon": 8.5 + number},
        "campaign_note": f'say "{number}",\nthen stop',
        "attempt": number,
    }
    if number % 2:
        fields |= {"cost": number / 1000, "duration_ms": number * 10, "message_id": str(UUID(int=number))}
    return fields


@pytest.mark.usefixtures("tenant")
@pytest.mark.parametrize("events", [30, 500])
def test_the_same_events_in_another_format_are_all_duplicates(database: Database, tmp_path: Path, events: int) -> None:
    written = [varied(number) for number in range(events)]
    for position, (suffix, write) in enumerate(FORMATS.items()):
        path = tmp_path / f"events.{suffix}"
        path.write_bytes(write(written))
        (result,) = ingest(database, path)
        expected = LoadResult(events, events, 0, 0) if position == 0 else LoadResult(events, 0, events, 0)
        assert (suffix, result.rejected_by_reason, result.events) == (suffix, (), expected)
    assert count(database, "analytics_events") == events


@pytest.mark.skipif(not REAL_EVENTS.is_dir(), reason="the real events are not here")
def test_real_events_are_loaded_to_the_last_one(database: Database) -> None:
    paths = [REAL_EVENTS / f"{name}.ndjson.gz" for name in ("apache_api", "twilio_seed")]
    api, seed = ingest(database, *paths, create_tenants=True)
    assert (api.events, seed.events) == (LoadResult(10_000, 10_000, 0, 0), LoadResult(36, 36, 0, 0))
    assert rows(database, "select event_type, count(*) from iris.analytics_events group by 1 order by 1") == [
        ("api.request", 10_000),
        ("message.delivered", 16),
        ("message.failed", 2),
        ("message.sent", 18),
    ]
