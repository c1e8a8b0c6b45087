"""Tenants: whose data it is, in which time zone and currency."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from iris_pipelines.db.database import Database, queries
from iris_pipelines.domain.errors import IrisError

_CURRENCY = re.compile(r"[A-Z]{3}\Z")


class InvalidTenant(IrisError):
    """A tenant that cannot be made as asked."""


@dataclass(frozen=True)
class Tenant:
    """Whose data it is; months and budgets follow its time zone, money is in its currency."""

    id: UUID
    name: str
    timezone: str = "UTC"
    currency: str = "USD"

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise InvalidTenant("a tenant needs a name")
        if self.timezone not in _timezones():
            raise InvalidTenant(f"unknown time zone {self.timezone!r}: use an IANA name such as Europe/Berlin")
        if not _CURRENCY.match(self.currency):
            raise InvalidTenant(f"unknown currency {self.currency!r}: use an ISO 4217 code such as USD")


@cache
def _timezones() -> set[str]:
    """Every IANA name; to collect them reads some hundred files."""
    return available_timezones()


def create_tenant(db: Database, tenant: Tenant) -> None:
    """Make a tenant; raises InvalidTenant if its id is taken."""
    with db.transaction() as connection:
        made = queries().create_tenant(
            connection, id=tenant.id, name=tenant.name, timezone=tenant.timezone, currency=tenant.currency
        )
    if made is None:
        raise InvalidTenant(f"there is a tenant {tenant.id} already")


def all_tenants(db: Database) -> list[Tenant]:
    """Every tenant, by name."""
    with db.transaction() as connection:
        return [Tenant(*row) for row in queries().all_tenants(connection)]
