"""Where a tenant's URL may lead: a name is resolved once, judged, and connected to as it was resolved.

A name that resolves to something else a moment later (rebinding) gains nothing, redirects are not followed, and IPv4
inside IPv6 (mapped, compatible, NAT64, 6to4, Teredo) is judged as the IPv4 that it reaches.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any

import httpcore
import httpx

from iris_pipelines.domain.errors import IrisError

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE = ipaddress.IPv6Network("::/96")
_TRANSLATED = ipaddress.IPv6Network("::ffff:0:0:0/96")
_GLOBAL = ipaddress.IPv6Network("2000::/3")
# What older releases of Python take for global: protocol assignments, relays of 6to4, documentation.
_RESERVED = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20")))


class ForbiddenAddress(IrisError):
    """A URL that leads, or may lead, into a private network."""


def resolve(host: str, port: int) -> list[str]:
    """Every address of a name, by the system's resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: IpAddress) -> bool:
    """Whether an address is one of the internet's, whatever form it is written in."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = _embedded(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL:
            return False
    special = address.is_multicast or address.is_reserved or any(address in network for network in _RESERVED)
    return address.is_global and not special


def _embedded(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address reaches, if it is of such a kind."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _COMPATIBLE or address in _TRANSLATED or any(address in network for network in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None


class AddressGuard:
    """Says where to connect for a host and port, or refuses; `allowed` are networks that may be private."""

    def __init__(self, allowed: Iterable[IpNetwork] = (), *, resolver: Resolver = resolve) -> None:
        self._allowed = tuple(allowed)
        self._resolver = resolver

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses to connect to, in order. One forbidden among them forbids all: which is used is chance."""
        try:
            resolved = self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"cannot resolve {host}: {error}") from error
        for text in resolved:
            address = ipaddress.ip_address(text.partition("%")[0])
            if not (is_public(address) or self._is_allowed(address)):
                raise ForbiddenAddress(f"{host} is {address}, which is not on the public internet")
        if not resolved:
            raise httpcore.ConnectError(f"{host} has no address")
        return resolved

    def _is_allowed(self, address: IpAddress) -> bool:
        inner = _embedded(address) if isinstance(address, ipaddress.IPv6Address) else None
        return any(each in network for each in (address, inner) if each is not None for network in self._allowed)


class _PatientStream(httpcore.NetworkStream):
    """A connection that ends at a deadline: an answer that drips byte by byte would never time out otherwise."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._left(timeout))
        return _PatientStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer takes too long")
        return left if timeout is None else min(timeout, left)


class _GuardedBackend(httpcore.NetworkBackend):
    """Opens connections to what the guard resolved, and to nothing else."""

    def __init__(self, guard: AddressGuard, *, seconds: float) -> None:
        self._guard = guard
        self._seconds = seconds
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in self._guard.addresses(host, port):
            try:
                stream = self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
                return _PatientStream(stream, time.monotonic() + self._seconds)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None  # noqa: S101 - the guard never gives an empty list
        raise failure

    def connect_unix_socket(self, path: str, timeout: float | None = None, socket_options: Any = None) -> Any:  # noqa: ARG002
        raise ForbiddenAddress(f"no Unix socket is on the public internet: {path}")


class GuardedTransport(httpx.BaseTransport):
    """What httpx sends requests through: TLS is checked against the name in the URL, not against the address."""

    def __init__(self, guard: AddressGuard, *, seconds: float = 15.0) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            network_backend=_GuardedBackend(guard, seconds=seconds),
            max_keepalive_connections=0,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its answer."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        try:
            with self._pool.stream(
                request.method,
                url,
                headers=request.headers.raw,
                content=request.read(),
                extensions=request.extensions,
            ) as response:
                body = _first(response.iter_stream(), 65_536)
                return httpx.Response(response.status, headers=_decoded(response.headers), content=body)
        except httpcore.TimeoutException as error:
            raise httpx.TimeoutException(f"no answer in time: {error or type(error).__name__}") from error
        except httpcore.UnsupportedProtocol as error:
            raise httpx.UnsupportedProtocol(str(error)) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise httpx.TransportError(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """Let go of the connections."""
        self._pool.close()

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


def _first(chunks: Iterable[bytes], limit: int) -> bytes:
    """The beginning of an answer: a receiver that never stops talking is not listened to."""
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) >= limit:
            break
    return body[:limit]


def _decoded(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers without those that describe a body in another encoding than the one that we hand on."""
    return [(name, value) for name, value in headers if name.lower() not in (b"content-encoding", b"transfer-encoding")]
