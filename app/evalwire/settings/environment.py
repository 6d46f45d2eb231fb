"""The environment: what a `.env` file adds to it, and where its variables of Phoenix come from."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from evalwire.errors import UsageError
from evalwire.phoenix import CREDENTIAL_VARIABLES, ENDPOINT_VARIABLES, check_key
from evalwire.settings.text_files import read_env_file
from evalwire.settings.unread import is_there

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_FILE = ".env"

PHOENIX_FILE = ".env.phoenix"
_NO = ("false", "0", "no", "off")


def merge_env_file(environ: Mapping[str, str], file: Path | None, *, directory: Path | None = None) -> dict[str, str]:
    """The variables that `.env` adds to an environment; it never overrides one.

    The names of Phoenix's endpoint are one group, and so are those of its credentials: when the environment
    has any of a group, the file's are left out, so that a `.env` cannot pull a key elsewhere by another name.

    Args:
        environ: the process environment.
        file: the file that was asked for by name; None for `.env` in `directory`, if there is one.
        directory: the working directory by default.

    Raises:
        UsageError: the file that was asked for does not exist, it cannot be read, or a line of it sets no variable.
    """
    if file is not None and not file.is_file():
        raise UsageError(f"the environment file {file} does not exist.")
    path = file or (directory or Path()) / ENV_FILE
    if not is_there(path):
        return {}
    if path.is_dir():  # a virtual environment
        return {}
    return _added(environ, read_env_file(path))


def phoenix_variables(environ: Mapping[str, str], *, directory: Path | None = None) -> dict[str, str]:
    """The environment with what Phoenix's own file, `.env.phoenix`, says of its address and its credentials.

    The file is the nearest one, in the working directory or above, that belongs to this user; Phoenix's client reads
    the same one. `PHOENIX_DISCOVER_CONFIG=false` turns it off. It never overrides a variable, nor a group of them.

    Args:
        environ: the process environment, with what `.env` adds.
        directory: the working directory by default.
    """
    entries: dict[str, str] = {}
    if environ.get("PHOENIX_DISCOVER_CONFIG", "").strip().lower() not in _NO:
        entries = _phoenix_file((directory or Path()).absolute())
    return {**environ, **_added(environ, entries)}


def _added(environ: Mapping[str, str], entries: Mapping[str, str]) -> dict[str, str]:
    """Return the entries that an environment does not have, nor any other name of their group."""
    added = {name: value for name, value in entries.items() if name not in environ}
    for group in ((*ENDPOINT_VARIABLES, "EVALWIRE_ENDPOINT"), CREDENTIAL_VARIABLES):
        if any(environ.get(name, "").strip() for name in group):
            added = {name: value for name, value in added.items() if name not in group}
    return added


def _phoenix_file(directory: Path) -> dict[str, str]:
    for folder in (directory, *directory.parents):
        path = folder / PHOENIX_FILE
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
                continue
            with path.open(encoding="utf-8") as text:
                entries = dotenv_values(stream=text)
        except (OSError, UnicodeDecodeError):  # Phoenix's client passes over it, too
            continue
        wanted = (*ENDPOINT_VARIABLES, *CREDENTIAL_VARIABLES)
        return {name: value for name, value in entries.items() if value and name in wanted}
    return {}


def api_key_from_file(environ: Mapping[str, str]) -> str | None:
    """The key in the file that `PHOENIX_API_KEY_FILE` names (a mounted secret); None when it names none.

    Raises:
        UsageError: the file cannot be read, is empty, or holds what no header can carry; or `PHOENIX_API_KEY` is set
            as well.
    """
    name = environ.get("PHOENIX_API_KEY_FILE", "").strip()
    if not name:
        return None
    if environ.get("PHOENIX_API_KEY", "").strip():
        raise UsageError("PHOENIX_API_KEY and PHOENIX_API_KEY_FILE are both set; set one of them.")
    try:
        key = Path(name).read_text(encoding="utf-8-sig").strip()  # Windows puts a mark before UTF-8
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"PHOENIX_API_KEY_FILE: {name} cannot be read: {error}.") from error
    if not key:
        raise UsageError(f"PHOENIX_API_KEY_FILE: {name} is empty.")
    return check_key(key, f"PHOENIX_API_KEY_FILE: {name}")
