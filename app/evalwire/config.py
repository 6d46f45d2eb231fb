"""Public functions for scripts that read `evalwire.toml`: the file as a dict, and single sections."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.settings import CONFIG_FILE, load_settings, read_config

if TYPE_CHECKING:
    from collections.abc import Mapping


def load_config(config_path: str | Path | None = None) -> dict[str, Any]:
    """Return `evalwire.toml` as a dict, with the same checks as the commands; empty if the file does not exist.

    Args:
        config_path: the file; `./evalwire.toml` by default.

    Raises:
        UsageError: (a ValueError) the file cannot be read, is not valid TOML, or has an unknown key or invalid value.
    """
    file = Path(config_path or CONFIG_FILE)
    if not file.exists():
        return {}
    load_settings({}, {}, config=file)
    return read_config(file)


def get_dataset_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `[dataset]` section without conversions or defaults; empty if missing."""
    return _section(config, "dataset")


def get_experiments_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `[experiments]` section without conversions or defaults; empty if missing."""
    return _section(config, "experiments")


def get_phoenix_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `[phoenix]` section without conversions or defaults; empty if missing."""
    return _section(config, "phoenix")


def _section(config: Mapping[str, Any], section: str) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(config.get(section, {}))
    return found
