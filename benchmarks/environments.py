"""Environments of their own for evalwire and its peers, from the package index, thrown away afterwards."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contest import Unmeasured

_LONGEST_SECONDS = 900.0


class Environments:
    """Makes virtual environments on demand, in a folder of the environment that this runs in.

    Args:
        directory: where; one that an earlier `--keep` left there is used again.
        allowed: False, and every request is refused (`--no-peers`).
    """

    def __init__(self, directory: Path, *, allowed: bool = True) -> None:
        self.directory = directory
        self._allowed = allowed
        self._made: dict[str, Path | Unmeasured] = {}

    def python(self, name: str, *requirements: str, without: Sequence[str] = ()) -> Path:
        """The interpreter of an environment with these requirements.

        Args:
            name: of the environment.
            requirements: as pip takes them.
            without: packages to take out again.

        Raises:
            Unmeasured: it cannot be made.
        """
        if name not in self._made:
            try:
                self._made[name] = self._make(name, requirements, without)
            except Unmeasured as problem:
                self._made[name] = problem
        made = self._made[name]
        if isinstance(made, Unmeasured):
            raise made
        return made

    def remove(self) -> None:
        """Remove all of them."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _make(self, name: str, requirements: Sequence[str], without: Sequence[str]) -> Path:
        if not self._allowed:
            raise Unmeasured("not installed (--no-peers)")
        folder = self.directory / name
        python, done = folder / "bin" / "python", folder / "installed"
        is_checkout = any(Path(one).is_dir() for one in requirements)  # its files may have changed since
        if done.exists() and not is_checkout:
            return python
        print(f"  installing {' '.join(requirements)}", file=sys.stderr)
        _uv("venv", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--compile-bytecode", "--python", str(python), *requirements)
        if without:
            _uv("pip", "uninstall", "--python", str(python), *without)
        done.touch()
        return python


def _uv(*arguments: str) -> None:
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise Unmeasured("not installed: there is no `uv` to install it with")
    try:
        subprocess.run(
            [uv, "--quiet", *arguments], capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=True
        )
    except subprocess.TimeoutExpired:
        raise Unmeasured(f"not installed: not done after {_LONGEST_SECONDS:.0f} s") from None
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())
        raise Unmeasured(f"not installed: {said[-200:] or 'uv failed'}") from None
