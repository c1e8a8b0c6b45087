"""Where webhooks may not lead: private, mapped, translated, rebinding and redirecting targets; and that others do."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from iris_pipelines.alerting.senders.addresses import AddressGuard, GuardedTransport, is_public
from iris_pipelines.alerting.senders.outcomes import Dead, Delivered, Outcome, Retry
from iris_pipelines.alerting.senders.webhook import guarded_post

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)

PRIVATE_HOSTS = (
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "0177.0.0.1",
    "2130706433",
    "017700000001",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "0.0.0.0",  # noqa: S104
    "0",
    "0.0.0.1",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.254",
    "169.254.169.254",
    "169.254.0.1",
    "100.64.0.1",
    "100.127.255.254",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "198.18.0.1",
    "198.19.255.254",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:192.168.1.1]",
    "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::10.0.0.1]",
    "[64:ff9b:1:ffff::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::1]",
    "[2002:a9fe:a9fe::]",
    "[2001:0:4136:e378:8000:63bf:80ff:fffe]",  # Teredo: the client's address is inverted 127.0.0.1
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd12:3456:789a::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[100::1]",
    "[3fff::1]",
    "[5f00::1]",
)


@dataclass
class Listener:
    """Counts connections on loopback, and answers each with the same."""

    port: int
    answer: bytes
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def listening(answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = Listener(server.getsockname()[1], answer)
        server.settimeout(0.02)
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                listener.connections += 1
                with connection:
                    connection.settimeout(2)
                    listener.requests.append(connection.recv(65_536))
                    connection.sendall(listener.answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener
        finally:
            done.set()
            thread.join()


def post(url: str, guard: AddressGuard) -> Outcome:
    return guarded_post(guard, url, b"{}", {"content-type": "application/json"})


def test_there_are_more_than_65_kinds_of_forbidden_targets() -> None:
    assert len(set(PRIVATE_HOSTS)) == len(PRIVATE_HOSTS) >= 65


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_a_private_target_is_not_connected_to(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda *arguments, **_: opened.append(arguments))
    outcome = post(f"http://{host}:8080/hook", AddressGuard())
    # Not every resolver knows `localhost.`
    assert isinstance(outcome, Dead) or (host == "localhost." and isinstance(outcome, Retry)), outcome
    assert opened == []


@pytest.mark.parametrize(
    "address", [host.strip("[]") for host in PRIVATE_HOSTS if host[:1] == "[" or host.count(".") == 3]
)
def test_a_name_of_a_private_address_is_not_connected_to(address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return  # other spellings are the resolver's, above
    outcome = post("http://innocent.example/hook", AddressGuard(resolver=lambda *_: [address]))
    assert isinstance(outcome, Dead)
    assert "not on the public internet" in outcome.reason


def test_the_control_a_permitted_target_is_connected_to() -> None:
    with listening() as listener:
        assert post(f"http://127.0.0.1:{listener.port}/hook", AddressGuard(LOOPBACK)) == Delivered("HTTP 200")
        assert post(f"http://localhost:{listener.port}/hook", AddressGuard(LOOPBACK, resolver=lambda *_: ["127.0.0.1"]))
        assert listener.connections == 2
        assert isinstance(post(f"http://127.0.0.1:{listener.port}/hook", AddressGuard()), Dead)
        assert listener.connections == 2


def test_one_private_address_among_public_ones_forbids_all() -> None:
    outcome = post("http://mixed.example/", AddressGuard(resolver=lambda *_: ["93.184.216.34", "10.0.0.1"]))
    assert isinstance(outcome, Dead)


def test_a_rebinding_name_is_resolved_once_and_connected_to_as_it_was_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]])
    asked: list[str] = []
    opened: list[str] = []

    def resolver(host: str, _: int) -> list[str]:
        asked.append(host)
        return next(answers)

    def create_connection(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        opened.append(address[0])
        raise ConnectionRefusedError("a test reaches no public address")

    monkeypatch.setattr(socket, "create_connection", create_connection)
    outcome = post("http://rebinding.example/hook", AddressGuard(resolver=resolver))
    assert isinstance(outcome, Retry)
    assert (asked, opened) == (["rebinding.example"], ["93.184.216.34"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_a_private_address_is_not_followed(status: int) -> None:
    with listening() as private:
        redirect = f"HTTP/1.1 {status} Away\r\nlocation: http://127.0.0.1:{private.port}/\r\ncontent-length: 0\r\n\r\n"
        with listening(redirect.encode()) as public:
            outcome = post(f"http://127.0.0.1:{public.port}/hook", AddressGuard(LOOPBACK))
            assert outcome == Dead(f"HTTP {status}: redirects are not followed")
            assert (public.connections, private.connections) == (1, 0)


def test_the_name_in_the_url_is_asked_for_at_the_address_that_was_judged() -> None:
    with listening() as listener:
        guard = AddressGuard(LOOPBACK, resolver=lambda *_: ["127.0.0.1"])
        assert post(f"http://hooks.example:{listener.port}/x", guard) == Delivered("HTTP 200")
        assert f"host: hooks.example:{listener.port}".encode() in listener.requests[0].lower()


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as proxy, listening() as target:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        assert post(f"http://127.0.0.1:{target.port}/", AddressGuard(LOOPBACK)) == Delivered("HTTP 200")
        assert (proxy.connections, target.connections) == (0, 1)


@pytest.mark.parametrize(
    ("url", "resolver"),
    [
        ("http://nowhere.example/", lambda *_: (_ for _ in ()).throw(socket.gaierror(-2, "Name or service not known"))),
        ("http://empty.example/", lambda *_: []),
    ],
)
def test_a_name_that_does_not_resolve_is_tried_again(url: str, resolver: Callable[[str, int], list[str]]) -> None:
    assert isinstance(post(url, AddressGuard(resolver=resolver)), Retry)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "http://", "http://[::1", "gopher://x/"])
def test_what_is_no_web_address_is_refused_for_good(url: str) -> None:
    assert isinstance(post(url, AddressGuard(LOOPBACK)), Dead)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public_addresses_are_public_in_every_form(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_an_answer_that_drips_for_ever_ends_at_a_deadline() -> None:
    done = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not done.wait(0.05):
                try:
                    connection.sendall(b"x-more: 1\r\n")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip, args=(server,))
        thread.start()
        try:
            with (
                httpx.Client(transport=GuardedTransport(AddressGuard(LOOPBACK), seconds=0.3), timeout=30) as client,
                pytest.raises(httpx.TimeoutException),
            ):
                client.post(f"http://127.0.0.1:{server.getsockname()[1]}/")
        finally:
            done.set()
            thread.join()


def test_an_answer_without_end_is_read_only_to_its_beginning() -> None:
    with listening(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n" + b"x" * 200_000) as listener:
        assert post(f"http://127.0.0.1:{listener.port}/", AddressGuard(LOOPBACK)) == Delivered("HTTP 200")
