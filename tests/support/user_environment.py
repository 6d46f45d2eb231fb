"""The Python environment of a user: evalwire, and only the packages that a project requires, without an installation."""

from __future__ import annotations

import re
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

_SCRIPT = "#!{python}\nfrom evalwire.cli import console_script\n\nconsole_script()\n"


def user_environment(directory: Path, requirements: Iterable[str]) -> Path:
    """Create a virtual environment whose packages are links to those of this environment; return its Python.

    Packages of other projects would be imported as well: `setup_observability` imports every instrumented library.

    Args:
        directory: where to create the environment.
        requirements: the requirements to meet, as in a requirements.txt.
    """
    venv.create(directory, symlinks=True)
    python = directory / "bin/python"
    (packages,) = directory.glob("lib/python*/site-packages")
    for found in _closure(requirements):
        place = Path(str(found.locate_file("")))
        for name in sorted({file.parts[0] for file in found.files or () if file.parts[0] != ".."}):
            if not (packages / name).is_symlink() and name != "__pycache__":
                (packages / name).symlink_to(place / name)
    script = directory / "bin/evalwire"
    script.write_text(_SCRIPT.format(python=python))
    script.chmod(0o755)
    return python


def _closure(requirements: Iterable[str]) -> Iterable[Distribution]:
    """Return the distributions that requirements need, directly or through others."""
    found: dict[tuple[str, str], Distribution] = {}
    pending = [Requirement(line) for line in requirements]
    while pending:
        wanted = pending.pop()
        installed = distribution(wanted.name)
        assert wanted.specifier.contains(installed.version, prereleases=True), f"{wanted} is not installed"
        for extra in ("", *wanted.extras):
            key = (re.sub(r"[-_.]+", "-", wanted.name).lower(), extra)
            if key in found:
                continue
            found[key] = installed
            needed = map(Requirement, installed.requires or ())
            pending += [one for one in needed if one.marker is None or one.marker.evaluate({"extra": extra})]
    return {id(one): one for one in found.values()}.values()
