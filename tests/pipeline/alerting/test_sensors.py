"""The sensors as the daemon runs them: they judge and send in their ticks, and re-runs send nothing again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import dagster as dg
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.defs import build_defs
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.resources import Clock, DatabaseResource, NotificationsResource
from iris_pipelines.domain.windows import HOUR
from iris_pipelines.settings import Settings
from tests.integration.alerting.platform import MINUTE, NOW, event, insert, make_rule, make_tenant, rows, send
from tests.integration.alerting.receivers import MailReceiver, mail_receiver

SENSORS = ("alert_rules_sensor", "budget_sensor", "anomaly_sensor", "notification_sensor")


class Daemon:
    """Ticks sensors by name, on a clock that moves when it is told to."""

    def __init__(self, database: Database, dbt: DbtProject, settings: Settings, instance: dg.DagsterInstance) -> None:
        self.now = NOW
        self.instance = instance
        self.resources: dict[str, object] = {
            "database": DatabaseResource(lambda: database.url),
            "dbt": dbt,
            "clock": Clock(lambda: self.now),
            "notifications": NotificationsResource(settings),
        }
        self.definitions = build_defs(settings, self.resources)

    def tick(self, sensor: str) -> str:
        context = dg.build_sensor_context(
            instance=self.instance,
            resources=self.resources,
            repository_def=self.definitions.get_repository_def(),
        )
        data = self.definitions.resolve_sensor_def(sensor).evaluate_tick(context)
        assert not data.run_requests
        return data.skip_message or ""

    def tick_all(self) -> None:
        for sensor in SENSORS:
            self.tick(sensor)

    def run(self, job: str, **options: object) -> dg.ExecuteInProcessResult:
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            **options,  # type: ignore[arg-type]
        )


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    with mail_receiver() as receiver:
        yield receiver


@pytest.fixture
def daemon(
    database: Database, dbt: DbtProject, mail: MailReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    settings = Settings(
        home=tmp_path_factory.getbasetemp() / "home",
        smtp_url=mail.url,
        operator_actions=[{"type": "email", "recipients": ["operator@example.org"]}],
    )
    with dg.DagsterInstance.ephemeral() as instance:
        yield Daemon(database, dbt, settings, instance)


@pytest.fixture
def tenant(database: Database) -> UUID:
    tenant = make_tenant(database)
    settings = {"monthly_budget": "10", "alert_actions": json.dumps([{"type": "email", "recipients": ["a@b.org"]}])}
    with database.transaction() as connection:
        for key, value in settings.items():
            connection.execute("insert into iris.tenant_settings values (%s, %s, %s)", (tenant, key, value))
    return tenant


def subjects(mail: MailReceiver) -> list[str]:
    return [str(sent["Subject"]) for sent in mail.mails]


def test_rules_and_budgets_are_judged_and_told_of_in_ticks_once(
    daemon: Daemon, database: Database, tenant: UUID, mail: MailReceiver
) -> None:
    make_rule(database, tenant, condition={"time_window": 600})
    send(database, tenant, 100, delivered=50, at=NOW - MINUTE)
    insert(database, [event(tenant, "message.sent", NOW - 3 * HOUR, cost=Decimal("9.5"))])
    for _ in range(4):
        daemon.tick_all()
        daemon.now += MINUTE
    assert sorted(subject.split("]")[1][:24] for subject in subjects(mail)) == [
        " Budget 90% reached: $9.",
        " low delivery: delivery ",
    ]
    # A backfill, a re-run and a refresh send nothing again.
    assert daemon.run("hourly_rollups_job", partition_key=f"{NOW - 3 * HOUR:%Y-%m-%d-%H:00}").success
    assert daemon.run("stale_windows_job").success
    daemon.tick_all()
    assert len(mail.mails) == 2


def test_the_rule_of_two_sigmas_is_noted_beside_the_seasonal_model_and_told_where_asked_for(
    daemon: Daemon, database: Database, tenant: UUID, mail: MailReceiver
) -> None:
    hour = NOW.replace(minute=0, second=0)
    for n in range(1, 40):
        send(database, tenant, 100, delivered=96 + n % 3, at=hour - n * HOUR)
    assert daemon.run("stale_windows_job").success
    send(database, tenant, 100, delivered=60, at=hour + 10 * MINUTE)
    daemon.tick_all()
    daemon.tick_all()
    ((kind, message),) = rows(
        database, "select alert_type, message from iris.system_alerts where alert_type <> 'budget_threshold'"
    )
    assert (kind, message) == (
        "delivery_rate_anomaly",
        "Delivery rate anomaly detected for sms: 60.00% (expected 97.00%)",
    )
    assert mail.mails == []

    with database.transaction() as connection:
        connection.execute("update iris.system_alerts set status = 'resolved'")
        connection.execute("insert into iris.tenant_settings values (%s, 'anomaly_alerts', 'both')", (tenant,))
    daemon.now += MINUTE
    daemon.tick_all()
    assert subjects(mail) == ["[WARNING] Delivery rate anomaly detected for sms: 60.00% (expected 97.00%)"]


def test_a_failed_run_is_one_alert_and_one_mail_to_the_operator(
    daemon: Daemon, database: Database, tenant: UUID, mail: MailReceiver
) -> None:
    send(database, tenant, 1, delivered=1, at=NOW - 2 * HOUR)
    with database.transaction() as connection:
        connection.execute("create schema if not exists analytics")
        connection.execute("create view analytics.analytics_hourly as select 1 as wrong")
    result = daemon.run("stale_windows_job")
    assert not result.success
    for _ in range(3):
        context = dg.build_run_status_sensor_context(
            sensor_name="run_failure_sensor",
            dagster_event=result.get_run_failure_event(),
            dagster_instance=daemon.instance,
            dagster_run=result.dagster_run,
            resources=daemon.resources,
        ).for_run_failure()
        daemon.definitions.resolve_sensor_def("run_failure_sensor")(context)
        daemon.tick("notification_sensor")
    assert [sent["To"] for sent in mail.mails] == ["operator@example.org"]
    assert "stale_windows_job failed" in subjects(mail)[0]
    with database.transaction() as connection:
        connection.execute("drop view analytics.analytics_hourly")


def test_baselines_are_partitions_with_a_check(daemon: Daemon, database: Database, tenant: UUID) -> None:
    day = datetime(2026, 11, 19, tzinfo=NOW.tzinfo)
    messages = []
    for n in range(600):
        at = day + n * timedelta(minutes=2)
        messages += [
            event(tenant, "message.sent", at, message=UUID(int=n)),
            event(tenant, "message.delivered", at + MINUTE, message=UUID(int=n)),
        ]
    insert(database, messages)
    result = daemon.run("delivery_baselines_job", partition_key="2026-11-19")
    assert result.success
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.passed
    assert evaluation.metadata["day"].value == "2026-11-19"
    assert rows(database, "select day, channel, sent from iris.delivery_baselines") == [(day.date(), "sms", 600)]


def test_ticks_without_anything_to_do_say_so(daemon: Daemon) -> None:
    assert daemon.tick("alert_rules_sensor").startswith("0 rules, 0 firing")
    assert daemon.tick("notification_sensor") == "nothing to send"
