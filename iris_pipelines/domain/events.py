"""The rules for accepting an event: one function that every writer's records pass through.

`judge` knows no database: whether the tenant exists, and whether the event is a duplicate, is the loader's to find out.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any, NoReturn
from uuid import UUID, uuid5

import orjson

from iris_pipelines.domain.windows import EPOCH

CHANNELS = frozenset({"sms", "email", "voice", "social", "push", "whatsapp"})
EVENT_TYPES = frozenset(
    {
        "message.queued",
        "message.sending",
        "message.sent",
        "message.delivered",
        "message.failed",
        "message.opened",
        "link.clicked",
        "call.answered",
        "conversion",
        "email.hard_bounce",
        "email.soft_bounce",
        "email.complaint",
        "message.unsubscribed",
        "api.request",
    }
)
ALIASES: Mapping[str, str] = {"email.complaint_bounce": "email.complaint"}
FAILURES = frozenset({"message.failed", "email.hard_bounce", "email.soft_bounce", "email.complaint"})

FIELDS = (
    "id",
    "tenant_id",
    "event_type",
    "timestamp",
    "message_id",
    "campaign_id",
    "contact_id",
    "channel",
    "provider",
    "event_data",
    "ip_address",
    "user_agent",
    "geo_location",
    "cost",
    "duration_ms",
    "success",
    "error_code",
    "error_message",
    "is_machine",
)
KNOWN_FIELDS = frozenset(FIELDS)
OBJECT_FIELDS = ("event_data", "geo_location")

MAX_BYTES = 64 * 1024
MAX_TYPE_LENGTH = 50
MAX_PROVIDER_LENGTH = 255
# What the JSON encoder can write, less the event around the value.
MAX_DEPTH = 250
MAX_AHEAD = timedelta(hours=24)
COST_LIMIT = 10_000
# Percentiles are computed in double precision, which has every whole number up to here.
DURATION_LIMIT = 2**53
# Ids derived from an event's content must never change: neither may this.
_CONTENT_IDS = UUID("6c2f0d4e-3b0a-5d0f-9a55-7d1c6f0e8b21")

_EVENT_TYPE = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_ISO_8601 = re.compile(
    r"(?P<year>\d{4})(?P<dash>-?)(?P<month>\d\d)(?P=dash)(?P<day>\d\d)[Tt ]"
    r"(?P<hour>\d\d)((?P<colon>:?)(?P<minute>\d\d)((?P=colon)(?P<second>\d\d)([.,](?P<fraction>\d+))?)?)?"
    r"(?P<zone>[Zz]|(?P<sign>[+-])(?P<ahead_hours>\d\d)(:?(?P<ahead_minutes>[0-5]\d))?)",
    re.ASCII,
)
_MICRO = Decimal("0.000001")
_TRUE = frozenset({"true", "t", "1"})
_FALSE = frozenset({"false", "f", "0"})


class Reason(StrEnum):
    """Why an event was rejected; other systems rely on these words."""

    INVALID_JSON = "invalid_json"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    UNKNOWN_TENANT = "unknown_tenant"
    UNKNOWN_CHANNEL = "unknown_channel"
    INVALID_TIMESTAMP = "invalid_timestamp"
    TIMESTAMP_IN_FUTURE = "timestamp_in_future"
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an event was not accepted, as a code and as a sentence for people."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Event:
    """An accepted event in its normal form, defaults filled in."""

    id: UUID
    tenant_id: UUID
    event_type: str
    timestamp: datetime
    message_id: UUID | None
    campaign_id: UUID | None
    contact_id: UUID | None
    channel: str | None
    provider: str | None
    event_data: bytes | None
    """A JSON object as text."""
    ip_address: str | None
    user_agent: str | None
    geo_location: bytes | None
    """A JSON object as text."""
    cost: Decimal | None
    duration_ms: int | None
    success: bool
    error_code: str | None
    error_message: str | None
    is_machine: bool | None
    """None if its sender did not say."""


def judge(record: Mapping[str, Any], *, now: datetime, history_start: date) -> Event | Rejection:
    """The event that a record describes, or why it is none."""
    try:
        return _accept(record, now=now, history_start=history_start)
    except FieldRejected as rejected:
        return Rejection(rejected.reason, rejected.detail)
    except RecursionError:
        return Rejection(Reason.INVALID_FIELD, "the event is nested too deeply")


def read_field(name: str, value: object) -> Any:
    """The normal form of one field's value, None if it is as good as missing; raises FieldRejected."""
    return None if value is None or value == "" else _READERS[name](name, value)


class FieldRejected(Exception):
    """A value that no event may have; the message is for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _accept(record: Mapping[str, Any], *, now: datetime, history_start: date) -> Event:
    fields = {name: value for name, value in record.items() if value is not None and value != ""}
    for name in ("tenant_id", "event_type", "timestamp"):
        if name not in fields:
            raise FieldRejected(Reason.MISSING_FIELD, f"{name} is missing")
    found = {name: read(name, fields[name]) for name, read in _READERS.items() if name in fields}
    # A channel of blanks is as empty as no channel.
    found = {name: value for name, value in found.items() if value is not None}
    _check_time(found["timestamp"], now=now, history_start=history_start)
    if found.get("channel", "sms") not in CHANNELS:
        raise FieldRejected(
            Reason.UNKNOWN_CHANNEL, f"channel is {_shown(fields['channel'])}: use one of {', '.join(sorted(CHANNELS))}"
        )
    objects = {name: found[name] for name in OBJECT_FIELDS if name in found}
    if unknown := fields.keys() - KNOWN_FIELDS:
        found["event_data"] = _with_unknown(found.get("event_data", {}), {name: fields[name] for name in unknown})
    canonical = _canonical_json(found)
    _check_size(fields, objects, canonical)
    return Event(
        id=found["id"] if "id" in found else uuid5(_CONTENT_IDS, canonical.decode()),
        tenant_id=found["tenant_id"],
        event_type=found["event_type"],
        timestamp=found["timestamp"],
        message_id=found.get("message_id"),
        campaign_id=found.get("campaign_id"),
        contact_id=found.get("contact_id"),
        channel=found.get("channel"),
        provider=found.get("provider"),
        event_data=_json_text(found.get("event_data")),
        ip_address=found.get("ip_address"),
        user_agent=found.get("user_agent"),
        geo_location=_json_text(found.get("geo_location")),
        cost=found.get("cost"),
        duration_ms=found.get("duration_ms"),
        success=found["success"] if "success" in found else succeeded(found["event_type"], found.get("event_data")),
        error_code=found.get("error_code"),
        error_message=found.get("error_message"),
        is_machine=found.get("is_machine"),
    )


def _invalid(name: str, value: object, expected: str) -> NoReturn:
    raise FieldRejected(Reason.INVALID_FIELD, f"{name} is {_shown(value)}: {expected}")


def _shown(value: object) -> str:
    """The start of a value, for a sentence."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _read_uuid(name: str, value: object) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str) and _UUID.fullmatch(value):
        return UUID(value)
    if isinstance(value, bytes) and len(value) == 16:
        return UUID(bytes=value)
    _invalid(name, value, "expected a UUID")


def _read_event_type(name: str, value: object) -> str:
    if isinstance(value, str):
        well_formed = value in EVENT_TYPES or (len(value) <= MAX_TYPE_LENGTH and _EVENT_TYPE.fullmatch(value))
        if well_formed:
            return ALIASES.get(value, value)
    _invalid(name, value, f"expected word.word in lower case, at most {MAX_TYPE_LENGTH} characters")


def _read_timestamp(_: str, value: object) -> datetime:
    try:
        if isinstance(value, str):
            if match := _ISO_8601.fullmatch(value):
                return _from_iso_8601(match)
            if _NUMBER.fullmatch(value):
                return _from_epoch_ms(Decimal(value))
        elif isinstance(value, datetime):
            if value.tzinfo is not None:
                return value.astimezone(UTC)
        elif isinstance(value, int | Decimal) and not isinstance(value, bool):
            return _from_epoch_ms(Decimal(value))
        elif isinstance(value, float) and math.isfinite(value):
            return _from_epoch_ms(Decimal(repr(value)))
    except (ValueError, OverflowError) as error:
        raise FieldRejected(Reason.INVALID_TIMESTAMP, f"timestamp is {_shown(value)}: {error}") from error
    raise FieldRejected(
        Reason.INVALID_TIMESTAMP,
        f"timestamp is {_shown(value)}: expected ISO 8601 with an offset, or milliseconds since 1970",
    )


def _from_iso_8601(match: re.Match[str]) -> datetime:
    parts = match.groupdict()
    zone: timezone = UTC
    if parts["sign"] is not None:
        ahead = timedelta(hours=int(parts["ahead_hours"]), minutes=int(parts["ahead_minutes"] or 0))
        zone = timezone(-ahead if parts["sign"] == "-" else ahead)
    return datetime(
        int(parts["year"]),
        int(parts["month"]),
        int(parts["day"]),
        int(parts["hour"]),
        int(parts["minute"] or 0),
        int(parts["second"] or 0),
        int((parts["fraction"] or "")[:6].ljust(6, "0")),
        tzinfo=zone,
    ).astimezone(UTC)


def _from_epoch_ms(milliseconds: Decimal) -> datetime:
    if not abs(milliseconds) < 10**15:
        raise OverflowError("out of range")
    return EPOCH + timedelta(microseconds=math.floor(milliseconds * 1000))


def _check_time(timestamp: datetime, *, now: datetime, history_start: date) -> None:
    if timestamp > now + MAX_AHEAD:
        raise FieldRejected(
            Reason.TIMESTAMP_IN_FUTURE, f"timestamp {timestamp.isoformat()} is more than 24 hours ahead of the clock"
        )
    if timestamp.date() < history_start:
        raise FieldRejected(
            Reason.TIMESTAMP_TOO_OLD,
            f"timestamp {timestamp.isoformat()} is before {history_start}, where IRIS_HISTORY_START lets history begin",
        )


def _read_text(name: str, value: object) -> str:
    if isinstance(value, str):
        if "\x00" in value:
            _invalid(name, value, "a NUL character cannot be stored")
        return value
    _invalid(name, value, "expected text")


def _read_name(name: str, value: object) -> str | None:
    return _read_text(name, value).strip().lower() or None


def _read_provider(name: str, value: object) -> str | None:
    """Rollups have it in their keys, which an index holds to some length."""
    provider = _read_name(name, value)
    if provider is not None and len(provider) > MAX_PROVIDER_LENGTH:
        _invalid(name, value, f"expected a name of at most {MAX_PROVIDER_LENGTH} characters")
    return provider


def _read_code(name: str, value: object) -> str:
    """A provider's error code: many are numbers, in some formats written as such."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return _read_text(name, value)


def _read_object(name: str, value: object) -> dict[str, Any]:
    if isinstance(value, str | bytes):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            _invalid(name, value, f"expected a JSON object ({error})")
    if not isinstance(value, dict):
        _invalid(name, value, "expected a JSON object")
    plain: dict[str, Any] = _plain(name, value)
    return plain


def _plain(name: str, value: Any, depth: int = 0) -> Any:
    """A JSON value in which equal numbers are written alike: 5.0 as 5."""
    if depth > MAX_DEPTH:
        _invalid(name, "a value", f"it is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, str):
        return _read_text(name, value)
    if isinstance(value, dict):
        return {_read_text(f"a key of {name}", key): _plain(name, each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(name, each, depth + 1) for each in value]
    return _plain_scalar(name, value)


def _plain_scalar(name: str, value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        return _plain_number(name, value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    _invalid(name, value, "JSON has no such value")


def _plain_number(name: str, value: float | Decimal) -> int | float:
    """Whole numbers of 64 bits are integers, all others floats, as JSON readers have them."""
    if not math.isfinite(value):
        _invalid(name, value, "a number must be finite")
    if value == int(value) and -(2**63) <= value < 2**64:
        return int(value)
    try:
        return float(value)
    except OverflowError:
        _invalid(name, "a number", "it is too large")


def _with_unknown(event_data: dict[str, Any], unknown: dict[str, Any]) -> dict[str, Any]:
    """The unknown fields of a record belong to its event_data, unless they contradict it."""
    for name, value in _read_object("event_data", unknown).items():
        if name in event_data and event_data[name] != value:
            _invalid(name, value, f"event_data has it as {_shown(event_data[name])}")
        event_data = {**event_data, name: value}
    return event_data


def _read_ip_address(name: str, value: object) -> str:
    if isinstance(value, str) and "%" not in value:
        try:
            return ipaddress.ip_address(value).compressed
        except ValueError:
            pass
    _invalid(name, value, "expected an IPv4 or IPv6 address")


def _read_number(name: str, value: object, expected: str) -> Decimal:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Decimal(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, float) and math.isfinite(value):
        # The shortest text that reads as this number is what the writer meant: 0.1, not 0.1000000000000000055.
        return Decimal(repr(value))
    if isinstance(value, Decimal) and value.is_finite():
        return value
    _invalid(name, value, expected)


def _read_cost(name: str, value: object) -> Decimal:
    expected = f"expected an amount from 0 to less than {COST_LIMIT}"
    cost = _read_number(name, value, expected)
    if not 0 <= cost < COST_LIMIT:
        _invalid(name, value, expected)
    cost = abs(cost.quantize(_MICRO, ROUND_HALF_UP))
    if cost >= COST_LIMIT:
        _invalid(name, value, expected)
    return cost


def _read_duration(name: str, value: object) -> int:
    expected = "expected a whole number of milliseconds, 0 or more"
    duration = _read_number(name, value, expected)
    if not 0 <= duration < DURATION_LIMIT or duration != duration.to_integral_value():
        _invalid(name, value, expected)
    return int(duration)


def _read_boolean(name: str, value: object) -> bool:
    if isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, str):
        word = value.lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    _invalid(name, value, "expected true or false")


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "tenant_id": _read_uuid,
    "event_type": _read_event_type,
    "timestamp": _read_timestamp,
    "id": _read_uuid,
    "message_id": _read_uuid,
    "campaign_id": _read_uuid,
    "contact_id": _read_uuid,
    "channel": _read_name,
    "provider": _read_provider,
    "event_data": _read_object,
    "ip_address": _read_ip_address,
    "user_agent": _read_text,
    "geo_location": _read_object,
    "cost": _read_cost,
    "duration_ms": _read_duration,
    "success": _read_boolean,
    "error_code": _read_code,
    "error_message": _read_text,
    "is_machine": _read_boolean,
}


def _canonical_json(found: Mapping[str, Any]) -> bytes:
    """The same bytes for the same event, whatever the format it came in; `id` is no part of what happened."""
    content = {name: value for name, value in found.items() if name != "id"}
    content["timestamp"] = found["timestamp"].strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if "cost" in found:
        content["cost"] = str(found["cost"])
    try:
        canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
        # Rows of columns have a null where other formats have no member: it says nothing in any of them.
        return (
            orjson.dumps(_without_nulls(content), option=orjson.OPT_SORT_KEYS) if b":null" in canonical else canonical
        )
    except orjson.JSONEncodeError as error:
        raise FieldRejected(Reason.INVALID_FIELD, f"the event cannot be written as JSON: {error}") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _check_size(fields: Mapping[str, Any], objects: Mapping[str, Any], canonical: bytes) -> None:
    """An event is as large as it came, in compact JSON: neither a format's quotes nor the normal form add to it."""
    try:
        size = len(orjson.dumps({**fields, **objects}, default=_plain_text))
    except orjson.JSONEncodeError:
        size = len(canonical)
    if size > MAX_BYTES:
        raise FieldRejected(Reason.TOO_LARGE, f"the event has {size:,} bytes, an event may have {MAX_BYTES:,}")


def _plain_text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _json_text(value: Mapping[str, Any] | None) -> bytes | None:
    return None if value is None else orjson.dumps(value)


def succeeded(event_type: str, event_data: Mapping[str, Any] | None) -> bool:
    """What `success` is when nobody said: the type of an event tells, and for a request its status."""
    if event_type in FAILURES:
        return False
    if event_type == "api.request" and event_data is not None:
        status = event_data.get("status_code")
        if isinstance(status, str) and _NUMBER.fullmatch(status):
            return Decimal(status) < 400
        if isinstance(status, int | float) and not isinstance(status, bool):
            return status < 400
    return True
