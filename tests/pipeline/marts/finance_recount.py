"""An independent recount of savings and budgets: plain Python over the raw rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from psycopg.rows import dict_row

from iris_pipelines.db.database import Database
from tests.pipeline.marts.channels_recount import Key, Row, costs, grouped, of, rate, rounded


def rows_of(database: Database, relation: str) -> list[Row]:
    """Every row of a table."""
    with database.transaction() as connection:
        return connection.cursor(row_factory=dict_row).execute(f"select * from {relation}").fetchall()  # type: ignore[arg-type]


def savings(database: Database, events: Sequence[Row]) -> dict[Key, Row]:
    """What `lcr_savings` must hold."""
    prices = rows_of(database, "iris.provider_prices")
    currencies = {tenant["id"]: tenant["currency"] for tenant in rows_of(database, "iris.tenants")}
    defaults = {
        (account["tenant_id"], account["channel"]): account["provider"]
        for account in rows_of(database, "iris.provider_accounts")
        if account["is_default"]
    }
    found = {}
    for (tenant_id, day, channel), members in grouped(events, "tenant_id", "date", "channel").items():
        actual, _ = costs(members)
        default = defaults.get((tenant_id, channel), defaults.get((tenant_id, None)))
        dearest, average, of_default = [], [], []
        measured, defaulted = [], []
        for event in of(members, "message.sent"):
            own = [price for price in prices if price["currency"] == currencies.get(tenant_id, "USD")]
            by_provider = prices_of(own, tenant_id, channel, _country(event), day)
            if by_provider:
                measured.append(event)
                dearest.append(max(by_provider.values()))
                average.append(sum(by_provider.values()) / Decimal(len(by_provider)))
            if default in by_provider:
                defaulted.append(event)
                of_default.append(by_provider[default])
        row: Row = {
            "messages_sent": len(of(members, "message.sent")),
            "actual_cost": actual,
            "estimated_cost_without_lcr": None if actual is None else actual * Decimal("1.4"),
            "estimated_savings": None if actual is None else actual * Decimal("0.4"),
            "measured_messages": len(measured),
            "measured_actual_cost": costs(measured)[0],
            "measured_cost_dearest": sum(dearest) if dearest else None,
            "measured_cost_average": rounded(sum(average, Decimal(0)), "0.000001") if average else None,
            "default_messages": len(defaulted),
            "default_actual_cost": costs(defaulted)[0],
            "measured_cost_default": sum(of_default) if of_default else None,
        }
        for name, cost, against in (
            ("dearest", "measured_cost_dearest", "measured_actual_cost"),
            ("average", "measured_cost_average", "measured_actual_cost"),
            ("default", "measured_cost_default", "default_actual_cost"),
        ):
            known = row[cost] is not None and row[against] is not None
            row[f"measured_savings_{name}"] = row[cost] - row[against] if known else None
        found[tenant_id, day, channel] = row
    return found


def prices_of(
    prices: Sequence[Row], tenant_id: UUID, channel: str, country: str | None, day: date
) -> dict[str, Decimal]:
    """By provider what a message costs: the own price first, then that of the country, then the latest."""
    best: dict[str, tuple[Any, ...]] = {}
    for price in prices:
        if (
            price["channel"] == channel
            and price["tenant_id"] in (None, tenant_id)
            and price["country"] in (None, country)
            and price["valid_from"] <= day
            and (price["valid_to"] is None or day < price["valid_to"])
        ):
            place = (price["tenant_id"] is not None, price["country"] is not None, price["valid_from"], price["price"])
            best[price["provider"]] = max(place, best.get(price["provider"], place))
    return {provider: place[-1] for provider, place in best.items()}


def _country(event: Row) -> str | None:
    for column in ("event_data", "geo_location"):
        value = event[column]
        if isinstance(value, dict) and value.get("country"):
            return str(value["country"]).upper()
    return None


def budgets(database: Database, events: Sequence[Row], *, now: datetime) -> dict[Key, Row]:
    """What `budget_status` must hold."""
    tenants = {tenant["id"]: tenant for tenant in rows_of(database, "iris.tenants")}
    settings = {
        setting["tenant_id"]: Decimal(setting["setting_value"])
        for setting in rows_of(database, "iris.tenant_settings")
        if setting["setting_key"] == "monthly_budget" and setting["setting_value"].replace(".", "").isdecimal()
    }

    def month_of(tenant_id: UUID, instant: datetime) -> date:
        zone = tenants[tenant_id]["timezone"] if tenant_id in tenants else "UTC"
        return instant.astimezone(ZoneInfo(zone)).date().replace(day=1)

    spent: defaultdict[tuple[UUID, date], Decimal] = defaultdict(Decimal)
    for event in events:
        if event["cost"] is not None:
            spent[event["tenant_id"], month_of(event["tenant_id"], event["timestamp"])] += event["cost"]
    for tenant_id in settings:
        spent[tenant_id, month_of(tenant_id, now)] += 0
    found = {}
    for (tenant_id, month), current in spent.items():
        tenant, budget = tenants.get(tenant_id, {}), settings.get(tenant_id)
        reached = [share for share in (75, 90, 100) if budget and 100 * current >= share * budget]
        found[tenant_id, month] = {
            "timezone": tenant.get("timezone", "UTC"),
            "currency": tenant.get("currency", "USD"),
            "monthly_budget": budget,
            "current_spend": current,
            "percent_used": rate(current, budget) if budget else None,
            "threshold": max(reached, default=None),
        }
    return found
