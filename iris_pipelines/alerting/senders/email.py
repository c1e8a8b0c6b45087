"""Email by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from iris_pipelines.alerting.senders.outcomes import Dead, Delivered, Message, Outcome, Retry, shown
from iris_pipelines.domain.errors import IrisError

_SECONDS = 10.0
# Longer lines than mail programs like, but allowed: a subject that is folded at its first word begins with a space.
_UNFOLDED = SMTP.clone(max_line_length=250)
_LONGEST_SUBJECT = 200


class InvalidMailServer(IrisError):
    """An SMTP URL that cannot be used."""


@dataclass(frozen=True)
class MailServer:
    """Where mail goes: plain, with STARTTLS, or with TLS from the first byte."""

    host: str
    port: int
    security: str
    """`none`, `starttls` or `tls`."""
    user: str | None = None
    password: str | None = None

    @classmethod
    def of(cls, url: str) -> MailServer:
        """`smtp://` (STARTTLS when the server has it), `smtp+starttls://` (or nothing), `smtps://`."""
        parts = urlsplit(url)
        security = {"smtp": "none", "smtp+starttls": "starttls", "smtps": "tls"}.get(parts.scheme)
        if security is None or not parts.hostname:
            raise InvalidMailServer("expected smtp://, smtp+starttls:// or smtps://user:password@host:port")
        port = parts.port or {"none": 25, "starttls": 587, "tls": 465}[security]
        user = None if parts.username is None else unquote(parts.username)
        return cls(parts.hostname, port, security, user, None if parts.password is None else unquote(parts.password))


class EmailSender:
    """One mail for one recipient, in plain text and HTML, with the same Message-ID at every attempt."""

    def __init__(self, server: MailServer | None, *, sender: str) -> None:
        self._server = server
        self._sender = sender

    def send(self, message: Message) -> Outcome:
        """Hand it to the server once."""
        if self._server is None:
            return Dead("IRIS_SMTP_URL is not set: there is no server to send mail by")
        mail = self.mail(message)
        try:
            with _connected(self._server) as smtp:
                smtp.send_message(mail)
        except smtplib.SMTPRecipientsRefused as error:
            ((code, text),) = error.recipients.values()
            return _refused(code, text)
        except smtplib.SMTPAuthenticationError as error:
            # Somebody will correct the password: nothing is lost until then.
            return Retry(f"SMTP {error.smtp_code}: {_text(error.smtp_error)}")
        except smtplib.SMTPResponseException as error:
            return _refused(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            return Retry(f"{type(error).__name__}: {shown(str(error))}")
        return Delivered(mail["Message-ID"])

    def mail(self, message: Message) -> EmailMessage:
        """The mail itself."""
        notification = message.notification
        mail = EmailMessage(policy=_UNFOLDED)
        mail["From"] = self._sender
        mail["To"] = message.recipient
        mail["Subject"] = " ".join(notification.subject.split())[:_LONGEST_SUBJECT]
        mail["Date"] = format_datetime(notification.at)
        domain = self._sender.rpartition("@")[2].rstrip("> ") or "localhost"
        mail["Message-ID"] = f"<{message.id}@{domain}>"
        # Mail clients show all of an incident as one conversation.
        mail["References"] = f"<{notification.alert_id}@{domain}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(notification.text())
        mail.add_alternative(notification.html(), subtype="html")
        return mail


def _connected(server: MailServer) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if server.security == "tls":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=_SECONDS, context=context)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=_SECONDS)
    try:
        smtp.ehlo_or_helo_if_needed()
        if server.security == "starttls" or (server.security == "none" and smtp.has_extn("starttls")):
            smtp.starttls(context=context)
        if server.user is not None:
            smtp.login(server.user, server.password or "")
    except BaseException:
        smtp.close()
        raise
    return smtp


def _refused(code: int, text: bytes | str) -> Outcome:
    """4xx is for now, 5xx is for ever."""
    reason = f"SMTP {code}: {_text(text)}"
    return Dead(reason) if code >= 500 else Retry(reason)


def _text(answer: bytes | str) -> str:
    return shown(answer.decode(errors="replace") if isinstance(answer, bytes) else answer)
