"""A reader for the rows of a JSON Lines file."""

from __future__ import annotations

import difflib
import json
import math
from typing import TYPE_CHECKING, Any, TextIO

from evalwire.datasets.rows import Columns, Issue, Row, is_blank, is_unicode, split_cell, unique
from evalwire.model import unstorable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KEYS = ("id", "input", "output", "metadata", "tags", "split")


def read_json_lines(file: TextIO, columns: Columns) -> Iterator[Row | Issue]:
    """Yield the rows of a JSON Lines file, and each problem with its row."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            yield from _of_object(number, _parse(line.rstrip("\r\n")), columns)
        except ValueError as error:
            yield Issue(number, str(error), "file")


def _parse(line: str) -> dict[str, Any]:
    """Return the object of a line.

    Raises:
        ValueError: the line is not a JSON object that Phoenix can store.
    """
    if not is_unicode(line):
        raise ValueError("is not UTF-8; save the file as UTF-8")

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(found)
        if len(made) < len(found):
            twice = next(key for key in made if sum(key == other for other, _ in found) > 1)
            raise ValueError(f"has {twice!r} twice")
        return made

    def refuse(constant: str) -> float:
        raise ValueError(f"has {constant}, which is not valid JSON")

    def number(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else refuse(text)

    try:
        found = json.loads(line, object_pairs_hook=pairs, parse_constant=refuse, parse_float=number)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON ({error.msg} at column {error.colno})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("is not a JSON object")
    _refuse_unstorable(found)
    return found


def _refuse_unstorable(found: Mapping[str, Any]) -> None:
    if not is_unicode(json.dumps(found, ensure_ascii=False)):
        raise ValueError("has half of a surrogate pair, which is not valid text")
    if (problem := unstorable({**found, "id": str(found.get("id"))})) is not None:  # integer IDs are stored as text
        raise ValueError(f"has {problem}")


def _of_object(number: int, found: Mapping[str, Any], columns: Columns) -> Iterator[Row | Issue]:
    for key in found:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, n=1)
            raise ValueError(
                f"unknown key {key!r}; " + (f"perhaps {close[0]!r}" if close else f"known: {', '.join(_KEYS)}")
            )
    parts = {key: {} if found.get(key) is None else found[key] for key in ("input", "output", "metadata")}
    for key, value in parts.items():
        if not isinstance(value, dict):
            raise ValueError(f"{key!r} is not a JSON object")
    tags, splits = (_texts(found, key, columns.delimiter) for key in ("tags", "split"))
    id_ = found.get("id")
    if id_ is not None and (isinstance(id_, bool) or not isinstance(id_, str | int)):
        raise ValueError("'id' is not a string")
    if not tags:
        yield Issue(number, "empty tag in 'tags'", "row")
    for what, key in (("expected output", "output"), ("input", "input")):
        if all(_is_blank(value) for value in parts[key].values()):
            yield Issue(number, f"empty {what} in {key!r}", "note")
    if tags:
        name = "" if id_ is None else str(id_).strip()
        yield Row(number=number, tags=tags, id=name or None, splits=splits, **parts)


def _texts(found: Mapping[str, Any], key: str, delimiter: str) -> tuple[str, ...] | None:
    value = found.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        return unique(split_cell(value, delimiter))
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key!r} is neither a string nor a list of strings")
    return unique(item.strip() for item in value if item.strip())


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and is_blank(value))
