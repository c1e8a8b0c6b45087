"""What user agents say about readers: device, operating system, mail client or browser, and the proxies among them.

Each user agent of an open or a click is taken apart once and kept in `iris.user_agents`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from iris_pipelines.db.database import Connection, Database, queries
from iris_pipelines.domain.windows import Window
from iris_pipelines.ingestion.machines import rules
from iris_pipelines.ingestion.machines.rules import MachineReason, Proxy, machine_reason, proxy_of

if TYPE_CHECKING:
    from ua_parser import Result

# Raised when the tables below change: every user agent is then taken apart anew.
_TABLES_VERSION = 1
_UNKNOWN = "unknown"
# What matters stands near the front, and nobody is to make a search long.
_LONGEST = 1_000
_BATCH = 1_000


class DeviceType(StrEnum):
    """What somebody, or something, reads on."""

    PHONE = "phone"
    TABLET = "tablet"
    DESKTOP = "desktop"
    TV = "tv"
    PROXY = "proxy"
    BOT = "bot"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class UserAgent:
    """What a user agent says. A proxy says whose mail client it serves, and hides the rest."""

    device_type: DeviceType
    os: str
    """`iOS`, `Android`, `Windows`, `macOS`, `Linux`, ...; `unknown` if it does not say."""
    client: str
    """The mail client or browser: `Outlook`, `Apple Mail`, `Chrome`, ...; `unknown` if it does not say."""
    proxy: Proxy | None
    machine_reason: MachineReason | None


@dataclass(frozen=True)
class DescribedUserAgents:
    """How many user agents were taken apart: those not seen before, and those that an older release had described."""

    new: int
    renewed: int


@cache
def parser_version() -> str:
    """By what user agents are taken apart: the release of the parser's patterns, and that of the tables here."""
    from importlib.metadata import version

    return f"{version('ua-parser-builtins')}.{_TABLES_VERSION}"


@lru_cache(maxsize=10_000)
def parse_user_agent(user_agent: str | None) -> UserAgent:
    """What a user agent says; whatever the text is, there is an answer."""
    if not user_agent or user_agent.isspace():
        return UserAgent(DeviceType.UNKNOWN, _UNKNOWN, _UNKNOWN, None, None)
    reason = machine_reason(user_agent)
    proxy = proxy_of(user_agent)
    if proxy is not None:
        return UserAgent(DeviceType.PROXY, _UNKNOWN, _CLIENT_OF_PROXY[proxy], proxy, reason)
    from ua_parser import parse

    # The parser takes only what can be UTF-8.
    text = user_agent[:_LONGEST].encode("utf-8", "replace").decode()
    found = parse(text)
    os = _os(found)
    device_type = DeviceType.BOT if reason is not None else _device_type(text, os, found)
    return UserAgent(device_type, os, _client(text, found), None, reason)


def describe_user_agents(db: Database, windows: Iterable[Window] = ()) -> DescribedUserAgents:
    """Bring `iris.user_agents` up to date: those of some windows, and whatever an older release described.

    User agents come in with the verdicts on their events too; see `machines.verdicts`.
    """
    new = 0
    for window in windows:
        with db.transaction() as connection:
            new += describe_user_agents_of(connection, window)
    renewed, after = 0, ""
    while True:
        with db.transaction() as connection:
            outdated = [
                text
                for (text,) in queries().outdated_user_agents(
                    connection,
                    after=after,
                    parser_version=parser_version(),
                    rules_version=rules.RULES_VERSION,
                    at_most=_BATCH,
                )
            ]
            _describe(connection, outdated)
        if not outdated:
            return DescribedUserAgents(new, renewed)
        renewed += len(outdated)
        after = outdated[-1]


def describe_user_agents_of(connection: Connection, window: Window) -> int:
    """Describe the user agents of a window's opens and clicks as far as they are not described; says how many."""
    unknown = [
        text
        for (text,) in queries().undescribed_user_agents(
            connection,
            window_start=window.start,
            window_end=window.end,
            parser_version=parser_version(),
            rules_version=rules.RULES_VERSION,
        )
    ]
    _describe(connection, unknown)
    return len(unknown)


def _describe(connection: Connection, user_agents: Sequence[str]) -> None:
    # In one order for all, so that two transactions that meet the same ones do not wait for each other in a circle.
    for start in range(0, len(user_agents), _BATCH):
        texts = sorted(user_agents[start : start + _BATCH])
        found = [parse_user_agent(text) for text in texts]
        queries().store_user_agents(
            connection,
            texts=texts,
            device_types=[each.device_type for each in found],
            systems=[each.os for each in found],
            clients=[each.client for each in found],
            proxies=[each.proxy for each in found],
            reasons=[each.machine_reason for each in found],
            parser_version=parser_version(),
            rules_version=rules.RULES_VERSION,
        )


_CLIENT_OF_PROXY: Mapping[Proxy, str] = {
    Proxy.APPLE_MAIL_PRIVACY: "Apple Mail",
    Proxy.GOOGLE_IMAGE_PROXY: "Gmail",
    Proxy.GOOGLE_PREFETCH: "Gmail",
    Proxy.YAHOO_MAIL_PROXY: "Yahoo Mail",
}

# Mail clients that the parser takes for the browser they are built on, or does not know.
_MAIL_CLIENTS: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (re.compile(pattern, re.IGNORECASE), client)
    for pattern, client in (
        (r"outlook|\bms-office\b|^microsoft office/", "Outlook"),
        (r"thunderbird|betterbird", "Thunderbird"),
        (r"gmailandroid|com\.google\.android\.gm\b|^gmail/", "Gmail"),
        (r"yahoomobilemail|yahoo ?mail", "Yahoo Mail"),
        (r"samsung ?email|com\.samsung\.android\.email", "Samsung Email"),
        (r"em ?client/", "eM Client"),
        (r"\bspark/\d|sparkdesktop", "Spark"),
        (r"postbox/", "Postbox"),
        (r"k-9 mail|k9mail", "K-9 Mail"),
        (r"protonmail|proton ?mail", "Proton Mail"),
        (r"lotus[- ]notes|hcl[- ]notes", "Lotus Notes"),
    )
)
_CLIENTS: Mapping[str, str] = {
    # WebKit without a browser around it, on a phone or tablet of Apple: as good as always the mail app.
    "Mobile Safari UI/WKWebView": "Apple Mail",
    "Apple-Mail": "Apple Mail",
    "Mail": "Apple Mail",
    "Mobile Safari": "Safari",
    "MobileSafari": "Safari",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Frame": "Chrome",
    "HeadlessChrome": "Chrome",
    "Chrome Mobile WebView": "Android WebView",
    "Android": "Android WebView",
    "Edge Mobile": "Edge",
    "Firefox Mobile": "Firefox",
    "Firefox iOS": "Firefox",
    "Firefox Focus": "Firefox",
    "IE": "Internet Explorer",
    "IE Mobile": "Internet Explorer",
    "Opera Mobile": "Opera",
    "Opera Mini": "Opera",
    "Opera Tablet": "Opera",
    "Google": "Google app",
}
_SYSTEMS: Mapping[str, str] = {"Mac OS X": "macOS", "Mac OS": "macOS", "Other": _UNKNOWN}
_LINUXES = frozenset({"Ubuntu", "Debian", "Fedora", "Red Hat", "CentOS", "SUSE", "Gentoo", "Arch Linux", "Mandriva"})
_DESKTOP_SYSTEMS = frozenset({"Windows", "macOS", "Linux", "Chrome OS", "FreeBSD", "OpenBSD", "NetBSD", "Solaris"})
_PHONE_SYSTEMS = frozenset(
    {"Windows Phone", "Windows Mobile", "BlackBerry OS", "KaiOS", "Symbian OS", "Firefox OS", "Bada", "MeeGo"}
)
_TV = re.compile(r"smart-?tv|\bTV\b|googletv|android tv|appletv|\bAFT[A-Z]|bravia|roku|web0s|hbbtv", re.IGNORECASE)
_MOBILE = re.compile(r"\bmobile\b|\bphone\b|iphone|ipod", re.IGNORECASE)


def _client(text: str, found: Result) -> str:
    for pattern, client in _MAIL_CLIENTS:
        if pattern.search(text):
            return client
    family = found.user_agent.family if found.user_agent else _UNKNOWN
    return _CLIENTS.get(family, family)


def _os(found: Result) -> str:
    family = found.os.family if found.os else _UNKNOWN
    return "Linux" if family in _LINUXES else _SYSTEMS.get(family, family)


def _device_type(text: str, os: str, found: Result) -> DeviceType:
    family = found.device.family if found.device else ""
    if family == "Spider":
        return DeviceType.BOT
    if _TV.search(text):
        return DeviceType.TV
    # By what the makers agreed on: a tablet's browser is that of a phone without the word "Mobile".
    is_tablet = (
        "iPad" in text
        or "tablet" in text.lower().replace("tablet pc", "")
        or (os == "Android" and text.startswith("Mozilla/") and not _MOBILE.search(text))
    )
    if os in _DESKTOP_SYSTEMS:
        return DeviceType.DESKTOP
    if is_tablet or family == "Kindle":
        return DeviceType.TABLET
    if os in _PHONE_SYSTEMS or os in ("iOS", "Android") or _MOBILE.search(text):
        return DeviceType.PHONE
    return DeviceType.UNKNOWN
