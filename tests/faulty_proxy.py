"""A proxy before a store's stand-in that refuses or breaks off requests of a test's choice."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_END_TO_END = {"connection", "transfer-encoding", "content-length", "date", "server"}


@dataclass
class Fault:
    """What happens to requests that it is about: an error of S3, or, without one, the connection is cut."""

    method: str
    part: int | None = None
    """Only uploads of this part of a multipart upload."""
    is_copy: bool = False
    status: int | None = None
    code: str = ""
    times: int | None = None
    """So often; None for ever."""
    hits: int = 0

    def strikes(self, method: str, query: dict[str, list[str]], headers: Any) -> bool:
        """Whether it is this request's turn."""
        found = (
            method == self.method
            and (self.part is None or query.get("partNumber") == [str(self.part)])
            and (not self.is_copy or "x-amz-copy-source" in headers)
            and (self.times is None or self.hits < self.times)
        )
        self.hits += found
        return found


@dataclass
class FaultyProxy:
    """Passes requests on, as long as there is no fault."""

    url: str = ""
    faults: list[Fault] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - it is called so
        """Quiet."""

    def _pass_on(self) -> None:
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        for fault in self.server.proxy.faults:
            if fault.strikes(self.command, query, self.headers):
                self._fail(fault)
                return
        body = self._body()
        connection = http.client.HTTPConnection(self.server.behind, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"transfer-encoding", "content-length", "expect"}:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _END_TO_END:
                self.send_header(name, value)
        # What HEAD says of a size is not the size of its own answer.
        size = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", size or "0")
        self.end_headers()
        self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _fail(self, fault: Fault) -> None:
        self.close_connection = True
        if fault.status is None:
            # In the middle of the body.
            self.rfile.read(1 << 16)
            return
        self._body()
        content = f"<Error><Code>{fault.code}</Code><Message>as the test wants</Message></Error>".encode()
        self.send_response(fault.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, behind: str, proxy: FaultyProxy) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.proxy = proxy


@contextmanager
def faulty_proxy(behind: str) -> Iterator[FaultyProxy]:
    """A proxy before this URL."""
    proxy = FaultyProxy()
    server = _Server(urlsplit(behind).netloc, proxy)
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
