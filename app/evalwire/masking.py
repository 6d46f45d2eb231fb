"""Keep secrets out of whatever is shown: their values are replaced in text and on the standard streams."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TextIO
from urllib.parse import quote, unquote

MASK = "***"
_SHORTEST = 8  # characters; shorter values would blot out ordinary words
_SECRET_NAMES = re.compile(r"_(KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_HEADER_NAMES = ("PHOENIX_CLIENT_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")


class Mask:
    """Replaces every secret in a text by `***`."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings = {spelling for secret in secrets for spelling in _spellings(secret) if len(spelling) >= _SHORTEST}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def __call__(self, text: str) -> str:
        """`text` without its secrets."""
        return self._pattern.sub(MASK, text) if self._pattern else text


def secrets_in(environ: Mapping[str, str]) -> list[str]:
    """The secret values of an environment: `*_KEY`, `*_TOKEN`, `*_SECRET`, `*_PASSWORD`, and client headers."""
    values = [value for name, value in environ.items() if _SECRET_NAMES.search(name)]
    for name in _HEADER_NAMES:
        values.extend(_header_values(environ.get(name, "")))
    return [value.strip() for value in values if len(value.strip()) >= _SHORTEST]


def _header_values(headers: str) -> Iterator[str]:
    """The values of `name=value,name=value`, as written and decoded, with and without `Bearer`."""
    for pair in headers.split(","):
        value = pair.partition("=")[2].strip()
        for form in (value, unquote(value)):
            yield form
            yield form.partition(" ")[2].strip()


def _spellings(secret: str) -> Iterator[str]:
    """A secret as it looks in plain text, in JSON, in a `repr`, and in a URL."""
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="")


class MaskedStream:
    """A text stream that masks what is written to it; everything else is the stream's own."""

    def __init__(self, stream: TextIO, mask: Mask) -> None:
        self._stream = stream
        self._mask = mask

    def write(self, text: str) -> int:
        """Write `text`, masked."""
        self._stream.write(self._mask(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each line, masked."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
