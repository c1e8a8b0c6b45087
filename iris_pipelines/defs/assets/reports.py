"""Recurring reports: an asset for each cadence, which makes and mails whatever of it is due."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from iris_pipelines.defs.resources import Clock, DatabaseResource, MailResource
from iris_pipelines.domain.reports.definition import Format
from iris_pipelines.domain.reports.schedules import Cadence
from iris_pipelines.reporting.recurring.deliveries import Delivery, send_waiting_mails
from iris_pipelines.reporting.recurring.runs import DueReport, Outcome, make_due_reports
from iris_pipelines.reporting.recurring.schedules import plan_occurrences
from iris_pipelines.reporting.renderers.preview import first_page, markdown_image

CHECK = "every_due_report_was_made_and_mailed"
REPORT_KEYS = {cadence: dg.AssetKey(["reports", cadence.value]) for cadence in Cadence}
_SOURCES = [
    dg.AssetKey(["analytics", "analytics_hourly"]),
    dg.AssetKey(["analytics", "analytics_daily"]),
    dg.AssetKey(["analytics_intermediate", "int_activity_daily"]),
    dg.AssetKey(["analytics_intermediate", "int_delivery_times_daily"]),
    dg.AssetKey(["analytics_intermediate", "int_api_requests_daily"]),
]
_PREVIEWS = 3


def report_assets() -> list[dg.AssetsDefinition]:
    """One asset a cadence."""
    return [_report_asset(cadence) for cadence in Cadence]


def _report_asset(cadence: Cadence) -> dg.AssetsDefinition:
    def due_reports(
        context: dg.AssetExecutionContext,
        database: dg.ResourceParam[DatabaseResource],
        mail: dg.ResourceParam[MailResource],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[dg.MaterializeResult[None]]:
        db, now = database.get(), clock.now()
        plan_occurrences(db, now=now)
        reports = list(make_due_reports(db, now=now, cadences=[cadence]))
        mailer = mail.mailer()
        mails: list[Delivery] = []
        if mailer is not None:
            waiting = send_waiting_mails(db, mailer, now=now, public_url=mail.public_url, cadences=[cadence])
            mails = list(waiting)
        for report in reports:
            context.log.info(f"{report.report.name} of {report.day}: {report.outcome} {report.reason}")
        yield dg.MaterializeResult(metadata=_metadata(reports, mails), check_results=[_check(cadence, reports, mails)])

    return dg.asset(
        key=REPORT_KEYS[cadence],
        deps=_SOURCES,
        group_name="reports",
        owners=["team:data"],
        kinds={"python", "postgres"},
        check_specs=[dg.AssetCheckSpec(CHECK, asset=REPORT_KEYS[cadence])],
        description=f"The {cadence} reports that are due: each period once and in order, made when its partitions are "
        "complete, with its file, and mailed to its recipients.",
    )(due_reports)


def _check(cadence: Cadence, reports: Sequence[DueReport], mails: Sequence[Delivery]) -> dg.AssetCheckResult:
    failed = [each for each in reports if each.outcome is Outcome.FAILED]
    unsent = [each for each in mails if each.status in ("waiting", "failed")]
    return dg.AssetCheckResult(
        asset_key=REPORT_KEYS[cadence],
        check_name=CHECK,
        passed=not failed and not unsent,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "failed": [f"{each.report.name} of {each.day}: {each.reason}" for each in failed],
            "not_mailed": [f"run {each.run_id}: {each.error}" for each in unsent],
        },
    )


def _metadata(reports: Sequence[DueReport], mails: Sequence[Delivery]) -> dict[str, Any]:
    made = [each for each in reports if each.made is not None]
    states = {
        outcome: sum(each.outcome is outcome for each in reports) for outcome in (Outcome.WAITING, Outcome.FAILED)
    }
    return {
        "made": len(made),
        **{str(outcome): number for outcome, number in states.items()},
        "mailed": sum(each.status == "sent" for each in mails),
        "mails_to_try_again": sum(each.status == "waiting" for each in mails),
        "dagster/row_count": sum(each.made.rows for each in made if each.made is not None),
        **({"reports": dg.MetadataValue.md(_table(reports))} if reports else {}),
        **{f"preview_{number}": dg.MetadataValue.md(_preview(each)) for number, each in enumerate(made[:_PREVIEWS], 1)},
    }


def _table(reports: Sequence[DueReport]) -> str:
    head = ["| report | of | outcome | rows | file (SHA-256) |", "| --- | --- | --- | ---: | --- |"]
    rows = [
        f"| {_plain(each.report.name)} | {each.day} | {each.outcome} {_plain(each.reason)} "
        f"| {'' if each.made is None else each.made.rows} | {'' if each.made is None else each.made.sha256[:12]} |"
        for each in reports
    ]
    return "\n".join([*head, *rows])


def _preview(report: DueReport) -> str:
    """The second page of a PDF, where its figures are; the beginning of what is text."""
    title = f"**{_plain(report.report.name)}**, {report.day}\n\n"
    if report.report.definition.format is Format.PDF:
        return title + markdown_image(first_page(report.content, page=1), "figures")
    if report.report.definition.format is Format.XLSX:
        return f"{title}XLSX, {len(report.content):,} bytes"
    lines = report.content[:4000].decode("utf-8", "ignore").splitlines()[:12]
    return title + "\n".join(f"    {line}" for line in lines)


def _plain(text: str) -> str:
    return "".join(" " if letter in "|<>[]`*\\" else letter for letter in text)
