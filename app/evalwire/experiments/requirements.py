"""Packages and environment variables that an experiment needs and does not have."""

from __future__ import annotations

import os
import re
import shlex
import types
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from evalwire.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.model import Experiment, Failure

_PACKAGE: Final = "MissingPackage"
_VARIABLE: Final = "MissingVariable"

_KEY: Final = re.compile(r"\b[A-Z][A-Z0-9_]*_API_KEY\b")


def with_requirement(failure: Failure, error: BaseException, project: Path) -> Failure:
    """Return the failure of an import, with the next command where a package or an API key is missing.

    Args:
        failure: the failure so far.
        error: what the import raised.
        project: the directory that has the project's `requirements.txt`.
    """
    if issubclass(type(error), ModuleNotFoundError):
        file = project / "requirements.txt"
        if not _is_required(cast("ModuleNotFoundError", error).name, file):
            return failure
        message = f"{failure.message}. Run: pip install -r {shlex.quote(_shown(file))}"
        return replace(failure, type=_PACKAGE, message=message, traceback="")
    variable = _variable_of(error, failure)
    if variable is None:
        return failure
    return replace(
        failure,
        type=_VARIABLE,
        message=f"{variable} is not set. Run: export {variable}=..., or add {variable}=... to .env",
        cause=None if issubclass(type(error), KeyError) else f"{failure.type}: {failure.message}",
        traceback="",
    )


def without_repeats(problems: Sequence[Failure]) -> tuple[Failure, ...]:
    """Return the problems of an experiment, with each missing package or variable once."""
    kept: dict[tuple[str, str] | int, Failure] = {}
    for problem in problems:
        kept.setdefault((problem.type, problem.message) if _is_missing(problem) else id(problem), problem)
    return tuple(kept.values())


def check_requirements(experiments: Sequence[Experiment]) -> None:
    """Check that at least one experiment has the packages and variables that it needs.

    Raises:
        UsageError: none has.
    """
    missing = [list(filter(_is_missing, experiment.problems)) for experiment in experiments]
    if all(missing):
        found = [problem for problems in missing for problem in problems]
        lines = {f"{problem.message} ({_shown(Path(problem.where or ''))})" for problem in found}
        raise UsageError("\n".join(sorted(lines)))


def _is_missing(problem: Failure) -> bool:
    return problem.type in {_PACKAGE, _VARIABLE}


def _is_required(module: object, file: Path) -> bool:
    """Check whether a file of requirements lists the package of a module, by its name."""
    if not isinstance(module, str):
        return False
    name = module.partition(".")[0].replace("_", "-")
    with suppress(OSError, ValueError):
        return re.search(rf"^{re.escape(name)}\b", file.read_text(encoding="utf-8"), re.MULTILINE) is not None
    return False


def _variable_of(error: BaseException, failure: Failure) -> str | None:
    """Return the environment variable that an import needs and that is not set."""
    if issubclass(type(error), KeyError):
        is_environment = _last_code(error) is os._Environ.__getitem__.__code__  # noqa: SLF001 - no public name
        return error.args[0] if is_environment and isinstance(error.args[0], str) else None
    return next((name for name in _KEY.findall(failure.message) if name not in os.environ), None)


def _last_code(error: BaseException) -> types.CodeType | None:
    raised_at = error.__traceback__
    while raised_at is not None and raised_at.tb_next is not None:
        raised_at = raised_at.tb_next
    return raised_at.tb_frame.f_code if raised_at is not None else None


def _shown(path: Path) -> str:
    """Return a path as the user would write it: relative to the working directory where it is below."""
    return str(path).removeprefix(f"{Path.cwd()}{os.sep}")
