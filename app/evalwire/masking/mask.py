"""Replacement of secrets in text, and in nested values."""

from __future__ import annotations

import base64
import dataclasses
import json
import operator
import os
import re
import sys
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar, cast
from urllib.parse import quote, quote_plus, unquote

from evalwire.masking.secret_names import SHORTEST, SecretRules
from evalwire.model import Dataset, Example, Experiment

MASK = "***"
_LONG_RUN = 500  # possible base64 characters; with more spellings, each position is compared with all prefixes
_Spelling = tuple[str, bool]
"""A spelling of a secret, and whether it is in base64."""

_PLAIN = frozenset({type(None), bool, int, float, datetime})  # types that contain no text
_SHORT = 100  # characters of a text that may occur in thousands of runs, such as a name
_MOST_TEXTS = 10_000  # short texts without secrets that are remembered

_ALPHABET = str.maketrans("+/", "-_")  # URL-safe base64


class Mask:
    """Replaces every secret in a text with `***`; secrets can be added at any time.

    Args:
        secrets: the secrets to mask.
        rules: the rules that identify environment variables with secrets.
    """

    def __init__(self, secrets: Iterable[str] = (), *, rules: SecretRules | None = None) -> None:
        self._rules = rules or SecretRules()
        self._given: list[str] = []
        self._found: set[_Spelling] = set()
        self._search = _Search(())
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Add secrets to mask."""
        given = [secret for secret in secrets if len(secret) >= SHORTEST]
        self._given += given
        self._mask(given)

    def learn(self, environ: Mapping[str, str]) -> None:
        """Add the secrets of an environment."""
        self._mask(self._rules.secrets_in(environ))

    def follow(self, rules: SecretRules, environ: Mapping[str, str]) -> None:
        """Replace the rules; mask the added secrets, and the secrets of an environment by the new rules."""
        self._rules, self._found, self._search = rules, set(), _Search(())
        self._mask(self._given)
        self.learn(environ)

    def watch(self) -> None:
        """Add secrets as soon as code sets them in the process's environment."""
        _Watch.start(self)

    def is_secret(self, name: str) -> bool:
        """Check whether a variable with this name contains a secret."""
        return self._rules.is_secret(name)

    def __call__(self, text: str) -> str:
        """Return `text` with its secrets replaced."""
        if self._search.count != len(self._found):  # here, because several threads may call `learn` at the same time
            self._search = _Search(self._found.copy())
        return self._search.replace(text)

    def _mask(self, secrets: Iterable[str]) -> None:
        for secret in secrets:
            shortest = min(SHORTEST, len(secret))
            self._found.update({(text, False) for text in _spellings(secret) if len(text) >= shortest})
            self._found.update({(text, True) for text in _base64(secret.encode(errors="replace"))})


class _Search:
    """Searches for each spelling separately, which is faster than a combined pattern; most texts have no secret."""

    def __init__(self, spellings: Collection[_Spelling]) -> None:
        self.count = len(spellings)
        self._longest_first = sorted((text for text, _ in spellings), key=len, reverse=True)
        self._plain = [text for text, is_encoded in spellings if not is_encoded]
        self._encoded = [text for text, is_encoded in spellings if is_encoded]
        self._prefixes = {text[:SHORTEST] for text in self._encoded}
        shortest = min(map(len, self._encoded), default=SHORTEST)
        self._runs = re.compile(f"[A-Za-z0-9+/_=-]{{{shortest},}}")

    def replace(self, text: str) -> str:
        if self._is_in(text):
            for spelling in self._longest_first:
                text = text.replace(spelling, MASK)
        return text

    def _is_in(self, text: str) -> bool:
        for spelling in self._plain:
            if spelling in text:
                return True
        return bool(self._encoded) and any(self._is_in_run(run[0]) for run in self._runs.finditer(text))

    def _is_in_run(self, run: str) -> bool:
        if len(run) > min(_LONG_RUN, len(self._encoded)):
            return any(spelling in run for spelling in self._encoded)
        return any(run[index : index + SHORTEST] in self._prefixes for index in range(len(run) - SHORTEST + 1))


class _Watch:
    """Notifies masks of set variables, with a single hook, because Python cannot remove hooks."""

    masks: ClassVar[weakref.WeakSet[Mask]] = weakref.WeakSet()
    is_on: ClassVar[bool] = False

    @classmethod
    def start(cls, mask: Mask) -> None:
        cls.masks.add(mask)
        if not cls.is_on:
            cls.is_on = True
            sys.addaudithook(cls.notice)

    @classmethod
    def notice(cls, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "os.putenv":
            name, value = map(os.fsdecode, arguments)
            for mask in list(cls.masks):
                mask.learn({name: value})


T = TypeVar("T")


def masked(value: T, mask: Callable[[str], str]) -> T:
    """Return a value with the secrets in all its texts and keys replaced; a value without secrets is not copied.

    Dataclasses that no report shows (a dataset's examples, the user's functions) are returned unchanged.
    """
    return cast("T", _Copy(mask).of(value))


class _Copy:
    """The copy of a value without secrets: equal short texts, and the example of several runs, are masked once."""

    def __init__(self, mask: Callable[[str], str]) -> None:
        self._mask = mask
        self._clean: set[str] = set()  # short texts without secrets
        self._names: dict[type, tuple[str, ...]] = {}
        self._parts: dict[type, Callable[[Any], tuple[Any, ...]]] = {}
        self._examples: dict[int, Any] = {}  # by identity; the value to copy keeps them alive

    def of(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._of_text(value)
        if type(value) in _PLAIN:
            return value
        if names := self._names_of(type(value)):
            return self._of_dataclass(value, names)
        if isinstance(value, list | tuple):
            listed = [self.of(item) for item in value]
            return value if all(a is b for a, b in zip(listed, value, strict=True)) else type(value)(listed)
        if not value:
            return value
        if isinstance(value, Mapping):
            items = [(self.of(key), self.of(item)) for key, item in value.items()]
            same = all(a is c and b is d for (a, b), (c, d) in zip(items, value.items(), strict=True))
            return value if same else dict(items)
        return value

    def _names_of(self, kind: type) -> tuple[str, ...]:
        """Return the names of a dataclass's fields; empty for any other type, and for types that are not copied."""
        if kind not in self._names:
            is_copied = dataclasses.is_dataclass(kind) and not issubclass(kind, Dataset | Experiment)
            fields = dataclasses.fields(kind) if is_copied else ()
            names = tuple(item.name for item in fields)
            self._names[kind] = names
            # much faster than `getattr` for each field; a getter of a single name returns no tuple
            self._parts[kind] = operator.attrgetter(*names, *names[:1]) if names else tuple
        return self._names[kind]

    def _of_text(self, text: str) -> str:
        new = self._mask(text)
        if new != text:
            return new
        if len(text) <= _SHORT and len(self._clean) < _MOST_TEXTS:
            self._clean.add(text)
        return text

    def _of_dataclass(self, value: Any, names: Collection[str]) -> Any:
        if type(value) is not Example:
            changed = self._changed(value, names)
            return dataclasses.replace(value, **changed) if changed else value
        if id(value) not in self._examples:
            changed = self._changed(value, names)
            if changed:
                changed["recorded_hash"] = value.content_hash  # keeps the identity of the example
            self._examples[id(value)] = dataclasses.replace(value, **changed) if changed else value
        return self._examples[id(value)]

    def _changed(self, value: Any, names: Iterable[str]) -> dict[str, Any]:
        changed: dict[str, Any] = {}
        clean = self._clean
        for name, part in zip(names, self._parts[type(value)](value), strict=False):
            kind = type(part)
            if kind in _PLAIN or (kind is str and part in clean):
                continue
            new = self.of(part)
            if new is not part:
                changed[name] = new
        return changed


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """Return the secret values of an environment, by the default rules."""
    return SecretRules().secrets_in(environ)


def _spellings(secret: str) -> Iterator[str]:
    """Yield a secret as it appears in plain text, on a single line, line by line, in JSON, in a `repr` and in a URL."""
    yield secret
    yield " ".join(secret.split())
    if secret[:1] not in "{[":  # lines of JSON occur in other texts, too
        yield from (line.strip() for line in secret.splitlines() if "-----" not in line)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield unquote(secret)


def _base64(secret: bytes) -> Iterator[str]:
    """Yield a secret as it appears in base64, alone and in longer text such as `user:password`, at all 3 offsets."""
    alone = base64.b64encode(secret).decode()
    yield alone
    yield alone.translate(_ALPHABET)
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + secret).decode()
        first = -(-offset * 8 // 6)  # earlier characters contain bits of other text
        inner = encoded[first : (offset + len(secret)) * 8 // 6]
        if len(inner) >= SHORTEST:
            yield inner
            yield inner.translate(_ALPHABET)
