"""A finished report -> text, one format a file; `write` is what puts it on the disk."""

# NOTE: no `from __future__ import annotations` here: it would hide the module of that name from `from ... import`
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.reports.export import EXPORT_FORMATS
from evalwire.reports.results_json import load_results, read_results

if TYPE_CHECKING:
    from evalwire.model import Report, Shard

__all__ = ["EXPORT_FORMATS", "FORMATS", "files", "load_results", "pieces", "read_results", "write"]

Pieces = Callable[["Report"], Iterable[str]]


def _json() -> Pieces:
    from evalwire.reports import results_json  # noqa: PLC0415 - each format is imported when it is written

    return results_json.pieces


def _junit() -> Pieces:
    from evalwire.reports import junit  # noqa: PLC0415

    return junit.pieces


def _markdown() -> Pieces:
    from evalwire.reports import markdown  # noqa: PLC0415

    return lambda report: [markdown.render(report)]


def _html() -> Pieces:
    from evalwire.reports import html  # noqa: PLC0415

    return html.pieces


def _console() -> Pieces:
    from evalwire.reports import console  # noqa: PLC0415

    return lambda report: [console.render(report)]


def _annotations() -> Pieces:
    from evalwire.reports import annotations  # noqa: PLC0415

    return lambda report: [f"{line}\n" for line in annotations.lines(report)]


FORMATS: dict[str, Callable[[], Pieces]] = {
    "json": _json,
    "junit": _junit,
    "markdown": _markdown,
    "html": _html,
    "console": _console,
    "annotations": _annotations,
}
_FILES = {"results.json": "json", "evalwire.xml": "junit", "summary.md": "markdown", "report.html": "html"}


def files(shard: "Shard | None" = None) -> dict[str, str]:
    """The files that are written of a run, each with its format; those of a shard have it in their names."""
    suffix = shard.suffix if shard else ""
    return {f"{Path(name).stem}{suffix}{Path(name).suffix}": format_ for name, format_ in _FILES.items()}


def pieces(report: "Report", format_: str) -> Iterable[str]:
    """A report in one of `FORMATS`, as text in pieces."""
    return FORMATS[format_]()(report)


def write(path: Path, pieces: Iterable[str]) -> None:
    """Write text to `path` whole or not at all, piece by piece; makes its folder.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.writelines(pieces)
        os.chmod(temporary, 0o644)  # noqa: PTH101 - mkstemp gives a name; CI systems read reports as other users
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108
        raise
