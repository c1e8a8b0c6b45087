"""Email by SMTP."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from iris_pipelines.alerting.senders.outcomes import Dead, Delivered, Message, Outcome, Retry, shown
from iris_pipelines.mail import MailDelayed, MailRefused, MailServer

_SECONDS = 10.0
# Longer lines than mail programs like, but allowed: a subject that is folded at its first word begins with a space.
_UNFOLDED = SMTP.clone(max_line_length=250)
_LONGEST_SUBJECT = 200


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
            self._server.send(mail, message.recipient, sender=self._sender, seconds=_SECONDS)
        except MailRefused as refusal:
            return Dead(shown(str(refusal)))
        except MailDelayed as delay:
            return Retry(shown(str(delay)))
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
