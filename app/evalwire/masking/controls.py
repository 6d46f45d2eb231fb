"""Show names and messages as plain text: a terminal obeys nothing in them, and they forge no line."""

from __future__ import annotations

import re

# controls but for the tab and the line feed, separators of lines, and what turns the direction of the text around it
_OBEYED = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_IN_TEXT = re.compile(f"[{_OBEYED}]")
_IN_LINE = re.compile(f"[{_OBEYED}\t\n]")


def plain(text: str) -> str:
    r"""Return text with escapes for what a terminal would obey, such as `\x1b`; line ends stay."""
    return _IN_TEXT.sub(_escape, text)


def plain_line(text: str) -> str:
    r"""Return text on one line, with escapes for what a terminal would obey, and for line ends."""
    return _IN_LINE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
