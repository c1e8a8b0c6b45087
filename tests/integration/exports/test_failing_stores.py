"""Stores that refuse, break off or are full: what is said, what is tried again, and that nothing half is seen."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.exports.archive import archive_day, restore
from iris_pipelines.exports.days import window_of
from iris_pipelines.exports.events import Destination, Export, ExportedDay, due_days, export_day
from iris_pipelines.storage.object_stores import StoreUnavailable
from tests.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.integration.exports.conftest import DAY, NOW, TENANT, Load, at, event
from tests.object_stores import Store, s3_store

NDJSON = f"analytics/analytics_{DAY}.ndjson"
_LARGE = 30_000


@pytest.fixture(scope="module")
def s3() -> Iterator[Store]:
    with s3_store() as store:
        yield store


@dataclass
class Bucket:
    """A bucket behind a proxy, and what is really in it."""

    store: Store
    proxy: FaultyProxy
    destination: Destination

    def export(self, database: Database) -> ExportedDay:
        """Export the day through the proxy."""
        return export_day(database, Export.NDJSON, self.destination, DAY)


@pytest.fixture
def bucket(s3: Store) -> Iterator[Bucket]:
    with faulty_proxy(s3.environment["AWS_ENDPOINT_URL"]) as proxy:
        store = replace(s3, path=f"landing/{uuid4()}")
        environment = {**store.environment, "AWS_ENDPOINT_URL": proxy.url}
        yield Bucket(store, proxy, Destination(store.url("out"), environment))


def add_a_large_day(database: Database) -> None:
    """So many events that their file is uploaded in more than three parts."""
    with database.transaction() as connection:
        connection.execute(
            "insert into iris.analytics_events (tenant_id, event_type, timestamp, event_data)"
            " select %s, 'message.sent', %s::timestamptz + number * interval '1 second',"
            " jsonb_build_object('text', repeat(md5(number::text), 30)) from generate_series(1, %s) as number",
            (TENANT, at(0), _LARGE),
        )


_PART = {"method": "PUT", "part": 3}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (Fault(**_PART), "cannot be written: .*UploadPart"),
        (Fault(**_PART, status=500, code="InternalError"), "cannot be written: .*UploadPart"),
        (Fault(**_PART, status=403, code="QuotaExceeded"), "cannot be written: .*as the test wants"),
        (Fault("POST", status=403, code="AccessDenied"), "cannot be written: .*(AccessDenied|ACCESS_DENIED)"),
        (Fault("PUT", is_copy=True, status=500, code="InternalError"), "cannot be written: "),
    ],
    ids=["cut in part 3", "broken in part 3", "full in part 3", "refused at the start", "broken at the copy"],
)
def test_a_store_that_fails_is_told_and_readers_see_the_old_file(
    database: Database, load: Load, bucket: Bucket, fault: Fault, sentence: str
) -> None:
    load([event(at(5))])
    bucket.export(database)
    old = bucket.store.get(f"out/{NDJSON}")
    add_a_large_day(database)
    bucket.proxy.faults = [fault]
    with pytest.raises(StoreUnavailable, match=rf"^{bucket.store.url('out')}/{NDJSON} {sentence}"):
        bucket.export(database)
    assert fault.hits > 0
    assert bucket.store.get(f"out/{NDJSON}") == old
    everything = bucket.store.keys()
    assert [key for key in everything if not key.rpartition("/")[2].startswith(".")] == [f"out/{NDJSON}"]
    assert due_days(database, Export.NDJSON, bucket.destination.name, now=NOW) == [DAY]

    # The control: the same without the fault.
    bucket.proxy.faults = []
    done = bucket.export(database)
    assert done.row_count == _LARGE + 1
    assert hashlib.sha256(bucket.store.get(f"out/{NDJSON}")).hexdigest() == done.sha256
    assert bucket.store.keys() == [f"out/{NDJSON}"]


@pytest.mark.parametrize("status", [None, 503], ids=["cut", "busy"])
def test_a_part_that_fails_once_is_sent_again(database: Database, bucket: Bucket, status: int | None) -> None:
    add_a_large_day(database)
    fault = Fault(**_PART, status=status, code="SlowDown", times=1)
    bucket.proxy.faults = [fault]
    done = bucket.export(database)
    assert fault.hits == 1
    assert hashlib.sha256(bucket.store.get(f"out/{NDJSON}")).hexdigest() == done.sha256


def test_a_store_that_fails_keeps_events_from_being_dropped(database: Database, bucket: Bucket) -> None:
    add_a_large_day(database)
    with database.transaction() as connection:
        before = connection.execute(
            "select count(*), sum(hashtext(e::text)) from iris.analytics_events as e"
        ).fetchone()
    bucket.proxy.faults = [Fault("PUT", is_copy=True, status=403, code="QuotaExceeded")]
    options = (bucket.destination.url, bucket.destination.environment, DAY, [TENANT])
    with pytest.raises(StoreUnavailable, match="cannot be written: "):
        archive_day(database, *options)
    with database.transaction() as connection:
        found = connection.execute("select count(*), sum(hashtext(e::text)) from iris.analytics_events as e").fetchone()
        assert found == before
        assert connection.execute("select count(*) from iris.archived_days").fetchone() == (0,)
    bucket.proxy.faults = []
    assert len(archive_day(database, *options)) == 1
    # A store that does not let the file be read back leaves the day where it is: whole in the archive.
    bucket.proxy.faults = [Fault("GET", status=403, code="AccessDenied")]
    with pytest.raises(StoreUnavailable, match="cannot be read: "):
        restore(database, bucket.destination.environment, window_of(DAY))
    bucket.proxy.faults = []
    restore(database, bucket.destination.environment, window_of(DAY))
    with database.transaction() as connection:
        found = connection.execute("select count(*), sum(hashtext(e::text)) from iris.analytics_events as e").fetchone()
    assert found == before


@pytest.mark.parametrize(
    ("export", "compression"),
    [(Export.NDJSON, "none"), (Export.NDJSON, "gz"), (Export.NDJSON, "zst"), (Export.PARQUET, "none")],
)
def test_a_disk_that_is_full_is_told_and_the_old_file_stays(
    database: Database, load: Load, tmp_path: Path, export: Export, compression: str
) -> None:
    destination = Destination(str(tmp_path), {}, compression)
    load([event(at(5))])
    file = Path(export_day(database, export, destination, DAY).url)
    old = file.read_bytes()
    add_a_large_day(database)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StoreUnavailable, match=rf"{file.name} cannot be written: .*File too large"):
            export_day(database, export, destination, DAY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == old
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]
    assert export_day(database, export, destination, DAY).row_count == _LARGE + 1
