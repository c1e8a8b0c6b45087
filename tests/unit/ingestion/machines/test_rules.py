"""What user agents give away, on strings as they are seen in mail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_pipelines.ingestion.machines.rules import MachineReason, Proxy, machine_reason, proxy_of

PEOPLE = [
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    # The Edge that Gmail's prefetch pretends to be, as it really was.
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 "
    "Safari/537.36 Edge/12.246",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.17928; ms-office)",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.4266; Pro)",
    "Outlook-iOS/711.2620504.prod.iphone (3.34.0)",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0",
    # A phone by Cubot, and browsers by makers of security software.
    "Mozilla/5.0 (Linux; Android 9; CUBOT_X19) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/127 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36 "
    "Avast/128.0.0.0",
    "Dalvik/2.1.0 (Linux; U; Android 13; SM-G991B Build/TP1A.220624.014)",
    "Mail/3774.600.62 CFNetwork/1490.0.4 Darwin/23.2.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "[FBAN/FBIOS;FBAV/471.0.0.37.92;FBBV/621234]",
]
MACHINES = {
    "Mozilla/5.0": MachineReason.PRIVACY_PROXY,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 "
    "Safari/537.36 Edge/12.246 Mozilla/5.0": MachineReason.PREFETCH,
    "Barracuda Sentinel (EE)": MachineReason.LINK_SCANNER,
    "BarracudaCentral": MachineReason.LINK_SCANNER,
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)": MachineReason.LINK_SCANNER,
    "Mozilla/5.0 (compatible; Mimecast URL Protect/2.1)": MachineReason.LINK_SCANNER,
    "Microsoft-SafeLinks/1.0": MachineReason.LINK_SCANNER,
    "cortex/1.0": MachineReason.LINK_SCANNER,
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": MachineReason.BOT,
    "Mozilla/5.0 (compatible; YandexImages/3.0; +http://yandex.com/bots)": MachineReason.BOT,
    "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)": MachineReason.BOT,
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/119.0.6045.105 "
    "Safari/537.36": MachineReason.BOT,
    "Mozilla/5.0 (Windows NT 6.1; WOW64; SLCC2) SkypeUriPreview Preview/0.5": MachineReason.BOT,
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": MachineReason.BOT,
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)": MachineReason.BOT,
    "FeedBurner/1.0 (http://www.FeedBurner.com)": MachineReason.BOT,
    "TelegramBot (like TwitterBot)": MachineReason.BOT,
    "WhatsApp/2.23.20.0 A": MachineReason.BOT,
    "Microsoft Office Existence Discovery": MachineReason.BOT,
    "curl/8.5.0": MachineReason.BOT,
    "Wget/1.21.4": MachineReason.BOT,
    "python-requests/2.32.3": MachineReason.BOT,
    "Python/3.11 aiohttp/3.9.1": MachineReason.BOT,
    "Go-http-client/1.1": MachineReason.BOT,
    "okhttp/4.12.0": MachineReason.BOT,
    "node": MachineReason.BOT,
    "Apache-HttpClient/4.5.14 (Java/17.0.9)": MachineReason.BOT,
}
PROXIES = {
    "Mozilla/5.0": Proxy.APPLE_MAIL_PRIVACY,
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)": (
        Proxy.GOOGLE_IMAGE_PROXY
    ),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 "
    "Safari/537.36 Edge/12.246 Mozilla/5.0": Proxy.GOOGLE_PREFETCH,
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html": Proxy.YAHOO_MAIL_PROXY,
}


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_mail_clients_and_browsers_are_people(user_agent: str) -> None:
    assert machine_reason(user_agent) is None
    assert proxy_of(user_agent) is None


@pytest.mark.parametrize("user_agent", MACHINES)
def test_machines_are_told_by_what_they_are(user_agent: str) -> None:
    assert machine_reason(user_agent) == MACHINES[user_agent]


@pytest.mark.parametrize("user_agent", PROXIES)
def test_proxies_are_told_apart(user_agent: str) -> None:
    assert proxy_of(user_agent) == PROXIES[user_agent]


def test_proxies_that_load_what_a_person_opens_are_no_machines() -> None:
    unasked = {proxy for text, proxy in PROXIES.items() if machine_reason(text) is not None}
    assert unasked == {Proxy.APPLE_MAIL_PRIVACY, Proxy.GOOGLE_PREFETCH}


@given(st.text(max_size=300))
def test_there_is_an_answer_for_any_text(user_agent: str) -> None:
    assert machine_reason(user_agent) in {None, *MachineReason}
