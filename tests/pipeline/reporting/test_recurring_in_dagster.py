"""Recurring reports in Dagster: the sensor asks once, the run makes what is due and shows it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import dagster as dg

from iris_pipelines.defs import build_defs
from iris_pipelines.defs.resources import Clock, DatabaseResource, MailResource
from iris_pipelines.defs.sensors.due_reports import due_reports_sensor
from iris_pipelines.domain.reports.schedules import Cadence, Schedule
from iris_pipelines.domain.reports.templates import TEMPLATES
from iris_pipelines.reporting.history import report_history
from iris_pipelines.reporting.recurring.schedules import schedule_report
from iris_pipelines.settings import Settings
from tests.integration.reporting.conftest import Inbox, inbox
from tests.pipeline.conftest import Pipeline
from tests.pipeline.reporting.traffic import TENANT, make_tenants

__all__ = ["inbox"]
DAY = timedelta(days=1)
BEGIN = datetime(2026, 4, 5, 12, tzinfo=UTC)
NOW = datetime(2026, 4, 7, 9, 40, tzinfo=UTC)  # a Tuesday


def test_due_reports_are_asked_for_once_made_in_one_run_and_shown(pipeline: Pipeline, inbox: Inbox) -> None:
    database = pipeline.database
    make_tenants(database)
    for cadence, facts in [(Cadence.DAILY, {}), (Cadence.WEEKLY, {"weekday": 0}), (Cadence.MONTHLY, {"month_day": 20})]:
        schedule = Schedule(cadence, time(8), **facts)
        schedule_report(database, TENANT, TEMPLATES["weekly-summary"], schedule, ["a@example.com"], now=BEGIN)
    resources = {
        "database": DatabaseResource(lambda: database.url),
        "dbt": pipeline.dbt,
        "clock": Clock(lambda: NOW),
        "mail": MailResource(inbox.url, "reports@acme.example", None),
    }
    with dg.DagsterInstance.ephemeral() as instance:

        def tick() -> object:
            context = dg.build_sensor_context(instance=instance, resources=resources)
            return due_reports_sensor(context)

        asked = tick()
        assert isinstance(asked, dg.RunRequest)
        assert asked.asset_selection == [dg.AssetKey(["reports", "daily"]), dg.AssetKey(["reports", "weekly"])]
        job = build_defs(Settings(), resources).resolve_job_def("due_reports_job")
        result = job.execute_in_process(instance=instance, asset_selection=asked.asset_selection)
        made = {
            event.asset_key: event.step_materialization_data.materialization.metadata
            for event in result.get_asset_materialization_events()
            if event.asset_key is not None
        }
        assert made.keys() == set(asked.asset_selection)
        daily = made[dg.AssetKey(["reports", "daily"])]
        assert [daily[name].value for name in ("made", "waiting", "failed", "mailed")] == [2, 0, 0, 2]
        assert "data:image/png;base64," in str(daily["preview_1"].value)
        assert all(check.passed for check in result.get_asset_check_evaluations())
        skipped = tick()
        assert isinstance(skipped, dg.SkipReason)
        assert skipped.skip_message == "no report is due"
    days = [run.occurrence_date.day for run in report_history(database, TENANT) if run.occurrence_date]
    assert sorted(days) == [6, 6, 7]
    assert len(inbox.mails) == 3


def test_a_mail_that_cannot_be_sent_shows_in_the_check_and_is_asked_for_again(pipeline: Pipeline) -> None:
    database = pipeline.database
    make_tenants(database)
    every_day = Schedule(Cadence.DAILY, time(8))
    schedule_report(database, TENANT, TEMPLATES["cost-by-campaign"], every_day, ["a@example.com"], now=NOW - DAY)
    resources = {
        "database": DatabaseResource(lambda: database.url),
        "dbt": pipeline.dbt,
        "clock": Clock(lambda: NOW),
        "mail": MailResource("smtp://127.0.0.1:1", "reports@acme.example", None),
    }
    job = build_defs(Settings(), resources).resolve_job_def("due_reports_job")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey(["reports", "daily"])])
        (check,) = result.get_asset_check_evaluations()
        assert not check.passed
        assert "ConnectionRefusedError" in str(check.metadata["not_mailed"].value)
        later = {**resources, "clock": Clock(lambda: NOW + timedelta(minutes=2))}
        asked = due_reports_sensor(dg.build_sensor_context(instance=instance, resources=later))
        assert isinstance(asked, dg.RunRequest)
