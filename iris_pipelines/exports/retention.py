"""How long events are kept, by tenant, and what is past it: the plan says what would go, before it goes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.errors import IrisError

KEEP_RESTORED = timedelta(days=1)
"""How long a restored day stays in the event log: whoever needed it has to build something from it first."""


class InvalidRetention(IrisError):
    """A retention that is no number of days."""


@dataclass(frozen=True)
class Retention:
    """How many UTC days before today are kept: by default, and for tenants that have their own."""

    default_days: int | None
    """None keeps them for ever."""
    by_tenant: Mapping[UUID, int]

    def first_kept(self, tenant_id: UUID, *, today: date) -> date | None:
        """The oldest day that a tenant keeps; None if all are kept."""
        days = self.by_tenant.get(tenant_id, self.default_days)
        return None if days is None else today - timedelta(days=days)

    def latest_first_kept(self, *, today: date) -> date | None:
        """Before this day, something may be past its retention."""
        known = [*self.by_tenant.values(), *([] if self.default_days is None else [self.default_days])]
        return today - timedelta(days=min(known)) if known else None


@dataclass(frozen=True)
class PlannedDay:
    """What of a day is past its retention."""

    date: date
    events: Mapping[UUID, int]
    """How many events go, by tenant."""
    drops_partition: bool
    """Whether nothing of the day is left, so that its partition is dropped; else rows are deleted."""


def read_retention(connection: Connection, default_days: int | None) -> Retention:
    """The default, and what tenants have set as `retention_days`."""
    by_tenant = {}
    for tenant_id, value in queries().retention_settings(connection):
        if value is None or not value.isascii() or not value.isdigit() or int(value) < 1:
            raise InvalidRetention(
                f"the setting retention_days of tenant {tenant_id} is {value!r}, and no number of days: "
                f"use `iris retention set --tenant {tenant_id} --days N`"
            )
        by_tenant[tenant_id] = int(value)
    return Retention(default_days, by_tenant)


def plan_retention(db: Database, *, default_days: int | None, now: datetime) -> list[PlannedDay]:
    """What would be archived now, oldest first; days that were restored a moment ago are left alone."""
    today = now.astimezone(UTC).date()
    with db.transaction() as connection:
        retention = read_retention(connection, default_days)
        before = retention.latest_first_kept(today=today)
        if before is None:
            return []
        restored = set(queries().recently_restored_days(connection, since=now - KEEP_RESTORED))
        found = list(queries().days_of_tenants(connection, before=datetime.combine(before, time(), tzinfo=UTC)))
    by_day: defaultdict[date, dict[UUID, int]] = defaultdict(dict)
    for tenant_id, day, events in found:
        by_day[day][tenant_id] = events
    planned = []
    for day, events_of in sorted(by_day.items()):
        going = {
            tenant_id: events
            for tenant_id, events in events_of.items()
            if (first := retention.first_kept(tenant_id, today=today)) is not None
            and day < first
            and (tenant_id, day) not in restored
        }
        if going:
            planned.append(PlannedDay(day, going, drops_partition=going.keys() == events_of.keys()))
    return planned


def set_retention(db: Database, tenant_id: UUID, days: int | None) -> None:
    """Give a tenant its own retention, or take it away again."""
    with db.transaction() as connection:
        if not list(queries().known_tenants(connection, ids=[tenant_id])):
            raise InvalidRetention(f"there is no tenant {tenant_id}")
        if days is None:
            queries().unset_retention(connection, tenant_id=tenant_id)
        else:
            queries().set_retention(connection, tenant_id=tenant_id, days=str(days))
