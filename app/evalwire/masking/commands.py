"""Neutralization of commands to GitHub (`::error::`, `##[error]`) and Azure Pipelines (`##vso[...]`) in text."""

from __future__ import annotations

import re
from collections.abc import Mapping

SEPARATOR = "\u200b"  # has zero width and is not a space, so the text looks the same

# Lines end as in .NET's StreamReader, and start after the characters that .NET's TrimStart removes.
_WHITE = "[\t\x0b\x0c\x1c-\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*"
_COMMAND = re.compile(rf"(?<![^\r\n]){_WHITE}::|##(?:vso)?\[", re.IGNORECASE)
_UNDECIDED = re.compile(rf"{_WHITE}:?")
_TAIL = len("##vso")
_SYSTEMS = ("GITHUB_ACTIONS", "TF_BUILD")


def reads_commands(environ: Mapping[str, str]) -> bool:
    """Check whether the CI system of an environment reads commands in the output of jobs."""
    return any(environ.get(name) for name in _SYSTEMS)


def without_commands(text: str) -> str:
    """Return text with a zero-width space in each command, which CI systems then ignore."""
    return CommandFilter()(text)


class CommandFilter:
    """Separates the characters of commands in text that arrives in pieces, without buffering."""

    def __init__(self) -> None:
        self._line = ""  # the part of the current line that may belong to a command

    @property
    def is_within_line(self) -> bool:
        """True if the last line is incomplete."""
        return bool(self._line)

    def __call__(self, piece: str) -> str:
        """Return a piece with separators, so that no line of the combined pieces is a command."""
        known = len(self._line)
        text = self._line + piece
        made = []
        start = known
        for found in _COMMAND.finditer(text):
            # between the first two characters, or at the start of the piece if these were already written
            split = max(found.end() - 1 if found[0].endswith("::") else found.start() + 1, known)
            made.append(text[start:split] + SEPARATOR)
            start = split
        made.append(text[start:])
        result = "".join(made)
        self._line = _remembered(self._line + result)
        return result


def _remembered(text: str) -> str:
    """Return the relevant part of the last line: whitespace with a colon, or the last few characters."""
    line = text[max(text.rfind("\r"), text.rfind("\n")) + 1 :]
    if _UNDECIDED.fullmatch(line):
        return line[:1] + line[1:][-1:]  # a single whitespace character is enough
    return f".{line[-_TAIL:]}"
