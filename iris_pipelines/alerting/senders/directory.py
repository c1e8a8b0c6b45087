"""Every way to tell somebody, as a deployment has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from iris_pipelines.alerting.senders.addresses import AddressGuard, IpNetwork
from iris_pipelines.alerting.senders.apprise_targets import AppriseSender
from iris_pipelines.alerting.senders.email import EmailSender
from iris_pipelines.alerting.senders.outcomes import Sender
from iris_pipelines.alerting.senders.pagerduty import PagerDutySender
from iris_pipelines.alerting.senders.slack import SlackSender
from iris_pipelines.alerting.senders.twilio import TwilioSender
from iris_pipelines.alerting.senders.webhook import WebhookSender
from iris_pipelines.alerting.tenant_settings import webhook_secret
from iris_pipelines.db.database import Database
from iris_pipelines.domain.alerts.rules import ActionType
from iris_pipelines.mail import MailServer


@dataclass(frozen=True)
class Channels:
    """Servers, accounts and tokens; secrets do not show when it is printed."""

    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str = "IRIS Pipelines <iris@localhost>"
    slack_url: str = "https://slack.com/api"
    slack_token: str | None = field(default=None, repr=False)
    pagerduty_url: str = "https://events.pagerduty.com"
    twilio_url: str = "https://api.twilio.com"
    twilio_account_sid: str | None = None
    twilio_auth_token: str | None = field(default=None, repr=False)
    twilio_sender: str | None = None
    webhook_networks: tuple[IpNetwork, ...] = ()
    apprise_targets: Mapping[str, str] = field(default_factory=dict, repr=False)


def senders(channels: Channels, db: Database, *, clock: Callable[[], datetime]) -> dict[ActionType, Sender]:
    """A sender for each type of action."""
    guard = AddressGuard(channels.webhook_networks)
    server = None if channels.smtp_url is None else MailServer.of(channels.smtp_url)
    return {
        ActionType.EMAIL: EmailSender(server, sender=channels.mail_from),
        ActionType.SMS: TwilioSender(
            url=channels.twilio_url,
            account_sid=channels.twilio_account_sid,
            auth_token=channels.twilio_auth_token,
            sender=channels.twilio_sender,
        ),
        ActionType.SLACK: SlackSender(guard, url=channels.slack_url, token=channels.slack_token),
        ActionType.PAGERDUTY: PagerDutySender(url=channels.pagerduty_url),
        ActionType.WEBHOOK: WebhookSender(guard, lambda tenant_id: webhook_secret(db, tenant_id), clock),
        ActionType.APPRISE: AppriseSender(channels.apprise_targets),
    }
