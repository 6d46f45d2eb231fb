"""Temporary virtual environments for evalwire and other libraries, installed from the package index."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contest import Unmeasured

_LONGEST_SECONDS = 900.0


class Environments:
    """Creates virtual environments on demand.

    Args:
        directory: the parent directory; environments that an earlier `--keep` left there are reused.
        allowed: whether environments may be created; False with `--no-peers`.
    """

    def __init__(self, directory: Path, *, allowed: bool = True) -> None:
        self.directory = directory
        self._allowed = allowed
        self._made: dict[str, Path | Unmeasured] = {}

    def python(self, name: str, *requirements: str, without: Sequence[str] = (), compiled: bool = True) -> Path:
        """Return the interpreter of an environment with these requirements.

        Args:
            name: the name of the environment.
            requirements: requirements in the format of pip.
            without: packages to uninstall afterwards.
            compiled: whether bytecode is compiled, as by pip.

        Raises:
            Unmeasured: the environment could not be created.
        """
        if name not in self._made:
            try:
                self._made[name] = self._make(name, requirements, without, compiled=compiled)
            except Unmeasured as problem:
                self._made[name] = problem
        made = self._made[name]
        if isinstance(made, Unmeasured):
            raise made
        return made

    def remove(self) -> None:
        """Remove all environments."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _make(self, name: str, requirements: Sequence[str], without: Sequence[str], *, compiled: bool) -> Path:
        if not self._allowed:
            raise Unmeasured("not installed (--no-peers)")
        home = self.directory / name
        python, done = home / "bin" / "python", home / "installed"
        is_checkout = any(Path(text).is_dir() for text in requirements)  # files of a checkout may have changed
        if done.exists() and not is_checkout:
            return python
        print(f"  installing {' '.join(requirements)}", file=sys.stderr)
        _uv("venv", "--clear", "--python", sys.executable, str(home))
        compiling = ["--compile-bytecode"] if compiled else []
        _uv("pip", "install", *compiling, "--python", str(python), *requirements)
        if without:
            _uv("pip", "uninstall", "--python", str(python), *without)
        done.touch()
        return python


def _uv(*arguments: str) -> None:
    next_to_python = Path(sys.executable).parent / "uv"
    uv = str(next_to_python) if next_to_python.exists() else shutil.which("uv")
    if uv is None:
        raise Unmeasured("not installed: `uv` was not found")
    try:
        subprocess.run(
            [uv, "--quiet", *arguments], capture_output=True, text=True, timeout=_LONGEST_SECONDS, check=True
        )
    except subprocess.TimeoutExpired:
        raise Unmeasured(f"not installed: did not finish within {_LONGEST_SECONDS:.0f} s") from None
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())
        raise Unmeasured(f"not installed: {said[-200:] or 'uv failed'}") from None
