import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iris_pipelines.ingestion.files import json_stream
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.files.json_stream import read_json_array, read_json_objects
from iris_pipelines.ingestion.records import MAX_RECORD_BYTES, Malformed

ReadNumbered = Callable[[str, str | bytes], dict[int, dict[str, Any] | Malformed]]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-100, 100), st.text(alphabet='{}[],:"\\ xé\n', max_size=6)),
    lambda values: st.one_of(
        st.lists(values, max_size=3), st.dictionaries(st.text('{"\\,', max_size=3), values, max_size=3)
    ),
    max_leaves=8,
)


@pytest.fixture
def tiny_reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Three bytes at a time: every boundary falls between two reads somewhere."""
    with monkeypatch.context() as patch:
        patch.setattr(json_stream, "READ_BYTES", 3)
        yield


def records_of(text: str) -> list[dict[str, Any] | Malformed]:
    return [record for batch in read_json_array(io.BytesIO(text.encode()), "a.json") for record in batch.records]


@pytest.mark.parametrize("read_bytes", [3, 1 << 20])
@given(values=st.lists(JSON, max_size=6), indent=st.sampled_from([None, 0, 2]))
@settings(max_examples=60, deadline=None)
def test_any_array_is_read_element_by_element(read_bytes: int, values: list[Any], indent: int | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "READ_BYTES", read_bytes)
        found = records_of(json.dumps(values, indent=indent))

    assert len(found) == len(values)
    for record, value in zip(found, values, strict=True):
        if isinstance(value, dict):
            assert record == value
        else:
            assert isinstance(record, Malformed)
            assert record.reason == "invalid_json"
            assert json.loads(record.payload) == value


@given(values=st.lists(st.dictionaries(st.text(max_size=3), JSON, max_size=3), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_objects_over_several_lines_are_read_one_after_the_other(values: list[dict[str, Any]]) -> None:
    text = "\n".join(json.dumps(value, indent=2) for value in values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "READ_BYTES", 3)
        batches = list(read_json_objects(io.BytesIO(text.encode()), "a.json"))
    assert [record for batch in batches for record in batch.records] == values


def test_an_element_that_is_no_object_or_no_json_is_a_record_of_its_own(read_numbered: ReadNumbered) -> None:
    records = read_numbered("a.json", '[{"a": 1}, 5, "x,]", [{"b": 1}], {"a": nope}, {"a": 2}]')

    assert records[1] == {"a": 1}
    assert records[6] == {"a": 2}
    bad = {number: record for number, record in records.items() if isinstance(record, Malformed)}
    assert {number: record.payload for number, record in bad.items()} == {
        2: "5",
        3: '"x,]"',
        4: '[{"b": 1}]',
        5: '{"a": nope}',
    }
    assert bad[2].detail == "element 2 is a JSON number, not an object"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[{"a": 1}', "the array is cut off after 1 elements"),
        ('[{"a": 1},', "the array is cut off after 1 elements"),
        ('[{"a": 1}, {"a": ', "the file ends in the middle of element 2"),
        ('[{"a": 1}, {"a": "x', "the file ends in the middle of element 2"),
        ('[{"a": 1}, {"a": "x\\', "the file ends in the middle of element 2"),
        ('[{"a": 1} {"a": 2}]', "a comma or ] was expected after element 1"),
        ('[{"a": 1},, {"a": 2}]', "element 2 is missing"),
        ('[{"a": 1},]', "element 2 is missing"),
        ('[{"a": 1}] [', "something follows the end of the array"),
        ("[", "the array is cut off after 0 elements"),
    ],
)
@pytest.mark.usefixtures("tiny_reads")
def test_a_broken_array_is_an_error_of_the_whole_file(text: str, problem: str) -> None:
    with pytest.raises(UnreadableFile) as caught:
        records_of(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize("size", [MAX_RECORD_BYTES + 1, 3 << 20])
def test_an_element_over_64_kib_is_too_large_and_kept_whole(read_numbered: ReadNumbered, size: int) -> None:
    long = '{"a": "' + "x" * (size - 9) + '"}'
    records = read_numbered("a.json", f'[{{"a": 1}}, {long}, {{"a": 3}}, {long}]')

    assert records[1] == {"a": 1}
    assert records[3] == {"a": 3}
    for number in (2, 4):
        record = records[number]
        assert isinstance(record, Malformed)
        assert (record.reason, record.payload) == ("too_large", long)
        assert f"{size:,} bytes" in record.detail


def test_an_element_of_64_kib_is_read(read_numbered: ReadNumbered) -> None:
    text = "x" * (MAX_RECORD_BYTES - 9)
    assert read_numbered("a.json", f'[{{"a": "{text}"}}, {{"a": "{text}"}}]') == {1: {"a": text}, 2: {"a": text}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1}', [{"a": 1}]),
        ('{\n  "a": {\n    "b": 1\n  }\n}\n', [{"a": {"b": 1}}]),
        ('{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ('\n\n{"a": 1}', [{"a": 1}]),
        ('{"a": [\n1]}\n{"a": 2}', [{"a": [1]}, {"a": 2}]),
    ],
)
def test_a_json_file_may_be_one_object_or_lines(
    read_numbered: ReadNumbered, text: str, expected: list[dict[str, Any]]
) -> None:
    assert list(read_numbered("a.json", text).values()) == expected


def test_a_broken_first_line_of_a_json_file_in_lines_harms_no_other(read_numbered: ReadNumbered) -> None:
    first, second = read_numbered("a.json", '{"a": \n{"a": 2}\n').values()
    assert isinstance(first, Malformed)
    assert second == {"a": 2}
