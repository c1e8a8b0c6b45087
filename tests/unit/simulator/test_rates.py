import re
from pathlib import Path

import pytest

from iris_pipelines.simulator import rates
from iris_pipelines.simulator.clients import DEVICES
from iris_pipelines.simulator.providers import CHANNELS, ROUTES

DOCUMENT = (Path(__file__).parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")


def is_figure(value: object) -> bool:
    numbers = value if isinstance(value, tuple) else (value,)
    return all(isinstance(number, float | int) for number in numbers)


def test_the_document_shows_every_figure_as_it_is() -> None:
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", DOCUMENT, re.MULTILINE))
    figures = {name: value for name, value in vars(rates).items() if re.match("[A-Z]", name) and is_figure(value)}
    assert documented == {
        name: ", ".join(map(str, value)) if isinstance(value, tuple) else str(value) for name, value in figures.items()
    }


def test_the_document_shows_every_provider_as_it_is() -> None:
    for route in ROUTES:
        figures = (route.weight, route.delivery_rate, route.latency_ms, route.spread, route.price)
        assert f"| {CHANNELS[route.channel]} | {route.provider} | {' | '.join(map(str, figures))} |" in DOCUMENT


def test_shares_add_up() -> None:
    for shares in (rates.CHANNEL_MIX, rates.SEGMENTS, rates.VARIANT_KINDS, rates.CAMPAIGN_DAYS):
        assert sum(shares) == pytest.approx(1)
    assert sum(weight for _, weight in rates.API_STATUS) == pytest.approx(1)
    assert sum(weight for *_, weight in rates.API_ENDPOINTS) == pytest.approx(1)
    assert sum(rates.WEEKDAYS) == pytest.approx(7)
    for mailbox, share in (("apple", 0.39), ("gmail", 0.42), ("corporate", 0.19)):
        assert sum(device.weight for device in DEVICES if device.mailbox == mailbox) == pytest.approx(share)
