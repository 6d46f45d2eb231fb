"""Prepare texts for reports: unsafe characters, lengths, plurals, paths, gate states."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalwire.model import GateResult, ScoreSummary

# Ranges of code points for character classes. Each format removes the characters that are unsafe in it.
WHITE_CONTROLS = "\t\n"
CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"  # other controls, C0 and C1, which terminals interpret
LINE_SEPARATORS = "\u2028\u2029"
DIRECTIONS = "\u202a-\u202e\u2066-\u2069"  # change the direction of the surrounding text
DIRECTION_MARKS = "\u061c\u200e\u200f"
NOT_SEEN = (
    "\xad\u115f\u1160\u180e\u200b\u200c\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff"
)
NOT_CHARACTERS = "\ufdd0-\ufdef" + "".join(chr(plane << 16 | end) for plane in range(0x11) for end in (0xFFFE, 0xFFFF))
NOT_XML = "\ufffe\uffff"  # not allowed in XML 1.0, in addition to controls
SURROGATES = "\ud800-\udfff"

_HARMFUL = re.compile(f"[{CONTROLS}{LINE_SEPARATORS}{DIRECTIONS}{DIRECTION_MARKS}]")


def whole(text: str) -> str:
    """Return text with a question mark for each half of a surrogate pair, which is not valid Unicode."""
    return text.encode(errors="replace").decode()


def replace_unsafe(unsafe: re.Pattern[str], text: str) -> str:
    """Return text with a space for unsafe whitespace, and U+FFFD for other unsafe characters."""
    return unsafe.sub(lambda found: " " if found[0].isspace() else "\ufffd", whole(text))


def harmless(text: str) -> str:
    """Return text that is safe in a terminal: without control characters and direction marks."""
    return whole(_HARMFUL.sub(" ", text))


def plain(text: str) -> str:
    """Return safe text on a single line."""
    return " ".join(harmless(text).split())


def single_line(value: Any) -> str:
    """Return a value on a single line: text unchanged, other values as JSON; a dict with a single text as that text."""
    if isinstance(value, dict) and len(value) == 1 and isinstance(only := next(iter(value.values())), str):
        value = only
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return " ".join(text.split())


def start_of(value: Any, length: int) -> str:
    """Return a value on a single line if it has at most `length` characters, else a longer part of the line's start."""
    if isinstance(value, str) and len(value) > 2 * length:
        start = " ".join(value[: 2 * length].split())
        if len(start) > length:  # else the text starts with much whitespace
            return start
    return single_line(value)


def cut(text: str, length: int) -> str:
    """Return text of at most `length` characters, with an ellipsis if it was cut."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def cut_middle(text: str, length: int) -> str:
    """Return a long text without its middle, because the call and the exception are at the ends of a traceback."""
    if len(text) <= length:
        return text
    left = len(text) - length
    return f"{text[: length // 3]}\n… {left:,} characters omitted …\n{text[len(text) - (length - length // 3) :]}"


def without_score(score: ScoreSummary) -> str:
    """Return the number of runs without a score in brackets: missing or not applicable; empty if all have a score."""
    parts = [f"{score.missing} missing"] if score.missing else []
    parts += [f"{score.not_applicable} not applicable"] if score.not_applicable else []
    return f" ({', '.join(parts)})" if parts else ""


def relative(path: str, directory: str) -> str:
    """Return a path relative to the job's directory if it is inside that directory."""
    return path.removeprefix(f"{directory.rstrip('/')}/") if directory else path


def gate_sentence(gate: GateResult) -> str:
    """Return the sentence of a gate, after its state if this is neither passed nor failed."""
    return gate.text if gate.status in ("passed", "failed") else f"{gate.status}: {gate.text}"
