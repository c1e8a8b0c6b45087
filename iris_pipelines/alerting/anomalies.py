"""Deliveries that are not as usual, and channels that fall silent; beside them, the rule of two sigmas."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from iris_pipelines.alerting.baselines import latest_baselines
from iris_pipelines.alerting.cohorts import count_matured
from iris_pipelines.alerting.incidents import Finding, OpenIncidents, Settled, settle
from iris_pipelines.alerting.rounds import added, evaluating, read_tenants
from iris_pipelines.alerting.two_sigma import DELIVERY_ALERT, Recipients, anomaly_message, two_sigma_round
from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.alerts.advice import SEND_OUTAGE, advice_for
from iris_pipelines.domain.alerts.anomalies.baselines import Baseline
from iris_pipelines.domain.alerts.anomalies.cohorts import MATURITY, SLOT, Cohort
from iris_pipelines.domain.alerts.anomalies.contributions import Contribution, Counts, by_group, by_outcome
from iris_pipelines.domain.alerts.anomalies.seasonal import WINDOWS, Judgement, judge, judge_silence
from iris_pipelines.domain.alerts.rules import Action, Severity
from iris_pipelines.domain.windows import floor

SILENCE_ALERT = "send_outage"
_REFERENCE = timedelta(days=7)
_LONGEST_SILENCE = timedelta(days=7)
_SHOWN = 3

ByChannel = dict[tuple[UUID, str], list[Cohort]]


@dataclass(frozen=True)
class AnomalyRound:
    """What a look at all channels came to."""

    channels: int = 0
    """Judged by the seasonal model; none while no further quarter of an hour has matured."""
    settled: Settled = field(default_factory=Settled)
    skipped: bool = False


def evaluate_anomalies(db: Database, *, now: datetime) -> AnomalyRound:
    """Judge what has matured since the last look, and the running hour."""
    with evaluating(db, "anomalies") as connection:
        if connection is None:
            return AnomalyRound(skipped=True)
        tenants = read_tenants(connection)
        recipients = Recipients(connection)
        two_sigma = two_sigma_round(connection, tenants, recipients, now=now)
        end = count_matured(connection, now=now)
        if end is None:
            return AnomalyRound(0, two_sigma)
        # Events may be of tenants that are not known any more, or not yet.
        baselines = {
            key: baseline for key, baseline in latest_baselines(connection, now=now).items() if key[0] in tenants
        }
        incidents = OpenIncidents(connection, "anomaly:")
        recent = _recent(connection, end)
        findings = [
            *_deliveries(connection, baselines, recent, incidents, recipients, end=end),
            *_silences(connection, baselines, recent, recipients, end=end),
        ]
        findings = [_explained(connection, each, incidents) for each in findings]
        # A channel that sends too little by now to be judged is not watched any more.
        findings += [
            each
            for each in incidents.ended(findings, now=now)
            if (each.tenant_id, each.key.rpartition(":")[2]) not in baselines
        ]
        return AnomalyRound(len(baselines), added(two_sigma, settle(connection, findings, incidents, tenants, now=now)))


def _recent(connection: Connection, end: datetime) -> ByChannel:
    found: ByChannel = defaultdict(list)
    start = end - max(WINDOWS) * SLOT
    for tenant_id, channel, slot, sent, delivered in queries().cohorts_between(
        connection, window_start=start, window_end=end
    ):
        found[tenant_id, channel].append(Cohort(slot, sent, delivered))
    return found


def _deliveries(
    connection: Connection,
    baselines: Mapping[tuple[UUID, str], Baseline],
    recent: ByChannel,
    incidents: OpenIncidents,
    recipients: Recipients,
    *,
    end: datetime,
) -> list[Finding]:
    restarts = _restarts(connection, end=end)
    findings = []
    for (tenant_id, channel), baseline in baselines.items():
        key = f"anomaly:delivery:{channel}"
        incident = incidents.get(tenant_id, key)
        restart = restarts.get((tenant_id, key))
        cohorts = recent.get((tenant_id, channel), [])
        # What led to an incident that is over must not begin the next.
        cohorts = [cohort for cohort in cohorts if restart is None or cohort.slot >= restart]
        open_window = None if incident is None else int(incident.data["window_slots"])
        found = judge(baseline, cohorts, end, open_window=open_window)
        if found is not None:
            findings.append(_delivery_finding(tenant_id, channel, found, recipients.of(tenant_id, "seasonal")))
    return findings


def _restarts(connection: Connection, *, end: datetime) -> dict[tuple[UUID, str], datetime]:
    rows = queries().resolved_since(connection, key_pattern="anomaly:delivery:%", since=end - max(WINDOWS) * SLOT)
    return {(tenant_id, key): floor(resolved_at - MATURITY, SLOT) for tenant_id, key, resolved_at in rows}


def _delivery_finding(tenant_id: UUID, channel: str, found: Judgement, actions: tuple[Action, ...]) -> Finding:
    actual, expected = 100 * found.delivered / found.sent, 100 * found.expected
    minutes = found.window * 15
    return Finding(
        tenant_id,
        f"anomaly:delivery:{channel}",
        DELIVERY_ALERT,
        holds=found.holds,
        message=anomaly_message(channel, actual, expected),
        severity=Severity.CRITICAL,
        since=found.start,
        actions=actions,
        data={
            "detector": "seasonal",
            "channel": channel,
            "actual": round(actual, 2),
            "expected": round(expected, 2),
            "interval": [round(100 * found.low, 2), round(100 * found.high, 2)],
            "sent": found.sent,
            "delivered": found.delivered,
            "chance": found.chance,
            "window_slots": found.window,
            "window_start": found.start.isoformat(),
            "window_end": found.end.isoformat(),
        },
        facts=(
            ("Actual", f"{actual:.2f}%, {found.delivered:,} of {found.sent:,} delivered within 15 min"),
            ("Expected", f"{expected:.2f}% (usually {100 * found.low:.2f} to {100 * found.high:.2f}%)"),
            ("Measured over", f"messages sent in {minutes} min from {found.start:%Y-%m-%d %H:%M} UTC"),
            *((("Receipts", "none at all"),) if found.delivered == 0 else ()),
        ),
        look_at=advice_for("delivery_rate", channel=channel),
        cooldown=timedelta(hours=4),
    )


def _silences(
    connection: Connection,
    baselines: Mapping[tuple[UUID, str], Baseline],
    recent: ByChannel,
    recipients: Recipients,
    *,
    end: datetime,
) -> list[Finding]:
    last = {key: cohorts[-1].slot for key, cohorts in recent.items() if cohorts}
    quiet = [key for key in baselines if key not in last]
    rows = queries().last_cohorts(
        connection,
        tenant_ids=[tenant_id for tenant_id, _ in quiet],
        channels=[channel for _, channel in quiet],
        before=end,
    )
    last |= {(tenant_id, channel): slot for tenant_id, channel, slot in rows}
    findings = []
    for (tenant_id, channel), baseline in baselines.items():
        last_slot = max(last.get((tenant_id, channel), end), end - _LONGEST_SILENCE)
        found = judge_silence(baseline, last_slot, end)
        findings.append(
            Finding(
                tenant_id,
                f"anomaly:silence:{channel}",
                SILENCE_ALERT,
                holds=found.holds,
                message=f"No messages sent by {channel} since {found.since:%Y-%m-%d %H:%M} UTC"
                if found.holds
                else f"Messages are sent by {channel} again",
                severity=Severity.CRITICAL,
                since=found.since,
                actions=recipients.of(tenant_id, "seasonal"),
                data={"detector": "silence", "channel": channel, "lacking": round(found.lacking, 1)},
                facts=(
                    ("Actual", "0 messages"),
                    (
                        "Expected",
                        f"about {found.lacking:,.0f} in this time; no silence in 28 days lacked more than "
                        f"{found.usual:,.0f}",
                    ),
                ),
                look_at=SEND_OUTAGE,
                cooldown=timedelta(hours=4),
            )
        )
    return findings


def _explained(connection: Connection, finding: Finding, incidents: OpenIncidents) -> Finding:
    """A drop that begins says whose it is: by provider, country and error."""
    begins = finding.holds and incidents.get(finding.tenant_id, finding.key) is None
    if not begins or finding.alert_type != DELIVERY_ALERT:
        return finding
    start = datetime.fromisoformat(finding.data["window_start"])
    queries().allow_nested_loops(connection, allowed=False)
    rows = queries().cohort_breakdown(
        connection,
        tenant_id=finding.tenant_id,
        channel=finding.data["channel"],
        window_start=start,
        window_end=datetime.fromisoformat(finding.data["window_end"]),
        reference_start=start - _REFERENCE,
        maturity=MATURITY,
    )
    parts = explain(list(rows), expected=float(finding.data["expected"]))
    queries().allow_nested_loops(connection, allowed=True)
    facts = [
        (f"By {dimension}", ", ".join(f"{part.value} {part.points:+.1f} points" for part in shown[:_SHOWN]))
        for dimension, shown in parts.items()
    ]
    data = {
        **finding.data,
        "contributions": {
            dimension: {part.value: round(part.points, 4) for part in found} for dimension, found in parts.items()
        },
    }
    return replace(finding, data=data, facts=(*finding.facts, *facts))


def explain(rows: Sequence[tuple[Any, ...]], *, expected: float) -> dict[str, list[Contribution]]:
    """The points of a drop by provider, country and error; nothing where there is no time before to compare with."""
    if not all(any(row[0] is is_now for row in rows) for is_now in (True, False)):
        return {}
    groups: dict[str, dict[bool, dict[str, Counts]]] = {
        "provider": {True: {}, False: {}},
        "country": {True: {}, False: {}},
    }
    outcomes: dict[bool, dict[str, int]] = {True: defaultdict(int), False: defaultdict(int)}
    for is_now, provider, country, outcome, messages in rows:
        outcomes[is_now][outcome] += messages
        for dimension, value in (("provider", provider), ("country", country)):
            counts = groups[dimension][is_now].get(value, Counts(0, 0))
            arrived = messages if outcome == "delivered" else 0
            groups[dimension][is_now][value] = Counts(counts.sent + messages, counts.delivered + arrived)
    return {
        **{dimension: by_group(found[True], found[False], expected=expected) for dimension, found in groups.items()},
        "error": by_outcome(outcomes[True], outcomes[False], expected=expected),
    }
