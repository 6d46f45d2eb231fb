"""A finished report -> text, one format a file; `write` is what puts it on the disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, pieces: Iterator[str], *, mask: Callable[[str], str] = str) -> None:
    """Write text to `path` whole or not at all, piece by piece, each masked; makes its folder.

    Raises:
        OSError: the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.writelines(map(mask, pieces))
        os.chmod(temporary, 0o644)  # noqa: PTH101 - mkstemp gives a name; CI systems read reports as other users
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        os.unlink(temporary)  # noqa: PTH108
        raise
