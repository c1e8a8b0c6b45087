from __future__ import annotations

import gzip
import hashlib
import io
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.exports.events import Destination, Export, due_days, export_day
from iris_pipelines.storage.object_stores import StoreUnavailable
from tests.commands import eventually, finished, iris, python, started
from tests.integration.exports.conftest import DAY, NOW, OTHER_TENANT, Load, at, event
from tests.object_stores import Store, az_store, gs_store, s3_store
from tests.servers import observing, value, waiting_for

NDJSON = f"analytics/analytics_{DAY}.ndjson"
FIELDS = [
    *["id", "tenant_id", "event_type", "timestamp", "message_id", "campaign_id", "contact_id"],
    *["channel", "provider", "event_data", "cost", "duration_ms", "success"],
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "exports"


@pytest.fixture
def destination(folder: Path) -> Destination:
    return Destination(str(folder), {})


@pytest.fixture(scope="module")
def s3() -> Iterator[Store]:
    with s3_store() as store:
        yield store


@pytest.fixture(scope="module")
def gs() -> Iterator[Store]:
    with gs_store() as store:
        yield store


@pytest.fixture(scope="module")
def az() -> Iterator[Store]:
    with az_store() as store:
        yield store


def odd_events() -> list[dict[str, Any]]:
    """Events that are easily written wrongly."""
    return [
        event(at(23, 59, 59, 999_999), id=str(UUID(int=3))),
        event(at(0), tenant_id=str(OTHER_TENANT), id=str(UUID(int=5))),
        event(at(0), id=str(UUID(int=4)), cost="0.000001", duration_ms=1500, success=False),
        event(
            at(9, 30, 0, 120_000),
            event_type="link.clicked",
            event_data={
                "url": 'https://a/?q="x"&y=\\z',
                "text": "two\nlines\r\n\ttab, ü \u2028 \x01",
                "n": [1.5, None],
            },
            contact_id=str(uuid4()),
            campaign_id=str(uuid4()),
            message_id=str(uuid4()),
            provider="sendgrid",
            error_message='with "quotes", commas\nand lines',
        ),
        # The neighbours of the day.
        event(at(23, 59, 59, 999_999, day=DAY - timedelta(days=1))),
        event(at(0, day=DAY + timedelta(days=1))),
    ]


def expected(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What an export of the day has, made from what was loaded."""
    of_day = [each for each in events if each["timestamp"].startswith(f"{DAY}")]
    return [
        {**dict.fromkeys(FIELDS), "success": True, **{name: each[name] for name in FIELDS if name in each}}
        for each in sorted(of_day, key=lambda each: (each["timestamp"], each["id"]))
    ]


def test_a_day_is_one_file_with_the_fields_in_order_by_timestamp_and_id(
    database: Database, load: Load, destination: Destination, folder: Path
) -> None:
    events = odd_events()
    load(events)
    done = export_day(database, Export.NDJSON, destination, DAY)
    data = (folder / NDJSON).read_bytes()
    lines = data.splitlines()
    rows = [json.loads(line, parse_float=Decimal) for line in lines]
    assert [list(row) for row in rows] == [FIELDS] * 4
    wanted = expected(events)
    assert [row["timestamp"] for row in rows] == [
        *[f"{DAY}T00:00:00+00:00"] * 2,
        f"{DAY}T09:30:00.12+00:00",
        f"{DAY}T23:59:59.999999+00:00",
    ]
    assert rows[0]["cost"] == Decimal("0.000001")
    for row, want in zip(rows, wanted, strict=True):
        assert {**row, "timestamp": 0, "cost": 0} == {**want, "timestamp": 0, "cost": 0}
    assert (done.url, done.version, done.row_count, done.bytes) == (str(folder / NDJSON), 1, 4, len(data))
    assert done.sha256 == done.content_sha256 == hashlib.sha256(data).hexdigest()
    assert done.min_timestamp is not None
    assert done.max_timestamp is not None
    assert (done.min_timestamp.isoformat(), done.max_timestamp.isoformat()) == (at(0), at(23, 59, 59, 999_999))


def test_events_of_two_tenants_with_one_id_and_one_time_have_one_order(
    database: Database, load: Load, destination: Destination, folder: Path
) -> None:
    load([event(at(8))])
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.analytics_events (id, tenant_id, event_type, timestamp)"
            " select %s, md5(number::text)::uuid, 'a.b', %s from generate_series(1, 2000) as numbers (number)",
            (UUID(int=1), at(9)),
        )
        # So many rows are read as they lie.
        connection.execute("analyze iris.analytics_events")
    export_day(database, Export.NDJSON, destination, DAY)
    tenants = [json.loads(line)["tenant_id"] for line in (folder / NDJSON).read_bytes().splitlines()][1:]
    assert len(tenants) == 2000
    assert tenants == sorted(tenants)


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_a_packed_file_holds_the_same_bytes_and_takes_the_place_of_the_plain_one(
    database: Database, load: Load, destination: Destination, folder: Path, compression: str
) -> None:
    load(odd_events())
    plain = export_day(database, Export.NDJSON, destination, DAY)
    data = (folder / NDJSON).read_bytes()
    done = export_day(database, Export.NDJSON, replace(destination, compression=compression), DAY)
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    assert str(file) == done.url == f"{plain.url}.{compression}"
    packed = file.read_bytes()
    if compression == "gz":
        assert gzip.decompress(packed) == data
    else:
        with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
            assert stream.read() == data
    assert done.sha256 == hashlib.sha256(packed).hexdigest()
    assert done.content_sha256 == plain.sha256
    assert (done.version, done.bytes) == (1, len(packed))


def test_parquet_holds_the_same_rows_with_types(
    database: Database, load: Load, destination: Destination, folder: Path
) -> None:
    events = odd_events()
    load(events)
    export_day(database, Export.NDJSON, destination, DAY)
    done = export_day(database, Export.PARQUET, destination, DAY)
    table = pq.read_table(io.BytesIO((folder / f"analytics/parquet/date={DAY}/events.parquet").read_bytes()))
    assert table.schema.names == FIELDS
    assert table.schema.field("timestamp").type == pa.timestamp("us", "UTC")
    assert table.schema.field("cost").type == pa.decimal128(10, 6)
    lines = [json.loads(line, parse_float=Decimal) for line in (folder / NDJSON).read_bytes().splitlines()]
    rows = table.to_pylist()
    for row, line in zip(rows, lines, strict=True):
        assert row.pop("timestamp") == datetime.fromisoformat(line.pop("timestamp"))
        assert json.loads(row.pop("event_data") or "null", parse_float=Decimal) == line.pop("event_data")
        assert row == line
    assert (done.row_count, done.min_timestamp, done.version) == (4, table["timestamp"][0].as_py(), 1)


def test_parquet_takes_an_event_of_any_length(
    database: Database, load: Load, destination: Destination, folder: Path
) -> None:
    """Other services insert by plain SQL what a file may not bring."""
    lengths = [10, 9_000_000, 10, 4 << 20, (4 << 20) - 300, 17_000_000, 10]
    load([event(at(8), tenant_id=str(OTHER_TENANT))])
    with database.transaction() as connection:
        connection.cursor().executemany(
            "insert into iris.analytics_events (tenant_id, event_type, timestamp, event_data)"
            " values (%s, 'custom.long', %s, jsonb_build_object('text', repeat('\"', %s)))",
            [(OTHER_TENANT, at(9, second), length) for second, length in enumerate(lengths)],
        )
    export_day(database, Export.PARQUET, destination, DAY)
    rows = pq.read_table(folder / f"analytics/parquet/date={DAY}/events.parquet", partitioning=None).to_pylist()
    assert [len(json.loads(row["event_data"])["text"]) for row in rows[1:]] == lengths


def test_a_day_without_events_is_an_empty_file(database: Database, destination: Destination, folder: Path) -> None:
    assert export_day(database, Export.NDJSON, destination, DAY).row_count == 0
    assert (folder / NDJSON).read_bytes() == b""
    assert export_day(database, Export.PARQUET, destination, DAY).min_timestamp is None
    assert pq.read_schema(folder / f"analytics/parquet/date={DAY}/events.parquet").names == FIELDS


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_every_store_gets_the_bytes_that_a_folder_gets(
    request: pytest.FixtureRequest, database: Database, load: Load, folder: Path, scheme: str
) -> None:
    destination = Destination(str(folder), {})
    store: Store = replace(request.getfixturevalue(scheme), path=f"landing/{uuid4()}")
    load(odd_events())
    for export in Export:
        here = export_day(database, export, destination, DAY)
        there = export_day(database, export, Destination(store.url("out"), store.environment), DAY)
        name = here.url.removeprefix(f"{folder}/")
        assert there.url == store.url(f"out/{name}")
        assert store.get(f"out/{name}") == Path(here.url).read_bytes()
        assert there.sha256 == here.sha256
    assert len(store.keys()) == 2


def manifest(database: Database) -> list[tuple[Any, ...]]:
    """Every column but when it was."""
    with database.transaction() as connection:
        return connection.execute(
            "select export, destination, date, url, version, row_count, bytes, sha256, content_sha256, min_timestamp,"
            " max_timestamp from iris.export_manifest order by 1, 2, 3"
        ).fetchall()


def test_ten_exports_give_one_day(database: Database, load: Load, destination: Destination, folder: Path) -> None:
    load(odd_events())
    first = export_day(database, Export.NDJSON, destination, DAY)
    before = manifest(database)
    for _ in range(9):
        assert export_day(database, Export.NDJSON, destination, DAY) == first
    assert manifest(database) == before
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / NDJSON]


def test_late_corrected_and_deleted_events_make_their_day_due_and_no_other(
    database: Database, load: Load, destination: Destination, folder: Path
) -> None:
    load(odd_events())
    days = [DAY, DAY + timedelta(days=1)]
    assert due_days(database, Export.NDJSON, destination.name, now=NOW) == []
    for day in days:
        export_day(database, Export.NDJSON, destination, day)
    assert due_days(database, Export.NDJSON, destination.name, now=NOW) == []

    load([event(at(5)), event(at(1, day=DAY - timedelta(days=2))), event(at(1, day=NOW.date()))])
    # Not the day in progress, nor one before the first that was exported.
    assert due_days(database, Export.NDJSON, destination.name, now=NOW) == [DAY]
    done = export_day(database, Export.NDJSON, destination, DAY)
    assert (done.version, done.row_count) == (2, 5)
    assert due_days(database, Export.NDJSON, destination.name, now=NOW) == []
    assert due_days(database, Export.NDJSON, destination.name, now=NOW + timedelta(days=1)) == [NOW.date()]

    for statement in (
        "update iris.analytics_events set cost = 1 where timestamp = %s",
        "delete from iris.analytics_events where timestamp = %s",
    ):
        with database.transaction() as connection:
            connection.execute(statement.encode(), (at(5),))
        assert due_days(database, Export.NDJSON, destination.name, now=NOW) == [DAY]
        done = export_day(database, Export.NDJSON, destination, DAY)
    assert (done.version, done.row_count) == (4, 4)


def test_each_place_has_its_own_state(database: Database, load: Load, destination: Destination, tmp_path: Path) -> None:
    load(odd_events())
    export_day(database, Export.NDJSON, destination, DAY)
    other = replace(destination, url=str(tmp_path / "other"))
    assert due_days(database, Export.NDJSON, other.name, now=NOW) == []
    export_day(database, Export.NDJSON, other, DAY)
    assert due_days(database, Export.NDJSON, other.name, now=NOW) == [DAY + timedelta(days=1)]
    load([event(at(5))])
    assert due_days(database, Export.NDJSON, other.name, now=NOW)[0] == DAY
    # Back to the first one: what happened meanwhile is known.
    assert due_days(database, Export.NDJSON, destination.name, now=NOW)[0] == DAY
    export_day(database, Export.NDJSON, destination, DAY)
    assert [row[4:6] for row in manifest(database)] == [(2, 5), (1, 4)]


def test_an_event_that_is_committed_during_an_export_makes_the_day_due_again(
    database: Database, load: Load, destination: Destination
) -> None:
    load(odd_events()[:-1])
    export_day(database, Export.NDJSON, destination, DAY)
    insert = "insert into iris.analytics_events (tenant_id, event_type, timestamp) values (%s, 'message.sent', %s)"
    with psycopg.connect(database.url) as slow:
        slow.execute(insert, (OTHER_TENANT, at(4)))
        load([event(at(5))])
        assert export_day(database, Export.NDJSON, destination, DAY).row_count == 5
        assert due_days(database, Export.NDJSON, destination.name, now=NOW) == []
        slow.commit()
    assert due_days(database, Export.NDJSON, destination.name, now=NOW) == [DAY]
    assert export_day(database, Export.NDJSON, destination, DAY).row_count == 6


_PEAK = """
import sys
from datetime import date
from pathlib import Path
from iris_pipelines.db.database import Database
from iris_pipelines.exports.events import Destination, Export, export_day
with Database(sys.argv[1]) as database:
    place = Destination(sys.argv[3], {}, sys.argv[4])
    done = export_day(database, Export(sys.argv[2]), place, date.fromisoformat(sys.argv[5]))
# What getrusage says was inherited from the parent.
(line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
print(done.row_count, int(line.split()[1]) // 1024)
"""


@pytest.mark.parametrize(
    ("export", "compression", "limit"), [("events_ndjson", "zst", 64), ("events_parquet", "none", 300)]
)
def test_memory_does_not_grow_with_the_day(
    database: Database, folder: Path, export: str, compression: str, limit: int
) -> None:
    """The limits hold for a day of any size; a day that is three times as large must not need more."""
    small, large = DAY, DAY + timedelta(days=1)
    with database.transaction() as connection:
        for day, count in ((small, 60_000), (large, 200_000)):
            connection.execute(
                "insert into iris.analytics_events (tenant_id, event_type, timestamp, event_data)"
                " select %s, 'message.sent', %s::timestamptz + number * interval '1 millisecond',"
                " jsonb_build_object('text', repeat(md5(number::text), 8)) from generate_series(1, %s) as number",
                (OTHER_TENANT, at(0, day=day), count),
            )

    def peak(day: date) -> tuple[int, int]:
        options = [database.url, export, str(folder), compression, str(day)]
        done = finished(python("-c", _PEAK, *options))
        assert done.error == ""
        rows, megabytes = done.out.split()
        return int(rows), int(megabytes)

    assert [peak(small)[0], peak(large)[0]] == [60_000, 200_000]
    assert peak(large)[1] < limit
    assert peak(large)[1] < 1.25 * peak(small)[1]


def test_two_exports_of_a_day_at_once_come_to_one_result(database: Database, load: Load, folder: Path) -> None:
    load(odd_events())
    environment = {"IRIS_DATABASE_URL": database.url, "IRIS_EXPORT_URL": str(folder)}
    command = iris("export", "--date", f"{DAY}", "--json")
    with psycopg.connect(database.url) as gate, observing(database.url) as observer:
        gate.execute("lock table iris.export_manifest in exclusive mode")
        with started(command, **environment) as first, started(command, **environment) as second:
            # One has written the file and waits for us, the other one for it.
            eventually(lambda: waiting_for(observer) == 2, "both exports")
            assert waiting_for(observer, "advisory") == 1
            gate.commit()
            ended = [first.finished(), second.finished()]
    assert [(each.code, each.error) for each in ended] == [(0, "")] * 2
    assert ended[0].out == ended[1].out
    assert [row[4:6] for row in manifest(database)] == [(1, 4)]
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / NDJSON]


_AT_WORK = """
    select count(*) from pg_stat_activity
    where datname = current_database() and application_name = 'iris' and state <> 'idle'
"""


@pytest.mark.parametrize("step", ["before the file is written", "after the file is written"])
def test_an_export_killed_anywhere_is_made_good_by_the_next(
    database: Database, load: Load, folder: Path, tmp_path: Path, step: str
) -> None:
    destination = Destination(str(folder), {})
    undisturbed = replace(destination, url=str(tmp_path / "undisturbed"))
    load(odd_events())
    export_day(database, Export.NDJSON, destination, DAY)
    load([event(at(5))])
    old = (folder / NDJSON).read_bytes()
    environment = {"IRIS_DATABASE_URL": database.url, "IRIS_EXPORT_URL": str(folder)}
    lock = {
        "before the file is written": "lock table iris.analytics_events in access exclusive mode",
        "after the file is written": "lock table iris.export_manifest in exclusive mode",
    }[step]
    with (
        psycopg.connect(database.url) as gate,
        observing(database.url) as observer,
        started(iris("export", "--date", f"{DAY}"), **environment) as child,
    ):
        gate.execute(lock.encode())
        eventually(lambda: waiting_for(observer) > 0, "the export at the lock")
        child.send(signal.SIGKILL)
        assert child.finished().code == -signal.SIGKILL
        gate.rollback()
        eventually(lambda: value(observer, _AT_WORK) == 0, "the end of the session of who was killed")

    # Readers see the file of before or the new one, and the day is known to be due.
    whole = (folder / NDJSON).read_bytes()
    assert (whole == old) is (step == "before the file is written")
    assert len(whole.splitlines()) == (4 if whole == old else 5)
    assert due_days(database, Export.NDJSON, destination.name, now=NOW)[0] == DAY
    done = finished(iris("export"), **environment)
    assert (done.code, done.error) == (0, "")
    assert f"{NDJSON}: 5 events" in done.out
    export_day(database, Export.NDJSON, undisturbed, DAY)
    assert (folder / NDJSON).read_bytes() == (tmp_path / "undisturbed" / NDJSON).read_bytes()
    rows = {(row[1], row[2]): row[5:] for row in manifest(database)}
    assert rows[str(folder), DAY] == rows[undisturbed.url, DAY]
    assert [path.name for path in folder.rglob(".*")] == []


def test_a_store_that_is_away_keeps_the_day_due(database: Database, load: Load, s3: Store) -> None:
    store = replace(s3, path=f"landing/{uuid4()}")
    there = Destination(store.url("out"), store.environment)
    load(odd_events())
    export_day(database, Export.NDJSON, there, DAY)
    load([event(at(5))])
    before = manifest(database)
    away = replace(there, environment={**store.environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    with pytest.raises(StoreUnavailable, match=r"^s3://landing/.*\.ndjson cannot be written: "):
        export_day(database, Export.NDJSON, away, DAY)
    assert manifest(database) == before
    assert due_days(database, Export.NDJSON, there.name, now=NOW)[0] == DAY
    assert export_day(database, Export.NDJSON, there, DAY).row_count == 5


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--date", "2999-01-01"], "2999-01-01 has not begun"),
        (["--date", "2026-11-18", "--from", "2026-11-17"], "either one day or a range"),
        (["--from", "2026-11-17"], "a day after the last"),
        (["--from", "2026-11-17", "--to", "2026-11-17"], "the range holds no day"),
        (["--date", "2026-11-18", "--format", "csv"], "csv is none of ndjson, parquet, bigquery"),
        (["--date", "2026-11-18", "--format", "bigquery"], "bigquery needs IRIS_BIGQUERY_PROJECT"),
    ],
)
def test_wrong_usage_is_told(database_url: str, arguments: list[str], sentence: str) -> None:
    done = finished(iris("export", *arguments), IRIS_DATABASE_URL=database_url)
    assert done.code == 2
    assert sentence in done.error


def test_a_range_of_days_is_exported_in_both_formats(database: Database, load: Load, folder: Path) -> None:
    load(odd_events())
    environment = {"IRIS_DATABASE_URL": database.url, "IRIS_EXPORT_URL": str(folder)}
    options = ["--from", "2026-11-17", "--to", "2026-11-20", "--format", "ndjson", "--format", "parquet", "--json"]
    done = finished(iris("export", *options), **environment)
    assert (done.code, done.error) == (0, "")
    found = [(each["export"], date.fromisoformat(each["date"]), each["row_count"]) for each in json.loads(done.out)]
    counts = [(DAY - timedelta(days=1), 1), (DAY, 4), (DAY + timedelta(days=1), 1)]
    assert found == [(export, *each) for export in ("events_ndjson", "events_parquet") for each in counts]
