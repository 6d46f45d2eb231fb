"""`check_version.py TAG` prints the version that a tag stands for, if the package has it and it is a release."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def packaged(root: Path) -> str:
    """The package's version, from the file that pyproject.toml says it is in."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    source = (root / project["tool"]["hatch"]["version"]["path"]).read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if found is None:
        raise ValueError("the package has no __version__")
    return found[1]


def released(tag: str, version: str) -> str:
    """The version that the tag stands for.

    Raises:
        ValueError: the tag is no release's, or the package has another version.
    """
    if not re.fullmatch(r"v(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", tag):
        raise ValueError(f"{tag!r} is not a release's tag, such as v1.2.3")
    if tag != f"v{version}":
        raise ValueError(f"{tag} is not v{version}, which the package is; change __version__ first")
    return version


def main(tag: str) -> None:
    """Print the version, or end with 1 and what does not fit."""
    try:
        sys.stdout.write(f"{released(tag, packaged(ROOT))}\n")
    except ValueError as error:
        sys.exit(f"This cannot be released: {error}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
