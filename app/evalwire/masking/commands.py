"""Make text free of commands to GitHub (`::error::`, `##[error]`) and Azure Pipelines (`##vso[...]`)."""

from __future__ import annotations

import re
from collections.abc import Mapping

SEPARATOR = "\u200b"  # has no width, and is no space: what was separated reads as before

# Lines end where .NET's StreamReader ends them, and begin after what its TrimStart removes.
_WHITE = "[\t\x0b\x0c\x1c-\x1f \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]*"
_COMMAND = re.compile(rf"(?<![^\r\n]){_WHITE}::|##(?:vso)?\[", re.IGNORECASE)
_UNDECIDED = re.compile(rf"{_WHITE}:?")
_TAIL = len("##vso")
_SYSTEMS = ("GITHUB_ACTIONS", "TF_BUILD")


def reads_commands(environ: Mapping[str, str]) -> bool:
    """Check whether the CI system of an environment reads commands in what its jobs print."""
    return any(environ.get(name) for name in _SYSTEMS)


def without_commands(text: str) -> str:
    """Return text in which CI sees no commands; a space without width is in each."""
    return CommandFilter()(text)


class CommandFilter:
    """Separates the characters of commands in text that comes in pieces; a piece is never held back."""

    def __init__(self) -> None:
        self._line = ""  # what the line so far may contribute to a command

    @property
    def is_within_line(self) -> bool:
        """Check whether the last line has not ended."""
        return bool(self._line)

    def __call__(self, piece: str) -> str:
        """Return a piece, so that no line of all pieces together is a command."""
        known = len(self._line)
        text = self._line + piece
        made = []
        start = known
        for found in _COMMAND.finditer(text):
            # between its first two characters, or, where these were written before, where the piece begins
            place = max(found.end() - 1 if found[0].endswith("::") else found.start() + 1, known)
            made.append(text[start:place] + SEPARATOR)
            start = place
        made.append(text[start:])
        result = "".join(made)
        self._line = _remembered(self._line + result)
        return result


def _remembered(text: str) -> str:
    """Return what matters of the last line: white space with a colon, or its last few characters."""
    line = text[max(text.rfind("\r"), text.rfind("\n")) + 1 :]
    if _UNDECIDED.fullmatch(line):
        return line[:1] + line[1:][-1:]  # of white space, one character stands for all
    return f".{line[-_TAIL:]}"
