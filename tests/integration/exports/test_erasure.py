from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.exports.archive import archive_day, restore
from iris_pipelines.exports.days import window_of
from iris_pipelines.exports.erasure import Receipt, UnknownTenant, erase_contact, finish_erasures
from iris_pipelines.exports.events import Destination, Export, export_day
from iris_pipelines.ingestion.suppression import is_suppressed
from iris_pipelines.storage.object_stores import StoreUnavailable
from tests.commands import eventually, finished, iris, started
from tests.integration.exports.conftest import DAY, OTHER_TENANT, TENANT, Load, at, event
from tests.servers import observing, value, waiting_for

CONTACT, OTHER_CONTACT = UUID(int=100), UUID(int=200)
MESSAGE = UUID(int=300)
EMAIL, PHONE = "Ann.Person@example.com", "+41 79 123 45 67"
TELLING = ["00000000-0000-0000-0000-000000000064", "ann.person", "79 123 45 67", "10.1.2.3", "Annphone", "Annville"]
"""What nobody may find any more."""
ARCHIVED = DAY.replace(day=10)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "exports")


def personal(timestamp: str, **fields: Any) -> dict[str, Any]:
    """An event that tells much of its contact."""
    telling = {
        "event_type": "message.opened",
        "contact_id": str(CONTACT),
        "message_id": str(MESSAGE),
        "ip_address": "10.1.2.3",
        "user_agent": "Annphone/1.0",
        "geo_location": {"city": "Annville"},
        "event_data": {"address": EMAIL},
        "cost": "0.5",
    }
    return event(timestamp, **{**telling, **fields})


def fill(database: Database, load: Load) -> None:
    """A contact that has left its traces everywhere, another one, and the same ids at another tenant."""
    with database.transaction() as connection:
        for tenant in (TENANT, OTHER_TENANT):
            connection.execute("insert into iris.tenants (id, name) values (%s, 'A')", (tenant,))
        for contact, email in ((CONTACT, EMAIL), (OTHER_CONTACT, "bob@example.com")):
            connection.execute(
                "insert into iris.contacts (tenant_id, id, first_name, last_name, email, phone)"
                " values (%s, %s, 'First', 'Last', %s, %s)",
                (TENANT, contact, email, PHONE if contact == CONTACT else None),
            )
        connection.execute(
            "insert into iris.messages (tenant_id, id, to_contact_id, to_address, channel) values"
            " (%s, %s, %s, %s, 'email')",
            (TENANT, MESSAGE, CONTACT, EMAIL),
        )
        connection.execute(
            "insert into iris.rejected_events (tenant_id, source, line, reason, detail, payload) values"
            " (%(t)s, 'f', 1, 'invalid_field', 'ip_address is 10.1.2.3.4', %(readable)s),"
            " (null, 'f', 2, 'invalid_json', 'broken', %(broken)s),"
            " (%(t)s, 'f', 3, 'invalid_field', 'kept', '{\"contact_id\": \"another\"}')",
            {
                "t": TENANT,
                "readable": json.dumps({**personal(at(1)), "ip_address": "10.1.2.3.4"}),
                "broken": f'{{"email": "{EMAIL}',
            },
        )
    load(
        [
            personal(at(9)),
            personal(at(10), event_type="message.sent", is_machine=True),
            personal(at(11), event_type="email.hard_bounce", error_message=f"550 <{EMAIL}> is unknown"),
            personal(at(9, day=ARCHIVED)),
            event(at(9), contact_id=str(OTHER_CONTACT), ip_address="10.9.9.9", event_data={"address": "bob"}),
            event(at(9, day=ARCHIVED)),
            event(at(9), tenant_id=str(OTHER_TENANT), contact_id=str(CONTACT)),
        ]
    )
    with database.transaction() as connection:
        # An event of the contact's message with nobody named: other services write what they have.
        connection.execute(
            "insert into iris.analytics_events (tenant_id, event_type, timestamp, message_id, ip_address)"
            " values (%s, 'message.delivered', %s, %s, '10.1.2.3')",
            (TENANT, at(12), MESSAGE),
        )


def export(database: Database, url: str) -> None:
    export_day(database, Export.NDJSON, Destination(url, {}), DAY)
    export_day(database, Export.PARQUET, Destination(url, {}), DAY)
    export_day(database, Export.NDJSON, Destination(f"{url}/packed", {}, "gz"), ARCHIVED)


def everything(database: Database) -> str:
    """All that the schema of the platform holds of the tenant, as text."""
    tables = "select tablename from pg_tables where schemaname = 'iris'"
    with database.transaction() as connection:
        found = []
        for (table,) in connection.execute(tables).fetchall():
            statement = f"select t::text from iris.{table} as t where t::text not like '%%{OTHER_TENANT}%%'"
            found += [row[0] for row in connection.execute(statement.encode()).fetchall()]
    return "\n".join(found)


def told(text: str) -> list[str]:
    return [each for each in TELLING if each.lower() in text.lower()]


def files(url: str) -> str:
    """All that files hold, unpacked."""
    import gzip

    import pyarrow.parquet as pq

    found = []
    for path in sorted(Path(url).rglob("*")):
        if path.suffix == ".parquet":
            found += [str(row) for row in pq.read_table(path, partitioning=None).to_pylist()]
        elif path.is_file():
            data = path.read_bytes()
            found += (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()
    return "\n".join(row for row in found if str(OTHER_TENANT) not in row)


def counts(database: Database) -> list[Any]:
    """Every aggregate that the rollups are made of, hour by hour."""
    with database.transaction() as connection:
        return connection.execute(
            "select date_trunc('hour', timestamp), tenant_id, event_type, channel, provider, count(*), sum(cost),"
            " count(distinct contact_id), count(*) filter (where is_machine), sum(duration_ms)"
            " from iris.analytics_events group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5"
        ).fetchall()


def test_nothing_tells_any_more_who_it_was_and_nothing_counts_otherwise(
    database: Database, load: Load, url: str
) -> None:
    fill(database, load)
    export(database, url)
    before = counts(database)
    archive_day(database, url, {}, ARCHIVED, [TENANT])
    # The controls: it is all there, and in each of the places.
    assert told(everything(database)) == TELLING
    assert told(files(url)) == [each for each in TELLING if each != "79 123 45 67"]
    assert is_suppressed(database, TENANT, "email", EMAIL)

    receipt = erase_contact(database, {}, TENANT, CONTACT)
    assert told(everything(database)) == []
    assert told(files(url)) == []
    assert receipt.days == [ARCHIVED, DAY]
    assert receipt.touched["events"] == 4
    assert receipt.touched["messages"] == receipt.touched["contacts"] == receipt.touched["email_bounces"] == 1
    assert receipt.touched["suppressions"] == 1
    assert receipt.touched["rejected_events"] == 2
    archives, exports = receipt.touched["archives"], receipt.touched["exports"]
    assert isinstance(archives, list)
    assert [each.rpartition("/")[2] for each in archives] == ["events.v2.parquet"]
    assert isinstance(exports, list)
    assert len(exports) == 3
    assert is_suppressed(database, TENANT, "email", " ann.PERSON@example.com")
    assert not is_suppressed(database, TENANT, "email", "bob@example.com")
    restore(database, {}, window_of(ARCHIVED))
    assert counts(database) == before
    with database.transaction() as connection:
        pseudonyms = connection.execute(
            "select distinct contact_id from iris.analytics_events where tenant_id = %s and contact_id is not null",
            (TENANT,),
        ).fetchall()
        assert len(pseudonyms) == 2
        (pseudonym,) = {each for (each,) in pseudonyms} - {OTHER_CONTACT}
        named = (
            "select count(*) from iris.contacts where id = %s",
            "select count(*) from iris.messages where to_contact_id = %s",
        )
        assert [connection.execute(each.encode(), (pseudonym,)).fetchone() for each in named] == [(1,), (1,)]
        assert str(pseudonym) not in str(connection.execute("select * from iris.erasures").fetchall())


def test_a_contact_is_found_however_it_was_written(database: Database, load: Load, url: str) -> None:
    fill(database, load)
    load(
        [
            event(at(13), event_type="email.hard_bounce", event_data={"email": EMAIL.upper()}),
            event(
                at(13),
                event_type="message.failed",
                error_message=f"no {PHONE.replace(' ', '')}, ANN.person@Example.COM",
            ),
            event(at(13, day=ARCHIVED), event_type="email.soft_bounce", event_data={"email": EMAIL.title()}),
            event(at(14), event_type="email.soft_bounce", event_data={"email": "bob@example.com"}),
        ]
    )
    rejected = {
        "by an id without dashes": {"contact_id": CONTACT.hex.upper(), "user_agent": "Annphone/1.0"},
        "by an address": {"event_data": {"to": EMAIL.lower()}, "user_agent": "Annphone/1.0"},
        "by a message": {"message_id": MESSAGE.hex, "user_agent": "Annphone/1.0"},
        "another's event of the message": {
            "message_id": str(MESSAGE),
            "contact_id": str(OTHER_CONTACT),
            "note": "kept",
        },
        "another's": {"contact_id": str(OTHER_CONTACT), "note": "kept"},
    }
    with database.transaction() as connection:
        connection.cursor().executemany(
            "insert into iris.rejected_events (tenant_id, source, reason, detail, payload)"
            " values (%s, %s, 'invalid_timestamp', '', %s)",
            [(TENANT, source, json.dumps(payload)) for source, payload in rejected.items()],
        )
    export(database, url)
    archive_day(database, url, {}, ARCHIVED, [TENANT])

    receipt = erase_contact(database, {}, TENANT, CONTACT)
    telling = [*TELLING, PHONE.replace(" ", ""), CONTACT.hex]
    assert [each for each in telling if each.lower() in (everything(database) + files(url)).lower()] == []
    assert receipt.touched["rejected_events"] == 2 + 3
    with database.transaction() as connection:
        payloads = dict(connection.execute("select source, payload from iris.rejected_events").fetchall())
        assert json.loads(payloads["by a message"]) == {"message_id": MESSAGE.hex}
        for kept in ("another's event of the message", "another's"):
            assert json.loads(payloads[kept]) == rejected[kept]
        statement = "select event_data ->> 'email' from iris.analytics_events where timestamp = %s"
        assert connection.execute(statement, (at(14),)).fetchone() == ("bob@example.com",)
        statement = "select error_message from iris.analytics_events where event_type = 'message.failed'"
        assert connection.execute(statement).fetchone() == ("no [erased], [erased]",)


def test_others_keep_what_is_theirs(database: Database, load: Load, url: str) -> None:
    fill(database, load)
    with database.transaction() as connection:
        theirs = (
            "select e::text from iris.analytics_events as e"
            " where contact_id = %s or tenant_id = %s or timestamp = %s and contact_id is null order by 1"
        )
        values = (OTHER_CONTACT, OTHER_TENANT, at(9, day=ARCHIVED))
        before = connection.execute(theirs, values).fetchall()
    erase_contact(database, {}, TENANT, CONTACT)
    with database.transaction() as connection:
        assert connection.execute(theirs, values).fetchall() == before
        assert len(before) == 3
        kept = "select count(*) from iris.rejected_events where detail = 'kept'"
        assert connection.execute(kept).fetchone() == (1,)
        assert connection.execute("select email from iris.contacts where id = %s", (OTHER_CONTACT,)).fetchone() == (
            "bob@example.com",
        )


def test_a_contact_that_is_nowhere_leaves_an_empty_receipt(database: Database, load: Load, url: str) -> None:
    fill(database, load)
    receipt = erase_contact(database, {}, TENANT, uuid4())
    assert receipt.days == []
    assert not any(receipt.touched.values())
    with pytest.raises(UnknownTenant, match="there is no tenant"):
        erase_contact(database, {}, uuid4(), CONTACT)


_STEPS = {
    "before the events": "lock table iris.analytics_events in access exclusive mode",
    "after the events": "lock table iris.rejected_events in access exclusive mode",
    "before a file of the archive is noted": "lock table iris.archived_days in exclusive mode",
    "before an export is noted": "lock table iris.export_manifest in exclusive mode",
}


@pytest.mark.parametrize("step", _STEPS)
def test_an_erasure_killed_anywhere_is_finished_by_asking_again(
    database: Database, load: Load, url: str, step: str
) -> None:
    fill(database, load)
    export(database, url)
    before = counts(database)
    archive_day(database, url, {}, ARCHIVED, [TENANT])
    environment = {"IRIS_DATABASE_URL": database.url, "IRIS_EXPORT_URL": url}
    command = iris("erase", "--tenant", str(TENANT), "--contact", str(CONTACT), "--json")
    with (
        psycopg.connect(database.url) as gate,
        observing(database.url) as observer,
        started(command, **environment) as child,
    ):
        gate.execute(_STEPS[step].encode())
        eventually(lambda: waiting_for(observer, "relation") > 0, "the erasure at the lock")
        child.send(signal.SIGKILL)
        assert child.finished().code == -signal.SIGKILL
        gate.rollback()
        eventually(lambda: value(observer, _AT_WORK) == 0, "the end of the session of who was killed")
    assert told(everything(database) + files(url)) != []

    done = finished(command, **environment)
    assert (done.code, done.error) == (0, "")
    receipt = json.loads(done.out)
    assert receipt["touched"]["events"] == 4
    assert receipt["days"] == [str(ARCHIVED), str(DAY)]
    assert told(everything(database)) == []
    assert told(files(url)) == []
    assert len(list(Path(url).rglob("*.parquet"))) == 2
    restore(database, {}, window_of(ARCHIVED))
    assert counts(database) == before
    with database.transaction() as connection:
        assert connection.execute("select count(*) from iris.erasures").fetchone() == (1,)


_AT_WORK = """
    select count(*) from pg_stat_activity
    where datname = current_database() and application_name = 'iris' and state <> 'idle'
"""


def test_a_store_that_is_away_leaves_the_request_open(database: Database, load: Load, url: str, tmp_path: Path) -> None:
    fill(database, load)
    export(database, url)
    folder = Path(url) / "analytics"
    folder.rename(tmp_path / "away")
    folder.touch()
    with pytest.raises(StoreUnavailable):
        erase_contact(database, {}, TENANT, CONTACT)
    folder.unlink()
    (tmp_path / "away").rename(folder)
    assert told(files(url)) == TELLING[:2]
    (receipt,) = finish_erasures(database, {})
    assert isinstance(receipt, Receipt)
    assert told(everything(database) + files(url)) == []
    assert finish_erasures(database, {}) == []


def test_the_command_prints_a_receipt(database: Database, load: Load, url: str) -> None:
    fill(database, load)
    environment = {"IRIS_DATABASE_URL": database.url, "IRIS_EXPORT_URL": url}
    done = finished(iris("erase", "--tenant", str(TENANT), "--contact", str(CONTACT)), **environment)
    assert (done.code, done.error) == (0, "")
    assert "events: 5\n" in done.out
    assert "erased from 2 days of events; the receipt is " in done.out
    assert str(CONTACT) not in done.out
