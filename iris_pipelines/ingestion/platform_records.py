"""Contacts, campaigns and messages from files: what the platform knows beside its events."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.domain.events import CHANNELS
from iris_pipelines.domain.messages import STATUSES
from iris_pipelines.domain.windows import EPOCH
from iris_pipelines.ingestion.effects import EMAIL_STATUSES
from iris_pipelines.ingestion.files.discovery import StoredFile
from iris_pipelines.ingestion.files.formats import Columns, RecordFile
from iris_pipelines.ingestion.records import Malformed, numbered_records

_COUNT_LIMIT = 2**31
_COST_LIMIT = 10_000
_MICRO = Decimal("0.000001")


class InvalidRecord(IrisError):
    """A record that cannot be loaded; nothing of its file is."""

    def __init__(self, name: str, line: int, problem: str) -> None:
        super().__init__(f"{name}, line {line:,}: {problem}; nothing was loaded")


class Kind(StrEnum):
    """What a file of records is about: also the name of the table."""

    CONTACTS = "contacts"
    CAMPAIGNS = "campaigns"
    MESSAGES = "messages"


@dataclass(frozen=True)
class RecordsResult:
    """What became of the records; the last three add up to the first, an id that stands in several lines is one."""

    received: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0


def load_records(db: Database, kind: Kind, file: StoredFile) -> RecordsResult:
    """Add the records of a file, or change those that are there by what the file says: all of them, or none.

    A column that the file leaves out or empty stays as it is, and nothing that events wrote on a message is taken
    back. Raises InvalidRecord with the line and the column of the first that is wrong.
    """
    with file.local_path() as path, db.transaction() as connection:
        return _Load(connection, kind, file.name).run(path)


def _read_uuid(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, bytes):
        return UUID(bytes=value)
    return UUID(value)


def _read_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError("no text")
    text = str(value)
    if "\x00" in text:
        raise ValueError("PostgreSQL stores no NUL character")
    return text


def _read_name(value: Any) -> str:
    return _read_text(value).strip().lower()


def _read_channel(value: Any) -> str:
    channel = _read_name(value)
    if channel not in CHANNELS:
        raise ValueError("no such channel")
    return channel


def _read_time(value: Any) -> datetime:
    if isinstance(value, bool):
        raise TypeError("no time")
    if isinstance(value, str) and not value.strip().isdecimal():
        value = datetime.fromisoformat(value.strip())
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("no offset")
        return value.astimezone(UTC)
    return EPOCH + timedelta(milliseconds=int(value))


def _read_count(value: Any) -> int:
    number = _number(value)
    if number != number.to_integral_value() or not 0 <= number < _COUNT_LIMIT:
        raise ValueError("out of range")
    return int(number)


def _read_cost(value: Any) -> Decimal:
    cost = _number(value).quantize(_MICRO, ROUND_HALF_UP)
    if not 0 <= cost < _COST_LIMIT:
        raise ValueError("out of range")
    return cost


def _number(value: Any) -> Decimal:
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("no number")
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        raise ValueError("no number")
    return number


@dataclass(frozen=True)
class _Reader:
    read: Callable[[Any], Any]
    expected: str


_UUID = _Reader(_read_uuid, "a UUID")
_TEXT = _Reader(_read_text, "text")
_NAME = _Reader(_read_name, "text")
_CHANNEL = _Reader(_read_channel, f"one of {', '.join(sorted(CHANNELS))}")
_TIME = _Reader(_read_time, "ISO 8601 with an offset, or milliseconds since 1970")
_COUNT = _Reader(_read_count, "a whole number, 0 or more")
_COST = _Reader(_read_cost, f"an amount from 0 to less than {_COST_LIMIT}")

_KEY = {"tenant_id": _UUID, "id": _UUID}
# In the order in which the queries copy them.
_COLUMNS: Mapping[Kind, Mapping[str, _Reader]] = {
    Kind.CONTACTS: {
        **_KEY,
        "first_name": _TEXT,
        "last_name": _TEXT,
        "email": _TEXT,
        "phone": _TEXT,
        "email_status": _NAME,
        "engagement_score": _COUNT,
        "last_engagement_at": _TIME,
        "created_at": _TIME,
    },
    Kind.CAMPAIGNS: {**_KEY, "name": _TEXT, "status": _NAME, "channel": _CHANNEL, "created_at": _TIME},
    Kind.MESSAGES: {
        **_KEY,
        "campaign_id": _UUID,
        "to_contact_id": _UUID,
        "to_address": _TEXT,
        "channel": _CHANNEL,
        "provider": _NAME,
        "provider_message_id": _TEXT,
        "variant": _TEXT,
        "status": _NAME,
        "provider_status": _TEXT,
        "cost": _COST,
        "created_at": _TIME,
        "sent_at": _TIME,
        "delivered_at": _TIME,
        "failed_at": _TIME,
        "opened_at": _TIME,
        "open_count": _COUNT,
        "clicked_at": _TIME,
        "click_count": _COUNT,
        "error_code": _TEXT,
        "error_message": _TEXT,
    },
}
_RANKS: Mapping[Kind, Mapping[str, Sequence[str]]] = {
    Kind.CONTACTS: {"email_statuses": list(EMAIL_STATUSES)},
    Kind.CAMPAIGNS: {},
    Kind.MESSAGES: {"statuses": list(STATUSES)},
}


class _Load:
    """One file on its way into its table, in one transaction."""

    def __init__(self, connection: Connection, kind: Kind, name: str) -> None:
        self._connection = connection
        self._kind = kind
        self._name = name
        self._columns = _COLUMNS[kind]
        self._tenants: set[UUID] = set()

    def run(self, path: Path) -> RecordsResult:
        received = added = changed = 0
        self._query("create_incoming_{}")
        for batch in RecordFile(path, self._name, columns=Columns(tuple(_KEY), known=None)):
            rows = [(line, *self._row(line, record)) for line, record in numbered_records(batch)]
            self._require_tenants(rows)
            self._query("empty_incoming_{}")
            with (
                self._connection.cursor() as cursor,
                cursor.copy(getattr(queries(), f"copy_incoming_{self._kind}").sql) as copy,
            ):
                for row in rows:
                    copy.write_row(row)
            self._require_names()
            added += self._query("insert_new_{}")
            changed += self._query("update_known_{}", **_RANKS[self._kind])
            received += len(rows)
        return RecordsResult(received, added, changed, received - added - changed)

    def _query(self, name: str, **values: Any) -> Any:
        return getattr(queries(), name.format(self._kind))(self._connection, **values)

    def _row(self, line: int, record: dict[str, Any] | Malformed) -> Iterator[Any]:
        if isinstance(record, Malformed):
            raise InvalidRecord(self._name, line, record.detail)
        for name in record:
            if name not in self._columns:
                raise InvalidRecord(
                    self._name, line, f"{self._kind} have no column {name!r}; they have {', '.join(self._columns)}"
                )
        for name, reader in self._columns.items():
            value = record.get(name)
            if value is None or value == "":
                if name in _KEY:
                    raise InvalidRecord(self._name, line, f"column {name} is missing")
                yield None
                continue
            try:
                yield reader.read(value)
            except (ValueError, TypeError, AttributeError, OverflowError, InvalidOperation):
                raise InvalidRecord(
                    self._name, line, f"column {name} is {_shown(value)}: expected {reader.expected}"
                ) from None

    def _require_tenants(self, rows: Sequence[Sequence[Any]]) -> None:
        first_lines: dict[UUID, int] = {}
        for line, tenant_id, *_ in rows:
            if tenant_id not in self._tenants:
                first_lines.setdefault(tenant_id, line)
        self._tenants.update(tenant for (tenant,) in queries().known_tenants(self._connection, ids=list(first_lines)))
        for tenant_id, line in first_lines.items():
            if tenant_id not in self._tenants:
                raise InvalidRecord(
                    self._name, line, f"column tenant_id is {tenant_id}: there is no such tenant; make it first"
                )

    def _require_names(self) -> None:
        if self._kind is Kind.CAMPAIGNS:
            line = queries().first_new_campaign_without_name(self._connection)
            if line is not None:
                raise InvalidRecord(self._name, line, "column name is missing, and a new campaign needs one")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
