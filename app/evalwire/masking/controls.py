"""Escaping of control characters in names and messages, which could control a terminal or forge lines."""

from __future__ import annotations

import re

# control characters except tab and line feed, line separators, and characters that change the text direction
_OBEYED = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_IN_TEXT = re.compile(f"[{_OBEYED}]")
_IN_LINE = re.compile(f"[{_OBEYED}\t\n]")


def plain(text: str) -> str:
    r"""Escape control characters in text, for example as `\x1b`; line ends are kept."""
    return _IN_TEXT.sub(_escape, text)


def plain_line(text: str) -> str:
    r"""Escape control characters and line ends in text."""
    return _IN_LINE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]
