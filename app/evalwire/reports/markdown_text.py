"""Write texts of users and models as Markdown in which none of their characters are markup."""

from __future__ import annotations

import html
import re

from evalwire.reports.text import (
    CONTROLS,
    DIRECTION_MARKS,
    DIRECTIONS,
    LINE_SEPARATORS,
    NOT_CHARACTERS,
    NOT_SEEN,
    WHITE_CONTROLS,
    cut,
    replace_unsafe,
    single_line,
    whole,
)

_UNSAFE = re.compile(
    f"[{WHITE_CONTROLS}{CONTROLS}{LINE_SEPARATORS}{DIRECTIONS}{DIRECTION_MARKS}{NOT_SEEN}{NOT_CHARACTERS}]"
)
_PROSE = re.compile(r"(?:[A-Za-z0-9 _.,;()%=<>+≥≤±×–-]|:(?= ))+")  # noqa: RUF001 - signs that gate sentences may contain
_REFERENCE = re.compile(r"www\.|GH-[0-9]|[0-9a-f]{7}", re.IGNORECASE)  # a site, an issue, a commit
_ADDRESS = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~!$&'*+,;=:@%/?#-]*)?")


def code(text: str, length: int = 40, *, in_table: bool = False) -> str:
    """Return text as a code span on a single line, shortened."""
    plain = cut(_plain(text), length)
    if not plain:
        return "(empty)"
    if in_table:  # a backslash before an escaped bar would end the cell
        plain = re.sub(r"\\(?=\|)", r"\\ ", plain).replace("|", r"\|")
    fence = "`"
    while fence in plain:
        fence += "`"
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def prose(text: str, *, in_table: bool = False) -> str:
    """Return a sentence that contains names of users: unchanged if it is plain text, else as a code span."""
    plain = cut(_plain(text), 500)
    if not _PROSE.fullmatch(plain) or _REFERENCE.search(plain):
        return code(plain, 500, in_table=in_table)
    return html.escape(plain, quote=False).replace("_", r"\_")


def _plain(text: str) -> str:
    return single_line(replace_unsafe(_UNSAFE, text))


def link_to(text: str, address: str | None) -> str:
    """Return a link; an empty text without a plain address."""
    plain = whole(address or "")
    return f"[{text}]({plain})" if _ADDRESS.fullmatch(plain) else ""
