"""Load the page's templates, and escape the values in them."""

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

LONGEST_VALUE = 20_000  # characters of a value; results.json has the full value
LONGEST_VALUE_OF_MANY = 1_000  # limit once the page has MANY characters, which slow a browser down
MANY = 40_000_000  # characters
_SHORT = 80
_TEMPLATES = Path(__file__).parent / "templates"

# Halves of surrogate pairs are replaced first.
_ODD = re.compile(f"[{CONTROLS}{LINE_SEPARATORS}{DIRECTIONS}{NOT_CHARACTERS}]")
_SURROGATE = re.compile(f"[{SURROGATES}]")
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
_DECODER = json.JSONDecoder(parse_constant={"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}.__getitem__)


class _Compact(Extension):
    """Removes line ends and indentation of templates next to a tag or a brace."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """Return the source of a template to compile."""
        del name, filename
        return re.sub(r"(?<=[<>{}])\s*\n\s*|\s*\n\s*(?=[<>{}])", "", source)


class _Bytecode(jinja2.FileSystemBytecodeCache):
    """Caches the bytecode of templates in `__pycache__` next to them, because compiling takes 0.4 s."""

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        """Return the key of a template, regardless of its directory: the image compiles templates in another place."""
        del filename
        return super().get_cache_key(name)

    def get_source_checksum(self, source: str) -> str:
        """Return the digest of a template and the version, because another version may compile it differently."""
        return super().get_source_checksum(f"{__version__}\n{source}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read the bytecode if it exists and is valid."""
        with contextlib.suppress(Exception):  # the template is compiled instead
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write the bytecode if this is allowed and possible."""
        if not sys.dont_write_bytecode:
            with contextlib.suppress(OSError):
                Path(self.directory).mkdir(exist_ok=True)
                super().dump_bytecode(bucket)


def environment(templates: Path = _TEMPLATES, /, **names: Any) -> jinja2.Environment:
    """Return an environment for the page's templates, with the given names as functions and as filters."""
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
    """Return a value in a template's braces as unescaped text with visible control characters, or as markup.

    Raises:
        TypeError: values of this type cannot be shown.
    """
    kind = type(value)  # a fast path for the two most common types: a large report has a million values
    if kind is Markup:
        return value  # type: ignore[return-value] # Markup is a str
    if kind is str:
        if value.isprintable():  # type: ignore[attr-defined] # most texts have no line ends or control characters
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
            return str(value)  # empty for an `if` without `else`; otherwise raises UndefinedError
    raise TypeError(f"a value of type {kind.__name__} cannot be shown")


def filled(template: LiteralString, *values: object) -> Markup:
    """Return a piece of markup with escaped values in the braces."""
    return Markup(template).format(*map(visible, values))  # noqa: S704 - the template is a literal in evalwire's code


def text(value: str) -> Markup:
    """Return text as markup for an element or a quoted attribute, with control characters made visible."""
    return escape(visible(value))


def isolated(value: str) -> Markup:
    """Return text as markup that does not change the direction of text around it; ASCII text needs no element."""
    escaped = text(value)
    return escaped if escaped.isascii() else filled("<bdi>{}</bdi>", escaped)


def _named(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x20:  # noqa: PLR2004 - Unicode has a symbol for each of these
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\u27e8U+{code:04X}\u27e9"  # noqa: PLR2004 - DEL has a symbol, too


def anchor(url: str | None, label: str) -> Markup:
    """Return a link if the address is a web address, else only the label."""
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
    """A field of a value: name (None for a value without fields), text, and the whitespace around the name."""

    before: str
    name: str | None
    gap: str
    text: str


@dataclass(frozen=True, slots=True)
class CutValue:
    """A user's value as text, by field; `lost` is the number of characters that the page omits."""

    parts: tuple[Part, ...]
    lost: int


class Values:
    """Cuts users' values, to a shorter length once the page is large."""

    def __init__(self) -> None:
        self._written = 0

    def cut(self, value: Any) -> CutValue:
        """Return a value by field: the fields of an object by name, text unchanged, and other values as JSON."""
        plain = _plain(value)
        fields = plain.items() if isinstance(plain, dict) and plain else [(None, plain)]
        whole = [(name, field if isinstance(field, str) else _json(field)) for name, field in fields]
        parts = tuple(self._parts(whole))
        return CutValue(parts, sum(len(text) for _, text in whole) - sum(len(part.text) for part in parts))

    def _parts(self, fields: list[tuple[str | None, str]]) -> Iterator[Part]:
        room = LONGEST_VALUE if self._written < MANY else LONGEST_VALUE_OF_MANY
        for place, (name, whole) in enumerate(fields):
            cut = whole[:room]
            room -= len(cut)
            self._written += len(cut)
            if name is None:
                # HTML parsers ignore a line end right after <pre>
                yield Part("\n" if cut.startswith("\n") else "", None, "", cut)
            else:
                room = max(0, room - len(name))
                yield Part("\n" if place else "", name[:200], "\n" if "\n" in cut else "  ", cut)


def _plain(value: Any) -> Any:
    """Return a value as read back from results.json."""
    if isinstance(value, str):
        return value
    known = dict(value) if isinstance(value, Mapping) else value
    if isinstance(known, dict) and {*map(type, known), *map(type, known.values())} <= {str}:
        return known
    return _DECODER.decode(_ENCODER.encode(known))


def _json(value: Any) -> str:
    """Return JSON, on a single line if it is short."""
    short = _ENCODER.encode(value)
    return short if len(short) <= _SHORT else json.dumps(value, ensure_ascii=False, indent=2)
