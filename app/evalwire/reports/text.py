"""Make texts of users and models fit for reports: unsafe characters, lengths, plurals, paths."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalwire.model import ScoreSummary

# Ranges of code points, to be put into a character class. Each format leaves out those that harm in it.
WHITE_CONTROLS = "\t\n"
CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"  # the other controls, C0 and C1: terminals obey them
LINE_SEPARATORS = "\u2028\u2029"
DIRECTIONS = "\u202a-\u202e\u2066-\u2069"  # turn the direction of the text around them
DIRECTION_MARKS = "\u061c\u200e\u200f"
NOT_SEEN = (
    "\xad\u115f\u1160\u180e\u200b\u200c\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
NOT_CHARACTERS = "\ufdd0-\ufdef" + "".join(chr(plane << 16 | end) for plane in range(0x11) for end in (0xFFFE, 0xFFFF))
NOT_XML = "\ufffe\uffff"  # beside controls; XML 1.0 has no way to write them
SURROGATES = "\ud800-\udfff"

_HARMFUL = re.compile(f"[{CONTROLS}{LINE_SEPARATORS}{DIRECTIONS}{DIRECTION_MARKS}]")


def whole(text: str) -> str:
    """Return text in which half of a surrogate pair, which is not Unicode, is a question mark."""
    return text.encode(errors="replace").decode()


def replace_unsafe(unsafe: re.Pattern[str], text: str) -> str:
    """Return text with a space for unsafe white space, and a replacement character for other unsafe characters."""
    return unsafe.sub(lambda found: " " if found[0].isspace() else "\ufffd", whole(text))


def harmless(text: str) -> str:
    """Return text that a terminal shows and does not obey: no control characters, none that turn the direction."""
    return whole(_HARMFUL.sub(" ", text))


def plain(text: str) -> str:
    """Return harmless text on one line."""
    return " ".join(harmless(text).split())


def in_one_line(value: Any) -> str:
    """Return a value on one line: text as it is, anything else as JSON; a dict of one text as that text."""
    if isinstance(value, dict) and len(value) == 1 and isinstance(only := next(iter(value.values())), str):
        value = only
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return " ".join(text.split())


def cut(text: str, length: int) -> str:
    """Return text of at most so many characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def cut_middle(text: str, length: int) -> str:
    """Return a long text without its middle: a traceback begins where the call was, and ends with what was raised."""
    if len(text) <= length:
        return text
    left = len(text) - length
    return f"{text[: length // 3]}\n… {left:,} characters are left out …\n{text[len(text) - (length - length // 3) :]}"


def count(size: int, noun: str) -> str:
    """Return so many of something."""
    return f"{size:,} {noun}" if size == 1 else f"{size:,} {noun}s"


def without_score(score: ScoreSummary) -> str:
    """Return how many runs lack a score, and how many it does not apply to, in brackets; empty where all have one."""
    parts = [f"{score.missing} missing"] if score.missing else []
    parts += [f"{score.not_applicable} not applicable"] if score.not_applicable else []
    return f" ({', '.join(parts)})" if parts else ""


def relative(path: str, directory: str) -> str:
    """Return a path relative to the job's directory where it lies below it."""
    return path.removeprefix(f"{directory.rstrip('/')}/") if directory else path
