"""Select the experiments of a job, and load them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalwire.errors import Interrupted, NothingToRunError, UsageError
from evalwire.experiments import find_experiments, load_experiments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evalwire.experiments import Discovered
    from evalwire.jobs.console import Console
    from evalwire.jobs.signals import Signals
    from evalwire.model import Experiment
    from evalwire.settings import Settings


def discover(settings: Settings, names: Sequence[str] | None = None) -> Discovered:
    """Import the experiments with these names, or by default the selected experiments; they must be importable.

    Raises:
        UsageError: the given directory or an experiment in evalwire.toml does not exist, or the directory cannot be
            read.
        NothingToRunError: no experiment matches `--name`.
    """
    root = settings.experiments
    known = [path.name for path in find_experiments(root)[0]]
    if not root.is_dir() and settings.source("experiments") != "default":
        raise UsageError(f"the experiments directory {root} does not exist (from: {settings.source('experiments')}).")
    for name in settings.configured_experiments:
        if name not in known:
            raise UsageError(f"evalwire.toml has a table [experiments.{name}], but {root}/ has no experiment {name!r}.")
    return load_experiments(
        root,
        names=(settings.names or None) if names is None else names,
        helpers=settings.helpers_by_experiment,
        dataset_names=settings.dataset_names,
        isolated=settings.isolated_experiments,
        inputs=settings.input_patterns,
    )


def load_selected(
    settings: Settings,
    console: Console,
    signals: Signals,
    names: Sequence[str] | None = None,
) -> tuple[Experiment, ...]:
    """Import the experiments with these names, or by default the selected experiments.

    Raises:
        NothingToRunError: there is no experiment.
        Interrupted: a signal arrived during the import.
    """
    found = discover(settings, names)
    console.learn_secrets()
    signals.reclaim()
    if signals.received is not None:  # user code may have caught the exception during its import
        raise Interrupted(signals.received)
    root = settings.experiments
    for name in found.skipped:
        console.say(f"skipped {root}/{name}/: it has no task.py")
    if not found.experiments:
        raise NothingToRunError(
            f"no experiment in {root.resolve()}/, so there is nothing to run.\n"
            "An experiment is a subdirectory with a task.py. In a container, mount your experiments there."
        )
    return found.experiments


def select_names(settings: Settings, names: Sequence[str], *, of: str) -> list[str]:
    """Return the experiments of an earlier job or of a plan that `--name` selects; all without `--name`.

    Raises:
        NothingToRunError: the job or plan has no experiments.
        UsageError: it does not have a given experiment.
    """
    if not names:
        raise NothingToRunError(f"the {of} has no experiment, so there is nothing to run.")
    wanted = settings.names
    for name in wanted:
        if name not in names:
            raise UsageError(f"the {of} has no experiment {name!r}. It has: {', '.join(names)}.")
    return [name for name in names if name in wanted] if wanted else list(names)
