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

from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from iris_pipelines.db.database import Database
from iris_pipelines.db.embedded import DATABASE, database_url
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.settings import Settings

if TYPE_CHECKING:
    from iris_pipelines.alerting.senders.directory import Channels
    from iris_pipelines.alerting.senders.outcomes import Sender
    from iris_pipelines.domain.alerts.rules import ActionType


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
        "history_start": settings.history_start,
        "notifications": NotificationsResource(settings),
    }
