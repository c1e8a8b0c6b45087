import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.ingestion.files.discovery import LocalFile
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.loader import load_events
from iris_pipelines.ingestion.platform_records import InvalidRecord, Kind, RecordsResult, load_records
from iris_pipelines.ingestion.records import ObjectBatch

TENANT = UUID("9c4fb7e0-7d0f-4f7e-8c33-1a4e1f5b7a10")
ONE = UUID(int=1)
TWO = UUID(int=2)
KEY = {"tenant_id": str(TENANT), "id": str(ONE)}


@pytest.fixture(autouse=True)
def tenant(database: Database) -> None:
    create_tenant(database, Tenant(TENANT, "Acme"))


def ndjson(records: Sequence[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def as_csv(records: Sequence[dict[str, Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue().encode()


def as_parquet(records: Sequence[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records)), out)
    return out.getvalue()


FORMATS: dict[str, Callable[[Sequence[dict[str, Any]]], bytes]] = {
    "ndjson": ndjson,
    "json": lambda records: json.dumps(records).encode(),
    "csv": as_csv,
    "csv.gz": lambda records: gzip.compress(as_csv(records)),
    "parquet": as_parquet,
}


@pytest.fixture
def load(database: Database, tmp_path: Path) -> Callable[..., RecordsResult]:
    def load_them(kind: Kind, *records: dict[str, Any], suffix: str = "ndjson") -> RecordsResult:
        path = tmp_path / f"{kind}.{suffix}"
        path.write_bytes(FORMATS[suffix](records))
        return load_records(database, kind, LocalFile.at(path))

    return load_them


Load = Callable[..., RecordsResult]


def stored(database: Database, kind: Kind) -> list[dict[str, Any]]:
    with database.transaction() as connection:
        cursor = connection.execute(f"select * from iris.{kind} order by tenant_id, id")
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_loads_the_same_and_loading_it_again_changes_nothing(
    database: Database, load: Load, suffix: str
) -> None:
    records = [
        {**KEY, "first_name": "Ana", "phone": "0049123", "email": "", "created_at": "2026-01-02T03:04:05+01:00"},
        {**KEY, "id": str(TWO), "first_name": "true", "phone": "5", "email": "b@example.org", "created_at": ""},
    ]
    assert load(Kind.CONTACTS, *records, suffix=suffix) == RecordsResult(2, 2, 0, 0)
    before = stored(database, Kind.CONTACTS)
    assert [(row["first_name"], row["phone"], row["email"]) for row in before] == [
        ("Ana", "0049123", None),
        ("true", "5", "b@example.org"),
    ]
    assert before[0]["created_at"] == datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert load(Kind.CONTACTS, *records, suffix=suffix) == RecordsResult(2, 0, 0, 2)
    assert stored(database, Kind.CONTACTS) == before


def test_a_file_changes_what_it_says_and_leaves_the_rest(database: Database, load: Load) -> None:
    load(Kind.CAMPAIGNS, {**KEY, "name": "Spring", "status": "Running", "channel": "SMS"})
    assert load(Kind.CAMPAIGNS, {**KEY, "status": "done"}) == RecordsResult(1, 0, 1, 0)
    (row,) = stored(database, Kind.CAMPAIGNS)
    assert (row["name"], row["status"], row["channel"]) == ("Spring", "done", "sms")


def test_of_lines_with_one_id_the_last_counts(database: Database, load: Load) -> None:
    assert load(Kind.CAMPAIGNS, {**KEY, "name": "a"}, {**KEY, "name": "b"}) == RecordsResult(2, 1, 0, 1)
    assert load(Kind.CAMPAIGNS, {**KEY, "name": "c"}, {**KEY, "name": "d"}) == RecordsResult(2, 0, 1, 1)
    assert stored(database, Kind.CAMPAIGNS)[0]["name"] == "d"


def test_a_message_keeps_what_events_wrote_on_it(database: Database, load: Load) -> None:
    message = {
        **KEY,
        "to_address": "+49123",
        "channel": "sms",
        "provider": "Twilio",
        "variant": "A",
        "status": "queued",
        "cost": 0.0075,
        "open_count": 0,
        "created_at": "2026-11-02T09:59:00Z",
    }
    load(Kind.MESSAGES, message)
    event = {"tenant_id": str(TENANT), "message_id": str(ONE)}
    events = [
        {**event, "event_type": event_type, "timestamp": f"2026-11-02T10:0{minute}:00Z"}
        for minute, event_type in enumerate(("message.sent", "message.failed", "message.delivered", "message.opened"))
    ]
    load_events(
        database,
        [ObjectBatch("test", range(1, 5), events)],
        now=datetime(2026, 11, 3, tzinfo=UTC),
        history_start=date(2020, 1, 1),
    )
    before = stored(database, Kind.MESSAGES)
    assert (before[0]["status"], before[0]["open_count"]) == ("delivered", 1)

    assert load(Kind.MESSAGES, message) == RecordsResult(1, 0, 0, 1)
    assert stored(database, Kind.MESSAGES) == before
    assert load(Kind.MESSAGES, {**KEY, "variant": "B", "open_count": 5}) == RecordsResult(1, 0, 1, 0)
    assert stored(database, Kind.MESSAGES) == [{**before[0], "variant": "B", "open_count": 5}]


def test_an_address_that_bounced_stays_so(database: Database, load: Load) -> None:
    load(Kind.CONTACTS, {**KEY, "email_status": "bounced"})
    load(Kind.CONTACTS, {**KEY, "email_status": "valid"})
    assert stored(database, Kind.CONTACTS)[0]["email_status"] == "bounced"
    load(Kind.CONTACTS, {**KEY, "email_status": "complained"})
    assert stored(database, Kind.CONTACTS)[0]["email_status"] == "complained"


@pytest.mark.parametrize(
    ("kind", "record", "problem"),
    [
        (Kind.CONTACTS, {**KEY, "nickname": "x"}, "contacts have no column 'nickname'; they have tenant_id, id"),
        (Kind.CONTACTS, {"tenant_id": str(TENANT)}, "column id is missing"),
        (Kind.CONTACTS, {"tenant_id": "", "id": str(ONE)}, "column tenant_id is missing"),
        (Kind.CONTACTS, {**KEY, "id": "one"}, "column id is 'one': expected a UUID"),
        (Kind.CONTACTS, {**KEY, "tenant_id": str(TWO)}, f"column tenant_id is {TWO}: there is no such tenant"),
        (Kind.CONTACTS, {**KEY, "first_name": {"a": 1}}, "column first_name is {'a': 1}: expected text"),
        (Kind.CONTACTS, {**KEY, "last_name": "a\x00b"}, r"column last_name is 'a\x00b': expected text"),
        (Kind.CONTACTS, {**KEY, "engagement_score": -1}, "column engagement_score is -1: expected a whole number"),
        (Kind.CONTACTS, {**KEY, "engagement_score": "1.5"}, "column engagement_score is '1.5': expected a whole"),
        (Kind.CONTACTS, {**KEY, "created_at": "2026-01-02T03:04:05"}, "expected ISO 8601 with an offset"),
        (Kind.CONTACTS, {**KEY, "created_at": 10**30}, "expected ISO 8601 with an offset"),
        (Kind.CAMPAIGNS, {**KEY, "status": "draft"}, "column name is missing, and a new campaign needs one"),
        (Kind.CAMPAIGNS, {**KEY, "name": "a", "channel": "fax"}, "column channel is 'fax': expected one of email,"),
        (Kind.MESSAGES, {**KEY, "cost": 10_000}, "column cost is 10000: expected an amount from 0"),
        (Kind.MESSAGES, {**KEY, "cost": "NaN"}, "column cost is 'NaN': expected an amount from 0"),
        (Kind.MESSAGES, {**KEY, "open_count": 2**31}, "column open_count is 2147483648: expected a whole number"),
        (Kind.MESSAGES, {**KEY, "open_count": True}, "column open_count is True: expected a whole number"),
    ],
)
def test_a_wrong_record_is_named_by_line_and_column_and_nothing_is_loaded(
    database: Database, load: Load, kind: Kind, record: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidRecord) as caught:
        load(kind, {**KEY, "id": str(TWO), **({"name": "x"} if kind is Kind.CAMPAIGNS else {})}, record)
    assert f"{kind}.ndjson, line 2: " in str(caught.value)
    assert problem in str(caught.value)
    assert stored(database, kind) == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.ndjson", b'{"tenant_id": \n', "a.ndjson, line 1: the line is no valid JSON"),
        ("a.csv", b"tenant_id;id\n", "but semicolons: write the file with commas"),
        ("a.csv", b"name\nx\n", "has none of the columns tenant_id, id"),
        ("a.csv", f"tenant_id,id\n{TENANT}\n".encode(), "a.csv, line 2: the row has 1 cells, the header row has 2"),
        ("a.ndjson.gz", gzip.compress(ndjson([KEY]), mtime=0)[:-4], "cut off before its end"),
    ],
)
def test_a_file_that_cannot_be_read_loads_nothing(
    database: Database, tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((InvalidRecord, UnreadableFile), match=problem):
        load_records(database, Kind.CONTACTS, LocalFile.at(tmp_path / name))
    assert stored(database, Kind.CONTACTS) == []
