import io
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.files.formats import RecordFile
from iris_pipelines.ingestion.judging import judge_batch
from iris_pipelines.ingestion.records import ColumnBatch, Malformed, ObjectBatch

ReadNumbered = Callable[[str, str | bytes], dict[int, dict[str, Any] | Malformed]]
TENANT = uuid.UUID("9c4fb7e0-7d0f-4f7e-8c33-1a4e1f5b7a10")
NOW = datetime(2026, 11, 3, tzinfo=UTC)
AT = datetime(2026, 11, 2, 10, 0, 0, 123456, tzinfo=UTC)


def parquet(**columns: pa.Array) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, store_schema=True)
    return out.getvalue()


def events(count: int = 1, **columns: pa.Array) -> bytes:
    return parquet(
        **{
            "tenant_id": pa.array([str(TENANT)] * count),
            "event_type": pa.array(["message.sent"] * count),
            "timestamp": pa.array([AT] * count, pa.timestamp("us", tz="UTC")),
            **columns,
        }
    )


def judge(tmp_path: Path, content: bytes) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    path = tmp_path / "events.parquet"
    path.write_bytes(content)
    judged = [judge_batch(batch, now=NOW, history_start=date(2020, 1, 1)) for batch in RecordFile(path, path.name)]
    accepted = [row for each in judged for row in each.events.to_pylist()]
    return accepted, [(rejection.reason, rejection.detail) for each in judged for _, rejection in each.rejections]


@pytest.mark.parametrize("count", [1, 100])
@pytest.mark.parametrize(
    ("name", "one", "expected"),
    [
        ("tenant_id", pa.array([TENANT.bytes], pa.binary(16)), TENANT.bytes),
        ("tenant_id", pa.array([TENANT.bytes], pa.binary()), TENANT.bytes),
        ("tenant_id", pa.array([str(TENANT)], pa.large_string()), TENANT.bytes),
        ("tenant_id", pa.array([str(TENANT)]).dictionary_encode(), TENANT.bytes),
        ("tenant_id", pa.ExtensionArray.from_storage(pa.uuid(), pa.array([TENANT.bytes], pa.binary(16))), TENANT.bytes),
        ("timestamp", pa.array([AT], pa.timestamp("ns", tz="Europe/Berlin")), AT),
        ("timestamp", pa.array([AT.isoformat()]), AT),
        ("timestamp", pa.array([1793613600000]), datetime(2026, 11, 2, 10, tzinfo=UTC)),
        ("cost", pa.array(["0.5"]), Decimal("0.5")),
        ("cost", pa.array([Decimal("0.5")], pa.decimal128(20, 10)), Decimal("0.5")),
        ("cost", pa.array([Decimal("0.5")], pa.decimal256(50, 10)), Decimal("0.5")),
        ("cost", pa.array([0.5], pa.float32()), Decimal("0.5")),
        ("duration_ms", pa.array([7], pa.uint8()), 7),
        ("duration_ms", pa.array([7.0]), 7),
        ("duration_ms", pa.array(["7"]), 7),
        ("success", pa.array([False]), False),
        ("success", pa.array([0], pa.int8()), False),
        ("event_data", pa.array(['{"a":1}']), b'{"a":1}'),
        ("event_data", pa.array([b'{"a":1}']), b'{"a":1}'),
        ("event_data", pa.array([{"a": 1, "b": None}], pa.struct({"a": pa.int64(), "b": pa.string()})), b'{"a":1}'),
        ("event_data", pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), b'{"a":1}'),
        ("event_data", pa.array([{"a": [{"b": Decimal("1.5")}]}]), b'{"a":[{"b":1.5}]}'),
        ("channel", pa.array(["SMS"]).dictionary_encode(), "sms"),
        ("provider", pa.nulls(1), None),
    ],
)
def test_other_types_than_usual_mean_the_same(
    tmp_path: Path, name: str, one: pa.Array, expected: object, count: int
) -> None:
    accepted, rejected = judge(tmp_path, events(count, **{name: pa.concat_arrays([one] * count)}))
    assert rejected == []
    assert [row[name] for row in accepted] == [expected] * count


@pytest.mark.parametrize("count", [1, 100])
@pytest.mark.parametrize(
    ("name", "one", "reason"),
    [
        ("timestamp", pa.array([AT.replace(tzinfo=None)], pa.timestamp("us")), "invalid_timestamp"),
        ("timestamp", pa.array([AT.replace(tzinfo=None)], pa.timestamp("ns")), "invalid_timestamp"),
        ("timestamp", pa.array([AT.date()]), "invalid_timestamp"),
        ("timestamp", pa.array([2**52], pa.timestamp("ms", tz="UTC")), "invalid_timestamp"),
        ("timestamp", pa.array([2**61], pa.timestamp("us", tz="UTC")), "invalid_timestamp"),
        ("tenant_id", pa.array([1]), "invalid_field"),
        ("tenant_id", pa.array([b"short"]), "invalid_field"),
        ("cost", pa.array(["much"]), "invalid_field"),
        ("cost", pa.array([float("nan")]), "invalid_field"),
        ("duration_ms", pa.array([timedelta(seconds=1)]), "invalid_field"),
        ("event_data", pa.array([["a"]]), "invalid_field"),
        ("event_data", pa.array(["text"]), "invalid_field"),
        ("event_data", pa.array([{"a": float("inf")}]), "invalid_field"),
        ("channel", pa.array([5]), "invalid_field"),
        ("error_message", pa.array([b"\xff"]).view(pa.string()), "invalid_field"),
    ],
)
def test_types_that_mean_no_value_reject_their_events_and_no_others(
    tmp_path: Path, name: str, one: pa.Array, reason: str, count: int
) -> None:
    good = pa.nulls(count, one.type)
    accepted, rejected = judge(tmp_path, events(count, **{name: pa.concat_arrays([one] * count)}))
    assert [(found, name in detail) for found, detail in rejected] == [(reason, True)] * count
    assert accepted == []
    if name not in ("timestamp", "tenant_id"):
        accepted, rejected = judge(tmp_path, events(2 * count, **{name: pa.concat_arrays([one] * count + [good])}))
        assert (len(accepted), len(rejected)) == (count, count)


def test_columns_that_are_no_field_of_events_go_to_event_data_without_their_nulls(tmp_path: Path) -> None:
    accepted, rejected = judge(
        tmp_path,
        events(
            2,
            note=pa.array(["x", None]),
            detail=pa.array([None, {"a": 1, "b": None}], pa.struct({"a": pa.int64(), "b": pa.int64()})),
            at=pa.array([AT, None], pa.timestamp("ns", tz="UTC")),
        ),
    )
    assert rejected == []
    assert [orjson.loads(row["event_data"]) for row in accepted] == [
        orjson.loads(b'{"note":"x","at":"2026-11-02T10:00:00.123456+00:00"}'),
        orjson.loads(b'{"detail":{"a":1}}'),
    ]


def test_row_numbers_count_through_all_row_groups(tmp_path: Path) -> None:
    table = pa.table({"tenant_id": [str(number) for number in range(50_000)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=12_345)
    batches = list(RecordFile(tmp_path / "a.parquet", "a.parquet"))
    lines = [(batch.first_line, len(batch)) for batch in batches if isinstance(batch, ColumnBatch)]
    assert sum(size for _, size in lines) == 50_000
    assert [first for first, _ in lines] == [1 + sum(size for _, size in lines[:index]) for index in range(len(lines))]


def test_batches_of_wide_rows_are_small(tmp_path: Path) -> None:
    texts = np.random.default_rng(1).bytes(60_000).hex()
    table = pa.table({"tenant_id": ["t"] * 600, "error_message": [texts[number:] for number in range(600)]})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False)
    assert max(len(batch) for batch in RecordFile(tmp_path / "a.parquet", "a.parquet")) < 200


def test_rows_that_no_column_can_say_come_as_records(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(events(1, event_data=pa.array([{"a": float("nan")}])))
    (batch,) = RecordFile(tmp_path / "a.parquet", "a.parquet")
    assert isinstance(batch, ObjectBatch)


@pytest.mark.parametrize("missing", [1, 100, 500])
def test_a_cut_off_file_is_an_error(read_numbered: ReadNumbered, missing: int) -> None:
    with pytest.raises(UnreadableFile, match="is damaged or no Parquet file"):
        read_numbered("a.parquet", events(1000)[:-missing])


def test_damage_within_a_column_is_an_error(read_numbered: ReadNumbered) -> None:
    content = bytearray(events(1000, note=pa.array([str(uuid.uuid4()) for _ in range(1000)])))
    content[6000:6200] = bytes(200)
    with pytest.raises(UnreadableFile, match="is damaged or no Parquet file"):
        read_numbered("a.parquet", bytes(content))


def test_a_table_of_something_else_is_an_error_that_names_what_was_found(read_numbered: ReadNumbered) -> None:
    with pytest.raises(UnreadableFile, match="has none of the columns tenant_id, event_type, timestamp, but: a, b"):
        read_numbered("x.parquet", parquet(a=pa.array([1]), b=pa.array([2])))
