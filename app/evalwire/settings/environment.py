"""The environment, merged with `.env` and `.env.phoenix`."""

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
    """Return the variables that `.env` adds to an environment; existing variables are never overridden.

    The variables for Phoenix's endpoint form a group, and so do the variables for credentials. If the environment sets
    any variable of a group, the file's variables of that group are ignored. A `.env` file therefore cannot redirect a
    key to another server.

    Args:
        environ: the process environment.
        file: the explicitly named file; None for `.env` in `directory`, if it exists.
        directory: the working directory by default.

    Raises:
        UsageError: the named file does not exist, the file cannot be read, or a line does not set a variable.
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
    """Return the environment with the address and credentials from `.env.phoenix`, the file of Phoenix's client.

    Like Phoenix's client, this reads the nearest file in the working directory or above that the user owns.
    `PHOENIX_DISCOVER_CONFIG=false` disables it. The file never overrides a variable or a group of variables.

    Args:
        environ: the process environment, merged with `.env`.
        directory: the working directory by default.
    """
    entries: dict[str, str] = {}
    if environ.get("PHOENIX_DISCOVER_CONFIG", "").strip().lower() not in _NO:
        entries = _phoenix_file((directory or Path()).absolute())
    return {**environ, **_added(environ, entries)}


def _added(environ: Mapping[str, str], entries: Mapping[str, str]) -> dict[str, str]:
    """Return the entries that an environment does not set, except groups that it sets in part."""
    added = {name: value for name, value in entries.items() if name not in environ}
    for group in ((*ENDPOINT_VARIABLES, "EVALWIRE_ENDPOINT"), CREDENTIAL_VARIABLES):
        if any(environ.get(name, "").strip() for name in group):
            added = {name: value for name, value in added.items() if name not in group}
    return added


def _phoenix_file(directory: Path) -> dict[str, str]:
    for parent in (directory, *directory.parents):
        path = parent / PHOENIX_FILE
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
                continue
            with path.open(encoding="utf-8") as text:
                entries = dotenv_values(stream=text)
        except (OSError, UnicodeDecodeError):  # Phoenix's client skips such files too
            continue
        wanted = (*ENDPOINT_VARIABLES, *CREDENTIAL_VARIABLES)
        return {name: value for name, value in entries.items() if value and name in wanted}
    return {}


def api_key_from_file(environ: Mapping[str, str]) -> str | None:
    """Return the key from the file that `PHOENIX_API_KEY_FILE` names, such as a mounted secret; None if unset.

    Raises:
        UsageError: the file cannot be read, is empty, or contains a key that is invalid in an HTTP header; or
            `PHOENIX_API_KEY` is also set.
    """
    name = environ.get("PHOENIX_API_KEY_FILE", "").strip()
    if not name:
        return None
    if environ.get("PHOENIX_API_KEY", "").strip():
        raise UsageError("PHOENIX_API_KEY and PHOENIX_API_KEY_FILE are both set. Set only one.")
    try:
        key = Path(name).read_text(encoding="utf-8-sig").strip()  # Windows editors add a byte order mark
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"PHOENIX_API_KEY_FILE: {name} cannot be read: {error}.") from error
    if not key:
        raise UsageError(f"PHOENIX_API_KEY_FILE: {name} is empty.")
    return check_key(key, f"PHOENIX_API_KEY_FILE: {name}")
