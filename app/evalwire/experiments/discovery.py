"""Find and import the experiments in a directory. User code runs here; no file is written."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import logging
import os
import sys
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from evalwire.errors import Interrupted, NothingToRunError, UsageError
from evalwire.experiments.access import describe_denial, is_dangling, is_directory, is_file, list_directory
from evalwire.experiments.inputs import read_inputs, watching
from evalwire.experiments.requirements import with_requirement, without_repeats
from evalwire.loading import load_needed, project_directory
from evalwire.model import Callee, Experiment, Failure
from evalwire.usercode import (
    BindingError,
    bind_evaluator,
    bind_task,
    failure_of,
    isolate_experiment,
    misnamed_parameter,
    single_process,
)

if TYPE_CHECKING:
    import types
    from collections.abc import Collection, Iterator, Mapping, Sequence

log = logging.getLogger("evalwire")

TASK_FILE = "task.py"

HELPERS = ("helpers.py",)  # an evaluator only if the file defines a callable with its name; otherwise not an error

_TAKEN_NAMES = ("dotenv", "evalwire", "httpx", "openinference", "opentelemetry", "phoenix", "rich", "tenacity", "typer")

_NEVER_EVALUATORS = ("conftest.py", "__init__.py", "__main__.py", TASK_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """The result of discovery.

    Attributes:
        experiments: the selected experiments, loaded and sorted by name.
        skipped: names of directories without a `task.py`, except hidden directories.
    """

    experiments: tuple[Experiment, ...]
    skipped: tuple[str, ...]


def find_experiments(root: Path, *, names: Sequence[str] | None = None) -> tuple[list[Path], list[str]]:
    """Return the sorted experiment directories in `root`, and the names of the other directories.

    Args:
        root: the experiments directory; without it there are no experiments.
        names: the experiments to select; None for all.

    Raises:
        NothingToRunError: a selected experiment does not exist.
        UsageError: the directory cannot be read.
    """
    checked = {path: is_experiment for path in _entries(root) if (is_experiment := _is_experiment(path)) is not None}
    found = [path for path, is_experiment in checked.items() if is_experiment]
    skipped = [path.name for path in checked if path not in found and not path.name.startswith((".", "__"))]
    if names is None:
        return found, skipped
    known = [path.name for path in found]
    if not names:
        raise NothingToRunError("no experiment was selected: the list of names is empty. Pass None to select all.")
    for name in names:
        if name not in known:
            raise NothingToRunError(_unknown(name, known, root))
    return [path for path in found if path.name in names], skipped


def _entries(root: Path) -> list[Path]:
    """Return the entries of the experiments directory; none if it does not exist.

    Raises:
        UsageError: the directory cannot be read.
    """
    try:
        return list_directory(root) if is_directory(root) else []
    except OSError as error:
        raise UsageError(f"cannot read the experiments directory: {describe_denial(root, error)}") from error


def _is_experiment(path: Path) -> bool | None:
    """Check whether an entry is an experiment; None for an entry that is not a directory.

    Dangling links and unreadable directories count as experiments. They fail when they are loaded, rather than being
    skipped.
    """
    try:
        if not is_directory(path):
            return True if is_dangling(path) else None
        task = path / TASK_FILE
        return is_file(task) or is_dangling(task)
    except OSError:
        return None if path.name == "lost+found" else True  # a directory of the file system


def _unknown(name: str, known: list[str], root: Path) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"Did you mean {close[0]!r}?" if close else f"Experiments: {', '.join(known) or 'none'}."
    return f"no experiment {name!r} in {root}/ (a directory with a task.py). {advice}"


@contextlib.contextmanager
def importable(root: Path) -> Iterator[None]:
    """Make the parent of `root` importable; restore `sys.path` and `sys.modules` afterwards.

    The experiments and the modules next to them are imported again, even if they were imported before. Edited files
    are therefore read, and two projects in the same process do not share modules. No bytecode is written, because the
    directory may be read-only.

    Raises:
        UsageError: the directory's name would hide a module that evalwire needs.
    """
    root = root.resolve()
    if root.name in {*_TAKEN_NAMES, *sys.stdlib_module_names}:
        raise UsageError(
            f"the experiments directory cannot be named {root.name!r}: evalwire needs a module with that name.\n"
            "Rename the directory, for example to `experiments`."
        )
    load_needed()
    parent = str(root.parent)
    path_before, bytecode_before = list(sys.path), sys.dont_write_bytecode
    mine = (root.name, f"{root.name}.")
    set_aside = {
        name: sys.modules.pop(name) for name in list(sys.modules) if name == mine[0] or name.startswith(mine[1])
    }
    modules_before = set(sys.modules)
    sys.path.insert(0, parent)
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        with project_directory(parent), watching(root.parent):
            yield
    finally:
        sys.dont_write_bytecode = bytecode_before
        sys.path[:] = path_before
        neighbours = {
            name
            for name in set(sys.modules) - modules_before
            if "." not in name and _directory_of(sys.modules[name]) == parent
        }
        for name in list(sys.modules):
            if name not in modules_before and name.partition(".")[0] in {*neighbours, root.name}:
                del sys.modules[name]
        sys.modules.update(set_aside)


def _directory_of(module: Any) -> str | None:
    """Return the directory that contains a top-level module or package."""
    paths = list(getattr(module, "__path__", None) or ())
    file = paths[0] if paths else getattr(module, "__file__", None)
    return str(Path(file).parent) if isinstance(file, str) else None


def load_experiments(
    root: Path,
    *,
    names: Sequence[str] | None = None,
    helpers: Mapping[str, Collection[str]] | None = None,
    dataset_names: Mapping[str, str] | None = None,
    isolated: Collection[str] = (),
    inputs: Mapping[str, Sequence[str]] | None = None,
) -> Discovered:
    """Import the experiments in `root`. Call this function and run the experiments within `importable(root)`.

    An experiment's `problems` contain the errors of that experiment, such as a failed import, a missing callable, or
    parameters that cannot be bound. The other experiments are loaded regardless.

    Args:
        root: the experiments directory.
        names: the experiments to select; None for all.
        helpers: files that are not evaluators, by experiment; under `*` for all experiments.
        dataset_names: names of datasets in Phoenix that differ from the directory's name, by experiment.
        isolated: experiments whose async calls run on the event loop of a worker thread.
        inputs: patterns of data files that an experiment reads, relative to the parent of `root`, by experiment.

    Raises:
        NothingToRunError: a selected experiment does not exist.
        UsageError: the directory cannot be read.
    """
    root = root.resolve()
    directories, skipped = find_experiments(root, names=names)
    broken: tuple[Failure, ...] = ()
    try:
        _package(root.name, root)
    except BaseException as error:
        broken = (_problem(error, root / "__init__.py", root),)
    helpers = helpers or {}
    experiments = [
        _load_experiment(
            directory,
            package=f"{root.name}.{directory.name}",
            helpers={*helpers.get("*", ()), *helpers.get(directory.name, ())},
            broken=broken,
            dataset_name=(dataset_names or {}).get(directory.name, directory.name),
        )
        for directory in directories
    ]
    experiments = [
        replace(experiment, input_globs=tuple((inputs or {}).get(experiment.name, ()))) for experiment in experiments
    ]
    experiments = [replace(experiment, inputs=read_inputs(experiment)) for experiment in experiments]
    return Discovered(
        experiments=tuple(
            isolate_experiment(experiment) if experiment.name in isolated else experiment for experiment in experiments
        ),
        skipped=tuple(skipped),
    )


def _load_experiment(
    directory: Path, *, package: str, helpers: Collection[str], broken: tuple[Failure, ...], dataset_name: str
) -> Experiment:
    nothing = Experiment(name=directory.name, dataset_name=dataset_name, path=directory, task=None)
    if broken:  # the parent package cannot be imported
        return replace(nothing, problems=broken)
    try:
        files = list_directory(directory)
    except OSError as error:
        return replace(nothing, problems=(_unlisted(directory, error),))
    problems: list[Failure] = []
    task: Callee | None = None
    try:
        _package(package, directory)
        task = bind_task(_attribute(_module(package, directory / TASK_FILE), "task"), path=directory / TASK_FILE)
        _warn_of_parameter(task, directory.name)
    except BaseException as error:
        problems.append(_problem(error, directory / TASK_FILE, directory))
    evaluators = _load_evaluators(files, package, {*_NEVER_EVALUATORS, *helpers}, problems)
    if not evaluators and not problems:
        message = (
            f"{directory.name}/ has no evaluator, so its runs would have no scores; "
            "add a file such as exact_match.py that defines `exact_match`"
        )
        problems.append(Failure(kind="user", stage="import", type="NoEvaluator", message=message, where=str(directory)))
    return replace(nothing, task=task, evaluators=tuple(evaluators), problems=without_repeats(problems))


def _warn_of_parameter(task: Callee, experiment: str) -> None:
    if (name := misnamed_parameter(task.function)) is not None:
        log.warning(
            "%s: `async def task(%s)` receives the whole example, as in 0.6; the example's %s is `%s.%s`. Rename the "
            "parameter to `example`, or make the task a plain `def`, whose parameters receive fields by name",
            experiment,
            name,
            "expected output" if name in ("expected", "reference") else name,
            name,
            "output" if name in ("expected", "reference") else name,
        )


def _load_evaluators(
    files: Sequence[Path], package: str, never: Collection[str], problems: list[Failure]
) -> list[Callee]:
    """Import the evaluators among the files of an experiment, and add failures to its problems."""
    evaluators: list[Callee] = []
    for path in files:
        if not path.name.endswith(".py") or path.name in never or path.name.startswith(("_", "test_")):
            continue
        try:
            if is_directory(path):
                continue
            evaluator = _attribute(_module(package, path), path.stem)
            evaluators.append(bind_evaluator(path.stem, evaluator, path=path))
        except _MissingCallable as error:
            if path.name not in HELPERS:
                problems.append(_problem(error, path, path.parent))
        except BaseException as error:
            problems.append(_problem(error, path, path.parent))
    return evaluators


def _unlisted(directory: Path, error: OSError) -> Failure:
    message = describe_denial(directory, error)
    if isinstance(error, FileNotFoundError):
        message = (
            f"{directory.name} links to {directory.readlink()}, which does not exist; in a container, mount it too"
        )
    return Failure(kind="user", stage="import", type=type(error).__name__, message=message, where=str(directory))


class _MissingCallable(LookupError):
    """A module does not define a callable with the module's name."""


def _attribute(module: types.ModuleType, name: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        file = f"{name}.py"
        if name == "task":
            raise _MissingCallable("task.py does not define `task`; add `async def task(example): ...`") from None
        close = difflib.get_close_matches(name, [public for public in vars(module) if not public.startswith("_")], n=1)
        meant = f" (it has `{close[0]}`)" if close else ""
        raise _MissingCallable(
            f"{file} does not define `{name}`{meant}. An evaluator is a callable named like its file; "
            f'a helper is named _{file}, or listed in evalwire.toml: [experiments] helpers = ["{file}"]'
        ) from None


def _problem(error: BaseException, path: Path, directory: Path) -> Failure:
    kind = type(error)  # a user's class may override `__class__`
    if issubclass(kind, KeyboardInterrupt | Interrupted):
        raise error
    if issubclass(kind, _MissingCallable | BindingError):
        type_ = "MissingCallable" if issubclass(kind, _MissingCallable) else "BindingError"
        return Failure(kind="user", stage="import", type=type_, message=str(error), where=str(path))
    failure = failure_of(error, stage="import", root=directory.parent.parent)
    if issubclass(kind, PermissionError):
        failure = _with_denial(failure, cast("PermissionError", error), path)
    if issubclass(kind, ModuleNotFoundError):
        failure = _with_mount(failure, cast("ModuleNotFoundError", error), directory.parent)
    failure = with_requirement(failure, error, directory.parent.parent)
    return failure if failure.where else replace(failure, where=str(path))


def _with_denial(failure: Failure, error: PermissionError, path: Path) -> Failure:
    """Describe which file cannot be read by which user; the file is `path` if the error does not name it."""
    denied = Path(error.filename) if isinstance(error.filename, str) and error.filename else path
    return failure if os.access(denied, os.R_OK) else replace(failure, message=describe_denial(denied, error))


def _with_mount(failure: Failure, error: ModuleNotFoundError, experiments: Path) -> Failure:
    """Add a remedy for code that is missing in a container, where only the experiments are mounted."""
    name = error.name.partition(".")[0] if isinstance(error.name, str) else ""
    if name == experiments.name or not os.path.ismount(experiments):
        return failure
    return replace(
        failure,
        message=f"{failure.message}; if {name!r} is a package, install it (EVALWIRE_REQUIREMENTS); if it is project "
        "code, mount the parent directory of the experiments",
    )


def _package(name: str, directory: Path) -> None:
    """Make `directory` the package `name`, even if `sys.path` has another package with that name."""
    if name in sys.modules:
        return
    init = directory / "__init__.py"
    if is_file(init):
        _execute(name, init, search=[str(directory)])
        return
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(directory)]
    _register(name, importlib.util.module_from_spec(spec))


def _register(name: str, module: types.ModuleType) -> None:
    """Register a module in `sys.modules` and as an attribute of its parent, like an import."""
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], child, module)


def _module(package: str, path: Path) -> types.ModuleType:
    name = f"{package}.{path.stem}"
    return sys.modules.get(name) or _execute(name, path)


def _execute(name: str, path: Path, *, search: list[str] | None = None) -> types.ModuleType:
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=search)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = importlib.util.module_from_spec(spec)
    _register(name, module)
    try:
        with single_process():
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(child, None)
        raise
    return module
