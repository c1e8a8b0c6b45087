"""Handing mails to an SMTP server: refused for ever, delayed, or taken."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

from iris_pipelines.domain.errors import IrisError

_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}


class InvalidMailServer(IrisError):
    """A mail server or sender that cannot be used."""


class MailRefused(Exception):
    """The server will never take this mail."""


class MailDelayed(Exception):
    """The server did not take this mail now."""


@dataclass(frozen=True)
class MailServer:
    """`smtp://user:password@host:port` (TLS if offered), `smtp+starttls://` (or nothing), `smtps://`."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = None

    @classmethod
    def of(cls, url: str) -> MailServer:
        """The server of a URL; raises InvalidMailServer."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise InvalidMailServer("expected smtp://, smtp+starttls:// or smtps://user:password@host:port")
        user, password = (None if each is None else unquote(each) for each in (parts.username, parts.password))
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], user, password)

    def send(self, mail: EmailMessage, recipient: str, *, sender: str, seconds: float) -> None:
        """Hand a mail over by a connection of its own; raises MailRefused or MailDelayed with the server's words."""
        try:
            with self._connected(seconds) as server:
                server.send_message(mail, from_addr=parseaddr(sender)[1], to_addrs=[recipient])
        except smtplib.SMTPRecipientsRefused as error:
            raise _refusal(*error.recipients[recipient]) from error
        except smtplib.SMTPAuthenticationError as error:
            # Somebody will correct the password: nothing is lost until then.
            raise MailDelayed(_words(error.smtp_code, error.smtp_error)) from error
        except smtplib.SMTPResponseException as error:
            raise _refusal(error.smtp_code, error.smtp_error) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MailDelayed(f"{type(error).__name__}: {error}") from error

    def _connected(self, seconds: float) -> smtplib.SMTP:
        tls = ssl.create_default_context()
        if self.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=seconds, context=tls)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=seconds)
        try:
            server.ehlo_or_helo_if_needed()
            if self.scheme == "smtp+starttls" or (self.scheme == "smtp" and server.has_extn("starttls")):
                server.starttls(context=tls)
                server.ehlo()
            if self.user is not None:
                server.login(self.user, self.password or "")
        except BaseException:
            server.close()
            raise
        return server


def _refusal(code: int, text: bytes | str) -> Exception:
    """4xx is for now, 5xx is for ever."""
    kind = MailRefused if code >= 500 else MailDelayed
    return kind(_words(code, text))


def _words(code: int, text: bytes | str) -> str:
    return f"SMTP {code}: {text.decode(errors='replace') if isinstance(text, bytes) else text}"
