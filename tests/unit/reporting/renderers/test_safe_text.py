"""Text from outside: no formula, no control character, no turned direction; and nothing else is changed."""

import pytest

from iris_pipelines.reporting.renderers.safe_text import readable, spreadsheet_text
from tests.unit.reporting.renderers.payloads import FORMULAS


@pytest.mark.parametrize("payload", FORMULAS)
def test_what_a_spreadsheet_would_run_is_led_by_an_apostrophe(payload: str) -> None:
    assert spreadsheet_text(payload).startswith("'")
    assert "\r" not in spreadsheet_text(payload)


@pytest.mark.parametrize(
    "text", ["Summer sale", "a = b", "50% off", "Müller & Söhne", "日本語", "5-1", "it's", "a@b.c", ""]
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert spreadsheet_text(text) == text


def test_control_characters_become_spaces_and_invisible_marks_go() -> None:
    assert readable("a\x00\x1b[31mb\r\nc\td\u2028e") == "a [31mb c d e"
    assert readable("\u202egpj.exe\u202c\u200f\ufeff\u2066x\u2069") == "gpj.exex"
    assert readable("a\ud800b") == "a\ufffdb"
