"""The fast way to judge a batch gives what the law gives, record by record."""

from __future__ import annotations

import json
from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iris_pipelines.domain.events import FIELDS, Event, Rejection, judge
from iris_pipelines.ingestion.columns import SCHEMA, judge_columns
from iris_pipelines.ingestion.judging import Judged, judge_batch
from iris_pipelines.ingestion.records import ColumnBatch, EventBatch, LineBatch, Malformed, ObjectBatch, parse_object

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HISTORY_START = date(2020, 1, 1)
USUAL: dict[str, Any] = {
    "id": "11111111-2222-4333-8444-555555555555",
    "tenant_id": "AAAAAAAA-bbbb-4ccc-8ddd-eeeeeeeeeeee",
    "event_type": "message.sent",
    "timestamp": "2026-11-23T10:20:30.123Z",
    "message_id": "11111111-2222-4333-8444-666666666666",
    "campaign_id": "11111111-2222-4333-8444-777777777777",
    "contact_id": "11111111-2222-4333-8444-888888888888",
    "channel": "sms",
    "provider": "twilio",
    "event_data": {"variant": "A", "weight": 1.5},
    "ip_address": "192.0.2.7",
    "user_agent": "Mozilla/5.0",
    "geo_location": {"city": "Berlin", "lat": 52.52},
    "cost": 0.0075,
    "duration_ms": 1200,
    "success": True,
    "error_code": "30003",
    "error_message": "Unreachable",
    "is_machine": False,
}
UUIDS = [str(UUID(int=7)), str(UUID(int=7)).upper(), UUID(int=7).hex, "no uuid", "11111111-2222-4333-8444-55555555555g"]
NAMES = ["SMS", " email ", "voice", "fax", "  ", "twilio", "Sendgrid\x00", "é" * 255, "p" * 255, "p" * 256]
OBJECTS: list[Any] = [
    {},
    {"a": 5.0},
    {"a": [1.0, {"b": None}]},
    {"a": "x\x00y"},
    {"\x00": 1},
    {"a": "\\u0000"},
    {"a": 1e22, "b": -0.0, "c": 2**64 - 1},
    {"a": float(2**63)},
    {"status_code": 404},
    {"status_code": "503"},
    {"status_code": True},
    {"ä": "✓" * 40},
    {"a": "x" * 70_000},
    json.loads("[" * 90 + "]" * 90) and {"a": json.loads("[" * 90 + "]" * 90)},
    {"a": json.loads("[" * 300 + "]" * 300)},
    '{"a": 1}',
    '{"a": 1.0}',
    "[1]",
    "{",
    5,
    [1],
]
TEXTS = ["x", "ä✓", "x\x00", "y" * 12_000, 30003, 3.0, 3.5, True, ["x"]]
NUMBERS = [0, 1, 5, 12.5, 12.0, -1, 0.1, 0.0075, 1.2345675, 9999.9999994, 9999.9999996, 10_000, 2**53, 2**63, 2**64,
           1e30, "0.50", "1e3", "12", "-0", "NaN", "x", True, False, -0.0, [1]]  # fmt: skip
BOOLEANS = [True, False, 0, 1, 1.0, 2, "true", "F", "1", "yes", "", [True]]
TIMES = [
    "2026-11-23T10:20:30Z",
    "2026-11-23 10:20:30.123456Z",
    "2026-11-23T10:20:30.123456789Z",
    "2026-11-23T10:20:30,5Z",
    "2026-11-23T10:20:30+01:00",
    "2026-11-23T10:20:30",
    "2024-02-29T00:00:00Z",
    "2023-02-29T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-11-00T00:00:00Z",
    "2026-11-31T00:00:00Z",
    "2026-11-23T24:00:00Z",
    "2026-11-23T10:60:00Z",
    "0000-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "2019-12-31T23:59:59.999999Z",
    "2020-01-01T00:00:00Z",
    "2026-11-25T12:00:00Z",
    "2026-11-25T12:00:00.000001Z",
    "2026-11-23T10:20:3:Z",
    "2026-11-23T10:20:30.12:Z",
    "\uff12026-11-23T10:20:30Z",
    1_790_000_000_000,
    1_790_000_000_000.5,
    "1790000000000",
    10**15,
    True,
    -5,
    "soon",
]
ODD: dict[str, list[Any]] = {
    "id": UUIDS,
    "tenant_id": UUIDS,
    "event_type": ["email.complaint_bounce", "api.request", "conversion", "Message.sent", "x" * 49 + ".y", "email.hard_bounce"],  # noqa: E501
    "timestamp": TIMES,
    "message_id": UUIDS,
    "campaign_id": UUIDS,
    "contact_id": UUIDS,
    "channel": NAMES,
    "provider": NAMES,
    "event_data": OBJECTS,
    "ip_address": ["::1", "2001:DB8::1", "1.2.3.04", "1.2.3.256", "fe80::1%eth0", "1.2.3.4\n", "10.0.0.1/8"],
    "user_agent": TEXTS,
    "geo_location": OBJECTS,
    "cost": NUMBERS,
    "duration_ms": NUMBERS,
    "success": BOOLEANS,
    "error_code": TEXTS,
    "error_message": TEXTS,
    "is_machine": BOOLEANS,
}  # fmt: skip
MISSING = object()


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A usual record with a few fields that are odd, empty or missing."""
    record = dict(USUAL)
    for name in draw(st.lists(st.sampled_from(FIELDS), max_size=3)):
        value = draw(st.sampled_from([MISSING, None, "", *ODD[name]]))
        if value is MISSING:
            record.pop(name, None)
        else:
            record[name] = value
    if draw(st.integers(0, 9)) == 0:
        record["received_at"] = draw(st.sampled_from(["2026-11-23", None, ""]))
    return record


def by_the_law(batch: list[Any]) -> list[Event | Rejection]:
    return [
        Rejection(each.reason, each.detail)
        if isinstance(each, Malformed)
        else judge(each, now=NOW, history_start=HISTORY_START)
        for each in batch
    ]


def as_row(event: Event) -> list[Any]:
    values = [value.bytes if isinstance(value, UUID) else value for value in astuple(event)]
    for position, name in enumerate(FIELDS):
        if name in ("event_data", "geo_location") and values[position] is not None:
            values[position] = orjson.loads(values[position])
    return values


def rows_of(events: pa.RecordBatch) -> list[list[Any]]:
    rows = []
    for row in events.to_pylist():
        for name in ("event_data", "geo_location"):
            row[name] = None if row[name] is None else orjson.loads(row[name])
        rows.append([row[name] for name in FIELDS])
    return rows


def assert_judged_as_the_law_does(judged: Judged, verdicts: list[Event | Rejection]) -> None:
    accepted = [position for position, verdict in enumerate(verdicts) if isinstance(verdict, Event)]
    assert judged.positions.tolist() == accepted
    assert rows_of(judged.events) == [as_row(each) for each in verdicts if isinstance(each, Event)]
    assert dict(judged.rejections) == {
        position: verdict for position, verdict in enumerate(verdicts) if isinstance(verdict, Rejection)
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(records(), min_size=1, max_size=12), st.integers(0, 70))
def test_a_batch_of_objects_is_judged_as_the_law_judges_each(odd: list[dict[str, Any]], usual: int) -> None:
    batch: list[Any] = [USUAL] * usual + odd + [USUAL] * (70 - usual)
    judged = judge_batch(ObjectBatch("test", range(1, len(batch) + 1), batch), now=NOW, history_start=HISTORY_START)
    assert_judged_as_the_law_does(judged, by_the_law(batch))


@pytest.mark.parametrize("name", FIELDS)
def test_each_odd_value_is_judged_as_the_law_judges_it(name: str) -> None:
    for value in [None, "", *ODD[name]]:
        # Alone among usual ones, and as the only kind there is.
        for others in (USUAL, {**USUAL, name: value}):
            batch = [*([others] * 64), {**USUAL, name: value}]
            judged = judge_batch(ObjectBatch("test", range(1, 66), batch), now=NOW, history_start=HISTORY_START)
            assert_judged_as_the_law_does(judged, by_the_law(batch))


ODD_JSON = [
    '"event_data":{"a":1.0e5,"b":1E-7,"c":-0.0,"d":0.00001234}',
    '"event_data":{"a":12345678901234567890123,"b":0.12345678901234567890}',
    '"event_data":{"a":[1,],"b":2}',
    '"event_data":{"a":1 , }',
    '"event_data":{"a":NaN}',
    '"event_data":{"a":-inf}',
    '"event_data":{"a":1e400}',
    '"event_data":{"a":"\\ud83d\\ude00 \\u00e9\\/\\b\\u007f\\u001f"}',
    '"event_data":{"a":"\\ud800"}',
    '"event_data":{"a":"x, ]","b":"NaN","c":":5e7","d":"12345678901234567890"}',
    '"event_data":{ "b" : [ 1 , { "c" : null } ] , "a" : true }',
    '"event_data":{"a":1},"event_data":{"a":2}',
    '"cost":0.004000',
    '"cost":1e-2',
    '"cost":"0.5"',
    '"cost":Infinity',
    '"cost":00.5',
    '"duration_ms":12.0',
    '"duration_ms":1e3',
    '"duration_ms":123456789012345678901234567890',
    '"duration_ms":true',
    '"provider":"Twi\\u006cio"',
    '"provider":12',
    '"provider":{"a":1}',
    '"user_agent":"a \\"quoted\\" name"',
    '"user_agent":"\\u0000"',
    '"user_agent":nan',
    '"error_code":30003',
    '"error_code":"30003"',
    '"success":"false"',
    '"success":0',
    '"channel":"\\u0073ms"',
    '"channel":true',
    '"ip_address":1.5',
    '"ip_address":"192.0.2.1\\n"',
    '"timestamp":1790000000000',
    '"timestamp":1790000000000.5',
    '"timestamp":"2026-11-23T10:20:30Z"',
    '"i\\u0064":"11111111-2222-4333-8444-555555555550"',
    '"id,tenant_id":"x"',
    '"received_at":null',
]


def line(fragment: str) -> bytes:
    """A usual event as it is written, with one field written in another way."""
    name = fragment.split('"')[1]
    rest = {key: value for key, value in USUAL.items() if key != name}
    return (json.dumps(rest)[:-1] + ", " + fragment + "}").encode()


def request(event_data: str) -> bytes:
    """A request that says nothing of its success, which is read from its data."""
    rest = {key: value for key, value in USUAL.items() if key not in ("event_data", "success")}
    rest["event_type"] = "api.request"
    return (json.dumps(rest)[:-1] + ', "event_data": ' + event_data + "}").encode()


ODD_REQUESTS = ['"\\"\\""', '"{"', "[500]", '"[500]"', "500", '{"status_code":"x"}', '{"status_code":true}']

ODD_LINES = [
    *map(line, ODD_JSON),
    b"{}",
    b"[1]",
    b"null",
    b'"text"',
    b"{",
    b'{"a":1} x',
    b"\xff{}",
    b"\xef\xbb\xbf" + line('"cost":1'),
    b" " + line('"cost":1') + b"\r",
    line('"cost":1').replace(b"}", b",}"),
    line('"cost":1').replace(b": ", b":\t"),
    line('"cost":1').replace(b'"sms"', b'"s\x00ms"'),
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
    line('"user_agent":"' + "x" * 66_000 + '"'),
    *map(request, ODD_REQUESTS),
]


def judged_lines(lines: list[bytes]) -> Judged:
    batch = LineBatch("test", range(1, len(lines) + 1), pa.array(lines, pa.binary()))
    return judge_batch(batch, now=NOW, history_start=HISTORY_START)


def by_the_law_of_lines(lines: list[bytes]) -> list[Event | Rejection]:
    return by_the_law([parse_object(each, "the line") for each in lines])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.lists(records().map(json.dumps).map(str.encode) | st.sampled_from(ODD_LINES), min_size=1, max_size=12),
    st.integers(0, 70),
)
def test_lines_are_judged_as_the_law_judges_each(odd: list[bytes], usual: int) -> None:
    lines = [orjson.dumps(USUAL)] * usual + odd + [orjson.dumps(USUAL)] * (70 - usual)
    assert_judged_as_the_law_does(judged_lines(lines), by_the_law_of_lines(lines))


@pytest.mark.parametrize("odd", ODD_LINES, ids=lambda line: line[-60:].decode("ascii", "replace"))
def test_each_odd_line_is_judged_as_the_law_judges_it(odd: bytes) -> None:
    for others in (orjson.dumps(USUAL), odd):
        lines = [*([others] * 64), odd]
        assert_judged_as_the_law_does(judged_lines(lines), by_the_law_of_lines(lines))


def typed_columns(batch: list[dict[str, Any]]) -> pa.RecordBatch:
    """Records with values of one type a field, as a Parquet file would have them."""
    times = [datetime.fromisoformat(each["timestamp"]) + timedelta(microseconds=7) for each in batch]
    columns: dict[str, Any] = {}
    for name in FIELDS:
        values = [each.get(name) for each in batch]
        if name in ("event_data", "geo_location"):
            values = [orjson.dumps(value).decode() if isinstance(value, dict) else value for value in values]
        columns[name] = times if name == "timestamp" else values
    kinds = {"cost": pa.float64(), "duration_ms": pa.int64(), "timestamp": pa.timestamp("us", "UTC")}
    kinds |= {"success": pa.bool_(), "is_machine": pa.bool_()}
    arrays: list[Any] = [pa.array(values, kinds.get(name, pa.string())) for name, values in columns.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def variants(columns: pa.RecordBatch) -> list[tuple[str, EventBatch]]:
    """The same columns in other types that say the same."""

    def changed(**casts: Any) -> pa.RecordBatch:
        arrays: list[Any] = [
            casts[name](column) if name in casts else column
            for name, column in zip(columns.schema.names, columns.columns, strict=True)
        ]
        return pa.RecordBatch.from_arrays(arrays, names=columns.schema.names)

    def as_uuid_bytes(column: Any) -> Any:
        return pa.array([None if each is None else UUID(each).bytes for each in column.to_pylist()], pa.binary(16))

    found = {
        "plain": columns,
        "dictionaries": changed(channel=lambda c: c.dictionary_encode(), event_data=lambda c: c.dictionary_encode()),
        "uuid bytes": changed(id=as_uuid_bytes, contact_id=as_uuid_bytes),
        "uuid type": changed(id=lambda c: pa.ExtensionArray.from_storage(pa.uuid(), as_uuid_bytes(c))),
        "large text": changed(user_agent=lambda c: c.cast(pa.large_string()), id=lambda c: c.cast(pa.large_string())),
        "nanoseconds": changed(timestamp=lambda c: c.cast(pa.timestamp("ns", "UTC"))),
        "zone": changed(timestamp=lambda c: c.cast(pa.timestamp("us", "Europe/Berlin"))),
        "decimals": changed(cost=lambda c: pa.array([None if v is None else Decimal(repr(v)) for v in c.to_pylist()])),
        "small integers": changed(duration_ms=lambda c: c.cast(pa.int32()), success=lambda c: c.cast(pa.int8())),
        "durations as floats": changed(duration_ms=lambda c: c.cast(pa.float64())),
    }
    return [(name, ColumnBatch("test", 1, each)) for name, each in found.items()]


def test_columns_of_any_suitable_type_give_the_events_that_objects_give() -> None:
    batch: list[dict[str, Any]] = [dict(USUAL) for _ in range(70)]
    for position, name in enumerate(FIELDS):
        if name not in ("id", "tenant_id", "event_type", "timestamp"):
            batch[position][name] = None
    batch[30]["event_data"] = {"a": 5.0}
    batch[31]["cost"] = 1.2345675
    expected = by_the_law([{**each, "timestamp": "2026-11-23T10:20:30.123007Z"} for each in batch])
    for name, columns in variants(typed_columns(batch)):
        judged = judge_batch(columns, now=NOW, history_start=HISTORY_START)
        assert rows_of(judged.events) == [as_row(each) for each in expected if isinstance(each, Event)], name
        assert judged.positions.tolist() == list(range(70)), name


def test_usual_records_take_the_fast_way() -> None:
    batch: list[Any] = [USUAL] * 100
    _, sure = judge_columns(ObjectBatch("test", range(1, 101), batch), now=NOW, history_start=HISTORY_START)
    assert sure.all()
    lines = pa.array([json.dumps(each) for each in batch]).cast(pa.binary())
    _, sure = judge_columns(LineBatch("test", range(1, 101), lines), now=NOW, history_start=HISTORY_START)
    assert sure.all()
    columns = typed_columns(batch)
    _, sure = judge_columns(ColumnBatch("test", 1, columns), now=NOW, history_start=HISTORY_START)
    assert sure.all()


def test_columns_with_the_wrong_type_are_rejected_row_by_row() -> None:
    columns = typed_columns([USUAL] * 70)
    naive: Any = columns["timestamp"].cast(pa.timestamp("us"))
    columns = columns.set_column(columns.schema.get_field_index("timestamp"), "timestamp", naive)
    judged = judge_batch(ColumnBatch("test", 1, columns), now=NOW, history_start=HISTORY_START)
    assert len(judged.events) == 0
    assert {rejection.reason for _, rejection in judged.rejections} == {"invalid_timestamp"}
    assert len(judged.rejections) == 70


def test_an_unknown_column_goes_to_event_data() -> None:
    columns = typed_columns([USUAL] * 70).append_column("region", pa.array(["eu", None] * 35))
    judged = judge_batch(ColumnBatch("test", 1, columns), now=NOW, history_start=HISTORY_START)
    found = [row["event_data"] for row in judged.events.to_pylist()]
    assert [b'"region":"eu"' in each for each in found] == [True, False] * 35


@pytest.mark.parametrize(("characters", "is_accepted"), [(255, True), (256, False)])
def test_the_name_of_a_provider_is_no_longer_than_an_index_holds(characters: int, is_accepted: bool) -> None:
    judged = judge({**USUAL, "provider": " " + "ß" * characters}, now=NOW, history_start=HISTORY_START)
    assert isinstance(judged, Event) is is_accepted
    if isinstance(judged, Rejection):
        assert judged.reason == "invalid_field"
        assert judged.detail.endswith("expected a name of at most 255 characters")


@pytest.mark.parametrize(("duration_ms", "is_accepted"), [(2**53 - 1, True), (2**53, False)])
def test_a_duration_is_no_longer_than_percentiles_can_tell_apart(duration_ms: int, is_accepted: bool) -> None:
    judged = judge({**USUAL, "duration_ms": duration_ms}, now=NOW, history_start=HISTORY_START)
    assert isinstance(judged, Event) is is_accepted
    if isinstance(judged, Rejection):
        assert judged.reason == "invalid_field"
        assert "duration_ms" in judged.detail


def test_no_records_are_no_events() -> None:
    judged = judge_batch(ObjectBatch("test", [], []), now=NOW, history_start=HISTORY_START)
    assert (judged.events.schema, len(judged.events), judged.rejections) == (SCHEMA, 0, [])
