"""Find experiments in a folder and import them; the user's code runs here, and nothing is written."""

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
from evalwire.experiments.access import describe_denial, is_dangling, is_file, is_folder, list_folder
from evalwire.experiments.inputs import read_inputs, watching
from evalwire.experiments.requirements import with_requirement, without_repeats
from evalwire.loading import load_needed, project_folder
from evalwire.model import Callee, Experiment, Failure
from evalwire.usercode import (
    BindingError,
    bind_evaluator,
    bind_task,
    failure_of,
    in_one_process,
    isolate_experiment,
    misnamed_parameter,
)

if TYPE_CHECKING:
    import types
    from collections.abc import Collection, Iterator, Mapping, Sequence

log = logging.getLogger("evalwire")

TASK_FILE = "task.py"

HELPERS = ("helpers.py",)  # an evaluator only if it defines a callable of that name, and no error if not

_TAKEN_NAMES = ("dotenv", "evalwire", "httpx", "openinference", "opentelemetry", "phoenix", "rich", "tenacity", "typer")

_NEVER_EVALUATORS = ("conftest.py", "__init__.py", "__main__.py", TASK_FILE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What a folder holds.

    Attributes:
        experiments: the selected ones, sorted by name, loaded.
        skipped: names of folders without a `task.py`, hidden ones left out.
    """

    experiments: tuple[Experiment, ...]
    skipped: tuple[str, ...]


def find_experiments(root: Path, *, names: Sequence[str] | None = None) -> tuple[list[Path], list[str]]:
    """The experiment folders directly in `root`, sorted, and the names of the folders that are none.

    Args:
        root: the experiments folder; a missing one has no experiments.
        names: only these; None for all.

    Raises:
        NothingToRunError: a name has no experiment.
        UsageError: the folder cannot be read.
    """
    folders = {path: is_one for path in _entries(root) if (is_one := _is_experiment(path)) is not None}
    found = [path for path, is_one in folders.items() if is_one]
    skipped = [path.name for path in folders if path not in found and not path.name.startswith((".", "__"))]
    if names is None:
        return found, skipped
    known = [path.name for path in found]
    if not names:
        raise NothingToRunError("no experiment was selected: the list of names is empty; None selects all.")
    for name in names:
        if name not in known:
            raise NothingToRunError(_unknown(name, known, root))
    return [path for path in found if path.name in names], skipped


def _entries(root: Path) -> list[Path]:
    """Return what is in the experiments folder; nothing where there is none.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return list_folder(root) if is_folder(root) else []
    except OSError as error:
        raise UsageError(f"Cannot read the experiments folder: {describe_denial(root, error)}") from error


def _is_experiment(path: Path) -> bool | None:
    """Check whether an entry is an experiment; None for what is not even a folder.

    A link that leads nowhere, and a folder that cannot be looked into, count as what they are named: they fail when
    they are loaded, instead of being no experiment.
    """
    try:
        if not is_folder(path):
            return True if is_dangling(path) else None
        task = path / TASK_FILE
        return is_file(task) or is_dangling(task)
    except OSError:
        return None if path.name == "lost+found" else True  # which belongs to the file system


def _unknown(name: str, known: list[str], root: Path) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"Did you mean {close[0]!r}?" if close else f"There: {', '.join(known) or 'none'}."
    return f"no experiment {name!r} in {root}/ (a folder with a task.py). {advice}"


@contextlib.contextmanager
def importable(root: Path) -> Iterator[None]:
    """Make the parent of `root` importable; afterwards `sys.path` and `sys.modules` are as they were.

    Raises UsageError for a folder whose name would hide a module that a run needs.

    The experiments folder and what lies beside it are imported afresh, so that an edited file counts and two
    projects in one process do not see each other's modules. No bytecode is written: the folder may be read-only.
    """
    root = root.resolve()
    if root.name in {*_TAKEN_NAMES, *sys.stdlib_module_names}:
        raise UsageError(
            f"the experiments folder cannot be named {root.name!r}: a module of that name is needed to run it.\n"
            "Rename it, such as to `experiments`."
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
        with project_folder(parent), watching(root.parent):
            yield
    finally:
        sys.dont_write_bytecode = bytecode_before
        sys.path[:] = path_before
        neighbours = {
            name
            for name in set(sys.modules) - modules_before
            if "." not in name and _folder_of(sys.modules[name]) == parent
        }
        for name in list(sys.modules):
            if name not in modules_before and name.partition(".")[0] in {*neighbours, root.name}:
                del sys.modules[name]
        sys.modules.update(set_aside)


def _folder_of(module: Any) -> str | None:
    """The folder that a top-level module or package lies in."""
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
    """Import the experiments in `root`; call it, and run them, within `importable(root)`.

    What is wrong with an experiment (an import that fails, a missing callable, parameters that nothing can be
    bound to) is in its `problems`; the others load all the same.

    Args:
        root: the experiments folder.
        names: only these; None for all.
        helpers: files that are no evaluators: by experiment, or for all under `*`.
        dataset_names: Phoenix datasets that are not named like their folder, by experiment.
        isolated: experiments whose async functions run each on the event loop of a worker thread.
        inputs: patterns of files that an experiment reads unseen, relative to the parent of `root`; by experiment.

    Raises:
        NothingToRunError: a name has no experiment.
        UsageError: the folder cannot be read.
    """
    root = root.resolve()
    folders, skipped = find_experiments(root, names=names)
    broken: tuple[Failure, ...] = ()
    try:
        _package(root.name, root)
    except BaseException as error:
        broken = (_problem(error, root / "__init__.py", root),)
    helpers = helpers or {}
    experiments = [
        _load_experiment(
            folder,
            package=f"{root.name}.{folder.name}",
            helpers={*helpers.get("*", ()), *helpers.get(folder.name, ())},
            broken=broken,
            dataset_name=(dataset_names or {}).get(folder.name, folder.name),
        )
        for folder in folders
    ]
    experiments = [replace(one, input_globs=tuple((inputs or {}).get(one.name, ()))) for one in experiments]
    experiments = [replace(one, inputs=read_inputs(one)) for one in experiments]
    return Discovered(
        experiments=tuple(isolate_experiment(one) if one.name in isolated else one for one in experiments),
        skipped=tuple(skipped),
    )


def _load_experiment(
    folder: Path, *, package: str, helpers: Collection[str], broken: tuple[Failure, ...], dataset_name: str
) -> Experiment:
    nothing = Experiment(name=folder.name, dataset_name=dataset_name, path=folder, task=None)
    if broken:  # the package above it cannot be imported
        return replace(nothing, problems=broken)
    try:
        files = list_folder(folder)
    except OSError as error:
        return replace(nothing, problems=(_unlisted(folder, error),))
    problems: list[Failure] = []
    task: Callee | None = None
    try:
        _package(package, folder)
        task = bind_task(_attribute(_module(package, folder / TASK_FILE), "task"), path=folder / TASK_FILE)
        _say_what_it_gets(task, folder.name)
    except BaseException as error:
        problems.append(_problem(error, folder / TASK_FILE, folder))
    evaluators = _load_evaluators(files, package, {*_NEVER_EVALUATORS, *helpers}, problems)
    if not evaluators and not problems:
        message = (
            f"{folder.name}/ has no evaluator, so nothing would be judged; "
            "add a file such as exact_match.py that defines `exact_match`"
        )
        problems.append(Failure(kind="user", stage="import", type="NoEvaluator", message=message, where=str(folder)))
    return replace(nothing, task=task, evaluators=tuple(evaluators), problems=without_repeats(problems))


def _say_what_it_gets(task: Callee, experiment: str) -> None:
    if (name := misnamed_parameter(task.function)) is not None:
        log.warning(
            "%s: `async def task(%s)` gets the whole example, as in 0.6: %s is `%s.%s`. Call the parameter `example`, "
            "or make the task a plain `def`, which gets %s",
            experiment,
            name,
            "what it expects" if name in ("expected", "reference") else f"its {name}",
            name,
            "output" if name in ("expected", "reference") else name,
            "what its parameters are called",
        )


def _load_evaluators(
    files: Sequence[Path], package: str, never: Collection[str], problems: list[Failure]
) -> list[Callee]:
    """Import the evaluators among the files of an experiment; add what is wrong with them to its problems."""
    evaluators: list[Callee] = []
    for path in files:
        if not path.name.endswith(".py") or path.name in never or path.name.startswith(("_", "test_")):
            continue
        try:
            if is_folder(path):
                continue
            evaluator = _attribute(_module(package, path), path.stem)
            evaluators.append(bind_evaluator(path.stem, evaluator, path=path))
        except _MissingCallable as error:
            if path.name not in HELPERS:
                problems.append(_problem(error, path, path.parent))
        except BaseException as error:
            problems.append(_problem(error, path, path.parent))
    return evaluators


def _unlisted(folder: Path, error: OSError) -> Failure:
    message = describe_denial(folder, error)
    if isinstance(error, FileNotFoundError):
        message = f"{folder.name} is a link to {folder.readlink()}, which is not there; in a container, mount it too"
    return Failure(kind="user", stage="import", type=type(error).__name__, message=message, where=str(folder))


class _MissingCallable(LookupError):
    """A module that does not define what its name promises."""


def _attribute(module: types.ModuleType, name: str) -> Any:
    try:
        return getattr(module, name)
    except AttributeError:
        file = f"{name}.py"
        if name == "task":
            raise _MissingCallable("task.py defines no `task`; add `async def task(example): ...`") from None
        close = difflib.get_close_matches(name, [one for one in vars(module) if not one.startswith("_")], n=1)
        meant = f" (it has `{close[0]}`)" if close else ""
        raise _MissingCallable(
            f"{file} defines no `{name}`{meant}. An evaluator is a callable named like its file; "
            f'a helper is named _{file}, or listed in evalwire.toml: [experiments] helpers = ["{file}"]'
        ) from None


def _problem(error: BaseException, path: Path, folder: Path) -> Failure:
    kind = type(error)  # a class of the user's may say that it is another one
    if issubclass(kind, KeyboardInterrupt | Interrupted):
        raise error
    if issubclass(kind, _MissingCallable | BindingError):
        type_ = "MissingCallable" if issubclass(kind, _MissingCallable) else "BindingError"
        return Failure(kind="user", stage="import", type=type_, message=str(error), where=str(path))
    failure = failure_of(error, stage="import", root=folder.parent.parent)
    if issubclass(kind, PermissionError):
        failure = _with_denial(failure, cast("PermissionError", error), path)
    if issubclass(kind, ModuleNotFoundError):
        failure = _with_mount(failure, cast("ModuleNotFoundError", error), folder.parent)
    failure = with_requirement(failure, error, folder.parent.parent)
    return failure if failure.where else replace(failure, where=str(path))


def _with_denial(failure: Failure, error: PermissionError, path: Path) -> Failure:
    """Say whose the file is that may not be read, which is `path` where the error names none."""
    denied = Path(error.filename) if isinstance(error.filename, str) and error.filename else path
    return failure if os.access(denied, os.R_OK) else replace(failure, message=describe_denial(denied, error))


def _with_mount(failure: Failure, error: ModuleNotFoundError, experiments: Path) -> Failure:
    """Say how code of the project comes into a container in which the experiments are mounted without it."""
    name = error.name.partition(".")[0] if isinstance(error.name, str) else ""
    if name == experiments.name or not os.path.ismount(experiments):
        return failure
    return replace(
        failure,
        message=f"{failure.message}; if {name!r} is a package, install it (EVALWIRE_REQUIREMENTS), and if it is code "
        "of the project, mount the folder above experiments",
    )


def _package(name: str, folder: Path) -> None:
    """Make `folder` the package `name`, whatever else of that name `sys.path` holds."""
    if name in sys.modules:
        return
    init = folder / "__init__.py"
    if is_file(init):
        _execute(name, init, search=[str(folder)])
        return
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    _register(name, importlib.util.module_from_spec(spec))


def _register(name: str, module: types.ModuleType) -> None:
    """Put a module where imports find it, and on its parent, as an import would."""
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
        with in_one_process():
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            vars(sys.modules[parent]).pop(child, None)
        raise
    return module
