"""Erase a contact everywhere: a random pseudonym takes its place, and what tells who it was is cleared.

Every step finds out by itself what is left to do and is one transaction, so a request that was killed is finished by
asking again; until then it remembers the contact and the pseudonym, afterwards nobody does. Aggregates stay as they
are: nothing that they count is touched, and one contact becomes one pseudonym.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg import sql
from psycopg.types.json import Jsonb

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.db.staleness import EVENT_LOG
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.exports.archive import exclusive
from iris_pipelines.exports.archived_files import (
    ArchivedFile,
    file_of,
    folder_of,
    load_restored_events,
    local_copy,
    write_archived_file,
)
from iris_pipelines.exports.bigquery import EXPORT as BIGQUERY
from iris_pipelines.exports.bigquery import export_day_to_bigquery, warehouse_of
from iris_pipelines.exports.events import Export, destination_of, export_day
from iris_pipelines.storage.places import open_place

_NOT_PERSONAL = (
    *("id", "tenant_id", "event_type", "timestamp", "message_id", "campaign_id", "contact_id"),
    *("channel", "provider", "cost", "duration_ms", "success", "error_code", "is_machine"),
)


class UnknownTenant(IrisError):
    """There is no such tenant."""


@dataclass(frozen=True)
class Receipt:
    """What an erasure touched. It does not say whom: that was erased."""

    erasure_id: UUID
    tenant_id: UUID
    requested_at: datetime
    completed_at: datetime
    days: Sequence[date]
    """UTC days with events of the contact."""
    touched: Mapping[str, int | Sequence[str]]
    """How many rows of each kind, and which files were written anew."""


@dataclass(frozen=True)
class _Request:
    erasure_id: UUID
    tenant_id: UUID
    contact_id: UUID
    pseudonym: UUID

    @property
    def names(self) -> dict[str, UUID]:
        return {"tenant_id": self.tenant_id, "contact_id": self.contact_id, "pseudonym": self.pseudonym}


def erase_contact(db: Database, environment: Mapping[str, str], tenant_id: UUID, contact_id: UUID) -> Receipt:
    """Erase a contact from the event log, the platform's tables, rejected events, archives and exports."""
    with exclusive(db):
        with db.transaction() as connection:
            if not list(queries().known_tenants(connection, ids=[tenant_id])):
                raise UnknownTenant(f"there is no tenant {tenant_id}")
            erasure_id, pseudonym = queries().open_erasure(connection, tenant_id=tenant_id, contact_id=contact_id)
        request = _Request(erasure_id, tenant_id, contact_id, pseudonym)
        addresses = _erase_in_database(db, request)
        _rename_in_relations(db, request)
        _erase_in_archive(db, environment, request, addresses)
    # Exports of archived days restore them, which is for one at a time too.
    _erase_in_exports(db, environment, request)
    with db.transaction() as connection:
        requested_at, completed_at, days, receipt = queries().complete_erasure(connection, erasure_id=erasure_id)
    return Receipt(erasure_id, tenant_id, requested_at, completed_at, sorted(days), receipt)


def finish_erasures(db: Database, environment: Mapping[str, str]) -> list[Receipt]:
    """Finish the requests that were killed, or could not reach a store."""
    with db.transaction() as connection:
        unfinished = list(queries().unfinished_erasures(connection))
    return [erase_contact(db, environment, tenant_id, contact_id) for tenant_id, contact_id in unfinished]


def _erase_in_database(db: Database, request: _Request) -> list[str]:
    """All in one transaction, so that it is all or nothing; returns what the contact was reached by."""
    with db.transaction() as connection:
        addresses: list[str] = queries().note_addresses(connection, erasure_id=request.erasure_id)
        queries().note_days_of_contact(connection, erasure_id=request.erasure_id, addresses=addresses)
        named = {**request.names, "addresses": addresses}
        touched = {
            "events": erase_events(connection, EVENT_LOG, named),
            "messages": queries().erase_messages(connection, **named),
            "contacts": queries().erase_contact(connection, **request.names),
            "email_bounces": queries().erase_bounces(connection, **named),
            "suppressions": queries().hide_suppressed_addresses(
                connection, tenant_id=request.tenant_id, addresses=addresses
            ),
            "rejected_events": _erase_rejected(connection, request, addresses),
        }
        _note(connection, request, touched)
    return addresses


def erase_events(connection: Connection, relation: str, named: Mapping[str, Any]) -> int:
    """Erase a contact in the event log, or in a table like it; returns how many events there were."""
    statement = sql.SQL(queries().erase_events.sql).format(relation=sql.Identifier(*relation.split(".")))
    return connection.execute(statement, named).rowcount


def _erase_rejected(connection: Connection, request: _Request, addresses: Sequence[str]) -> int:
    found = list(queries().rejected_events_of_contact(connection, **request.names, addresses=addresses))
    touched = 0
    for rejected_id, payload, is_named in found:
        if not is_named and _names_a_contact(payload):
            # Its message was sent to the contact, but somebody else opened it.
            continue
        touched += 1
        erased = erased_payload(payload, request.contact_id, request.pseudonym, addresses)
        is_kept = queries().erase_rejected_event(
            connection, rejected_id=rejected_id, payload=erased or "", can_be_replayed=erased is not None
        )
        if not is_kept:
            queries().delete_rejected_event(connection, rejected_id=rejected_id)
    return touched


def _names_a_contact(payload: str) -> bool:
    record = _record(payload)
    return record is not None and bool(record.get("contact_id"))


def erased_payload(payload: str, contact_id: UUID, pseudonym: UUID, addresses: Sequence[str]) -> str | None:
    """A rejected event with its pseudonym and without what tells who it was; None if it cannot be read at all."""
    record = _record(payload)
    if record is None:
        return None
    kept = {name: record[name] for name in _NOT_PERSONAL if name in record}
    spellings = (str(contact_id), contact_id.hex)
    if str(kept.get("contact_id")).lower() in spellings:
        kept["contact_id"] = str(pseudonym)
    mentions = [mention.lower() for mention in (*spellings, *addresses)]
    kept = {name: value for name, value in kept.items() if not any(each in str(value).lower() for each in mentions)}
    return orjson.dumps(kept).decode()


def _record(payload: str) -> dict[str, Any] | None:
    try:
        record = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _rename_in_relations(db: Database, request: _Request) -> None:
    """What was built from events holds the contact until it is rebuilt; of archived days it never is."""
    with db.transaction() as connection:
        relations = list(queries().relations_with_contacts(connection))
    for relation, in_arrays in relations:
        rename = queries().rename_contact_in_arrays if in_arrays else queries().rename_contact_in_relation
        with db.transaction() as connection:
            statement = sql.SQL(rename.sql).format(relation=sql.Identifier(*relation.split(".")))
            _note(connection, request, {relation: connection.execute(statement, request.names).rowcount})


def _erase_in_archive(
    db: Database, environment: Mapping[str, str], request: _Request, addresses: Sequence[str]
) -> None:
    """Files with events of the contact are written anew; their older versions are deleted."""
    with db.transaction() as connection:
        archived = list(queries().archived_days_of_tenant(connection, tenant_id=request.tenant_id))
        messages = [str(message_id) for (message_id,) in queries().messages_of_contact(connection, **request.names)]
    for day, url, version, _, _, sha256, *_ in archived:
        name = file_of(request.tenant_id, day, version)
        place = open_place(url.removesuffix(f"/{name}"), environment)
        with local_copy(place, name, sha256=sha256) as file:
            if _holds(file, str(request.contact_id), messages, addresses):
                with db.transaction() as connection:
                    columns = load_restored_events(connection, file)
                    erase_events(connection, "restored_events", {**request.names, "addresses": addresses})
                    written = write_archived_file(
                        connection,
                        place,
                        request.tenant_id,
                        day,
                        version=version + 1,
                        relation="restored_events",
                        columns=columns,
                    )
                    if written is not None:
                        _replace(connection, request, written)
                        name = place.name_of(written.url)
        place.delete_others(folder_of(request.tenant_id, day), name)


def _replace(connection: Connection, request: _Request, written: ArchivedFile) -> None:
    queries().replace_archived_file(
        connection,
        tenant_id=request.tenant_id,
        day=written.date,
        url=written.url,
        version=written.version,
        bytes=written.bytes,
        sha256=written.sha256,
        content_sha256=written.facts.content_sha256,
    )
    queries().note_archived_day_of_contact(connection, erasure_id=request.erasure_id, day=written.date)
    _note(connection, request, {"archives": [written.url]})


def _holds(file: Any, contact_id: str, messages: Sequence[str], addresses: Sequence[str]) -> bool:
    """Whether a file has events of the contact, or with nobody named, of its messages or its addresses."""
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.parquet as pq

    pc: Any = pyarrow.compute
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(columns=["contact_id", "message_id", "event_data", "error_message"]):
            if pc.any(pc.equal(batch["contact_id"], contact_id)).as_py():
                return True
            nobodys = pa.Table.from_batches([batch]).filter(pc.is_null(batch["contact_id"]))
            mentions = [pc.is_in(nobodys["message_id"], pa.array(messages, pa.string()))]
            for column in ("event_data", "error_message"):
                mentions += [pc.match_substring(nobodys[column], each, ignore_case=True) for each in addresses]
            if any(pc.any(each).as_py() for each in mentions):
                return True
    return False


def _erase_in_exports(db: Database, environment: Mapping[str, str], request: _Request) -> None:
    """Exports of the contact's days, wherever they went, are written anew."""
    with db.transaction() as connection:
        days = queries().days_of_erasure(connection, erasure_id=request.erasure_id)
        exported = list(queries().exports_of_dates(connection, dates=days))
    for export, destination, day, url in exported:
        if export == BIGQUERY:
            done = export_day_to_bigquery(db, warehouse_of(destination, environment), day)
        else:
            done = export_day(db, Export(export), destination_of(destination, environment, url), day)
        with db.transaction() as connection:
            _note(connection, request, {"exports": [done.url]})


def _note(connection: Connection, request: _Request, touched: Mapping[str, Any]) -> None:
    queries().add_to_receipt(connection, erasure_id=request.erasure_id, touched=Jsonb(dict(touched)))
