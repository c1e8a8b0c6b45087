"""What gives a machine away: the rules by which opens and clicks are judged, and their version.

Whoever changes a rule raises RULES_VERSION. A day is judged anew by the present rules when it is backfilled, or when
an event of it comes in late; until then it keeps the verdicts it has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache

RULES_VERSION = 1

TOO_SOON = timedelta(seconds=2)
"""Nobody has opened a mail, or followed its link, less than this after it was handed over or delivered."""
ONE_BY_ONE = timedelta(seconds=1)
"""Nobody follows two different links of one message in less than this."""


class MachineReason(StrEnum):
    """Why an open or a click counts as made by a machine; stored with the event."""

    REPORTED = "reported"
    """Its sender said whether it was one: the only reason that also stands with people's events."""
    PRIVACY_PROXY = "privacy_proxy"
    """Apple's Mail Privacy Protection loads every image of every mail, read or not."""
    PREFETCH = "prefetch"
    """Gmail loads images of mail that it is about to list."""
    LINK_SCANNER = "link_scanner"
    """A security gateway looks at the mail and behind its links."""
    BOT = "bot"
    """A crawler, a link preview, a browser without a screen, or an HTTP library."""
    MANY_LINKS = "many_links"
    """Different links of one message, all at once."""
    TOO_SOON = "too_soon"
    """An email, opened or clicked as soon as it was there."""


class Proxy(StrEnum):
    """Who loads images in the reader's stead, and so hides what and where the reader is."""

    APPLE_MAIL_PRIVACY = "apple_mail_privacy"
    GOOGLE_IMAGE_PROXY = "google_image_proxy"
    GOOGLE_PREFETCH = "google_prefetch"
    YAHOO_MAIL_PROXY = "yahoo_mail_proxy"


# These load the images whether or not anybody reads; the other proxies do so when a person opens the mail.
_UNASKED: Mapping[Proxy, MachineReason] = {
    Proxy.APPLE_MAIL_PRIVACY: MachineReason.PRIVACY_PROXY,
    Proxy.GOOGLE_PREFETCH: MachineReason.PREFETCH,
}

_APPLE_MAIL_PRIVACY = "Mozilla/5.0"
# An Edge of 2015 that adds a second "Mozilla/5.0" is no browser: https://www.gmass.co/blog/false-opens-in-gmail/
_GOOGLE_PREFETCH = re.compile(r"Chrome/42\.0\.2311\.135 Safari/537\.36 Edge/12\.246 Mozilla/5\.0$")
_PROXIES: Mapping[Proxy, str] = {
    Proxy.GOOGLE_IMAGE_PROXY: "GoogleImageProxy",
    Proxy.YAHOO_MAIL_PROXY: "YahooMailProxy",
}

# Gateways that say who they are. Browsers of the same makers (Avast, Avira, Norton) are people's, and not in here.
_SCANNERS = re.compile(
    r"""
    barracuda | proofpoint | urldefense | mimecast | safelinks | microsoft-urlanalyzer | ironport | cisco[ ]secure
    | symantec | messagelabs | forti(?:mail|guard|gate|net|sandbox) | fireeye | trellix | sophos | trend[ ]?micro
    | kaspersky | mcafee | avanan | cloudmark | bitdefender | vade(?:[ ]?secure|[ ]?retro) | hornetsecurity | spamtitan
    | virustotal | urlscan | netcraft | phishtank | phishlabs | palo[ ]?alto | sonicwall | zerofox | google-safety
    | spamassassin | rspamd | clamav | \bcortex/
    """,
    re.IGNORECASE | re.VERBOSE,
)
# Cubot makes phones. Only programs give an address where to read about them.
_BOTS = re.compile(
    r"""
    (?<!cu)bot(?:[^a-z]|$) | crawl | spider | slurp | scrap[ey] | archiver
    | headless | phantomjs | selenium | puppeteer | playwright | lighthouse
    | preview | prerender | facebookexternalhit | facebot | embedly | ^whatsapp/ | ^viber/
    | [+(;][ ]?https?:// | pingdom | statuscake | site24x7 | datadogsynthetics
    | (?:existence|protocol)[ ]discovery
    | ^(?:
        curl | wget | httpie | python | aiohttp | httpx | scrapy | go-http-client | java/ | okhttp | apache-httpclient
        | jakarta | reactor-netty | ahc/ | axios | node(?:-fetch|\.js|/|$) | undici | got[ ]? \( | ruby | faraday
        | typhoeus | php | guzzlehttp | symfony | libwww | lwp | perl | dart | rest-client | restsharp | winhttp
        | postman | insomnia | lua-resty-http | amazon[ ]cloudfront | hubspot[ ]connect
    ) | powershell/
    """,
    re.IGNORECASE | re.VERBOSE,
)
# What matters stands near the front, and nobody is to make a search long.
_LONGEST = 1_000


def proxy_of(user_agent: str) -> Proxy | None:
    """The image proxy that a user agent belongs to, if it does."""
    if user_agent == _APPLE_MAIL_PRIVACY:
        return Proxy.APPLE_MAIL_PRIVACY
    if _GOOGLE_PREFETCH.search(user_agent):
        return Proxy.GOOGLE_PREFETCH
    return next((proxy for proxy, name in _PROXIES.items() if name in user_agent), None)


@lru_cache(maxsize=10_000)
def machine_reason(user_agent: str) -> MachineReason | None:
    """Why whatever this user agent opens or clicks is a machine's doing, if it is."""
    proxy = proxy_of(user_agent)
    if proxy is not None:
        return _UNASKED.get(proxy)
    start = user_agent[:_LONGEST]
    if _SCANNERS.search(start):
        return MachineReason.LINK_SCANNER
    return MachineReason.BOT if _BOTS.search(start) else None
