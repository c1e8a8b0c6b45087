"""Alerts: rules, budgets and anomalies are judged in the sensors themselves, and the outbox is emptied by one.

A run would cost seconds for what lasts a moment. Two daemons, or a daemon and a shell, may look at the same time: one
evaluates, the other leaves it alone; each message is claimed by one sender.
"""

from typing import TYPE_CHECKING

import dagster as dg

from iris_pipelines.defs.resources import Clock, DatabaseResource, NotificationsResource

if TYPE_CHECKING:
    from iris_pipelines.alerting.incidents import Settled

_EVERY = 60


@dg.sensor(minimum_interval_seconds=_EVERY, default_status=dg.DefaultSensorStatus.RUNNING)
def alert_rules_sensor(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[DatabaseResource],
    clock: dg.ResourceParam[Clock],
) -> dg.SkipReason:
    """Judge every enabled alert rule at once; incidents begin, last and end, and messages go to the outbox."""
    from iris_pipelines.alerting.evaluation import evaluate_rules

    found = evaluate_rules(database.get(), now=clock.now())
    if found.skipped:
        return dg.SkipReason("another evaluation is at work")
    summary = f"{found.rules} rules, {found.firing} firing, {found.broken} broken; {_settled(found.settled)}"
    context.log.info(summary)
    return dg.SkipReason(summary)


@dg.sensor(minimum_interval_seconds=_EVERY, default_status=dg.DefaultSensorStatus.RUNNING)
def budget_sensor(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[DatabaseResource],
    clock: dg.ResourceParam[Clock],
) -> dg.SkipReason:
    """Compare each tenant's month to date with its budgets; thresholds are told of once a month."""
    from iris_pipelines.alerting.budgets import evaluate_budgets

    found = evaluate_budgets(database.get(), now=clock.now())
    if found.skipped:
        return dg.SkipReason("another evaluation is at work")
    for problem in found.broken:
        context.log.warning(problem)
    return dg.SkipReason(f"{found.budgets} budgets, {len(found.broken)} broken; {_settled(found.settled)}")


@dg.sensor(minimum_interval_seconds=_EVERY, default_status=dg.DefaultSensorStatus.RUNNING)
def anomaly_sensor(database: dg.ResourceParam[DatabaseResource], clock: dg.ResourceParam[Clock]) -> dg.SkipReason:
    """Judge the deliveries of each quarter of an hour as it matures, and the running hour."""
    from iris_pipelines.alerting.anomalies import evaluate_anomalies

    found = evaluate_anomalies(database.get(), now=clock.now())
    if found.skipped:
        return dg.SkipReason("another evaluation is at work")
    return dg.SkipReason(f"{found.channels} channels judged; {_settled(found.settled)}")


@dg.sensor(minimum_interval_seconds=15, default_status=dg.DefaultSensorStatus.RUNNING)
def notification_sensor(
    context: dg.SensorEvaluationContext,
    database: dg.ResourceParam[DatabaseResource],
    notifications: dg.ResourceParam[NotificationsResource],
    clock: dg.ResourceParam[Clock],
) -> dg.SkipReason:
    """Send what waits in the outbox: mail, SMS, Slack, PagerDuty, webhooks; what fails is tried again later."""
    from iris_pipelines.alerting.delivery import Deliveries, deliver_due

    db = database.get()
    done = deliver_due(db, notifications.senders(db, clock), clock=clock.now, link=notifications.link)
    if done == Deliveries():
        return dg.SkipReason("nothing to send")
    summary = f"{done.delivered} messages delivered, {done.retried} to be tried again, {done.dead} given up"
    context.log.info(summary)
    return dg.SkipReason(summary)


def _settled(settled: "Settled") -> str:
    return (
        f"{settled.opened} incidents began, {settled.resolved} ended, "
        f"{settled.reminded} reminders, {settled.messages} messages"
    )
