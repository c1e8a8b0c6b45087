import json
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pyarrow import fs

from iris_pipelines.db.database import Database
from iris_pipelines.db.tenants import Tenant, create_tenant
from iris_pipelines.ingestion.ingested_files import FileResult, Outcome
from iris_pipelines.ingestion.landing import (
    SETTLING,
    LandingZoneMissing,
    ingest_new_landing_files,
    new_landing_files,
)
from iris_pipelines.storage.object_stores import StoreUnavailable

TENANT = UUID("9c4fb7e0-7d0f-4f7e-8c33-1a4e1f5b7a10")
NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def tenant(database: Database) -> None:
    create_tenant(database, Tenant(TENANT, "Acme"))


def content() -> bytes:
    event = {
        "id": str(uuid4()),
        "tenant_id": str(TENANT),
        "event_type": "message.sent",
        "timestamp": "2026-11-02T10:00:00Z",
    }
    return json.dumps(event).encode() + b"\n"


def put(path: Path, data: bytes, *, age: timedelta = timedelta(minutes=1)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    moment = (NOW - age).timestamp()
    os.utime(path, (moment, moment))


def new(database: Database, folder: Path, *, now: datetime = NOW) -> list[str]:
    found = new_landing_files(database, str(folder), now=now, environment={})
    return [str(Path(file.name).relative_to(folder)) for file in found]


def ingest(database: Database, url: str, environment: dict[str, str]) -> list[FileResult]:
    return list(
        ingest_new_landing_files(database, url, now=NOW, history_start=date(2020, 1, 1), environment=environment)
    )


def test_a_file_is_new_until_it_was_read_and_again_when_it_is_written_anew(database: Database, tmp_path: Path) -> None:
    put(tmp_path / "a.ndjson", content())
    put(tmp_path / "deep/b.ndjson", content())
    assert new(database, tmp_path) == ["a.ndjson", "deep/b.ndjson"]

    assert [result.outcome for result in ingest(database, str(tmp_path), {})] == [Outcome.LOADED] * 2
    assert new(database, tmp_path) == []

    put(tmp_path / "a.ndjson", content(), age=timedelta(seconds=30))
    assert new(database, tmp_path) == ["a.ndjson"]
    (result,) = ingest(database, f"file://{tmp_path}", {})
    assert (result.outcome, result.events.accepted) == (Outcome.LOADED, 1)
    assert new(database, tmp_path) == []


def test_a_copy_of_a_loaded_file_is_looked_at_once(database: Database, tmp_path: Path) -> None:
    data = content()
    put(tmp_path / "a.ndjson", data)
    put(tmp_path / "b.ndjson", data)
    assert [result.outcome for result in ingest(database, str(tmp_path), {})] == [
        Outcome.LOADED,
        Outcome.ALREADY_LOADED,
    ]
    assert new(database, tmp_path) == []


def test_what_is_still_being_written_waits(database: Database, tmp_path: Path) -> None:
    put(tmp_path / "a.ndjson", content(), age=SETTLING / 2)
    put(tmp_path / "b.ndjson", content(), age=-timedelta(hours=1))
    for name in ("c.ndjson.tmp", "d.ndjson.part", ".e.ndjson", "_temporary/f.ndjson", "README.txt"):
        put(tmp_path / name, content())
    assert new(database, tmp_path) == ["b.ndjson"]
    assert new(database, tmp_path, now=NOW + SETTLING) == ["a.ndjson", "b.ndjson"]


def test_a_file_that_cannot_be_read_is_tried_again_only_when_it_has_changed(database: Database, tmp_path: Path) -> None:
    put(tmp_path / "a.ndjson.gz", b"no gzip at all")
    (result,) = ingest(database, str(tmp_path), {})
    assert result.outcome is Outcome.FAILED
    assert new(database, tmp_path) == []
    with database.transaction() as connection:
        ((problem,),) = connection.execute("select problem from iris.read_files").fetchall()
    assert problem == result.problem

    put(tmp_path / "a.ndjson.gz", b"still none", age=timedelta(seconds=30))
    assert new(database, tmp_path) == ["a.ndjson.gz"]


def test_an_empty_zone_has_nothing_new_and_a_missing_one_is_an_error(database: Database, tmp_path: Path) -> None:
    assert new(database, tmp_path) == []
    with pytest.raises(LandingZoneMissing, match="is no folder: create it, or set IRIS_LANDING_URL"):
        new(database, tmp_path / "missing")


@pytest.fixture
def s3_environment() -> Iterator[dict[str, str]]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_REGION": "us-east-1"}
    server.stop()


def test_a_zone_in_an_object_store_is_watched_alike(database: Database, s3_environment: dict[str, str]) -> None:
    url = "s3://watched/in"
    endpoint = s3_environment["AWS_ENDPOINT_URL"].removeprefix("http://")
    store = fs.S3FileSystem(endpoint_override=endpoint, scheme="http", allow_bucket_creation=True)
    with pytest.raises(StoreUnavailable, match="s3://watched/in does not exist"):
        ingest(database, url, s3_environment)
    store.create_dir("watched")
    assert ingest(database, url, s3_environment) == []

    for key in ("in/a.ndjson", "in/deep/b.ndjson", "in/notes.txt", "elsewhere/c.ndjson"):
        with store.open_output_stream(f"watched/{key}") as stream:
            stream.write(content())
    results = ingest(database, url, s3_environment)
    assert [(result.name, result.outcome) for result in results] == [
        ("s3://watched/in/a.ndjson", Outcome.LOADED),
        ("s3://watched/in/deep/b.ndjson", Outcome.LOADED),
    ]
    assert ingest(database, url, s3_environment) == []
    with store.open_output_stream("watched/in/a.ndjson") as stream:
        stream.write(content() * 2)
    (result,) = ingest(database, url, s3_environment)
    assert (result.events.received, result.events.accepted, result.events.duplicates) == (2, 1, 1)
