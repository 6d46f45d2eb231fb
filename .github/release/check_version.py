"""`check_version.py TAG` prints the version of a release tag, if it is the version of the package."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def packaged(root: Path) -> str:
    """Return the version of the package, from the file that pyproject.toml names."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    source = (root / project["tool"]["hatch"]["version"]["path"]).read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if found is None:
        raise ValueError("the package has no __version__")
    return found[1]


def released(tag: str, version: str) -> str:
    """Return the version of a release tag.

    Raises:
        ValueError: the tag is not a release tag, or the package has another version.
    """
    if not re.fullmatch(r"v(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", tag):
        raise ValueError(f"{tag!r} is not a release tag such as v1.2.3")
    if tag != f"v{version}":
        raise ValueError(
            f"the version of the package is {version}, not {tag.removeprefix('v')}; change __version__ first"
        )
    return version


def main(tag: str) -> None:
    """Print the version, or exit with 1 and an error."""
    try:
        sys.stdout.write(f"{released(tag, packaged(ROOT))}\n")
    except ValueError as error:
        sys.exit(f"Cannot release: {error}.")


if __name__ == "__main__":
    main(*sys.argv[1:])
