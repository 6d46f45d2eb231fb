"""Detection of files that are not testsets, by the name and the first bytes."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from evalwire.datasets.rows import Issue

if TYPE_CHECKING:
    from pathlib import Path

_START = 512  # bytes

_LINES = (".jsonl", ".ndjson")

_AS_CSV = "Export it as CSV in UTF-8."

_KINDS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "is a spreadsheet or an archive", _AS_CSV),
    (b"\xd0\xcf\x11\xe0", "is a spreadsheet from an older Excel version", _AS_CSV),
    (b"PAR1", "is a Parquet file", _AS_CSV),
    (b"SQLite format 3\0", "is a SQLite database", _AS_CSV),
    (b"\x1f\x8b", "is compressed with gzip", "Unpack it."),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file", "Fetch the file: git lfs pull."),
)


def is_json_lines(path: Path) -> bool:
    """Check whether a file is JSON Lines, by its name."""
    return path.suffix.lower() in _LINES


def problem_of_kind(path: Path) -> Issue | None:
    """Return the reason why a file is not a testset, or None if it may be a testset.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(_START)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start[:2]:
        # report the file, rather than every row as invalid UTF-8
        return Issue(None, "is in UTF-16", "file", "Save it as UTF-8.")
    for mark, message, advice in _KINDS:
        if start.startswith(mark):
            return Issue(None, message, "file", advice)
    return _problem_of_text(path, start)


def _problem_of_text(path: Path, start: bytes) -> Issue | None:
    text = start.removeprefix(codecs.BOM_UTF8).decode(errors="replace").lstrip()
    if not text:
        return Issue(None, "is empty", "file") if len(start) < _START else None
    if text.lower().startswith(("<!doctype", "<html", "<?xml", "<table")):
        return Issue(None, "is an HTML or XML page", "file", "It may have been downloaded without a login.")
    if text.startswith("{\\rtf"):
        return Issue(None, "is a word processor document", "file", "Save it as CSV in UTF-8.")
    lines = "Write each object on a separate line, without enclosing brackets or commas, to a .jsonl file."
    is_array = text.startswith("[") and text[1:].lstrip().startswith(("{", "]"))
    if is_json_lines(path):
        return Issue(None, "is a JSON array", "file", lines) if is_array else None
    if path.suffix.lower() == ".json" or is_array or text.startswith(('{"', "{\n", "{\r")):
        return Issue(None, "is JSON, but is not named .jsonl", "file", lines)
    return None
