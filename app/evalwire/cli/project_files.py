"""Write files into a project: all of them, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def write_files(directory: Path, texts: Mapping[str, str]) -> None:
    """Write new files, with paths relative to a directory, which is created if missing.

    Raises:
        UsageError: a file exists, or the directory cannot be written; no file was written.
    """
    written: list[Path] = []
    try:
        for name, text in texts.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise UsageError(f"nothing was written, because {directory} is not writable: {error}.") from error
