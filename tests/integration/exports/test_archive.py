from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pyarrow.parquet as pq
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.domain.windows import Window
from iris_pipelines.exports.archive import DayInUse, archive_day, restore, restore_days, restore_stale
from iris_pipelines.exports.archived_files import ArchiveDamaged
from iris_pipelines.exports.days import window_of
from iris_pipelines.exports.retention import InvalidRetention, plan_retention, set_retention
from iris_pipelines.ingestion.loader import LoadConflict, LoadResult, load_events
from iris_pipelines.ingestion.records import ObjectBatch
from iris_pipelines.storage.object_stores import StoreUnavailable
from tests.commands import eventually, finished, iris, started
from tests.integration.exports.conftest import DAY, NOW, OTHER_TENANT, TENANT, Load, at, event
from tests.object_stores import Store, s3_store
from tests.servers import observing, value, waiting_for

WINDOW = window_of(DAY)
BOTH = [TENANT, OTHER_TENANT]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "exports")


@pytest.fixture(scope="module")
def s3() -> Iterator[Store]:
    with s3_store() as store:
        yield store


def odd_events() -> list[dict[str, Any]]:
    """Events with every column filled, or not."""
    full = {
        "event_type": "message.opened",
        "message_id": str(uuid4()),
        "campaign_id": str(uuid4()),
        "contact_id": str(uuid4()),
        "provider": "sendgrid",
        "event_data": {"text": 'a "b"\\\nc\r\n\t,ü\u2028', "n": [1, 2.5, None], "deep": {"x": True}},
        "ip_address": "2001:db8::1",
        "user_agent": 'Mozilla/5.0, "quoted"',
        "geo_location": {"city": "Zürich", "lat": 47.37},
        "cost": "0.000001",
        "duration_ms": 0,
        "success": False,
        "error_code": "",
        "error_message": "two\nlines, and a comma",
        "is_machine": True,
    }
    return [
        event(at(0)),
        event(at(9, 30, 0, 1), **full),
        event(at(23, 59, 59, 999_999), **{**full, "ip_address": "10.0.0.1", "cost": "9999.999999"}),
        event(at(12), tenant_id=str(OTHER_TENANT)),
        # The neighbours of the day.
        event(at(23, 59, 59, 999_999, day=DAY - timedelta(days=1))),
        event(at(0, day=DAY + timedelta(days=1))),
    ]


def rows(database: Database, day: date = DAY) -> list[Any]:
    """Everything about the events of a day."""
    window = window_of(day)
    with database.transaction() as connection:
        return connection.execute(
            "select e::text from iris.analytics_events as e where timestamp >= %s and timestamp < %s order by 1",
            (window.start, window.end),
        ).fetchall()


def manifest(database: Database) -> list[tuple[Any, ...]]:
    """Every column but when it was."""
    with database.transaction() as connection:
        return connection.execute(
            "select tenant_id, date, url, version, row_count, bytes, sha256, content_sha256, min_timestamp,"
            " max_timestamp, total_cost, total_duration_ms, hours, restored_at is null"
            " from iris.archived_days order by 1, 2"
        ).fetchall()


def files(url: str) -> dict[str, bytes]:
    """Every file of the archive, hidden ones too."""
    found = Path(url).rglob("*")
    return {str(path.relative_to(url)): path.read_bytes() for path in found if path.is_file()}


def has_partition(database: Database) -> bool:
    with database.transaction() as connection:
        name = f"iris_partitions.analytics_events_{DAY:%Y_%m_%d}"
        return connection.execute("select to_regclass(%s) is not null", (name,)).fetchone() == (True,)


def test_an_archived_day_is_dropped_and_comes_back_to_the_last_digit(database: Database, load: Load, url: str) -> None:
    load(odd_events())
    before, neighbour = rows(database), rows(database, DAY + timedelta(days=1))
    written = archive_day(database, url, {}, DAY, BOTH)
    assert [file.facts.row_count for file in written] == [3, 1]
    assert rows(database) == []
    assert rows(database, DAY + timedelta(days=1)) == neighbour
    assert not has_partition(database)
    assert sorted(files(url)) == [f"archive/events/date={DAY}/tenant_id={tenant}/events.v1.parquet" for tenant in BOTH]
    table = pq.read_table(written[0].url, partitioning=None)
    assert table["error_message"].to_pylist()[1] == "two\nlines, and a comma"
    assert [row[3:6] for row in manifest(database)] == [
        (1, written[0].facts.row_count, written[0].bytes),
        (1, 1, written[1].bytes),
    ]

    with database.transaction() as connection:
        connection.execute("delete from iris.touched_hours")
    restored = restore(database, {}, WINDOW)
    assert [(each.row_count, each.missing) for each in restored] == [(3, 3), (1, 1)]
    assert rows(database) == before
    assert restore(database, {}, WINDOW) == []
    with database.transaction() as connection:
        # What was built from these events stands as it was.
        assert connection.execute("select count(*) from iris.touched_hours").fetchone() == (0,)


def test_a_tenant_that_keeps_less_leaves_the_others_alone(database: Database, load: Load, url: str) -> None:
    load(odd_events())
    before = rows(database)
    archive_day(database, url, {}, DAY, [OTHER_TENANT])
    assert len(rows(database)) == len(before) - 1
    assert has_partition(database)
    archive_day(database, url, {}, DAY, [TENANT])
    assert not has_partition(database)
    restore(database, {}, WINDOW)
    assert rows(database) == before


def test_late_events_of_an_archived_day_join_it_in_its_next_version(database: Database, load: Load, url: str) -> None:
    events = odd_events()
    load(events)
    archive_day(database, url, {}, DAY, BOTH)
    # One is new, and one is the same that lies in the archive.
    load([event(at(5)), events[0]])
    (first, _) = archive_day(database, url, {}, DAY, BOTH)
    assert (first.version, first.facts.row_count) == (2, 4)
    assert sorted(name.rpartition("/")[2] for name in files(url)) == ["events.v2.parquet"] * 2
    restore(database, {}, WINDOW)
    assert len(rows(database)) == 5


def _load_again(database: Database, events: list[dict[str, Any]], environment: dict[str, str]) -> LoadResult:
    """As those do who know of the archive."""
    return load_events(
        database,
        # The archived day is met in the second batch: what the first one stored is not to stay twice.
        [ObjectBatch("again", range(1, len(some) + 1), some) for some in (events[4:], events[:4])],
        now=NOW,
        history_start=date(2020, 1, 1),
        restore_days=lambda db, days: restore_days(db, environment, days),
    )


def test_events_that_are_sent_again_after_their_day_was_archived_are_duplicates(
    database: Database, load: Load, url: str
) -> None:
    message = uuid4()
    with database.transaction() as connection:
        connection.execute("insert into iris.tenants (id, name) values (%s, 'a')", (TENANT,))
        connection.execute("insert into iris.messages (tenant_id, id) values (%s, %s)", (TENANT, message))
    events = odd_events()
    events[1]["message_id"] = events[2]["message_id"] = str(message)
    load(events)
    before = rows(database)

    def opens() -> int:
        with database.transaction() as connection:
            row = connection.execute("select open_count from iris.messages where id = %s", (message,)).fetchone()
        assert row is not None
        return int(row[0])

    assert opens() == 2
    archive_day(database, url, {}, DAY, BOTH)
    result = _load_again(database, [*events, event(at(6))], {})
    assert (result.received, result.accepted, result.duplicates) == (7, 1, 6)
    assert opens() == 2
    assert set(before) < set(rows(database))
    assert len(rows(database)) == len(before) + 1

    # The control: who does not know of the archive takes them for new.
    archive_day(database, url, {}, DAY, BOTH)
    load(events[:4])
    assert opens() == 4
    restore(database, {}, WINDOW)
    assert len(rows(database)) == len(before) + 1


def test_what_cannot_be_compared_with_the_archive_is_not_loaded(database: Database, load: Load, url: str) -> None:
    events = odd_events()
    load(events)
    (file, _) = archive_day(database, url, {}, DAY, BOTH)
    whole = Path(file.url).read_bytes()
    Path(file.url).unlink()
    with pytest.raises(LoadConflict, match=r"compared with archived days, but .*it does not exist"):
        _load_again(database, [event(at(5)), event(at(6)), *events], {})
    assert rows(database) == []
    Path(file.url).write_bytes(whole)
    assert _load_again(database, events, {}).duplicates == 6


def test_a_load_that_is_under_way_keeps_its_days_from_being_archived(database: Database, load: Load, url: str) -> None:
    events = odd_events()
    load(events)

    def archived_meanwhile(connection: Any, result: LoadResult) -> None:
        assert result.duplicates == 6
        with pytest.raises(DayInUse, match="are in use"):
            archive_day(database, url, {}, DAY, BOTH)

    load_events(
        database,
        [ObjectBatch("again", range(1, 7), events)],
        now=NOW,
        history_start=date(2020, 1, 1),
        finish=archived_meanwhile,
        restore_days=lambda db, days: restore_days(db, {}, days),
    )
    archive_day(database, url, {}, DAY, BOTH)


def test_events_that_come_while_a_day_is_archived_keep_it_in_the_event_log(
    database: Database, load: Load, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(odd_events())
    import iris_pipelines.exports.archive as module

    written = module.write_archived_file

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        done = written(*arguments, **options)
        load([event(at(5))])
        return done

    monkeypatch.setattr(module, "write_archived_file", meanwhile)
    with pytest.raises(DayInUse, match="changed while they were archived"):
        archive_day(database, url, {}, DAY, BOTH)
    assert manifest(database) == []
    before = rows(database)
    assert len(before) == 6

    # The control, and the repair: undisturbed, it goes.
    monkeypatch.undo()
    archive_day(database, url, {}, DAY, BOTH)
    assert rows(database) == []
    restore(database, {}, WINDOW)
    assert rows(database) == before


def test_a_day_whose_events_are_being_read_is_left_for_later(database: Database, load: Load, url: str) -> None:
    load(odd_events())
    with psycopg.connect(database.url) as reader:
        reader.execute("select count(*) from iris.analytics_events").close()
        with pytest.raises(DayInUse, match="are in use"):
            archive_day(database, url, {}, DAY, BOTH)
    assert len(rows(database)) == 4
    archive_day(database, url, {}, DAY, BOTH)
    assert rows(database) == []


def test_nobody_builds_from_the_events_of_an_archived_day(database: Database, load: Load, url: str) -> None:
    hold = "select iris.hold_events(%s)"
    load(odd_events())
    with psycopg.connect(database.url) as builder:
        builder.execute(hold, (WINDOW.start,))
        # While someone builds, nothing is taken away.
        with pytest.raises(DayInUse, match="are in use"):
            archive_day(database, url, {}, DAY, BOTH)
    archive_day(database, url, {}, DAY, BOTH)
    refused = pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="are archived")
    with psycopg.connect(database.url) as builder, refused:
        builder.execute(hold, (WINDOW.start,))
    restore(database, {}, WINDOW)
    with psycopg.connect(database.url) as builder:
        builder.execute(hold, (WINDOW.start,))


def test_a_file_that_was_tampered_with_is_not_restored(database: Database, load: Load, url: str) -> None:
    load(odd_events())
    (file, _) = archive_day(database, url, {}, DAY, BOTH)
    whole = Path(file.url).read_bytes()
    Path(file.url).write_bytes(whole.replace(b"Mozilla", b"Mosaic."))
    with pytest.raises(ArchiveDamaged, match="is not the file that was written"):
        restore(database, {}, WINDOW)
    Path(file.url).unlink()
    with pytest.raises(StoreUnavailable, match="it does not exist"):
        restore(database, {}, WINDOW)
    assert rows(database) == []
    Path(file.url).write_bytes(whole)
    assert len(restore(database, {}, WINDOW)) == 2
    assert len(rows(database)) == 4


def test_what_does_not_reach_the_store_as_it_was_is_not_dropped(
    database: Database, load: Load, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import iris_pipelines.exports.archived_files as module

    load(odd_events())
    rendered = module.csv_of

    def loses_a_row(batches: Any) -> Any:
        return rendered(batch.slice(1) for batch in batches)

    monkeypatch.setattr(module, "csv_of", loses_a_row)
    with pytest.raises(ArchiveDamaged):
        archive_day(database, url, {}, DAY, BOTH)
    assert len(rows(database)) == 4
    assert manifest(database) == []


_STEPS = {
    "before the first file": "lock table iris.analytics_events in access exclusive mode",
    "between the files and the drop": f"lock table iris_partitions.analytics_events_{DAY:%Y_%m_%d} in row share mode",
    "before it is noted": "lock table iris.archived_days in exclusive mode",
}


@pytest.mark.parametrize("step", _STEPS)
def test_an_archive_killed_anywhere_leaves_both_sides_usable_and_the_next_ends_as_an_undisturbed_one(
    database: Database, load: Load, url: str, tmp_path: Path, step: str
) -> None:
    load(odd_events())
    environment = {"IRIS_DATABASE_URL": database.url, "IRIS_EXPORT_URL": url, "IRIS_RETENTION_DAYS": "1"}
    before = rows(database)
    command = iris("archive", "--date", f"{DAY}")
    with (
        psycopg.connect(database.url) as gate,
        observing(database.url) as observer,
        started(command, **environment) as child,
    ):
        gate.execute(_STEPS[step].encode())
        eventually(lambda: waiting_for(observer, "relation") > 0, "the archive at the lock")
        child.send(signal.SIGKILL)
        assert child.finished().code == -signal.SIGKILL
        gate.rollback()
        eventually(lambda: value(observer, _AT_WORK) == 0, "the end of the session of who was killed")
    assert rows(database) == before
    assert manifest(database) == []

    done = finished(command, **environment)
    assert (done.code, done.error) == (0, "")
    assert rows(database) == []
    left, noted = files(url), manifest(database)
    with database.transaction() as connection:
        watching = "select count(*) from iris.event_consumers where starts_with(consumer, 'archive of ')"
        assert connection.execute(watching).fetchone() == (0,)
        connection.execute("delete from iris.archived_days")
    # The same events, archived without trouble.
    undisturbed = str(tmp_path / "undisturbed")
    _put_back(database, before)
    archive_day(database, undisturbed, {}, DAY, BOTH)
    assert files(undisturbed) == left
    assert [row[3:] for row in manifest(database)] == [row[3:] for row in noted]


_AT_WORK = """
    select count(*) from pg_stat_activity
    where datname = current_database() and application_name = 'iris' and state <> 'idle'
"""


def _put_back(database: Database, texts: list[Any]) -> None:
    with database.transaction() as connection:
        for (text,) in texts:
            connection.execute("insert into iris.analytics_events select (%s::text::iris.analytics_events).*", (text,))


@pytest.mark.parametrize(
    "lock",
    [
        "lock table iris.analytics_events in access exclusive mode",
        # The events are put back, and that they were is not noted yet.
        "select from iris.archived_days for update",
    ],
    ids=["before the events are back", "before it is noted"],
)
def test_a_restore_killed_anywhere_is_all_or_nothing(database: Database, load: Load, url: str, lock: str) -> None:
    load(odd_events())
    before = rows(database)
    archive_day(database, url, {}, DAY, BOTH)
    environment = {"IRIS_DATABASE_URL": database.url, "IRIS_EXPORT_URL": url}
    command = iris("restore", "--date", f"{DAY}")
    with (
        psycopg.connect(database.url) as gate,
        observing(database.url) as observer,
        started(command, **environment) as child,
    ):
        gate.execute(lock.encode()).close()
        eventually(lambda: waiting_for(observer) > 0, "the restore at the lock")
        child.send(signal.SIGKILL)
        assert child.finished().code == -signal.SIGKILL
        gate.rollback()
        eventually(lambda: value(observer, _AT_WORK) == 0, "the end of the session of who was killed")
    assert rows(database) == []
    done = finished(command, **environment)
    assert (done.code, done.error) == (0, "")
    assert rows(database) == before
    assert "nothing of this is archived" in finished(command, **environment).out


def test_only_days_that_somebody_is_to_build_anew_are_restored(database: Database, load: Load, url: str) -> None:
    load(odd_events())
    for day in (DAY, DAY + timedelta(days=1)):
        archive_day(database, url, {}, day, BOTH)
    with database.transaction() as connection:
        connection.execute("delete from iris.touched_hours")
        connection.execute("insert into iris.event_consumers (consumer, grain) values ('analytics.some', 'day')")
    assert restore_stale(database, {}) == []
    load([event(at(5))])
    assert {each.date for each in restore_stale(database, {})} == {DAY}
    assert len(rows(database)) == 5
    assert rows(database, DAY + timedelta(days=1)) == []


def test_an_object_store_keeps_the_archive(database: Database, load: Load, s3: Store) -> None:
    store = replace(s3, path=f"landing/{uuid4()}")
    load(odd_events())
    before = rows(database)
    archive_day(database, store.url("out"), store.environment, DAY, BOTH)
    assert store.keys() == [f"out/archive/events/date={DAY}/tenant_id={each}/events.v1.parquet" for each in BOTH]
    away = {**store.environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    with pytest.raises(StoreUnavailable):
        restore(database, away, WINDOW)
    restore(database, store.environment, WINDOW)
    assert rows(database) == before


def test_the_plan_says_what_would_go(database: Database, load: Load, url: str) -> None:
    load(odd_events())

    def plan(default: int | None) -> list[tuple[date, dict[UUID, int], bool]]:
        planned = plan_retention(database, default_days=default, now=NOW)
        return [(each.date, dict(each.events), each.drops_partition) for each in planned]

    assert plan(None) == []
    assert plan(3) == []
    assert plan(2) == [(DAY - timedelta(days=1), {TENANT: 1}, True)]
    set_retention(database, OTHER_TENANT, 1)
    assert plan(None) == [(DAY, {OTHER_TENANT: 1}, False)]
    assert plan(1)[1] == (DAY, {TENANT: 3, OTHER_TENANT: 1}, True)
    # One that keeps more than the others keeps its own.
    set_retention(database, TENANT, 30)
    assert plan(1) == [(DAY, {OTHER_TENANT: 1}, False)]
    set_retention(database, OTHER_TENANT, None)
    assert plan(None) == []
    assert len(rows(database)) == 4

    archive_day(database, url, {}, DAY, BOTH)
    restore(database, {}, Window(WINDOW.start, WINDOW.end))
    set_retention(database, TENANT, 1)
    # Whoever had it restored is to have the time to use it.
    assert DAY not in [day for day, _, _ in plan(None)]
    with database.transaction() as connection:
        connection.execute("update iris.archived_days set restored_at = %s", (NOW - timedelta(days=2),))
    assert DAY in [day for day, _, _ in plan(None)]


def test_a_retention_that_is_no_number_is_told(database: Database, load: Load) -> None:
    load(odd_events())
    with database.transaction() as connection:
        connection.execute("insert into iris.tenant_settings values (%s, 'retention_days', 'a year')", (TENANT,))
    with pytest.raises(InvalidRetention, match="is 'a year', and no number of days"):
        plan_retention(database, default_days=1, now=NOW)
    with pytest.raises(InvalidRetention, match="there is no tenant"):
        set_retention(database, uuid4(), 1)


def test_the_commands_say_what_they_do(database: Database, load: Load, url: str) -> None:
    load(odd_events())
    environment = {"IRIS_DATABASE_URL": database.url, "IRIS_EXPORT_URL": url}
    assert "0 events in 0 days" in finished(iris("retention", "plan"), **environment).out
    done = finished(iris("retention", "set", "--tenant", str(OTHER_TENANT), "--days", "1"), **environment)
    assert (done.code, done.out) == (0, f"tenant {OTHER_TENANT} keeps 1 days\n")
    assert (
        f"{DAY}: 1 events of 1 tenants, other tenants keep theirs"
        in finished(iris("retention", "plan"), **environment).out
    )
    done = finished(iris("archive"), **environment)
    assert done.code == 0
    assert f"tenant_id={OTHER_TENANT}/events.v1.parquet: 1 events" in done.out
    assert "nothing is past its retention" in finished(iris("archive"), **environment).out
    done = finished(iris("restore", "--date", f"{DAY}"), **environment)
    assert done.out == f"{DAY} of tenant {OTHER_TENANT}: 1 of 1 events put back\n"


def test_a_file_that_is_loaded_again_after_its_days_were_archived_changes_nothing(
    database: Database, load: Load, url: str, tmp_path: Path
) -> None:
    environment = {"IRIS_DATABASE_URL": database.url, "IRIS_EXPORT_URL": url}
    file = tmp_path / "events.ndjson"
    file.write_text("\n".join(json.dumps(each) for each in odd_events()))
    first = finished(iris("ingest", "--create-tenants", "--json", file), **environment)
    assert json.loads(first.out)["accepted"] == 6
    before = rows(database)
    archive_day(database, url, {}, DAY, BOTH)
    again = finished(iris("ingest", "--again", "--json", file), **environment)
    assert (again.code, again.error) == (0, "")
    assert {name: json.loads(again.out)[name] for name in ("accepted", "duplicates")} == {
        "accepted": 0,
        "duplicates": 6,
    }
    assert rows(database) == before
