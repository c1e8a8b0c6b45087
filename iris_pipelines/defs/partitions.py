"""The partitions of assets: UTC hours and days from the first day of history. Tenants are rows, never partitions."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import dagster as dg


def hourly(history_start: date) -> dg.HourlyPartitionsDefinition:
    """Closed hours: the running one is served from the event log."""
    return dg.HourlyPartitionsDefinition(start_date=_midnight(history_start), timezone="UTC")


def daily(history_start: date) -> dg.DailyPartitionsDefinition:
    """Days up to today, which holds its closed hours and is refreshed as they close."""
    return dg.DailyPartitionsDefinition(start_date=_midnight(history_start), timezone="UTC", end_offset=1)


def closed_days(history_start: date) -> dg.DailyPartitionsDefinition:
    """Days that are over."""
    return dg.DailyPartitionsDefinition(start_date=_midnight(history_start), timezone="UTC")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)
