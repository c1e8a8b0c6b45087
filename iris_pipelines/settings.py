"""Every environment variable that IRIS reads. Only the command line and `definitions.py` build it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from iris_pipelines.domain.alerts.rules import Action


class Settings(BaseSettings):
    """What a deployment decides; docs/operations.md lists the same names and a test compares."""

    model_config = SettingsConfigDict(env_prefix="IRIS_", frozen=True, env_ignore_empty=True)

    home: Path = Field(default=Path(".iris"), description="Where the embedded server and Dagster keep their state.")
    database_url: SecretStr | None = Field(
        default=None,
        description="A PostgreSQL 15+ server to use; unset starts the embedded one under IRIS_HOME.",
    )
    pg_bindir: Path | None = Field(
        default=None, description="Where to find initdb and postgres for the embedded server; unset searches."
    )
    history_start: date = Field(
        default=date(2020, 1, 1),
        description="Events before this UTC day are rejected; also the first partition.",
    )
    landing_url: str | None = Field(
        default=None,
        description="A folder or s3://, gs://, az:// prefix that is watched for event files; unset watches nothing.",
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="The server that sends mail: smtp://, smtp+starttls:// or smtps://user:password@host:port.",
    )
    mail_from: str = Field(default="IRIS Pipelines <iris@localhost>", description="Who mail comes from.")
    public_url: str | None = Field(
        default=None, description="Where the HTTP service is reached from outside: links in mails lead there."
    )
    export_url: str | None = Field(
        default=None,
        description="A folder or s3://, gs://, az:// prefix for daily exports; unset means exports under IRIS_HOME.",
    )
    export_compression: Literal["none", "gz", "zst"] = Field(
        default="none", description="How NDJSON exports are packed; the name of the file says it too."
    )
    bigquery_project: str | None = Field(
        default=None, description="The Google Cloud project whose BigQuery gets events and marts; unset exports none."
    )
    bigquery_dataset: str = Field(default="iris_analytics", description="The dataset; it is made if it is missing.")
    bigquery_location: str | None = Field(
        default=None, description="Where a new dataset is made, such as EU; unset leaves it to BigQuery."
    )
    archive_url: str | None = Field(
        default=None, description="Where archived days go; unset means beside the daily exports."
    )
    retention_days: int | None = Field(
        default=None,
        ge=1,
        description="How many UTC days of events are kept before they are archived; unset keeps them for ever.",
    )
    run_retention_days: int = Field(default=90, ge=1, description="How many days Dagster's finished runs are kept.")
    alert_retention_days: int = Field(
        default=400, ge=1, description="How many days alerts that are over and messages that were delivered are kept."
    )
    ui_host: str = Field(default="127.0.0.1", description="Where the Dagster UI listens; it has no login.")
    ui_port: int = Field(default=3000, ge=1, le=65535, description="The port of the Dagster UI.")
    alert_link: str | None = Field(
        default=None, description="A link in every alert, with {alert_id} and {tenant_id} in it."
    )
    slack_token: SecretStr | None = Field(
        default=None, description="The token of a Slack app that may write to channels; webhooks need none."
    )
    slack_url: str = Field(default="https://slack.com/api", description="Slack's Web API.")
    pagerduty_url: str = Field(default="https://events.pagerduty.com", description="PagerDuty's Events API.")
    twilio_url: str = Field(default="https://api.twilio.com", description="Twilio's API.")
    twilio_account_sid: str | None = Field(default=None, description="The Twilio account that sends SMS alerts.")
    twilio_auth_token: SecretStr | None = Field(default=None, description="Its token.")
    twilio_sender: str | None = Field(default=None, description="The number or sender id of SMS alerts.")
    webhook_networks: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        default=(), description="Private networks that webhooks may reach, such as 10.1.2.0/24,127.0.0.1/32."
    )
    apprise_targets: dict[str, SecretStr] = Field(
        default_factory=dict,
        description='Further targets by name, as JSON of Apprise URLs: {"ops": "msteams://..."}.',
    )

    operator_actions: tuple[Action, ...] = Field(
        default=(),
        description="Whom to tell of failed runs, as JSON of actions such as those of alert rules.",
    )

    @field_validator("home", mode="after")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @field_validator("database_url", mode="after")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("expected postgresql://user:password@host:port/database")
        if url is not None and not urlsplit(url.get_secret_value()).path.strip("/"):
            raise ValueError("names no database: expected postgresql://user:password@host:port/database")
        return url

    @field_validator("webhook_networks", mode="before")
    @classmethod
    def _separated_by_commas(cls, networks: object) -> object:
        return [each.strip() for each in networks.split(",")] if isinstance(networks, str) else networks

    @field_validator("alert_link", mode="after")
    @classmethod
    def _is_a_template(cls, link: str | None) -> str | None:
        try:
            if link is not None:
                link.format(alert_id="", tenant_id="")
        except (KeyError, IndexError, ValueError):
            raise ValueError("may have {alert_id} and {tenant_id} in it, and no other braces") from None
        return link

    @field_validator("slack_url", "pagerduty_url", "twilio_url", mode="after")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if not url.startswith(("https://", "http://")):
            raise ValueError("expected https://host")
        return url.rstrip("/")

    @field_validator("smtp_url", mode="after")
    @classmethod
    def _is_smtp(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            parts = urlsplit(url.get_secret_value())
            if parts.scheme not in ("smtp", "smtp+starttls", "smtps") or not parts.hostname:
                raise ValueError("expected smtp://, smtp+starttls:// or smtps://user:password@host:port")
        return url

    def configured_smtp_url(self) -> str | None:
        """IRIS_SMTP_URL in the clear, if it is set."""
        return None if self.smtp_url is None else self.smtp_url.get_secret_value()

    def exports(self) -> str:
        """Where daily exports go."""
        return self.export_url or str(self.home / "exports")

    def archive(self) -> str:
        """Where archived days go."""
        return self.archive_url or self.exports()

    def configured_url(self) -> str | None:
        """IRIS_DATABASE_URL in the clear, if it is set."""
        return None if self.database_url is None else self.database_url.get_secret_value()
