"""Markup that escapes what is put into it, and the ways in which values of the user's and numbers are shown."""

from __future__ import annotations

import html as escaping
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, LiteralString
from urllib.parse import urlsplit

LONGEST_VALUE = 20_000  # characters of one value; results.json has them all
LONGEST_VALUE_OF_MANY = 1_000  # once the page holds so much that a browser would labour
MANY = 40_000_000  # characters
_SHORT = 80
DASH, MINUS, TIMES = "\u2013", "\u2212", "\u00d7"

# Controls, line separators, what turns the direction of text (and would turn the rest of the page with it), and the
# code points that are no characters. Halves of surrogate pairs are replaced before.
_ODD = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef"
    + "".join(rf"\U{plane:04x}fffe\U{plane:04x}ffff" for plane in range(0x11))
    + "]"
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
_DECODER = json.JSONDecoder(parse_constant={"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.__getitem__)


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def html(template: LiteralString, *values: object, **named: object) -> Html:
    """Fill `{}` and `{name}` of a template: text is escaped, markup and lists of it are put in as they are."""
    filled = [_markup(value) for value in values]
    return Html(template.format(*filled, **{name: _markup(value) for name, value in named.items()}))


def _markup(value: object) -> str:
    kind = type(value)  # most are one of three; a large report has a million of them
    if kind is Html:
        return value  # type: ignore[return-value]
    if kind is str:
        return text(value)  # type: ignore[arg-type]
    if value is None:
        return ""
    match value:
        case str():
            return text(value)
        case int():
            return str(value)
        case Iterable():
            return "".join(map(_markup, value))
    raise TypeError(f"{kind.__name__} has no one way to be shown")


def text(value: str) -> Html:
    """Text of anybody's as markup, for an element or a quoted attribute; what cannot be seen is made visible."""
    if not value.isprintable():  # no line ends and none of the odd ones: most texts
        value = _SURROGATE.sub("?", value.replace("\r\n", "\n"))
        value = _ODD.sub(_visible, value)
    return Html(escaping.escape(value))


def isolated(value: str) -> Html:
    """Text beside other text, which its direction shall not turn; Latin text needs no element for that."""
    shown = text(value)
    return shown if shown.isascii() else html("<bdi>{}</bdi>", shown)


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:  # noqa: PLR2004 - each of these has a picture of its own
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\u27e8U+{code:04X}\u27e9"  # noqa: PLR2004


def anchor(url: str | None, shown: str) -> Html:
    """A link, where the address is one of the web; else what is shown alone."""
    url = _SURROGATE.sub("?", url or "")
    if url.isascii() and url.isprintable() and " " not in url:
        try:
            parts = urlsplit(url)
        except ValueError:
            return text(shown)
        if parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc:
            return html('<a href="{}" rel="noopener noreferrer">{}</a>', url, shown)
    return text(shown)


def table(heads: Iterable[str], rows: Iterable[Html], *, label: Html) -> Html:
    """A table that scrolls in a box of its own, so that the page does not.

    Args:
        heads: of the columns.
        rows: whole.
        label: the attribute that names it.
    """
    return html(
        '<div class="wide" tabindex="0" role="region" {}><table>'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>",
        label,
        [html('<th scope="col">{}</th>', head) for head in heads],
        rows,
    )


class Values:
    """Shows values of the user's in full, less and less of each as the page grows."""

    def __init__(self) -> None:
        self._written = 0

    def show(self, value: Any) -> Html:
        """A value: each field of an object under its name, text as it is, anything else as JSON."""
        plain = _plain(value)
        fields = plain.items() if isinstance(plain, dict) and plain else [(None, plain)]
        room = LONGEST_VALUE if self._written < MANY else LONGEST_VALUE_OF_MANY
        parts: list[Html] = []
        lost = 0
        for name, field in fields:
            whole = field if isinstance(field, str) else _json(field)
            shown = whole[:room]
            room -= len(shown)
            lost += len(whole) - len(shown)
            self._written += len(shown)
            if name is not None:
                room = max(0, room - len(name))
                lines = "\n" if "\n" in shown else "  "
                parts.append(html("{}<b>{}</b>{}{}", "\n" if parts else "", name[:200], lines, text(shown)))
            else:
                # the parser drops a line end right after <pre>
                parts.append(html("{}{}", "\n" if shown.startswith("\n") else "", shown))
        note = html('<p class="cut">{} more characters are in results.json</p>', f"{lost:,}") if lost else None
        return html("<pre>{}</pre>{}", parts, note)


def _plain(value: Any) -> Any:
    """A value as results.json would give it back."""
    if isinstance(value, str):
        return value
    known = dict(value) if isinstance(value, Mapping) else value
    if isinstance(known, dict) and {*map(type, known), *map(type, known.values())} <= {str}:
        return known
    return _DECODER.decode(_ENCODER.encode(known))


def _json(value: Any) -> str:
    """JSON on one line where it is short."""
    short = _ENCODER.encode(value)
    return short if len(short) <= _SHORT else json.dumps(value, ensure_ascii=False, indent=2)


def number(value: float | None, *, signed: bool = False) -> str:
    """A number with three decimals, or three digits where it is tiny or huge; an en dash where there is none."""
    if value is None or not math.isfinite(value):
        return DASH
    size = abs(value)
    kind = ".3g" if 0 < size < 0.001 or size >= 1e6 else ".3f"  # noqa: PLR2004
    sign = MINUS if value < 0 else "+" if signed and value > 0 else ""
    return f"{sign}{size:{kind}}"


def percent(value: float | None) -> str:
    """A share in percent; an en dash where there is none."""
    return DASH if value is None else f"{MINUS if value < 0 else ''}{abs(value) * 100:.1f}\u202f%"


def points(value: float | None) -> str:
    """The change of a share, in percentage points; an en dash where there is none."""
    if value is None:
        return DASH
    return f"{MINUS if value < 0 else '+' if value > 0 else ''}{abs(value) * 100:.1f}\u202fpp"


def duration(seconds: float) -> str:
    """Seconds, as minutes and hours where there are many."""
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"  # noqa: PLR2004
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count(size: int, noun: str) -> str:
    """So many of something."""
    return f"{size:,} {noun}" if size == 1 else f"{size:,} {noun}s"


def relative(path: str, directory: str) -> str:
    """A path, shown relative to the job's directory where it lies below it."""
    return path.removeprefix(f"{directory.rstrip('/')}/") if directory else path
