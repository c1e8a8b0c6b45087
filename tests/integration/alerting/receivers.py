"""Receivers on loopback: an SMTP server, and HTTP servers shaped like Slack, PagerDuty, Twilio and webhooks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message as Mail
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

Answer = tuple[int, Any] | None
"""A status and a body, or None for no answer at all."""


@dataclass(frozen=True)
class Request:
    """What a receiver was sent."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass
class HttpReceiver:
    """An HTTP server that keeps what it got and answers as its script says."""

    url: str
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    answer: Callable[[Request], Answer] = lambda _: (200, {})
    headers: dict[str, str] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)
    """Until it is set, requests without an answer hang."""


@contextmanager
def http_receiver(answer: Callable[[Request], Answer] | None = None) -> Iterator[HttpReceiver]:
    receiver = HttpReceiver("")
    if answer is not None:
        receiver.answer = answer

    class Handler(BaseHTTPRequestHandler):
        def setup(self) -> None:
            receiver.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            request = Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.requests.append(request)
            found = receiver.answer(request)
            if found is None:
                receiver.released.wait(60)
                self.close_connection = True
                return
            status, content = found
            payload = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def failing(times: int, *, status: int = 500, then: Answer = (200, {})) -> Callable[[Request], Answer]:
    """An answer that is an error so many times."""
    left = [times]

    def answer(_: Request) -> Answer:
        left[0] -= 1
        return (status, "no") if left[0] >= 0 else then

    return answer


@dataclass
class MailReceiver:
    """An SMTP server that keeps what it got; `refusals` are answered first."""

    url: str = ""
    mails: list[Mail] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refusals:
            return self.refusals.pop(0)
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"


@contextmanager
def mail_receiver() -> Iterator[MailReceiver]:
    receiver = MailReceiver()
    controller = Controller(receiver, hostname="127.0.0.1", port=0)
    _start_on_a_free_port(controller)
    receiver.url = f"smtp://127.0.0.1:{controller.port}"
    try:
        yield receiver
    finally:
        controller.stop()


def _start_on_a_free_port(controller: Controller) -> None:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
    controller.start()


@dataclass
class FakeClock:
    """A clock that moves when it is told to; senders' budgets run on it too."""

    now: Any

    def __call__(self) -> Any:
        return self.now


def wait_for(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError(f"not seen: {what}")
        time.sleep(0.01)
