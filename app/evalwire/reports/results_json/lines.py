"""Read the runs in a `results.json` line by line, as the writer lays them out, to limit the memory for a large file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_SECTION, _RUNS, _ITEM = b'  "', b'      "runs": [', b"        {"  # starts of lines


class OtherLayout(Exception):
    """The file has another layout, such as the layout of an earlier version, and must be read as a whole."""


@dataclass(slots=True)
class Lines:
    """A `results.json` whose runs are read.

    Attributes:
        head: the JSON text, in which all lists of runs are empty.
        runs: the runs by section, which is `baselines` or `experiments`: a list for each of its entries.
    """

    head: bytes = b""
    runs: dict[str, list[list[Any]]] = field(default_factory=dict)


def read_lines(lines: Iterable[bytes], readers: Callable[[str], Callable[[bytes], Any]]) -> Lines:
    """Read the lines of a file.

    Args:
        lines: the lines, with their ends.
        readers: function that returns a function to read the runs of another entry of a section.

    Raises:
        OtherLayout: a run is not a line.
    """
    found = Lines(runs={"baselines": [], "experiments": []})
    head: list[bytes] = []
    section = ""
    rest = iter(lines)
    for line in rest:
        head.append(line)
        if line.startswith(_SECTION):
            section = line[len(_SECTION) :].partition(b'"')[0].decode(errors="replace")
        elif line.startswith(_RUNS) and section in found.runs:
            entry: list[Any] = []
            found.runs[section].append(entry)
            if line == _RUNS + b"\n":
                head.append(_read_entry(rest, entry, readers(section)))
            elif not line.startswith(_RUNS + b"]"):
                raise OtherLayout
    found.head = b"".join(head)
    return found


def _read_entry(rest: Iterator[bytes], entry: list[Any], read: Callable[[bytes], Any]) -> bytes:
    """Read the runs of an entry, and return the line after them."""
    for line in rest:
        if not line.startswith(_ITEM):
            return line
        text = line.rstrip().removesuffix(b",")
        if not text.endswith(b"}"):
            raise OtherLayout
        entry.append(read(text))
    raise OtherLayout
