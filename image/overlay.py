"""Install the requirements in `EVALWIRE_REQUIREMENTS` in addition to the packages of the image, then run a command.

uv installs into a separate directory, which `evalwire_overlay.pth` adds to the end of Python's path. Stand-ins for the
packages of the image keep uv from downloading or replacing these packages.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import site
import subprocess
import sys
import tempfile
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import NoReturn

REQUIREMENTS = "EVALWIRE_REQUIREMENTS"
OVERLAY = "EVALWIRE_OVERLAY"
FAILED, WRONG_USE = 1, 2
# Links use no memory if /tmp is a tmpfs, and cause no warning if the cache is on another file system.
DEFAULTS = {"UV_LINK_MODE": "symlink", "UV_NO_CONFIG": "1"}


def main() -> NoReturn:
    """Install, then execute the arguments."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the first process of a container has no default handlers
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    requirements = Path(os.environ[REQUIREMENTS])
    if not requirements.is_file():
        _end(WRONG_USE, f"is not a file in {Path.cwd()}. Mount the directory that contains it.")
    if not os.access(requirements, os.R_OK):
        _end(WRONG_USE, f"is not readable by user {os.getuid()}. Make it readable for all users.")
    try:
        overlay = Path(tempfile.mkdtemp(prefix="evalwire-overlay-"))
    except OSError:
        _end(FAILED, "requires a writable directory. With a read-only root, mount a directory: `--tmpfs /tmp:exec`.")
    _install(requirements, overlay)
    os.environ[OVERLAY] = str(overlay)
    os.environ["PATH"] += f"{os.pathsep}{overlay / 'bin'}"
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 -- the command handles signals from here on


def _install(requirements: Path, overlay: Path) -> None:
    """Install the requirements into the overlay directory, or exit with an error."""
    image = list(distributions(path=site.getsitepackages()))
    pins = overlay / "image-constraints.txt"
    pins.write_text("".join(f"{package.name}=={package.version}\n" for package in image), encoding="utf-8")
    stand_ins = [_stand_in(package, overlay) for package in image]
    install = (f"--requirements={requirements}", f"--target={overlay}")
    if code := _uv(*install, f"--constraints={pins}"):
        if code == 1 and _conflicts(requirements, pins):
            _end(
                WRONG_USE,
                "conflicts with package versions of the image, see above. /app/constraints.txt lists these versions.",
            )
        _end(
            FAILED,
            "could not be installed, see above. For runs without a network, build an image with `evalwire-install`.",
        )
    if replaced := set(map(_name, image)) & _installed(overlay):
        names = ", ".join(sorted(replaced))
        _end(WRONG_USE, f"replaces packages of the image: {names}. Remove them from the file.")
    _reject_unloadable(overlay)
    for stand_in in stand_ins:
        shutil.rmtree(stand_in)


def _stand_in(package: Distribution, overlay: Path) -> Path:
    """Write only the metadata of a package, so that uv treats it as installed and removes no files."""
    directory = overlay / f"{_name(package)}-{package.version}.dist-info"
    directory.mkdir()
    for name in ("METADATA", "WHEEL"):
        (directory / name).write_text(package.read_text(name) or "", encoding="utf-8")
    return directory


def _installed(overlay: Path) -> set[str]:
    """Return the names of the packages that uv installed."""
    return {_name(package) for package in distributions(path=[str(overlay)]) if package.read_text("RECORD") is not None}


def _name(package: Distribution) -> str:
    """Return the normalized name of a package, as in file names."""
    return re.sub(r"[-_.]+", "_", package.name).lower()


def _conflicts(requirements: Path, pins: Path) -> bool:
    """Check whether the requirements are consistent but conflict with the packages of the image."""

    def is_resolvable(*more: str) -> bool:
        with tempfile.TemporaryDirectory() as empty:
            where = (f"--requirements={requirements}", f"--target={empty}")
            return not _uv("--quiet", "--quiet", "--dry-run", *where, *more)

    return is_resolvable() and not is_resolvable(f"--constraints={pins}")


def _uv(*arguments: str) -> int:
    """Run uv with its output on standard error, because standard output is reserved for the report."""
    command = ("uv", "pip", "install", "--python", sys.executable, *arguments)
    return subprocess.run(command, env={**DEFAULTS, **os.environ}, stdout=sys.stderr, check=False).returncode


def _reject_unloadable(overlay: Path) -> None:
    """Exit with an error if compiled code is on a `noexec` file system, the default for a tmpfs of Docker."""
    for library in overlay.rglob("*.so"):
        if os.statvfs(library).f_flag & os.ST_NOEXEC:
            package = library.relative_to(overlay).parts[0]
            advice = "Mount it with `--tmpfs /tmp:exec`, or mount a directory for UV_CACHE_DIR."
            _end(
                FAILED, f"includes compiled code ({package}), but {tempfile.gettempdir()} is mounted `noexec`. {advice}"
            )


def _end(code: int, problem: str) -> NoReturn:
    sys.stderr.write(f"evalwire: {REQUIREMENTS}: {os.environ[REQUIREMENTS]} {problem}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
