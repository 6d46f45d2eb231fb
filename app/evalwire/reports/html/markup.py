"""Load the page's templates, and escape the values in them."""

from __future__ import annotations

import contextlib
import re
import sys
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

_TEMPLATES = Path(__file__).parent / "templates"

# Halves of surrogate pairs are replaced first.
_ODD = re.compile(f"[{CONTROLS}{LINE_SEPARATORS}{DIRECTIONS}{NOT_CHARACTERS}]")
_SURROGATE = re.compile(f"[{SURROGATES}]")


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
    if url and is_web_address(url):
        return filled('<a href="{}" rel="noopener noreferrer">{}</a>', url, label)
    return text(label)


def is_web_address(url: str) -> bool:
    """Check whether a text is a complete address of the web, without credentials."""
    if not (url.isascii() and url.isprintable()) or " " in url:
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
