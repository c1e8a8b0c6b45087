"""Text that came from outside, made harmless for whatever opens a report."""

from __future__ import annotations

import re

# Line breaks and tabs would be rows and columns to somebody; the rest drives terminals.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
# Marks that turn the direction of reading, or that nobody sees: `gpj.exe` must not read as `exe.jpg`.
_INVISIBLE = re.compile(
    r"[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
# Also full width, which Excel takes for the same, and behind spaces, which it may cut off.
_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def readable(text: str) -> str:
    """The text without control characters and marks of direction; a run of the former becomes a space."""
    return _SURROGATE.sub("\ufffd", _INVISIBLE.sub("", _CONTROL.sub(" ", text)))


def spreadsheet_text(text: str) -> str:
    """Text that no spreadsheet takes for a formula: one that might be is led by an apostrophe."""
    clean = readable(text)
    return f"'{clean}" if _FORMULA.match(clean) else clean
