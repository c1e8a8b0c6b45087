"""The pictures of the UI are well-formed SVG with what they are given in it."""

from __future__ import annotations

import base64
from xml.etree import ElementTree

import pytest

from iris_pipelines.defs.charts import Interval, bar_chart, intervals, named_bars, stacked_bars

SVG = "{http://www.w3.org/2000/svg}"


def drawn(uri: str) -> ElementTree.Element:
    head, body = uri.split(",", 1)
    assert head == "data:image/svg+xml;base64"
    return ElementTree.fromstring(base64.b64decode(body))  # noqa: S314 - our own


def heights(picture: ElementTree.Element, *, width: float) -> list[float]:
    return [float(each.attrib["height"]) for each in picture.iter(f"{SVG}rect") if float(each.attrib["width"]) == width]


def texts(picture: ElementTree.Element) -> list[str | None]:
    return [each.text for each in picture.iter(f"{SVG}text")]


def test_more_values_than_bars_are_summed() -> None:
    (path,) = drawn(bar_chart([1] * 240)).iter(f"{SVG}path")
    assert path.attrib["d"].count("z") == 120
    (path,) = drawn(bar_chart([0])).iter(f"{SVG}path")
    assert "v-0.0" in path.attrib["d"]


def test_parts_of_a_column_stand_on_each_other_and_the_highest_column_fills_the_height() -> None:
    picture = drawn(stacked_bars([{"sms": 3, "email": 1}, {"email": 2}]))
    assert heights(picture, width=192.0) == [60.0, 20.0, 0.0, 40.0]
    assert texts(picture) == ["sms", "email"]
    assert heights(drawn(stacked_bars([])), width=192.0) == []


def test_names_are_written_out_whatever_is_in_them() -> None:
    name = "<Spring> & a name that is longer than there is room for"
    picture = drawn(named_bars([(name, {"opened": 2, "delivered": 4})]))
    assert texts(picture)[0] == "<Spring> & a name that is longer …"
    bars = [each.attrib for each in picture.iter(f"{SVG}rect") if each.attrib["x"] == "200"]
    # The longer bar is drawn first, so that the shorter one is seen in front of it.
    assert [float(each["width"]) for each in bars] == [280.0, 140.0]


def test_an_interval_reaches_from_its_low_to_its_high_end() -> None:
    picture = drawn(intervals([("A", Interval(10, 20, 50)), ("B", Interval(0, 0, 0))]))
    first = next(picture.iter(f"{SVG}path")).attrib["d"]
    assert first == "M246.0 9.0H430.0"
    assert next(picture.iter(f"{SVG}circle")).attrib["cx"] == "292.0"
    assert "20 %" in texts(picture)


@pytest.mark.parametrize("draw", [named_bars, intervals])
def test_nothing_is_drawn_of_nothing(draw: object) -> None:
    assert texts(drawn(draw([]))) == []  # type: ignore[operator]
