"""Device, system and client of user agents as they are seen in mail."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iris_pipelines.ingestion.machines.rules import Proxy
from iris_pipelines.ingestion.user_agents import DeviceType, UserAgent, parse_user_agent

REAL_REQUESTS = Path(__file__).parents[4] / "shared" / "data" / "apache_api.ndjson.gz"

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
BLINK = "AppleWebKit/537.36 (KHTML, like Gecko)"
SEEN = {
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {WEBKIT} Mobile/15E148": ("phone", "iOS", "Apple Mail"),
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {WEBKIT} Version/18.1 Mobile/15E148 Safari/604.1": (
        "phone",
        "iOS",
        "Safari",
    ),
    # `ILIKE '%mobile%'` calls this a phone.
    f"Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) {WEBKIT} Mobile/15E148": ("tablet", "iOS", "Apple Mail"),
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT}": ("desktop", "macOS", "Apple Mail"),
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.0 Safari/605.1.15": (
        "desktop",
        "macOS",
        "Safari",
    ),
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} MacOutlook/16.89.24090815": (
        "desktop",
        "macOS",
        "Outlook",
    ),
    f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {BLINK} Chrome/130.0.0.0 Mobile Safari/537.36": (
        "phone",
        "Android",
        "Chrome",
    ),
    f"Mozilla/5.0 (Linux; Android 13; SM-X700) {BLINK} Chrome/129.0.0.0 Safari/537.36": ("tablet", "Android", "Chrome"),
    f"Mozilla/5.0 (Linux; Android 9; KFMAWI) {BLINK} Silk/108.4.6 like Chrome/108.0.5359.160 Safari/537.36": (
        "tablet",
        "Android",
        "Amazon Silk",
    ),
    f"Mozilla/5.0 (Linux; Android 14; SM-S921B) {BLINK} SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36": (
        "phone",
        "Android",
        "Samsung Internet",
    ),
    f"Mozilla/5.0 (Linux; Android 13; SM-G991B; wv) {BLINK} Version/4.0 Chrome/128.0.6613.88 Mobile Safari/537.36": (
        "phone",
        "Android",
        "Android WebView",
    ),
    "Dalvik/2.1.0 (Linux; U; Android 13; SM-G991B Build/TP1A.220624.014)": ("phone", "Android", "Android WebView"),
    "Outlook-Android/2.0": ("phone", "Android", "Outlook"),
    "Outlook-iOS/711.2620504.prod.iphone (3.34.0)": ("phone", "iOS", "Outlook"),
    "YahooMobileMail/7.6.1 (Android Mail; 13) (SM-G991B;samsung;SM-G991B;13;2000x1080)": (
        "phone",
        "Android",
        "Yahoo Mail",
    ),
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; "
    "Microsoft Outlook 16.0.17928; ms-office; MSOffice 16)": ("desktop", "Windows", "Outlook"),
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.4266; Pro)": ("desktop", "Windows", "Outlook"),
    "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; Tablet PC 2.0; rv:11.0) like Gecko": (
        "desktop",
        "Windows",
        "Internet Explorer",
    ),
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {BLINK} Chrome/130.0.0.0 Safari/537.36 Edg/130.0.0.0": (
        "desktop",
        "Windows",
        "Edge",
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.4.0": (
        "desktop",
        "Linux",
        "Thunderbird",
    ),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0": ("desktop", "Linux", "Firefox"),
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {BLINK} Chrome/129.0.0.0 Safari/537.36": (
        "desktop",
        "Chrome OS",
        "Chrome",
    ),
    f"Mozilla/5.0 (SMART-TV; Linux; Tizen 5.0) {BLINK} Version/5.0 TV Safari/537.36": ("tv", "Tizen", "Safari"),
    "curl/8.5.0": ("bot", "unknown", "curl"),
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)": ("bot", "unknown", "unknown"),
    "": ("unknown", "unknown", "unknown"),
    " \t": ("unknown", "unknown", "unknown"),
    "Zustellprobe": ("unknown", "unknown", "unknown"),
}


@pytest.mark.parametrize("user_agent", SEEN)
def test_device_system_and_client_are_what_the_reader_has(user_agent: str) -> None:
    found = parse_user_agent(user_agent)
    assert (found.device_type, found.os, found.client) == SEEN[user_agent]
    assert found.proxy is None


def test_a_proxy_names_the_client_it_serves_and_hides_the_rest() -> None:
    google = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
    assert parse_user_agent(google) == UserAgent(
        DeviceType.PROXY, "unknown", "Gmail", Proxy.GOOGLE_IMAGE_PROXY, machine_reason=None
    )
    apple = parse_user_agent("Mozilla/5.0")
    assert (apple.device_type, apple.client, apple.machine_reason) == ("proxy", "Apple Mail", "privacy_proxy")


def test_no_user_agent_says_nothing() -> None:
    assert parse_user_agent(None) == parse_user_agent("")


@given(st.none() | st.text(max_size=300) | st.sampled_from(["\ud800", "\x00", "(" * 9_000, "é" * 70_000]))
def test_there_is_an_answer_for_any_text(user_agent: str | None) -> None:
    found = parse_user_agent(user_agent)
    assert found.os
    assert found.client


@pytest.mark.skipif(not REAL_REQUESTS.exists(), reason="the real requests are not here")
def test_most_of_what_a_real_web_server_saw_is_known() -> None:
    with gzip.open(REAL_REQUESTS) as lines:
        agents = [json.loads(line).get("user_agent") for line in lines]
    found = [parse_user_agent(agent) for agent in agents if agent]
    known = [each for each in found if each.device_type is not DeviceType.UNKNOWN]
    assert len(known) / len(found) > 0.95
    assert sum(each.device_type is DeviceType.BOT for each in found) > 1_500
