import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_pipelines.ingestion.files import lines
from iris_pipelines.ingestion.files.csv_rows import read_csv
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.records import MAX_RECORD_BYTES, Malformed

ReadNumbered = Callable[[str, str | bytes], dict[int, dict[str, Any] | Malformed]]
HEADER = "tenant_id,event_type,note\n"


def problems(records: dict[int, dict[str, Any] | Malformed]) -> dict[int, tuple[str, str]]:
    return {line: (each.reason, each.detail) for line, each in records.items() if isinstance(each, Malformed)}


def test_cells_are_text_empty_ones_are_missing_and_line_ends_may_be_either(read_numbered: ReadNumbered) -> None:
    assert read_numbered("a.csv", 'tenant_id, event_type ,note\r\nt,a.b,x\r\n\r\nt,,"say ""hi"""\n') == {
        2: {"tenant_id": "t", "event_type": "a.b", "note": "x"},
        4: {"tenant_id": "t", "note": 'say "hi"'},
    }


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("5", 5),
        ("-2.5", -2.5),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ('"{""a"": [1]}"', {"a": [1]}),
        ("007", "007"),
        ("1e5x", "1e5x"),
        ("NaN", "NaN"),
        ("truely", "truely"),
        ("Truely", "Truely"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("{broken", "{broken"),
    ],
)
def test_columns_that_are_no_field_of_events_may_hold_json(read_numbered: ReadNumbered, cell: str, value: Any) -> None:
    (record,) = read_numbered("a.csv", f"tenant_id,extra\nt,{cell}\n").values()
    assert record == {"tenant_id": "t", "extra": value}


def test_fields_of_events_stay_text_but_objects_are_read(read_numbered: ReadNumbered) -> None:
    (record,) = read_numbered(
        "a.csv", 'tenant_id,error_code,success,event_data,geo_location\n1,404,true,"{""a"":1}",{broken\n'
    ).values()
    assert record == {
        "tenant_id": "1",
        "error_code": "404",
        "success": "true",
        "event_data": {"a": 1},
        "geo_location": "{broken",
    }


def test_a_row_with_another_number_of_cells_is_malformed(read_numbered: ReadNumbered) -> None:
    records = read_numbered("a.csv", f'{HEADER}t,a\nt,a,b,c\nt,a,"b\nb"\nt\n')
    assert problems(records) == {
        2: ("invalid_json", "the row has 2 cells, the header row has 3"),
        3: ("invalid_json", "the row has 4 cells, the header row has 3"),
        6: ("invalid_json", "the row has 1 cells, the header row has 3"),
    }
    assert records[4] == {"tenant_id": "t", "event_type": "a", "note": "b\nb"}
    assert isinstance(records[2], Malformed)
    assert records[2].payload == "t,a"


@pytest.mark.parametrize("bad", ['t,"a"x,b', 't,"a,b', 't,a,"b'])
def test_a_quote_too_many_harms_no_other_row(read_numbered: ReadNumbered, bad: str) -> None:
    records = read_numbered("a.csv", f'{HEADER}t,a,1\n{bad}\nt,a,2\nt,"a",3\n')
    assert problems(records)[3][0] == "invalid_json"
    assert problems(records)[3][1].startswith("the row is no valid CSV: ")
    assert [record["note"] for record in records.values() if isinstance(record, dict)] == [1, 2, 3]


def test_a_row_that_is_not_utf8_is_malformed(read_numbered: ReadNumbered) -> None:
    records = read_numbered("a.csv", HEADER.encode() + b"t,a,caf\xe9\nt,a,b\n")
    assert problems(records)[2][0] == "invalid_json"
    assert "not UTF-8" in problems(records)[2][1]
    assert isinstance(records[2], Malformed)
    assert records[2].payload == "t,a,caf\\xe9"
    assert records[3] == {"tenant_id": "t", "event_type": "a", "note": "b"}


@pytest.mark.parametrize("size", [2 * MAX_RECORD_BYTES, 200_000, 3 << 20])
@pytest.mark.parametrize("mark", ["x", "x\n", '"', 'x,"\n"'])
def test_a_row_over_twice_64_kib_is_too_large_and_kept_whole_whatever_its_cells_hold(
    read_numbered: ReadNumbered, size: int, mark: str
) -> None:
    cell = '"' + (mark * (size // len(mark) + 1)).replace('"', '""') + '"'
    records = read_numbered("a.csv", f"{HEADER}t,a,b\nt,a,{cell}\nt,a,{cell}\nt,a,c\n")

    notes = [record["note"] for record in records.values() if isinstance(record, dict)]
    assert notes == ["b", "c"]
    assert [reason for reason, _ in problems(records).values()] == ["too_large"] * 2
    record = records[3]
    assert isinstance(record, Malformed)
    assert record.payload == f"t,a,{cell}"


def test_a_quote_that_is_never_closed_in_a_large_file_is_an_error_that_names_its_line(
    read_numbered: ReadNumbered,
) -> None:
    with pytest.raises(UnreadableFile, match="the quote that opens in line 2 is never closed"):
        read_numbered("a.csv", HEADER + 't,"a,b\n' + "t,a,b\n" * 50_000)


CELL = st.text(alphabet='ab,"\n\r é;', max_size=8)


@given(rows=st.lists(st.tuples(CELL, CELL), max_size=12), read_bytes=st.sampled_from([5, 50, 1 << 20]))
@settings(max_examples=150, deadline=None)
def test_what_a_writer_writes_is_read_back(rows: list[tuple[str, str]], read_bytes: int) -> None:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["tenant_id", "note"])
    writer.writerows(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "READ_BYTES", read_bytes)
        file = io.BytesIO(out.getvalue().encode())
        batches = list(read_csv(file, "a.csv", expected=["tenant_id"], text_columns=None))
    found = [record for batch in batches for record in batch.records]
    assert found == [
        {name: cell for name, cell in zip(("tenant_id", "note"), row, strict=True) if cell} for row in rows
    ]
