"""Events from Python services: one call each, or many at once. What is returned is stored durably.

tracker = EventTracker(db, history_start=date(2020, 1, 1), clock=utc_now)
tracker.message_sent(message, cost=Decimal("0.0075"))
with tracker.batch() as batch:
    batch.message_delivered(message, duration_ms=1200)
    batch.link_clicked(message, url="https://example.com")
batch.result.accepted
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from iris_pipelines.db.database import Database
from iris_pipelines.domain.errors import IrisError
from iris_pipelines.ingestion.loader import LoadResult, RestoreDays, load_events
from iris_pipelines.ingestion.records import ObjectBatch
from iris_pipelines.ingestion.rejected import RejectedEvent

_SOURCE = "track"
_PIECE = 10_000
_Tracked = TypeVar("_Tracked")


class EventRejected(IrisError):
    """A tracked event that was not accepted; it is kept among the rejected ones."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"the event was rejected ({reason}): {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Message:
    """The message that an event is about. What is not given is filled in from `iris.messages`, if it is there."""

    tenant_id: UUID
    id: UUID
    campaign_id: UUID | None = None
    contact_id: UUID | None = None
    channel: str | None = None
    provider: str | None = None


class _Calls(ABC, Generic[_Tracked]):
    """One call for each event of a message's life. All take any further field of an event by name, above all
    `timestamp` (now by default), `id` (derived from the content by default) and `is_machine`.
    """

    @abstractmethod
    def track(self, tenant_id: UUID, event_type: str, **fields: Any) -> _Tracked:
        """Any event, its fields by name."""

    def message_sent(self, message: Message, *, cost: Decimal | float | None = None, **fields: Any) -> _Tracked:
        """Handed to the provider."""
        return self._about(message, "message.sent", cost=cost, **fields)

    def message_delivered(self, message: Message, *, duration_ms: int | None = None, **fields: Any) -> _Tracked:
        """`duration_ms` is the time from created to delivered."""
        return self._about(message, "message.delivered", duration_ms=duration_ms, **fields)

    def message_failed(
        self, message: Message, *, error_code: str | None = None, error_message: str | None = None, **fields: Any
    ) -> _Tracked:
        """Reported as lost by the provider."""
        return self._about(message, "message.failed", error_code=error_code, error_message=error_message, **fields)

    def message_opened(
        self,
        message: Message,
        *,
        ip_address: str | None = None,
        user_agent: str | None = None,
        geo_location: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> _Tracked:
        """Opened by its reader, or with `is_machine` by a program."""
        where = {"ip_address": ip_address, "user_agent": user_agent, "geo_location": geo_location}
        return self._about(message, "message.opened", **where, **fields)

    def link_clicked(
        self,
        message: Message,
        url: str,
        *,
        ip_address: str | None = None,
        user_agent: str | None = None,
        **fields: Any,
    ) -> _Tracked:
        """A link in it followed."""
        event_data = {**fields.pop("event_data", {}), "url": url}
        where = {"ip_address": ip_address, "user_agent": user_agent}
        return self._about(message, "link.clicked", event_data=event_data, **where, **fields)

    def message_bounced(
        self, message: Message, kind: Literal["hard", "soft"], *, subtype: str | None = None, **fields: Any
    ) -> _Tracked:
        """Returned by the mail server, for good (`hard`) or for now (`soft`)."""
        event_data = _with_given(fields.pop("event_data", {}), bounce_subtype=subtype)
        return self._about(message, f"email.{kind}_bounce", event_data=event_data, **fields)

    def message_complained(self, message: Message, *, subtype: str | None = None, **fields: Any) -> _Tracked:
        """Called spam by its reader."""
        event_data = _with_given(fields.pop("event_data", {}), bounce_subtype=subtype)
        return self._about(message, "email.complaint", event_data=event_data, **fields)

    def message_unsubscribed(self, message: Message, **fields: Any) -> _Tracked:
        """Its reader wants no more of this channel."""
        return self._about(message, "message.unsubscribed", **fields)

    def api_request(
        self,
        tenant_id: UUID,
        *,
        method: str,
        path: str,
        status_code: int,
        duration_ms: int,
        user_agent: str | None = None,
        **fields: Any,
    ) -> _Tracked:
        """A request to the platform's API; it succeeded if its status is below 400."""
        request = {"method": method, "path": path, "status_code": status_code}
        event_data = _with_given({**fields.pop("event_data", {}), **request}, user_agent=user_agent)
        fields = {"duration_ms": duration_ms, "user_agent": user_agent, **fields}
        return self.track(tenant_id, "api.request", event_data=event_data, **fields)

    def _about(self, message: Message, event_type: str, **fields: Any) -> _Tracked:
        about = {
            "message_id": message.id,
            "campaign_id": message.campaign_id,
            "contact_id": message.contact_id,
            "channel": message.channel,
            "provider": message.provider,
        }
        return self.track(message.tenant_id, event_type, **{**about, **fields})


class EventTracker(_Calls[bool]):
    """Stores each event when it is called. A call returns whether the event was new."""

    def __init__(
        self,
        db: Database,
        *,
        history_start: date,
        clock: Callable[[], datetime],
        restore_days: RestoreDays | None = None,
    ) -> None:
        self._db = db
        self._restore_days = restore_days
        self._history_start = history_start
        self._clock = clock

    def track(self, tenant_id: UUID, event_type: str, **fields: Any) -> bool:
        """Any event, its fields by name; raises EventRejected if it is none."""
        rejected: list[RejectedEvent] = []
        result = self._load([self.record(tenant_id, event_type, **fields)], on_rejected=rejected.append)
        for event in rejected:
            raise EventRejected(event.reason, event.detail)
        return result.accepted == 1

    def batch(self) -> TrackedBatch:
        """Gathers events for one transaction, as a context manager."""
        return TrackedBatch(self)

    def track_many(self, records: Iterable[Mapping[str, Any]]) -> LoadResult:
        """Many events in one transaction, each a mapping of fields; what is rejected harms no other."""
        return self._load([_as_json(record) for record in records])

    def record(self, tenant_id: UUID, event_type: str, **fields: Any) -> dict[str, Any]:
        """An event as a record; it happened now unless the fields say when."""
        fields = {"timestamp": self._clock(), **fields}
        return _as_json({"tenant_id": tenant_id, "event_type": event_type, **fields})

    def _load(
        self, records: list[dict[str, Any]], *, on_rejected: Callable[[RejectedEvent], None] | None = None
    ) -> LoadResult:
        batches = [
            ObjectBatch(_SOURCE, range(start + 1, start + _PIECE + 1), records[start : start + _PIECE])
            for start in range(0, len(records), _PIECE)
        ]
        return load_events(
            self._db,
            batches,
            now=self._clock(),
            history_start=self._history_start,
            on_rejected=on_rejected,
            restore_days=self._restore_days,
        )


class TrackedBatch(_Calls[None]):
    """Events that are stored together when the block is left, and not at all if it raises."""

    result: LoadResult
    """What became of the events, once they are stored."""

    def __init__(self, tracker: EventTracker) -> None:
        self._tracker = tracker
        self._records: list[dict[str, Any]] = []

    def track(self, tenant_id: UUID, event_type: str, **fields: Any) -> None:
        """Any event, its fields by name."""
        self._records.append(self._tracker.record(tenant_id, event_type, **fields))

    def __enter__(self) -> TrackedBatch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.result = self._tracker.track_many(self._records)


def _with_given(values: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    return {**values, **{name: value for name, value in others.items() if value is not None}}


def _as_json(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the values that a JSON object would have."""
    return {name: _json_value(value) for name, value in record.items() if value is not None}


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    return dict(value) if isinstance(value, Mapping) else value
