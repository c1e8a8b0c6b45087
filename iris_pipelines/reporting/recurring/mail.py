"""Mails with a report attached: one a recipient, with a way out, sent by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from iris_pipelines.domain.errors import IrisError
from iris_pipelines.reporting.renderers.safe_text import readable

_SECONDS = 30
_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
# Beyond it, most mail servers refuse; base64 makes a third more of it.
LARGEST_ATTACHMENT = 15 * 1024 * 1024


class InvalidMailServer(IrisError):
    """A mail server or sender that cannot be used."""


class MailRefused(Exception):
    """The server will never take this mail."""


class MailDelayed(Exception):
    """The server did not take this mail now."""


class Mailer(Protocol):
    """Whatever sends mails."""

    @property
    def sender(self) -> str:
        """Who the mails are from."""

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Hand a mail over; raises MailRefused or MailDelayed."""


@dataclass(frozen=True)
class SmtpMailer:
    """An SMTP server: `smtp://user:password@host:port` (TLS if offered), `smtp+starttls://` (or nothing), `smtps://`."""

    url: str
    sender: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise InvalidMailServer("expected smtp://, smtp+starttls:// or smtps://user:password@host:port")
        if "@" not in parseaddr(self.sender)[1]:
            raise InvalidMailServer("IRIS_MAIL_FROM must be an address such as reports@example.com")

    def send(self, message: EmailMessage, recipient: str) -> None:
        """One connection a mail: reports are few."""
        try:
            with self._connected() as server:
                server.send_message(message, from_addr=parseaddr(self.sender)[1], to_addrs=[recipient])
        except smtplib.SMTPRecipientsRefused as error:
            code, words = error.recipients[recipient]
            raise _refusal(code, words) from error
        except smtplib.SMTPAuthenticationError as error:
            # Somebody will correct the password: nothing is lost until then.
            raise MailDelayed(f"{error.smtp_code} the server refuses the user or the password") from error
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailDelayed(f"{type(error).__name__}: {error}") from error

    def _connected(self) -> smtplib.SMTP:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        tls = ssl.create_default_context()
        if parts.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=_SECONDS, context=tls)
        else:
            server = smtplib.SMTP(host, port, timeout=_SECONDS)
        try:
            server.ehlo_or_helo_if_needed()
            if parts.scheme == "smtp+starttls" or (parts.scheme == "smtp" and server.has_extn("starttls")):
                server.starttls(context=tls)
                server.ehlo()
            if parts.username is not None:
                server.login(unquote(parts.username), unquote(parts.password or ""))
        except BaseException:
            server.close()
            raise
        return server


def mailer_from(url: str | None, sender: str) -> SmtpMailer | None:
    """The mailer of the settings; None where no server is set."""
    return None if url is None else SmtpMailer(url, sender)


def _refusal(code: int, words: bytes | str) -> Exception:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    kind = MailRefused if 500 <= code < 600 else MailDelayed
    return kind(f"{code} {readable(text)}")


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
