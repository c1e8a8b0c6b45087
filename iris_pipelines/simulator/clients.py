"""What opens mail, follows links and calls the API: user agents, and addresses from ranges kept for documentation."""

from __future__ import annotations

from dataclasses import dataclass

_SAFARI_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.1 Mobile/15E148 Safari/604.1"
)
_MAIL_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
)
_MAIL_IPAD = (
    "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 "
    "Mobile/15E148 Safari/604.1"
)
_CHROME_ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 "
    "Mobile Safari/537.36"
)
_SAMSUNG_MAIL = (
    "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 "
    "Chrome/122.0.0.0 Mobile Safari/537.36"
)
_ANDROID_TABLET = (
    "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36"
)
_CHROME_WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36"
)
_EDGE_WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 "
    "Safari/537.36 Edg/130.0.0.0"
)
_OUTLOOK_WINDOWS = (
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; "
    "Microsoft Outlook 16.0.17928; ms-office; MSOffice 16)"
)
_THUNDERBIRD_LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0"
_FIREFOX_LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0"
_MAIL_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_SAFARI_MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 "
    "Safari/605.1.15"
)


@dataclass(frozen=True)
class Device:
    """How a person reads: the mail client's user agent, the browser's, how common it is, and who owns the mailbox."""

    mail: str
    browser: str
    weight: float
    mailbox: str
    """`apple` mailboxes are opened by Apple's privacy proxy, `gmail` ones by Google's, `corporate` ones are scanned."""


DEVICES = (
    Device(_MAIL_IPHONE, _SAFARI_IPHONE, 0.26, "apple"),
    Device(_MAIL_IPAD, _MAIL_IPAD, 0.05, "apple"),
    Device(_MAIL_MAC, _SAFARI_MAC, 0.08, "apple"),
    Device(_CHROME_ANDROID, _CHROME_ANDROID, 0.18, "gmail"),
    Device(_SAMSUNG_MAIL, _SAMSUNG_MAIL, 0.09, "gmail"),
    Device(_ANDROID_TABLET, _ANDROID_TABLET, 0.03, "gmail"),
    Device(_CHROME_WINDOWS, _CHROME_WINDOWS, 0.12, "gmail"),
    Device(_OUTLOOK_WINDOWS, _EDGE_WINDOWS, 0.15, "corporate"),
    Device(_THUNDERBIRD_LINUX, _FIREFOX_LINUX, 0.04, "corporate"),
)

APPLE_PROXY = "Mozilla/5.0"
GOOGLE_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
SCANNERS = (
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)",
    "Mozilla/5.0 (compatible; Mimecast URL Protect/2.1)",
    "Barracuda Sentinel (EE)",
)
SDKS = (
    "iris-python/2.8.1",
    "iris-node/5.2.0",
    "iris-php/3.1.4",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
    "PostmanRuntime/7.42.0",
)

USER_AGENTS = tuple(
    dict.fromkeys(
        [device.mail for device in DEVICES]
        + [device.browser for device in DEVICES]
        + [APPLE_PROXY, GOOGLE_PROXY, *SCANNERS, *SDKS]
    )
)
MAIL_CLIENT = tuple(USER_AGENTS.index(device.mail) for device in DEVICES)
BROWSER = tuple(USER_AGENTS.index(device.browser) for device in DEVICES)

# RFC 5737 and RFC 3849: nobody has these. People and services get ranges of their own.
PEOPLE_ADDRESSES = tuple(f"203.0.113.{host}" for host in range(1, 255)) + tuple(
    f"2001:db8:{subnet:x}::{host:x}" for subnet in range(16) for host in range(1, 9)
)
PROXY_ADDRESSES = tuple(f"198.51.100.{host}" for host in range(1, 255))
SERVER_ADDRESSES = tuple(f"192.0.2.{host}" for host in range(1, 255))
ADDRESSES = PEOPLE_ADDRESSES + PROXY_ADDRESSES + SERVER_ADDRESSES
