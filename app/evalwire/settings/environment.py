"""The environment: what a `.env` file adds to it, and where its variables of Phoenix come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.settings.text_files import read_env_file
from evalwire.settings.unread import is_there

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_FILE = ".env"

# The names that state a Phoenix's address, and those from which its client infers one besides. All are one group:
# see `merge_env_file`.
PHOENIX_ADDRESSES = ("PHOENIX_ENDPOINT", "PHOENIX_COLLECTOR_ENDPOINT", "PHOENIX_BASE_URL", "PHOENIX_HOST")

ENDPOINT_VARIABLES = (*PHOENIX_ADDRESSES, "OTEL_EXPORTER_OTLP_ENDPOINT", "PHOENIX_PORT")

CREDENTIAL_VARIABLES = ("PHOENIX_API_KEY", "PHOENIX_API_KEY_FILE", "PHOENIX_CLIENT_HEADERS")


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
    added = {name: value for name, value in read_env_file(path).items() if name not in environ}
    for group in ((*ENDPOINT_VARIABLES, "EVALWIRE_ENDPOINT"), CREDENTIAL_VARIABLES):
        if any(environ.get(name, "").strip() for name in group):
            added = {name: value for name, value in added.items() if name not in group}
    return added


def api_key_from_file(environ: Mapping[str, str]) -> str | None:
    """The key in the file that `PHOENIX_API_KEY_FILE` names (a mounted secret); None when it names none.

    Raises:
        UsageError: the file cannot be read or is empty, or `PHOENIX_API_KEY` is set as well.
    """
    name = environ.get("PHOENIX_API_KEY_FILE", "").strip()
    if not name:
        return None
    if environ.get("PHOENIX_API_KEY", "").strip():
        raise UsageError("PHOENIX_API_KEY and PHOENIX_API_KEY_FILE are both set; set one of them.")
    try:
        key = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"PHOENIX_API_KEY_FILE: {name} cannot be read: {error}.") from error
    if not key:
        raise UsageError(f"PHOENIX_API_KEY_FILE: {name} is empty.")
    return key
