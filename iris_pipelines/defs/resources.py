"""What assets, checks and sensors are handed by name. Nothing connects before it is used.

They are plain objects, not configuration: their values (a database's password) never show in the UI.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from iris_pipelines.db.database import Database
from iris_pipelines.db.embedded import DATABASE, database_url
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.exports.bigquery import Warehouse
from iris_pipelines.exports.events import Destination
from iris_pipelines.settings import Settings

if TYPE_CHECKING:
    from iris_pipelines.alerting.senders.directory import Channels
    from iris_pipelines.alerting.senders.outcomes import Sender
    from iris_pipelines.domain.alerts.rules import ActionType
    from iris_pipelines.reporting.recurring.mail import SmtpMailer


class DatabaseResource:
    """The database, connected when it is first asked for."""

    def __init__(self, url: Callable[[], str]) -> None:
        self._url = url

    def get(self) -> Database:
        """The database; the same pool at every call."""
        return self._database

    @cached_property
    def _database(self) -> Database:
        return Database(self._url())


@dataclass(frozen=True)
class Clock:
    """The present instant; a test hands in one that stands still."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True)
class LandingZone:
    """Where event files arrive, if anywhere, and the variables that object stores read their credentials from."""

    url: str | None
    environment: Mapping[str, str]


@dataclass(frozen=True)
class MailResource:
    """How mails go out, if at all, and where links in them lead."""

    smtp_url: str | None
    sender: str
    public_url: str | None

    def mailer(self) -> SmtpMailer | None:
        """The mail server; None where none is set."""
        from iris_pipelines.reporting.recurring.mail import mailer_from

        return mailer_from(self.smtp_url, self.sender)


@dataclass(frozen=True)
class Archive:
    """Where archived days go, and how many days of events are kept before, if not for ever."""

    url: str
    retention_days: int | None
    environment: Mapping[str, str]


@dataclass(frozen=True)
class WarehouseResource:
    """The dataset of BigQuery that gets events and marts, if any."""

    warehouse: Warehouse | None

    def get(self) -> Warehouse:
        """The dataset; a run that needs one fails without."""
        if self.warehouse is None:
            raise dg.Failure("IRIS_BIGQUERY_PROJECT is not set: there is no warehouse", allow_retries=False)
        return self.warehouse


def warehouse_of(settings: Settings, environment: Mapping[str, str]) -> Warehouse | None:
    """The dataset of these settings."""
    if settings.bigquery_project is None:
        return None
    return Warehouse(settings.bigquery_project, settings.bigquery_dataset, settings.bigquery_location, environment)


@dataclass(frozen=True)
class NotificationsResource:
    """How people are told of alerts."""

    settings: Settings

    @property
    def link(self) -> str | None:
        """The link in every alert."""
        return self.settings.alert_link

    def senders(self, db: Database, clock: Clock) -> dict[ActionType, Sender]:
        """A sender for each type of action."""
        from iris_pipelines.alerting.senders.directory import senders

        return senders(notification_channels(self.settings), db, clock=clock.now)


def notification_channels(settings: Settings) -> Channels:
    """Servers, accounts and tokens, in the clear for those who send."""
    from iris_pipelines.alerting.senders.directory import Channels

    def clear(secret: SecretStr | None) -> str | None:
        return None if secret is None else secret.get_secret_value()

    return Channels(
        smtp_url=clear(settings.smtp_url),
        mail_from=settings.mail_from,
        slack_url=settings.slack_url,
        slack_token=clear(settings.slack_token),
        pagerduty_url=settings.pagerduty_url,
        twilio_url=settings.twilio_url,
        twilio_account_sid=settings.twilio_account_sid,
        twilio_auth_token=clear(settings.twilio_auth_token),
        twilio_sender=settings.twilio_sender,
        webhook_networks=settings.webhook_networks,
        apprise_targets={name: url.get_secret_value() for name, url in settings.apprise_targets.items()},
    )


def dbt_project(settings: Settings) -> DbtProject:
    """The project's dbt models, for the database of these settings."""
    url = settings.configured_url()
    database = DATABASE if url is None else str(conninfo_to_dict(url)["dbname"])
    return DbtProject(settings.home / "dbt", database=database)


def production_resources(settings: Settings) -> dict[str, object]:
    """Every resource as a server has it."""
    return {
        "database": DatabaseResource(
            lambda: database_url(settings.configured_url(), home=settings.home, bindir=settings.pg_bindir)
        ),
        "dbt": dbt_project(settings),
        "clock": Clock(),
        "landing_zone": LandingZone(settings.landing_url, os.environ),
        "exports": Destination(settings.exports(), os.environ, settings.export_compression),
        "archive": Archive(settings.archive(), settings.retention_days, os.environ),
        "warehouse": WarehouseResource(warehouse_of(settings, os.environ)),
        "run_retention_days": settings.run_retention_days,
        "alert_retention_days": settings.alert_retention_days,
        "history_start": settings.history_start,
        "mail": MailResource(settings.configured_smtp_url(), settings.mail_from, settings.public_url),
        "notifications": NotificationsResource(settings),
    }
