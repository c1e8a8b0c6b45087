"""The rule of two sigmas on the running hour; and what both detectors share: whom to tell, and the sentence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from iris_pipelines.alerting.incidents import Finding, OpenIncidents, Settled, settle
from iris_pipelines.alerting.tenant_settings import alert_actions, read_settings
from iris_pipelines.db.database import Connection, queries
from iris_pipelines.db.tenants import Tenant
from iris_pipelines.domain.alerts.advice import advice_for
from iris_pipelines.domain.alerts.anomalies.two_sigma import WeekOfHours, judge_hour
from iris_pipelines.domain.alerts.rules import Action, Severity
from iris_pipelines.domain.windows import HOUR, floor

DELIVERY_ALERT = "delivery_rate_anomaly"
ANOMALY_ALERTS = "anomaly_alerts"
"""The setting of a tenant: which detectors tell somebody: `seasonal` (as if unset), `two_sigma`, `both` or `none`."""
_WEEK = timedelta(days=7)


class Recipients:
    """Whom each tenant wants to be told by which detector."""

    def __init__(self, connection: Connection) -> None:
        self._actions = alert_actions(connection)
        self._choices = read_settings(connection, ANOMALY_ALERTS)[ANOMALY_ALERTS]

    def of(self, tenant_id: UUID, detector: str) -> tuple[Action, ...]:
        choice = self._choices.get(tenant_id, "seasonal").strip().lower()
        return self._actions.get(tenant_id, ()) if choice in (detector, "both") else ()


def anomaly_message(channel: str, actual: float, expected: float) -> str:
    """The sentence of the contract."""
    return f"Delivery rate anomaly detected for {channel}: {actual:.2f}% (expected {expected:.2f}%)"


def two_sigma_round(
    connection: Connection, tenants: Mapping[UUID, Tenant], recipients: Recipients, *, now: datetime
) -> Settled:
    """The guide's rule, from the hourly rollup and the running hour; it is noted, and told of only where asked for."""
    if not queries().hourly_rollup_exists(connection):
        return Settled()
    hour = floor(now, HOUR)
    weeks = {
        (tenant_id, channel): WeekOfHours(hours, float(mean), float(deviation))
        for tenant_id, channel, hours, mean, deviation in queries().two_sigma_weeks(
            connection, week_start=hour - _WEEK, hour_start=hour
        )
        if tenant_id in tenants
    }
    running = {
        (tenant_id, channel): (sent, delivered)
        for tenant_id, channel, sent, delivered in queries().running_hour(
            connection, tenant_ids=sorted({tenant_id for tenant_id, _ in weeks}), hour_start=hour, now=now
        )
    }
    findings = []
    for (tenant_id, channel), week in weeks.items():
        sent, delivered = running.get((tenant_id, channel), (0, 0))
        found = judge_hour(week, sent, delivered)
        if found.holds is None or found.actual is None:
            continue
        findings.append(
            Finding(
                tenant_id,
                f"two_sigma:{channel}",
                DELIVERY_ALERT,
                holds=found.holds,
                message=anomaly_message(channel, found.actual, found.expected),
                severity=Severity.WARNING,
                since=hour,
                actions=recipients.of(tenant_id, "two_sigma"),
                data={
                    "detector": "two_sigma",
                    "channel": channel,
                    "actual": round(found.actual, 2),
                    "expected": round(found.expected, 2),
                    "low": round(found.low, 2),
                    "sent": sent,
                    "delivered": delivered,
                },
                facts=(
                    ("Actual", f"{found.actual:.2f}% this hour, {delivered:,} of {sent:,}"),
                    ("Expected", f"{found.expected:.2f}%, at least {found.low:.2f}%"),
                ),
                look_at=advice_for("delivery_rate", channel=channel),
                cooldown=timedelta(hours=4),
            )
        )
    return settle(connection, findings, OpenIncidents(connection, "two_sigma:"), tenants, now=now)
