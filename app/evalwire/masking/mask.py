"""Replace secrets in texts, and in values of any depth."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import sys
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeVar, cast
from urllib.parse import quote, quote_plus, unquote

from evalwire.masking.secret_names import SHORTEST, SecretRules
from evalwire.model import Dataset, Example, Experiment

MASK = "***"
_LONG_RUN = 500  # characters that may be base64; in fewer, the beginnings of all spellings are looked up at each place
_Spelling = tuple[str, bool]
"""How a secret may be written, and whether that is in base64."""

_ALPHABET = str.maketrans("+/", "-_")  # of URLs


class Mask:
    """Replaces every secret in a text by `***`; secrets can be added as they become known.

    Args:
        secrets: to mask.
        rules: which variables of an environment hold secrets.
    """

    def __init__(self, secrets: Iterable[str] = (), *, rules: SecretRules | None = None) -> None:
        self._rules = rules or SecretRules()
        self._given: list[str] = []
        self._found: set[_Spelling] = set()
        self._search = _Search(())
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Mask these as well from now on."""
        given = [secret for secret in secrets if len(secret) >= SHORTEST]
        self._given += given
        self._mask(given)

    def learn(self, environ: Mapping[str, str]) -> None:
        """Mask the secrets of an environment as well from now on."""
        self._mask(self._rules.secrets_in(environ))

    def follow(self, rules: SecretRules, environ: Mapping[str, str]) -> None:
        """Mask what was added, and the secrets that an environment has by other rules."""
        self._rules, self._found, self._search = rules, set(), _Search(())
        self._mask(self._given)
        self.learn(environ)

    def watch(self) -> None:
        """Mask secrets from the moment on at which code puts them into the process's environment."""
        _Watch.start(self)

    def is_secret(self, name: str) -> bool:
        """Check whether a variable of this name holds a secret."""
        return self._rules.is_secret(name)

    def __call__(self, text: str) -> str:
        """`text` without its secrets."""
        if self._search.count != len(self._found):  # here, since several threads may learn at once
            self._search = _Search(self._found.copy())
        return self._search.replace(text)

    def _mask(self, secrets: Iterable[str]) -> None:
        for secret in secrets:
            shortest = min(SHORTEST, len(secret))
            self._found.update({(text, False) for text in _spellings(secret) if len(text) >= shortest})
            self._found.update({(text, True) for text in _base64(secret.encode(errors="replace"))})


class _Search:
    """Looks for spellings one by one, which is quicker than by one pattern of all; most texts have none."""

    def __init__(self, spellings: Collection[_Spelling]) -> None:
        self.count = len(spellings)
        self._longest_first = sorted((text for text, _ in spellings), key=len, reverse=True)
        self._plain = [text for text, is_encoded in spellings if not is_encoded]
        self._encoded = [text for text, is_encoded in spellings if is_encoded]
        self._beginnings = {text[:SHORTEST] for text in self._encoded}
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
        if len(run) > _LONG_RUN:
            return any(spelling in run for spelling in self._encoded)
        return any(run[place : place + SHORTEST] in self._beginnings for place in range(len(run) - SHORTEST + 1))


class _Watch:
    """Tells masks of variables that are set. Python's hooks stay for ever, so there is one."""

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
    """A value without secrets in any text of it, keys included; what has none is the very same object.

    Of dataclasses, those that no report shows (a dataset's examples, the user's functions) are left as they are.
    """
    return cast("T", _masked(value, mask))


def _masked(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        text = mask(value)
        return value if text == value else text
    if isinstance(value, Dataset | Experiment):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        new = {name: _masked(part, mask) for name, part in parts.items()}
        changed = {name: part for name, part in new.items() if part is not parts[name]}
        if changed and isinstance(value, Example):
            changed["recorded_hash"] = value.content_hash  # it is still the same example
        return dataclasses.replace(value, **changed) if changed else value
    if isinstance(value, Mapping):
        items = [(_masked(key, mask), _masked(item, mask)) for key, item in value.items()]
        same = all(a is c and b is d for (a, b), (c, d) in zip(items, value.items(), strict=True))
        return value if same else dict(items)
    if isinstance(value, list | tuple):
        listed = [_masked(item, mask) for item in value]
        return value if all(a is b for a, b in zip(listed, value, strict=True)) else type(value)(listed)
    return value


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """Return the secret values of an environment, by the rules that hold without a setting."""
    return SecretRules().secrets_in(environ)


def _spellings(secret: str) -> Iterator[str]:
    """A secret as it looks in plain text, on one line, line by line, in JSON, in a `repr`, and in a URL."""
    yield secret
    yield " ".join(secret.split())
    if secret[:1] not in "{[":  # lines of JSON are in other texts, too
        yield from (line.strip() for line in secret.splitlines() if "-----" not in line)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield unquote(secret)


def _base64(secret: bytes) -> Iterator[str]:
    """A secret within any base64 of a longer text, such as `user:password`, where it begins at one of three places."""
    alone = base64.b64encode(secret).decode()
    yield alone
    yield alone.translate(_ALPHABET)
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + secret).decode()
        first = -(-offset * 8 // 6)  # the characters before have bits of something else
        inner = encoded[first : (offset + len(secret)) * 8 // 6]
        if len(inner) >= SHORTEST:
            yield inner
            yield inner.translate(_ALPHABET)
