"""`iris alerts`: rules made and looked at, tried out, silenced, and what came of them."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID, uuid4

import typer

from iris_pipelines.cli.console import fail, open_database, print_error, print_json, read_settings, stdout

if TYPE_CHECKING:
    from iris_pipelines.alerting.history import PastAlert
    from iris_pipelines.alerting.rules import StoredRule
    from iris_pipelines.db.database import Database
    from iris_pipelines.domain.alerts.rules import Rule
    from iris_pipelines.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Alert rules, silences, and what was told to whom.")

_TENANT = Annotated[UUID | None, typer.Option("--tenant", help="Only of this tenant.")]
_JSON = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command("list")
def list_rules(tenant: _TENANT = None, as_json: _JSON = False) -> None:
    """Every rule, where it stands, and which cannot be evaluated."""
    from iris_pipelines.alerting.rules import list_rules as stored_rules
    from iris_pipelines.alerting.tenant_settings import broken_alert_actions

    with open_database(read_settings()) as database:
        rules = stored_rules(database, tenant)
        broken = broken_alert_actions(database)
    for tenant_id, problem in broken.items():
        print_error(f"the setting alert_actions of tenant {tenant_id} tells nobody: {problem}")
    if as_json:
        print_json([asdict(rule) for rule in rules])
    else:
        for rule in rules:
            for line in _rule_lines(rule):
                stdout.print(line)
        if not rules:
            stdout.print("no rules; `iris alerts create --help` says how to make one")


@app.command()
def create(
    tenant: Annotated[UUID, typer.Argument(help="The id of the tenant.")],
    name: Annotated[str, typer.Argument(help="What to call the rule.")],
    condition: Annotated[str, typer.Argument(help='When it fires: "delivery_rate < 90".')],
    *,
    window: Annotated[int, typer.Option(help="Minutes that the metric is measured over.")] = 60,
    action: Annotated[
        list[str] | None,
        typer.Option(help="Whom to tell: email:ops@example.org, sms:+49..., slack:#ops; repeatable."),
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only of this channel.")] = None,
    provider: Annotated[str | None, typer.Option(help="Only of this provider.")] = None,
    campaign: Annotated[UUID | None, typer.Option(help="Only of this campaign.")] = None,
    hold: Annotated[int, typer.Option("--for", help="Minutes that it must hold before anybody is told.")] = 0,
    cooldown: Annotated[int, typer.Option(help="Minutes between reminders.")] = 60,
    min_volume: Annotated[int, typer.Option(help="With less than this behind the value, it is not judged.")] = 0,
    no_data: Annotated[str, typer.Option(help="What it means that there is no data: skip or alert.")] = "skip",
    severity: Annotated[str, typer.Option(help="info, warning or critical.")] = "warning",
    quiet: Annotated[str | None, typer.Option(help="Hours of the tenant's day to tell nobody: 22:00-07:00.")] = None,
    as_json: _JSON = False,
) -> None:
    """Make a rule and print its id; one that could not be evaluated is refused."""
    from iris_pipelines.alerting.rules import create_rule
    from iris_pipelines.domain.alerts.rules import actions_for

    metric, operator, threshold = _parsed_condition(condition)
    fields = {
        "name": name,
        "condition": {
            "metric": metric,
            "operator": operator,
            "threshold": threshold,
            "time_window": window,
            "channel": channel,
            "provider": provider,
            "campaign": campaign,
            "for": hold,
            "cooldown": cooldown,
            "min_volume": min_volume,
            "no_data": no_data,
        },
        "actions": [each.model_dump(mode="json") for each in actions_for(action or [])],
        "severity": severity,
        "quiet_hours": _parsed_quiet_hours(quiet),
    }
    with open_database(read_settings()) as database:
        rule = create_rule(database, tenant, fields)
    if as_json:
        print_json(rule.model_dump(mode="json", by_alias=True))
    else:
        typer.echo(str(rule.id))


@app.command()
def test(
    rule_id: Annotated[UUID, typer.Argument(metavar="RULE", help="The id of the rule.")],
    send: Annotated[bool, typer.Option("--send", help="Also send a test message to everybody whom it tells.")] = False,
    as_json: _JSON = False,
) -> None:
    """Say what a rule sees now and whether it would fire; opens no incident."""
    from iris_pipelines.alerting.rules import find_rule, observe_rule

    settings, now = read_settings(), datetime.now(UTC)
    with open_database(settings) as database:
        rule = find_rule(database, rule_id)
        observed = observe_rule(database, rule, now=now)
        holds = rule.condition.judge(observed)
        sent = _send_test(database, settings, rule, now=now) if send else []
    if as_json:
        print_json({"value": observed.value, "volume": observed.volume, "holds": holds, "sent": sent})
    else:
        value = "no data" if observed.value is None else f"{observed.value:f}"
        verdict = {True: "would fire", False: "would not fire", None: "cannot be judged"}[holds]
        condition = rule.condition
        stdout.print(
            f"{condition.metric} is {value} over the last {condition.time_window} min "
            f"({observed.volume:,} to judge by): "
            f"{condition.operator} {condition.threshold.normalize():f} {verdict}",
        )
        for each in sent:
            stdout.print(f"{each['action']} to {each['recipient']}: {each['outcome']}")
    if any(not each["delivered"] for each in sent):
        fail("not every test message arrived")


@app.command()
def silence(
    tenant: Annotated[UUID, typer.Argument(help="The id of the tenant.")],
    rule: Annotated[UUID | None, typer.Option(help="Only this rule.")] = None,
    alert_type: Annotated[str | None, typer.Option("--type", help="Only this type, such as budget_threshold.")] = None,
    hours: Annotated[float, typer.Option(help="For how long.", min=0.01)] = 1.0,
    reason: Annotated[str, typer.Option(help="Why, for others to read.")] = "",
) -> None:
    """Tell nobody for a while; incidents are recorded, and told of afterwards if they last."""
    from iris_pipelines.alerting.rules import silence as begin_silence

    now, lasting = datetime.now(UTC), timedelta(hours=hours)
    with open_database(read_settings()) as database:
        begin_silence(
            database,
            tenant,
            now=now,
            lasting=timedelta(hours=hours),
            rule_id=rule,
            alert_type=alert_type,
            reason=reason,
        )
    stdout.print(f"silent until {now + lasting:%Y-%m-%d %H:%M} UTC")


@app.command()
def history(
    tenant: _TENANT = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.", min=1)] = 50,
    as_json: _JSON = False,
) -> None:
    """What happened, and whether everybody was told."""
    from iris_pipelines.alerting.history import alert_history

    with open_database(read_settings()) as database:
        alerts = alert_history(database, tenant, limit=limit)
    if as_json:
        print_json([asdict(alert) for alert in alerts])
    else:
        for alert in alerts:
            stdout.print(_history_line(alert))
        if not alerts:
            stdout.print("nothing has happened")


@app.command("webhook-secret")
def webhook_secret(tenant: Annotated[UUID, typer.Argument(help="The id of the tenant.")]) -> None:
    """Print what the tenant's webhooks are signed with, for the receiver to check."""
    from iris_pipelines.alerting.rules import tenant_of
    from iris_pipelines.alerting.tenant_settings import webhook_secret as secret_of

    with open_database(read_settings()) as database:
        with database.transaction() as connection:
            tenant_of(connection, tenant)
        typer.echo(secret_of(database, tenant))


def _parsed_condition(text: str) -> tuple[str, str, Any]:
    match = re.fullmatch(r"\s*(\w+)\s*(<=|>=|<|>|=)\s*(-?[0-9.]+)\s*%?\s*", text)
    if match is None:
        raise typer.BadParameter(
            'expected a metric, an operator and a number: "delivery_rate < 90"', param_hint="CONDITION"
        )
    try:
        return match[1], match[2], float(match[3])
    except ValueError:
        raise typer.BadParameter(f"{match[3]} is no number", param_hint="CONDITION") from None


def _parsed_quiet_hours(text: str | None) -> dict[str, str] | None:
    if text is None:
        return None
    start, separator, end = text.partition("-")
    if not separator:
        raise typer.BadParameter("expected 22:00-07:00", param_hint="--quiet")
    return {"start": start, "end": end}


def _send_test(database: Database, settings: Settings, rule: Rule, *, now: datetime) -> list[dict[str, Any]]:
    """One message to each recipient, at once and without the outbox: the answer is what is asked for."""
    from iris_pipelines.alerting.rules import tenant_of
    from iris_pipelines.alerting.senders.directory import senders
    from iris_pipelines.alerting.senders.outcomes import Delivered, Message
    from iris_pipelines.defs.resources import notification_channels
    from iris_pipelines.domain.alerts.notifications import Kind, Notification
    from iris_pipelines.domain.alerts.rules import ActionType, Severity

    with database.transaction() as connection:
        tenant = tenant_of(connection, rule.tenant_id)
    ways = senders(notification_channels(settings), database, clock=lambda: datetime.now(UTC))
    found = []
    for action in rule.actions:
        for recipient in action.recipients:
            notification = Notification(
                alert_id=uuid4(),
                tenant_id=tenant.id,
                tenant=tenant.name,
                timezone=tenant.timezone,
                # What is over wakes nobody: PagerDuty opens no incident for a test.
                kind=Kind.RESOLVED if action.type is ActionType.PAGERDUTY else Kind.FIRING,
                alert_type="test",
                severity=Severity.INFO,
                what=f"Test of the alert rule {rule.name!r}: nothing has happened",
                since=now,
                at=now,
            ).linked(settings.alert_link)
            outcome = ways[action.type].send(Message(uuid4(), recipient, notification))
            delivered = isinstance(outcome, Delivered)
            found.append(
                {
                    "action": action.type.value,
                    "recipient": _masked(action.type.value, recipient),
                    "delivered": delivered,
                    "outcome": outcome.reference if isinstance(outcome, Delivered) else outcome.reason,
                }
            )
    return found


def _rule_lines(rule: StoredRule) -> list[str]:
    state = rule.state if rule.enabled else "disabled"
    condition = rule.condition if isinstance(rule.condition, dict) else {}
    what = " ".join(str(condition.get(part, "?")) for part in ("metric", "operator", "threshold"))
    lines = [f"{rule.id}  {state:<8} {rule.tenant}: {rule.name} ({what} over {condition.get('time_window', '?')} min)"]
    if rule.problem:
        lines.append(f"    cannot be evaluated: {rule.problem}")
    return lines


def _history_line(alert: PastAlert) -> str:
    told = f"{alert.delivered} told"
    if alert.pending:
        told += f", {alert.pending} waiting"
    if alert.dead:
        told += f", {alert.dead} given up ({alert.last_error})"
    return f"{alert.created_at:%Y-%m-%d %H:%M}  {alert.status:<8} {alert.severity:<8} {alert.message}  [{told}]"


def _masked(kind: str, recipient: str) -> str:
    """Keys and URLs with tokens in them do not belong on a screen."""
    if kind == "pagerduty":
        return f"{recipient[:4]}..."
    if recipient.startswith(("http://", "https://")):
        return recipient.split("?", maxsplit=1)[0][:40]
    return recipient
