"""Find secrets, and replace them in texts and in values of any depth."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import quote, unquote, urlsplit

from evalwire.model import Dataset, Example, Experiment

MASK = "***"
_SHORTEST = 8  # characters; shorter values would blot out ordinary words
_PASSWORD_OF_URL = re.compile(r"://[^\s/@:]*:([^\s/@]+)@")
_SECRET_NAMES = re.compile(
    r"(^|_|^PG)(KEY|API_?KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)$", re.IGNORECASE
)
_OTHER_KEYS = ("EVALWIRE_RUN_KEY",)  # opens nothing, and may be an ordinary word
_HEADER_NAMES = ("PHOENIX_CLIENT_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")


class Mask:
    """Replaces every secret in a text by `***`; secrets can be added as they become known."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spellings: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Mask these as well from now on."""
        found = {spelling for secret in secrets for spelling in _spellings(secret) if len(spelling) >= _SHORTEST}
        if found <= self._spellings:
            return
        self._spellings |= found
        longest_first = sorted(self._spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> str:
        """`text` without its secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text


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


def is_secret(name: str) -> bool:
    """Check whether a variable of this name holds a secret."""
    return name in _HEADER_NAMES or _has_secrets_name(name)


def _has_secrets_name(name: str) -> bool:
    return name not in _OTHER_KEYS and _SECRET_NAMES.search(name) is not None


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """The secret values of an environment.

    These are the values of `*_KEY`, `*_TOKEN`, `*_SECRET`, `*_PASSWORD` and their like, those of client headers,
    and the password in any URL.
    """
    values = [value for name, value in environ.items() if _has_secrets_name(name)]
    values.extend(password for value in environ.values() for password in _passwords_in(value))
    for name in _HEADER_NAMES:
        values.extend(_header_values(environ.get(name, "")))
    return [value.strip() for value in values if len(value.strip()) >= _SHORTEST]


def _passwords_in(value: str) -> Iterator[str]:
    """The passwords of the URLs in a text, as written."""
    if "://" not in value or "@" not in value:
        return
    found = set(_PASSWORD_OF_URL.findall(value))
    with contextlib.suppress(ValueError):  # one that is a URL as a whole may have other characters in it
        found.add(urlsplit(value).password or "")
    yield from sorted(found)


def _header_values(headers: str) -> Iterator[str]:
    """The values of `name=value,name=value`, as written and decoded, with and without `Bearer`."""
    for pair in headers.split(","):
        value = pair.partition("=")[2].strip()
        for form in (value, unquote(value)):
            yield form
            yield form.partition(" ")[2].strip()


def _spellings(secret: str) -> Iterator[str]:
    """A secret as it looks in plain text, on one line, line by line, in JSON, in a `repr`, and in a URL."""
    yield secret
    yield " ".join(secret.split())
    yield from (line.strip() for line in secret.splitlines())
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="")
    yield unquote(secret)
