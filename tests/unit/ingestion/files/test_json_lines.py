import io
import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_pipelines.ingestion.files.batches import BATCH_RECORDS
from iris_pipelines.ingestion.files.json_lines import read_json_lines
from iris_pipelines.ingestion.files.lines import PIECE_RECORDS, READ_BYTES
from iris_pipelines.ingestion.records import KEPT_BYTES, MAX_RECORD_BYTES, Malformed, numbered_records

ReadNumbered = Callable[[str, str | bytes], dict[int, dict[str, Any] | Malformed]]


class Generated:
    """A file that is made while it is read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def test_a_bad_line_is_kept_as_it_came_and_harms_no_neighbour(read_numbered: ReadNumbered) -> None:
    content = b'{"a": 1}\n{"a": \n\n[1, 2]\n"text"\n7\nnull\n\xff{"a": 2}\n{"a": 3}\r\n{"a"'
    records = read_numbered("events.ndjson", content)

    assert {line: record for line, record in records.items() if isinstance(record, dict)} == {1: {"a": 1}, 9: {"a": 3}}
    bad = {line: record for line, record in records.items() if isinstance(record, Malformed)}
    assert {record.reason for record in bad.values()} == {"invalid_json"}
    assert {line: record.payload for line, record in bad.items()} == {
        2: '{"a": ',
        4: "[1, 2]",
        5: '"text"',
        6: "7",
        7: "null",
        8: '\\xff{"a": 2}',
        10: '{"a"',
    }
    assert bad[4].detail == "the line is a JSON array, not an object"
    assert bad[7].detail == "the line is a JSON null, not an object"
    assert bad[2].detail.startswith("the line is no valid JSON: unexpected end of data")


def test_a_nul_byte_is_written_as_an_escape_because_no_database_text_can_hold_it(read_numbered: ReadNumbered) -> None:
    (record,) = read_numbered("events.ndjson", b'{"a": "\x00"}\n').values()
    assert isinstance(record, Malformed)
    assert record.payload == '{"a": "\\x00"}'


@pytest.mark.parametrize("size", [MAX_RECORD_BYTES + 1, READ_BYTES - 1, READ_BYTES, 3 * READ_BYTES + 7])
def test_a_line_over_64_kib_is_too_large_and_kept_whole(read_numbered: ReadNumbered, size: int) -> None:
    long = '{"a": "' + "x" * (size - 9) + '"}'
    records = read_numbered("events.ndjson", f'{{"a": 1}}\n{long}\n{{"a": 3}}\n{long}')

    assert records[1] == {"a": 1}
    assert records[3] == {"a": 3}
    for line in (2, 4):
        record = records[line]
        assert isinstance(record, Malformed)
        assert record.reason == "too_large"
        assert record.payload == long
        assert f"{size:,} bytes" in record.detail


def test_a_line_of_64_kib_is_read(read_numbered: ReadNumbered) -> None:
    text = "x" * (MAX_RECORD_BYTES - 9)
    assert read_numbered("events.ndjson", f'{{"a": "{text}"}}\n') == {1: {"a": text}}


def test_a_line_of_a_gigabyte_is_never_held() -> None:
    piece = b"x" * READ_BYTES
    file = Generated(piece for _ in range(1024))

    tracemalloc.start()
    (((_, record),),) = [list(numbered_records(batch)) for batch in read_json_lines(file, "generated")]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(record, Malformed)
    assert f"{1024 * READ_BYTES:,} bytes" in record.detail
    assert record.detail.endswith(f"the first {KEPT_BYTES:,} are kept")
    assert len(record.payload) == KEPT_BYTES
    assert peak < 8 * KEPT_BYTES


def test_batches_are_bounded_by_records_and_by_bytes() -> None:
    short = Generated(iter([b'{"a": 1}\n'] * 5 * BATCH_RECORDS))
    sizes = [len(batch) for batch in read_json_lines(short, "short")]
    assert sum(sizes) == 5 * BATCH_RECORDS
    assert max(sizes) < BATCH_RECORDS + PIECE_RECORDS

    long_line = json.dumps({"a": "x" * 60_000}).encode() + b"\n"
    assert max(len(batch) for batch in read_json_lines(Generated(iter([long_line] * 500)), "long")) < 200


@given(st.lists(st.one_of(st.binary(max_size=30), st.just(b'{"a": [1]}'), st.just(b" ")), max_size=20))
def test_every_line_that_is_not_blank_becomes_one_record_in_its_place(lines: list[bytes]) -> None:
    lines = [line.replace(b"\n", b"") for line in lines]
    found = {
        number: record
        for batch in read_json_lines(io.BytesIO(b"\n".join(lines)), "any")
        for number, record in numbered_records(batch)
    }
    assert sorted(found) == [number for number, line in enumerate(lines, 1) if line.strip(b" \t\n\r\x0b\f")]
    assert all(found[number] == {"a": [1]} for number, line in enumerate(lines, 1) if line == b'{"a": [1]}')
