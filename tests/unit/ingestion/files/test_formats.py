import csv
import gzip
import io
import json
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.files.formats import RecordFile
from iris_pipelines.ingestion.judging import judge_batch
from iris_pipelines.ingestion.records import MAX_RECORD_BYTES, Malformed

ONE = {"tenant_id": "t", "event_type": "message.sent", "timestamp": "2026-11-02T10:00:00Z"}
OTHERS = [{**ONE, "event_type": f"message.sent{number}"} for number in range(5)]


def zstd(data: bytes) -> bytes:
    return pa.compress(data, "zstd", asbytes=True)


Read = Callable[[str, str | bytes], list[dict[str, Any] | Malformed]]


def as_is(data: bytes) -> bytes:
    return data


def ndjson(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def as_csv(records: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list({name: None for record in records for name in record}))
    writer.writeheader()
    for record in records:
        writer.writerow({k: json.dumps(v) if isinstance(v, dict | bool) else v for k, v in record.items()})
    return out.getvalue()


def parquet(records: list[dict[str, Any]], *, rows: int | None = None) -> bytes:
    out = io.BytesIO()
    names = {name: None for record in records for name in record}
    pq.write_table(pa.Table.from_pylist([names | record for record in records]).slice(0, rows), out)
    return out.getvalue()


WRITERS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "ndjson": lambda records: ndjson(records).encode(),
    "json": lambda records: json.dumps(records).encode(),
    "csv": lambda records: as_csv(records).encode(),
    "parquet": parquet,
}


@pytest.mark.parametrize(("packed", "pack"), [("", as_is), (".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_reads_the_same_packed_or_not_and_with_or_without_its_suffix(
    read: Read, suffix: str, packed: str, pack: Callable[[bytes], bytes]
) -> None:
    content = pack(WRITERS[suffix](OTHERS))
    assert read(f"events.{suffix}{packed}", content) == OTHERS
    assert read("upload", content) == OTHERS


@pytest.mark.parametrize(("packed", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
def test_packed_members_that_follow_each_other_are_one_stream(
    read: Read, packed: str, pack: Callable[[bytes], bytes]
) -> None:
    text = ndjson(OTHERS).encode()
    assert read(f"events.ndjson{packed}", pack(text[:100]) + pack(text[100:])) == OTHERS


def test_a_gzip_padded_with_zeros_is_whole(read: Read) -> None:
    assert read("events.ndjson.gz", gzip.compress(ndjson([ONE]).encode()) + bytes(512)) == [ONE]


@pytest.mark.parametrize(("packed", "pack"), [(".gz", gzip.compress), (".zst", zstd)])
@pytest.mark.parametrize("missing", [1, 4, 9, 60])
def test_a_cut_off_packed_file_is_an_error(
    read: Read, packed: str, pack: Callable[[bytes], bytes], missing: int
) -> None:
    content = pack(os.urandom(200).hex().encode() + b"\n")[:-missing]
    with pytest.raises(UnreadableFile, match="cut off before its end"):
        read(f"events.ndjson{packed}", content)


def test_a_damaged_gzip_is_an_error(read: Read) -> None:
    packed = bytearray(gzip.compress(os.urandom(5000).hex().encode()))
    packed[2000] ^= 0xFF
    with pytest.raises(UnreadableFile, match="damaged"):
        read("events.ndjson.gz", bytes(packed))


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("events.ndjson.gz", b'{"a": 1}\n', "is no gzip file, whatever its name says"),
        ("events.ndjson.zst", gzip.compress(b"{}", mtime=0), "is no zstd file"),
        ("events.ndjson.gz", b"", "is empty"),
        ("events.parquet", b"", "is empty"),
        ("events.parquet", b"PAR1 and then nothing", "is damaged or no Parquet file"),
        ("events.parquet", b'{"a": 1}\n', "is damaged or no Parquet file"),
        ("events.ndjson", "\N{BOM}{}".encode("utf-16-le"), "is UTF-16, not UTF-8"),
        ("events.ndjson", ndjson([ONE]).encode("utf-16-le"), "is UTF-16 or binary data, not UTF-8"),
        ("events.csv", as_csv([ONE]).encode("utf-16"), "is UTF-16, not UTF-8"),
        ("events.ndjson", ndjson([ONE]).encode("utf-32"), "is UTF-32, not UTF-8"),
        ("events.zip", b"PK\x03\x04rest", "is a zip archive"),
        ("events.json", b'{\n"a": 1}, {', "is broken JSON: an object was expected after 1 objects"),
        ("notes.txt", b"Dear all,\nno events here", "is in no format that IRIS knows"),
        ("events.csv", b"name,age\nx,1\n", "has none of the columns tenant_id, event_type, timestamp, but: name, age"),
        ("events.csv", b"tenant_id;event_type;timestamp\n", "but semicolons: write the file with commas"),
        ("events.csv", b"tenant_id\tevent_type\ttimestamp\n", "but tabs: write the file with commas"),
        ("events.csv", b"tenant_id,event_type,tenant_id\n", "has the column tenant_id twice"),
        ("events.csv", b"tenant_id,,timestamp\n", "column 2 has no name"),
        ("events.csv", b'tenant_id,"event_type\n', "has no header row that can be read"),
        ("events.csv", b"tenant_id,event_\xe9\n", "has no header row that can be read: the row is not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(read: Read, name: str, content: bytes, sentence: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read(name, content)
    assert sentence in str(caught.value)
    assert f"/{name}: " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ndjson", ""),
        ("a.ndjson", "\n \n\r\n\n"),
        ("a.json", ""),
        ("a.json", " [\n] "),
        ("a.csv", ""),
        ("a.csv", "tenant_id,event_type,timestamp\r\n"),
        ("a.csv", "tenant_id,event_type,timestamp\n\n\n"),
        ("a.ndjson.gz", gzip.compress(b"", mtime=0)),
        ("a.ndjson.zst", zstd(b"")),
        ("a.parquet", parquet([ONE], rows=0)),
        ("a", ""),
    ],
)
def test_a_file_without_records_has_none(read: Read, name: str, content: str | bytes) -> None:
    assert read(name, content) == []


@pytest.mark.parametrize("suffix", ["ndjson", "json", "csv"])
def test_a_byte_order_mark_is_no_part_of_the_first_record(read: Read, suffix: str) -> None:
    assert read(f"events.{suffix}", b"\xef\xbb\xbf" + WRITERS[suffix](OTHERS)) == OTHERS


NOW = datetime(2026, 11, 3, tzinfo=UTC)
EVENT = st.fixed_dictionaries(
    {
        "tenant_id": st.uuids().map(str),
        "event_type": st.sampled_from(["message.sent", "link.clicked", "api.request", "custom.thing"]),
        "timestamp": st.sampled_from(["2026-11-02T10:00:00.5Z", "2026-11-02T10:00:00.123456+02:00", "1793613600000"]),
    },
    optional={
        "message_id": st.uuids().map(str),
        "channel": st.sampled_from(["SMS", "email"]),
        "provider": st.sampled_from(["Twilio", "sendgrid"]),
        "cost": st.integers(0, 10**6).map(lambda millionths: millionths / 10**6),
        "duration_ms": st.integers(0, 10**9),
        "success": st.booleans(),
        "error_code": st.sampled_from(["404", "E-1"]),
        "error_message": st.text("ab \"',;\né", min_size=1),
        "event_data": st.fixed_dictionaries(
            {"url": st.text('ab"/?é', min_size=1)}, optional={"n": st.integers(0, 9), "ref": st.none()}
        ),
        "geo_location": st.just({"city": "Zürich", "lat": 47.5}),
        "is_first": st.booleans(),
        "note": st.text("xy,\n", min_size=1),
    },
)


@given(st.lists(EVENT, min_size=1, max_size=90))
@settings(max_examples=25, deadline=None)
def test_events_without_an_id_get_the_same_one_from_every_format(events: list[dict[str, Any]]) -> None:
    ids = {}
    with tempfile.TemporaryDirectory() as folder:
        for suffix, write in WRITERS.items():
            path = Path(folder, f"events.{suffix}")
            path.write_bytes(write(events))
            judged = [
                judge_batch(batch, now=NOW, history_start=date(2020, 1, 1)) for batch in RecordFile(path, path.name)
            ]
            assert [rejection for each in judged for rejection in each.rejections] == []
            ids[suffix] = [value for each in judged for value in each.events["id"].to_pylist()]
    assert len(ids["ndjson"]) == len(events)
    assert [suffix for suffix, found in ids.items() if found != ids["ndjson"]] == []


def test_an_event_of_64_kib_is_accepted_from_every_format_and_a_larger_one_from_none() -> None:
    event: dict[str, Any] = {**ONE, "tenant_id": "9c4fb7e0-7d0f-4f7e-8c33-1a4e1f5b7a10", "event_data": {"text": ""}}
    # Written as CSV, each of these characters takes twice the room.
    quotes = (MAX_RECORD_BYTES - len(json.dumps(event))) // 2
    for size, reasons in ((MAX_RECORD_BYTES, []), (MAX_RECORD_BYTES + 30, ["too_large"])):
        event["event_data"]["text"] = '"' * quotes
        event["event_data"]["text"] += "x" * (size - len(json.dumps(event)))
        for suffix, write in WRITERS.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, f"event.{suffix}")
                path.write_bytes(write([event]))
                (batch,) = RecordFile(path, path.name)
            judged = judge_batch(batch, now=NOW, history_start=date(2020, 1, 1))
            assert (suffix, [rejection.reason for _, rejection in judged.rejections]) == (suffix, reasons)
