"""What every round of evaluation shares: one evaluator at a time, one snapshot, and the tenants in it."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from iris_pipelines.alerting.incidents import Settled
from iris_pipelines.db.database import Connection, Database, in_one_snapshot, queries
from iris_pipelines.db.tenants import InvalidTenant, Tenant


@contextmanager
def evaluating(db: Database, what: str) -> Iterator[Connection | None]:
    """A transaction in one snapshot that no other evaluator of `what` has at the same time; None if one has."""
    with db.autocommit() as connection:
        if not queries().try_evaluation_lock(connection, what=what):
            yield None
            return
        try:
            with in_one_snapshot(connection):
                yield connection
        finally:
            if not connection.closed:
                queries().release_evaluation_lock(connection, what=what)


def read_tenants(connection: Connection) -> dict[UUID, Tenant]:
    """Every tenant by id."""
    return {row[0]: _tenant(*row) for row in queries().all_tenants(connection)}


def _tenant(tenant_id: UUID, name: str, timezone: str, currency: str) -> Tenant:
    """A tenant as it is stored; one whose time zone nobody knows is in UTC, and stops no other."""
    try:
        return Tenant(tenant_id, name, timezone, currency)
    except InvalidTenant:
        return Tenant(tenant_id, name.strip() or str(tenant_id), "UTC", currency)


def added(first: Settled, second: Settled) -> Settled:
    """Two parts of a round."""
    return Settled(
        *map(
            operator.add,
            (first.opened, first.reminded, first.resolved, first.messages),
            (second.opened, second.reminded, second.resolved, second.messages),
        )
    )
