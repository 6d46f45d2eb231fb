"""Print lines that continue at a hanging indent if they exceed the width of the terminal."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

_NARROWEST = 20  # columns of text next to an indent
_HANGING = 2  # columns by which a line without a label continues to the right of its start
_WORD = re.compile(r"\S+\s*")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the report.

    Attributes:
        text: text of the line.
        indent: columns before the text.
        label: text in front of the first column of the text, such as `input     `; later lines have spaces instead.
        style: style of label and text.
    """

    text: Text | str = ""
    indent: int = 0
    label: Text = field(default_factory=Text)
    style: str = ""

    @classmethod
    def indented(cls, text: str, *, style: str = "") -> Line:
        """Return a line whose indent is the number of spaces at the start of a text."""
        return cls(text.lstrip(" "), len(text) - len(text.lstrip(" ")), style=style)


def print_line(console: Console, line: Line, *, width: int | None) -> None:
    """Print a line; wrap it at words if it exceeds a width in columns.

    A word that is longer than the width, such as an address, is not broken.
    """
    text = Text(line.text) if isinstance(line.text, str) else line.text
    prefix = Text(" " * line.indent).append_text(line.label)
    if width is None or prefix.cell_len + text.cell_len <= width:
        console.print(Text.assemble(prefix, text, style=line.style))
        return
    hanging = prefix.cell_len + (0 if line.label else _HANGING)
    first, room = width - prefix.cell_len, max(_NARROWEST, width - hanging)
    for number, part in enumerate(text.divide(_breaks(text.plain, first, room))):
        part.rstrip()
        console.print(Text.assemble(prefix if number == 0 else Text(" " * hanging), part, style=line.style))


def _breaks(text: str, first: int, room: int) -> Iterator[int]:
    """Yield the positions of the words that start a new line.

    Args:
        text: text to wrap.
        first: columns of the first line.
        room: columns of every later line.
    """
    used, most = 0, first
    for found in _WORD.finditer(text):
        if used and used + cell_len(found[0].rstrip()) > most:
            yield found.start()
            used, most = 0, room
        used += cell_len(found[0])
