"""Lines of gates in `evalwire.toml`, so that reports can point at them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.gates import GateConfig, GateTable


def with_lines(config: GateConfig, file: Path, text: str) -> GateConfig:
    """Return the gates with the line of each limit in its source: `evalwire.toml:12: [gates.top_k] min`.

    Args:
        config: the gates as read from the file.
        file: the file, as in the sources.
        text: the text of the file.
    """
    lines = _lines(text)

    def located(source: str) -> str:
        place = source.removeprefix(f"{file}: ")
        header, _, key = place.rpartition("] ")
        line = next((lines[path] for path in _paths(_parsed(f"{header}]\n{key} = 0"), leaves=True) if path in lines), 0)
        return f"{file}:{line}: {place}" if line else source

    def in_table(table: GateTable) -> GateTable:
        return replace(
            table,
            limits=tuple(replace(limit, source=located(limit.source)) for limit in table.limits),
            evaluations={name: in_table(inner) for name, inner in table.evaluations.items()},
        )

    return replace(
        config,
        everywhere=in_table(config.everywhere),
        experiments={name: in_table(table) for name, table in config.experiments.items()},
    )


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """Return the line of each key, from 1; a key of an inline table has the line of the table."""
    found: dict[tuple[str, ...], int] = {}
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        parsed = _parsed(line.strip())  # a line within a value is rarely TOML, and its keys are never keys of gates
        if line.lstrip().startswith("["):
            section = next(_paths(parsed, leaves=True), section)
        else:
            for path in _paths(parsed):
                found.setdefault((*section, *path), number)
    return found


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _paths(table: Mapping[str, Any], *, leaves: bool = False) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all keys in a table, or only of keys without a table below."""
    for key, value in table.items():
        inner = value if isinstance(value, Mapping) else {}
        if not (leaves and inner):
            yield (key,)
        yield from ((key, *path) for path in _paths(inner, leaves=leaves))
