"""Mails with a report attached: one a recipient, with a way out, sent by SMTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Protocol
from urllib.parse import quote

from iris_pipelines.mail import InvalidMailServer, MailServer
from iris_pipelines.reporting.renderers.safe_text import readable

_SECONDS = 30
# Beyond it, most mail servers refuse; base64 makes a third more of it.
LARGEST_ATTACHMENT = 15 * 1024 * 1024


class Mailer(Protocol):
    """Whatever sends mails."""

    @property
    def sender(self) -> str:
        """Who the mails are from."""

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Hand a mail over; raises MailRefused or MailDelayed."""


@dataclass(frozen=True)
class SmtpMailer:
    """Mails from one address by one SMTP server, as `MailServer` reads its URL."""

    url: str
    sender: str

    def __post_init__(self) -> None:
        MailServer.of(self.url)
        if "@" not in parseaddr(self.sender)[1]:
            raise InvalidMailServer("IRIS_MAIL_FROM must be an address such as reports@example.com")

    def send(self, message: EmailMessage, recipient: str) -> None:
        """One connection a mail: reports are few."""
        MailServer.of(self.url).send(message, recipient, sender=self.sender, seconds=_SECONDS)


def mailer_from(url: str | None, sender: str) -> SmtpMailer | None:
    """The mailer of the settings; None where no server is set."""
    return None if url is None else SmtpMailer(url, sender)


@dataclass(frozen=True)
class ReportMail:
    """What a mail says."""

    message_id: str
    recipient: str
    tenant: str
    report: str
    description: str
    period: str
    notes: Sequence[str]
    file_name: str
    media_type: str
    content: bytes
    token: str


def compose(mail: ReportMail, sender: str, *, now: datetime, public_url: str | None) -> EmailMessage:
    """The mail; headers refuse line breaks by themselves, and the texts in them have none."""
    message = EmailMessage(policy=SMTP)
    name, address = parseaddr(sender)
    user, _, domain = address.rpartition("@")
    message["From"] = Address(name or "IRIS reports", user, domain)
    message["To"] = mail.recipient
    message["Subject"] = readable(f"{mail.report}: {mail.period}")
    message["Date"] = format_datetime(now)
    # The same at every attempt: should one be sent twice, a mail client shows it once.
    message["Message-ID"] = f"<{mail.message_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    links = [f"<mailto:{address}?subject={quote(f'unsubscribe {mail.token}')}>"]
    if public_url is not None:
        links.insert(0, f"<{unsubscribe_link(public_url, mail.token)}>")
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message["List-Unsubscribe"] = ", ".join(links)
    is_attached = len(mail.content) <= LARGEST_ATTACHMENT
    message.set_content(_text(mail, address, is_attached=is_attached, public_url=public_url))
    if is_attached:
        kind, _, subkind = mail.media_type.partition("/")
        message.add_attachment(mail.content, maintype=kind, subtype=subkind, filename=mail.file_name)
    return message


def unsubscribe_link(public_url: str, token: str) -> str:
    """Where a recipient leaves a report: the HTTP service answers there."""
    return f"{public_url.rstrip('/')}/reports/unsubscribe/{token}"


def _text(mail: ReportMail, address: str, *, is_attached: bool, public_url: str | None) -> str:
    where = (
        f"It is attached as {mail.file_name}."
        if is_attached
        else f"Its file, {mail.file_name}, is too large for a mail ({len(mail.content) / 2**20:.0f} MiB): "
        "ask your administrator for it (`iris report file`)."
    )
    leave = (
        unsubscribe_link(public_url, mail.token) if public_url else f"mail to {address} with `unsubscribe {mail.token}`"
    )
    parts = [
        f"{readable(mail.report)} of {readable(mail.tenant)}, {mail.period}.",
        readable(mail.description),
        where,
        *(f"Note: {note}" for note in mail.notes),
        f"You get this report because somebody at {readable(mail.tenant)} put you on its list.\nTo leave it: {leave}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
