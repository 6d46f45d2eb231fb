"""Load the page's templates, and make whatever is put into them harmless."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import urlsplit

import jinja2
from jinja2.ext import Extension
from markupsafe import Markup, escape

from evalwire._version import __version__
from evalwire.reports.text import CONTROLS, DIRECTIONS, LINE_SEPARATORS, NOT_CHARACTERS, SURROGATES

if TYPE_CHECKING:
    from jinja2.bccache import Bucket

LONGEST_VALUE = 20_000  # characters of one value; results.json has them all
LONGEST_VALUE_OF_MANY = 1_000  # once the page holds so much that a browser would labour
MANY = 40_000_000  # characters
_SHORT = 80
_TEMPLATES = Path(__file__).parent / "templates"

# Halves of surrogate pairs are replaced before.
_ODD = re.compile(f"[{CONTROLS}{LINE_SEPARATORS}{DIRECTIONS}{NOT_CHARACTERS}]")
_SURROGATE = re.compile(f"[{SURROGATES}]")
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
_DECODER = json.JSONDecoder(parse_constant={"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.__getitem__)


class _Compact(Extension):
    """Drops the line ends and the indentation of templates where they stand beside a tag or a brace."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return a template's source as it is compiled."""
        del name, filename
        return re.sub(r"(?<=[<>{}])\s*\n\s*|\s*\n\s*(?=[<>{}])", "", source)


class _Bytecode(jinja2.FileSystemBytecodeCache):
    """Keeps the bytecode of templates beside them where Python keeps its own: to compile them takes 0.4 s."""

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """Return the key of a template, wherever it lies: the image compiles it elsewhere than it runs it."""
        del filename
        return super().get_cache_key(name)

    def get_source_checksum(self, source: str) -> str:
        """Return the digest of a template, which another version may compile in another way."""
        return super().get_source_checksum(f"{__version__}\n{source}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read the bytecode, where it is there and whole."""
        with contextlib.suppress(Exception):  # the template is compiled then
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write the bytecode, where that is allowed and possible."""
        if not sys.dont_write_bytecode:
            with contextlib.suppress(OSError):
                Path(self.directory).mkdir(exist_ok=True)
                super().dump_bytecode(bucket)


def environment(templates: Path = _TEMPLATES, /, **names: Any) -> jinja2.Environment:
    """Return an environment with the page's templates, in which these names are both functions and filters."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates),
        bytecode_cache=_Bytecode(str(templates / "__pycache__")),
        autoescape=True,
        finalize=visible,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        extensions=[_Compact],
    )
    made.globals |= names
    made.filters |= names
    return made


def visible(value: object) -> str:
    """Return what a template's braces hold as text that is still to be escaped, or as markup.

    Raises:
        TypeError: the value has no one way to be shown.
    """
    kind = type(value)  # most are one of two; a large report has a million of them
    if kind is Markup:
        return value  # type: ignore[return-value] # as its type says
    if kind is str:
        if value.isprintable():  # type: ignore[attr-defined] # no line ends and nothing odd: most texts
            return value  # type: ignore[return-value]
        return _ODD.sub(_named, _SURROGATE.sub("?", value.replace("\r\n", "\n")))  # type: ignore[attr-defined]
    match value:
        case None:
            return ""
        case str():
            return visible(str.__str__(value))
        case int():
            return str(value)
        case list() | tuple():
            return Markup().join(map(visible, value))
        case jinja2.Undefined():
            return str(value)  # empty for an `if` without `else`; else it raises UndefinedError
    raise TypeError(f"{kind.__name__} has no one way to be shown")


def filled(template: LiteralString, *values: object) -> Markup:
    """Return a piece of markup with escaped values in its braces."""
    return Markup(template).format(*map(visible, values))  # noqa: S704 - the template is a literal of evalwire's


def text(value: str) -> Markup:
    """Return anybody's text as markup, for an element or a quoted attribute; what cannot be seen is made visible."""
    return escape(visible(value))


def isolated(value: str) -> Markup:
    """Return text beside other text, which its direction must not turn; Latin text needs no element for that."""
    escaped = text(value)
    return escaped if escaped.isascii() else filled("<bdi>{}</bdi>", escaped)


def _named(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:  # noqa: PLR2004 - each of these has a picture of its own
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\u27e8U+{code:04X}\u27e9"  # noqa: PLR2004 - DEL has one, too


def anchor(url: str | None, label: str) -> Markup:
    """Return a link, where the address is one of the web; else the label alone."""
    url = _SURROGATE.sub("?", url or "")
    if url.isascii() and url.isprintable() and " " not in url:
        try:
            parts = urlsplit(url)
        except ValueError:
            return text(label)
        if parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc:
            return filled('<a href="{}" rel="noopener noreferrer">{}</a>', url, label)
    return text(label)


@dataclass(frozen=True, slots=True)
class Part:
    """A field of a value: its name, None for a value without fields, and its text, with the gaps around the name."""

    before: str
    name: str | None
    gap: str
    text: str


@dataclass(frozen=True, slots=True)
class CutValue:
    """A value of the user's as text, in its fields; `lost` counts the characters that the page leaves out."""

    parts: tuple[Part, ...]
    lost: int


class Values:
    """Cuts values of the user's, the shorter the more the page already holds."""

    def __init__(self) -> None:
        self._written = 0

    def cut(self, value: Any) -> CutValue:
        """Return a value: each field of an object under its name, text as it is, anything else as JSON."""
        plain = _plain(value)
        fields = plain.items() if isinstance(plain, dict) and plain else [(None, plain)]
        whole = [(name, field if isinstance(field, str) else _json(field)) for name, field in fields]
        parts = tuple(self._parts(whole))
        return CutValue(parts, sum(len(one) for _, one in whole) - sum(len(part.text) for part in parts))

    def _parts(self, fields: list[tuple[str | None, str]]) -> Iterator[Part]:
        room = LONGEST_VALUE if self._written < MANY else LONGEST_VALUE_OF_MANY
        for place, (name, whole) in enumerate(fields):
            cut = whole[:room]
            room -= len(cut)
            self._written += len(cut)
            if name is None:
                # the parser drops a line end right after <pre>
                yield Part("\n" if cut.startswith("\n") else "", None, "", cut)
            else:
                room = max(0, room - len(name))
                yield Part("\n" if place else "", name[:200], "\n" if "\n" in cut else "  ", cut)


def _plain(value: Any) -> Any:
    """Return a value as results.json would give it back."""
    if isinstance(value, str):
        return value
    known = dict(value) if isinstance(value, Mapping) else value
    if isinstance(known, dict) and {*map(type, known), *map(type, known.values())} <= {str}:
        return known
    return _DECODER.decode(_ENCODER.encode(known))


def _json(value: Any) -> str:
    """Return JSON, on one line where it is short."""
    short = _ENCODER.encode(value)
    return short if len(short) <= _SHORT else json.dumps(value, ensure_ascii=False, indent=2)
