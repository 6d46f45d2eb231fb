"""Installs what `EVALWIRE_REQUIREMENTS` names beside the image's packages, and becomes the command that it was given.

The folder that uv installs into comes last on Python's path, by `evalwire_overlay.pth`, and to uv it looks as if the
image's packages were in it: they are neither fetched again nor replaced, whatever the file asks for.
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
# Links cost no memory where /tmp is a tmpfs, and nothing is said where the cache is on another file system.
DEFAULTS = {"UV_LINK_MODE": "symlink", "UV_NO_CONFIG": "1"}


def main() -> NoReturn:
    """Install, then execute the arguments."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the first process of a container has no default handlers
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    requirements = Path(os.environ[REQUIREMENTS])
    if not requirements.is_file():
        _end(WRONG_USE, f"is not a file in {Path.cwd()}. Is the folder mounted that it is in?")
    if not os.access(requirements, os.R_OK):
        _end(WRONG_USE, f"cannot be read by user {os.getuid()}. Make it readable to everybody.")
    try:
        overlay = Path(tempfile.mkdtemp(prefix="evalwire-overlay-"))
    except OSError:
        _end(FAILED, "needs a folder to install into. With a read-only root, mount one: `--tmpfs /tmp:exec`.")
    _install(requirements, overlay)
    os.environ[OVERLAY] = str(overlay)
    os.environ["PATH"] += f"{os.pathsep}{overlay / 'bin'}"
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 -- the signals are the command's from here on


def _install(requirements: Path, overlay: Path) -> None:
    """Install the file's requirements into the folder, or end with what is wrong."""
    image = list(distributions(path=site.getsitepackages()))
    pins = overlay / "image-constraints.txt"
    pins.write_text("".join(f"{one.name}=={one.version}\n" for one in image), encoding="utf-8")
    stand_ins = [_stand_in(one, overlay) for one in image]
    install = (f"--requirements={requirements}", f"--target={overlay}")
    if code := _uv(*install, f"--constraints={pins}"):
        if code == 1 and _conflicts(requirements, pins):
            _end(
                WRONG_USE,
                "asks for other versions than the image has, see above. Those that it has are in /app/constraints.txt.",
            )
        _end(FAILED, "could not be installed, see above. An image that has it needs no network: `evalwire-install`.")
    if replaced := set(map(_name, image)) & _installed(overlay):
        names = ", ".join(sorted(replaced))
        _end(WRONG_USE, f"asks for {names} from another place than the image has it from. Take that out.")
    _reject_unloadable(overlay)
    for stand_in in stand_ins:
        shutil.rmtree(stand_in)


def _stand_in(package: Distribution, overlay: Path) -> Path:
    """The package's metadata alone, by which uv takes it for installed; no RECORD says what could be removed."""
    folder = overlay / f"{_name(package)}-{package.version}.dist-info"
    folder.mkdir()
    for name in ("METADATA", "WHEEL"):
        (folder / name).write_text(package.read_text(name) or "", encoding="utf-8")
    return folder


def _installed(overlay: Path) -> set[str]:
    """The names of the packages that uv has put there."""
    return {_name(one) for one in distributions(path=[str(overlay)]) if one.read_text("RECORD") is not None}


def _name(package: Distribution) -> str:
    """The package's name, spelled as in the names of files."""
    return re.sub(r"[-_.]+", "_", package.name).lower()


def _conflicts(requirements: Path, pins: Path) -> bool:
    """Whether the requirements can be had together, and only not with what the image has."""

    def can_be_had(*more: str) -> bool:
        with tempfile.TemporaryDirectory() as empty:
            where = (f"--requirements={requirements}", f"--target={empty}")
            return not _uv("--quiet", "--quiet", "--dry-run", *where, *more)

    return can_be_had() and not can_be_had(f"--constraints={pins}")


def _uv(*arguments: str) -> int:
    """Let uv install; its log goes where evalwire's goes, and stdout stays the report's."""
    command = ("uv", "pip", "install", "--python", sys.executable, *arguments)
    return subprocess.run(command, env={**DEFAULTS, **os.environ}, stdout=sys.stderr, check=False).returncode


def _reject_unloadable(overlay: Path) -> None:
    """End where compiled code lies on a file system that executes nothing, as Docker mounts a tmpfs."""
    for library in overlay.rglob("*.so"):
        if os.statvfs(library).f_flag & os.ST_NOEXEC:
            folder = library.relative_to(overlay).parts[0]
            advice = "Mount it with `--tmpfs /tmp:exec`, or mount a folder for UV_CACHE_DIR."
            _end(FAILED, f"brings compiled code ({folder}), and {tempfile.gettempdir()} is mounted `noexec`. {advice}")


def _end(code: int, problem: str) -> NoReturn:
    sys.stderr.write(f"evalwire: {REQUIREMENTS}: {os.environ[REQUIREMENTS]} {problem}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
