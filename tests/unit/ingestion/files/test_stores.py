from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from iris_pipelines.ingestion.files.discovery import find_files
from iris_pipelines.ingestion.files.errors import UnreadableFile
from iris_pipelines.ingestion.files.stores import ObjectStoreFolder
from iris_pipelines.storage.object_stores import StoreUnavailable
from tests.object_stores import Store, az_store, gs_store, s3_store


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


@pytest.fixture(params=["s3", "gs", "az"])
def store(request: pytest.FixtureRequest) -> Store:
    found: Store = request.getfixturevalue(request.param)
    return replace(found, path=f"landing/{uuid4()}")


def names(store: Store, key: str) -> list[str]:
    return [each.name for each in ObjectStoreFolder(store.url(key), store.environment).objects()]


def test_what_lies_under_a_prefix_is_listed_by_name(store: Store) -> None:
    for key in ("in/b.ndjson", "in/a b/c?.ndjson", "in/a.ndjson.gz", "inner/x.ndjson"):
        store.put(key, b"{}\n")
    assert names(store, "in") == [store.url(key) for key in ("in/a b/c?.ndjson", "in/a.ndjson.gz", "in/b.ndjson")]
    assert names(store, "in/") == names(store, "in")
    assert names(store, "in/b.ndjson") == [store.url("in/b.ndjson")]


def test_an_object_knows_its_size_and_time_and_is_fetched_whole(store: Store) -> None:
    content = bytes(range(256)) * 20_000
    store.put("in/a.bin", content)
    (found,) = ObjectStoreFolder(store.url("in/a.bin"), store.environment).objects()
    assert found.size == len(content)
    assert found.modified_at is not None
    assert abs(found.modified_at - datetime.now(UTC)) < timedelta(minutes=5)
    with found.local_path() as path:
        assert path.read_bytes() == content
    assert not path.exists()


def test_what_is_not_there_is_named(store: Store) -> None:
    store.put("in/a.ndjson", b"{}\n")
    (found,) = ObjectStoreFolder(store.url("in/a.ndjson"), store.environment).objects()
    store.files.delete_file(f"{store.path}/in/a.ndjson")
    with pytest.raises(UnreadableFile, match=r"in/a\.ndjson: does not exist any more"), found.local_path():
        pass
    with pytest.raises(StoreUnavailable, match="/nothing does not exist"):
        names(store, "nothing")


def test_a_prefix_may_be_missing_in_a_landing_zone_but_not_the_bucket(store: Store) -> None:
    assert ObjectStoreFolder(store.url("nothing"), store.environment).objects(allow_missing=True) == []
    with pytest.raises(StoreUnavailable, match="does not exist"):
        ObjectStoreFolder(f"{store.scheme}://no-such-bucket/in", store.environment).objects(allow_missing=True)


def test_names_may_be_urls_of_objects_and_of_prefixes(store: Store) -> None:
    for key in ("in/a.ndjson", "in/notes.txt", "in/_SUCCESS", "in/.hidden.ndjson", "one.dat"):
        store.put(key, b"{}\n")
    found = find_files([store.url("in"), store.url("one.dat"), store.url("in/a.ndjson")], store.environment)
    assert found.problems == []
    assert [file.name for file in found.files] == [store.url("in/a.ndjson"), store.url("one.dat")]
    assert sorted(found.skipped) == [store.url(key) for key in ("in/.hidden.ndjson", "in/_SUCCESS", "in/notes.txt")]


def test_a_store_that_does_not_answer_is_named() -> None:
    environment = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_REGION": "us-east-1"}
    (problem,) = find_files(["s3://landing/in"], environment).problems
    assert str(problem).startswith("s3://landing/in cannot be listed: ")


@pytest.mark.parametrize(
    ("url", "environment", "sentence"),
    [
        ("s3:///key", {}, "is no address of a store"),
        ("az://landing/in", {}, "set AZURE_STORAGE_ACCOUNT, or AZURE_STORAGE_CONNECTION_STRING"),
    ],
)
def test_an_address_that_cannot_be_used_says_why(url: str, environment: Mapping[str, str], sentence: str) -> None:
    with pytest.raises(StoreUnavailable, match=sentence):
        ObjectStoreFolder(url, environment)


@pytest.mark.parametrize(
    "environment",
    [
        {"AZURE_STORAGE_ACCOUNT": "account", "AZURE_STORAGE_KEY": "a2V5"},
        {"AZURE_STORAGE_ACCOUNT": "account", "AZURE_STORAGE_SAS_TOKEN": "?sv=1"},
        {
            "AZURE_STORAGE_CONNECTION_STRING": "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
            "AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1"
        },
    ],
)
def test_azures_usual_variables_open_its_store(environment: Mapping[str, str]) -> None:
    assert ObjectStoreFolder("az://landing/in/", environment).url == "az://landing/in"
