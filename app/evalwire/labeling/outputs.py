"""The outputs to label, as text, and the answers of a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Field = tuple[str, str]
"""A name, which may be empty, and a text."""

LONGEST = 200_000
"""The maximum number of characters of a value on the page."""

_SHORT = 80  # characters of JSON on a single line


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """An output to label. It has neither scores nor explanations, so that the labels do not depend on them.

    Attributes:
        run_id: Phoenix's ID of the run.
        example_id: the ID of the example.
        repetition: the number of the run among the example's runs, from 1.
        input: the fields of the example's input.
        expected: the fields of the expected output.
        output: the fields of the task's output.
    """

    run_id: str
    example_id: str
    repetition: int
    input: Sequence[Field]
    expected: Sequence[Field]
    output: Sequence[Field]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A person's answer for an output.

    Attributes:
        word: `pass` or `fail`; a score as text; or empty if the person skipped the output or took the label back.
        note: the reason; empty without a reason.
    """

    word: str
    note: str = ""


def fields_of(value: Any, plain: Callable[[str], str], *, longest: int = LONGEST) -> list[Field]:
    """Return a value by field: the fields of an object by name, text unchanged, and other values as JSON.

    Args:
        value: a JSON value.
        plain: makes a text safe to show.
        longest: the maximum number of characters; the number of further characters is in a last field.
    """
    fields = value.items() if isinstance(value, Mapping) and value else [("", value)]
    found: list[Field] = []
    room, lost = longest, 0
    for name, field in fields:
        text = field if isinstance(field, str) else _json(field)
        lost += max(0, len(text) - room)
        found.append((plain(str(name)), plain(text[:room])))
        room = max(0, room - len(text))
    if lost:
        found.append(("", f"[{lost:,} more characters are in Phoenix]"))
    return found


def _json(value: Any) -> str:
    """Return JSON, on a single line if it is short."""
    short = json.dumps(value, ensure_ascii=False, default=_to_dict)
    return short if len(short) <= _SHORT else json.dumps(value, ensure_ascii=False, indent=2, default=_to_dict)


def _to_dict(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else str(value)
