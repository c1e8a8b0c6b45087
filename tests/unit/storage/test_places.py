import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from iris_pipelines.storage.object_stores import StoreUnavailable
from iris_pipelines.storage.places import CountedBytes, Place, open_place
from tests.commands import python, started
from tests.object_stores import Store, az_store, gs_store, s3_store

LARGE = bytes(range(256)) * 100_000
"""More than one part of a multipart upload."""


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


@dataclass
class Kept:
    """A place under test, what is really in it, and how a child process opens it."""

    place: Place
    store: Store | None
    folder: Path

    def everything(self) -> list[str]:
        """Every file, hidden ones too."""
        if self.store is not None:
            return self.store.keys()
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def visible(self) -> list[str]:
        """The files that readers look at."""
        return [name for name in self.everything() if not name.rpartition("/")[2].startswith(".")]


@pytest.fixture(params=["local", "s3", "gs", "az"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    if request.param == "local":
        return Kept(open_place(str(tmp_path / "kept"), {}), None, tmp_path / "kept")
    found: Store = request.getfixturevalue(request.param)
    store = replace(found, path=f"landing/{uuid4()}")
    return Kept(open_place(store.url("").rstrip("/"), store.environment), store, tmp_path)


def content(place: Place, name: str) -> bytes:
    with place.reading(name) as stream:
        return stream.read()


def test_a_file_is_there_when_it_is_whole_and_replaces_the_one_before(kept: Kept) -> None:
    for data in (b"old", LARGE, b""):
        with kept.place.writing("a/b/day.ndjson") as stream:
            for start in range(0, len(data), 1 << 20):
                stream.write(data[start : start + (1 << 20)])
            before = kept.visible()
        assert before == ([] if data == b"old" else ["a/b/day.ndjson"])
        assert kept.everything() == ["a/b/day.ndjson"]
        assert content(kept.place, "a/b/day.ndjson") == data
    assert kept.place.name_of(kept.place.url_of("a/b/day.ndjson")) == "a/b/day.ndjson"


def test_a_writer_that_fails_leaves_the_file_as_it_was_and_nothing_beside_it(kept: Kept) -> None:
    with kept.place.writing("a/day.ndjson") as stream:
        stream.write(b"old")
    for failure in (ValueError, KeyboardInterrupt):
        with pytest.raises(failure), kept.place.writing("a/day.ndjson") as stream:
            stream.write(LARGE)
            raise failure
        assert kept.everything() == ["a/day.ndjson"]
        assert content(kept.place, "a/day.ndjson") == b"old"


_KILLED = """
import os, sys
from iris_pipelines.storage.places import open_place
with open_place(sys.argv[1], os.environ).writing("a/day.ndjson") as stream:
    stream.write(bytes(20_000_000))
    {wait}
"""


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_killed_writer_shows_nothing_and_the_next_one_leaves_nothing_of_it(kept: Kept, is_killed: bool) -> None:
    environment = {} if kept.store is None else kept.store.environment
    wait = "print('written', flush=True); sys.stdin.readline()"
    with started(python("-c", _KILLED.format(wait=wait), kept.place.url), **environment) as child:
        assert child.heard() == "written"
        assert kept.visible() == []
        if is_killed:
            child.send(signal.SIGKILL)
            child.finished()
            assert kept.visible() == []
        else:  # the control: left alone, it does write the file
            child.say("go on")
            assert child.finished().code == 0
            assert kept.visible() == ["a/day.ndjson"]
    with kept.place.writing("a/day.ndjson") as stream:
        stream.write(b"new")
    assert kept.everything() == ["a/day.ndjson"]
    assert content(kept.place, "a/day.ndjson") == b"new"


def test_files_are_listed_and_deleted_by_name(kept: Kept) -> None:
    assert kept.place.names("a") == []
    assert kept.place.delete_others("a", None) == []
    for name in ("a/1.parquet", "a/2.parquet", "b/1.parquet"):
        with kept.place.writing(name) as stream:
            stream.write(name.encode())
    assert kept.place.names("a") == ["a/1.parquet", "a/2.parquet"]
    assert kept.place.delete_others("a", "a/2.parquet") == ["a/1.parquet"]
    kept.place.delete("a/1.parquet")
    assert kept.visible() == ["a/2.parquet", "b/1.parquet"]
    with pytest.raises(StoreUnavailable, match=r"a/1\.parquet cannot be read: it does not exist"):
        content(kept.place, "a/1.parquet")


def test_a_store_that_is_away_is_named(tmp_path: Path) -> None:
    environment = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1"}
    with (
        pytest.raises(StoreUnavailable, match=r"^s3://landing/out/day cannot be written: "),
        open_place("s3://landing/out", environment).writing("day"),
    ):
        pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreUnavailable, match=r"/file/day cannot be written: .*exists"),
        open_place(f"{tmp_path}/file", {}).writing("day"),
    ):
        pass


def test_a_store_that_fails_in_the_middle_of_an_upload_is_told() -> None:
    with s3_store() as s3:
        store = replace(s3, path=f"landing/{uuid4()}")
        place = open_place(store.url("out"), store.environment)
        with pytest.raises(StoreUnavailable, match=r"out/day cannot be written: "), place.writing("day") as stream:
            for number in range(40):
                stream.write(bytes(1 << 20))
                if number == 12:
                    # The server forgets the upload of which two parts have come in.
                    _forget_uploads(store)
        assert store.keys() == []


def _forget_uploads(store: Store) -> None:
    from moto.s3.models import s3_backends

    for backends in s3_backends.values():
        for backend in backends.values():
            for bucket in backend.buckets.values():
                bucket.multiparts.clear()


def test_a_bucket_that_is_away_is_named(s3: Store) -> None:
    with (
        pytest.raises(StoreUnavailable, match=r"^s3://no-such-bucket/day cannot be written: "),
        open_place("s3://no-such-bucket", s3.environment).writing("day") as stream,
    ):
        stream.write(b"day")


def test_a_full_disk_is_told_and_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    place = open_place(str(tmp_path), {})
    with place.writing("day") as stream:
        stream.write(b"old")
    (tmp_path / ".day.incoming").symlink_to("/dev/full")
    with (
        pytest.raises(StoreUnavailable, match=r"written: .*No space left"),
        place.writing("day") as stream,
    ):
        stream.write(bytes(1 << 20))
    assert content(place, "day") == b"old"


@pytest.mark.parametrize(
    ("url", "place"),
    [("file:///a%20b/c", "/a b/c"), ("/a b/c/", "/a b/c"), ("s3://bucket/a/", "s3://bucket/a")],
)
def test_places_have_one_spelling(url: str, place: str) -> None:
    assert open_place(url, {"AWS_REGION": "us-east-1"}).url == place
    with pytest.raises(StoreUnavailable, match="is no place for files"):
        open_place("ftp://host/folder", {})


def test_bytes_are_counted_on_their_way(tmp_path: Path) -> None:
    with open_place(str(tmp_path), {}).writing("day") as stream:
        counted = CountedBytes(stream)
        counted.write(b"ab")
        counted.write(b"c")
    assert counted.count == 3
    assert counted.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
