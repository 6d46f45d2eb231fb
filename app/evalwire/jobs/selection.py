"""Select the experiments of a job and their variants, and load them."""

from __future__ import annotations

import contextlib
import difflib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from evalwire.errors import Interrupted, NothingToRunError, UsageError
from evalwire.experiments import Discovered, find_experiments, load_experiments
from evalwire.loading import load
from evalwire.model import DEFAULT_VARIANT, Variant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evalwire.jobs.signals import Signals
    from evalwire.jobs.variants.messages import Inherited
    from evalwire.jobs.variants.process import VariantProcess
    from evalwire.model import Experiment
    from evalwire.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """An experiment of the project.

    Attributes:
        directory: the name of its directory.
        variant: the variant to run; None for the experiment without a variant.
    """

    directory: str
    variant: Variant | None = None

    @property
    def name(self) -> str:
        """The name of the experiment, such as `answer` or `answer@fast`."""
        return self.variant.experiment if self.variant else self.directory

    def is_named(self, name: str) -> bool:
        """Check whether a name on the command line selects the experiment: its own name, or its directory's name."""
        return name in (self.name, self.directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The loaded experiments of a job.

    Attributes:
        experiments: the experiments, in the order of their names; the variants of an experiment follow it.
        skipped: the names of directories without a `task.py`.
        processes: by experiment, the processes of variants.
    """

    experiments: tuple[Experiment, ...]
    skipped: tuple[str, ...] = ()
    processes: Mapping[str, VariantProcess] = field(default_factory=dict)


def project_experiments(settings: Settings) -> list[Selected]:
    """Return all experiments of the project that `--variant` selects, with their variants."""
    found = []
    for path in find_experiments(settings.experiments)[0]:
        variants = settings.declared_variants.get(path.name, {})
        found += [Selected(directory=path.name)]
        found += [Selected(directory=path.name, variant=variant) for variant in variants.values()]
    if not settings.variants:
        return found
    return [each for each in found if (each.variant.name if each.variant else DEFAULT_VARIANT) in settings.variants]


def directory_of(settings: Settings, name: str) -> str:
    """Return the name of the directory of an experiment, from the name of the experiment."""
    known = project_experiments(replace(settings, variants=()))
    return next((each.directory for each in known if each.name == name), name)


def recorded_names(settings: Settings) -> dict[str, str]:
    """Return the name of the dataset of each selected experiment, by the experiment's name.

    A name on the command line may also belong to a recorded experiment that the project no longer has.
    """
    known = project_experiments(settings)
    found = {each.name: each.directory for each in known}
    if settings.names:
        found = {}
        for name in settings.names:
            fitting = [each for each in known if each.is_named(name)]
            found |= {each.name: each.directory for each in fitting} if fitting else {name: name}
    return {name: settings.dataset_names.get(directory, directory) for name, directory in found.items()}


def _select(settings: Settings, names: Sequence[str] | None) -> list[Selected]:
    """Return the experiments that a job loads.

    Args:
        settings: the settings of the job.
        names: the exact names of the experiments; None for the experiments that the flags select.

    Raises:
        NothingToRunError: an experiment or a variant does not exist.
        UsageError: the experiments directory cannot be read.
    """
    root = settings.experiments
    if names is not None:
        known = {each.name: each for each in project_experiments(replace(settings, variants=()))}
        for name in names:
            if name not in known:
                find_experiments(root, names=[name])  # describes an unknown name
        return [known[name] for name in known if name in names]
    _check_variants(settings)
    known_here = project_experiments(settings)
    if not settings.names:
        return known_here
    for name in settings.names:
        if not any(each.is_named(name) for each in known_here):
            directory = name.partition("@")[0]
            if directory not in settings.declared_variants:
                find_experiments(root, names=[name])  # describes an unknown name
            has = [each.name for each in known_here if each.directory == directory]
            raise NothingToRunError(
                f"no experiment {name!r} is selected. {directory} has: {', '.join(has) or 'no selected variant'}."
            )
    return [each for each in known_here if any(map(each.is_named, settings.names))]


def _check_variants(settings: Settings) -> None:
    known = [DEFAULT_VARIANT, *(name for table in settings.declared_variants.values() for name in table)]
    for name in settings.variants:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            advice = f"Did you mean {close[0]!r}?" if close else f"Variants: {', '.join(dict.fromkeys(known))}."
            raise NothingToRunError(f"no experiment has a variant {name!r} in evalwire.toml. {advice}")


def discover(inherited: Inherited, names: Sequence[str] | None = None) -> Loaded:
    """Import the experiments as `loaded_experiments` does, and end the processes of variants; nothing can run.

    Raises:
        UsageError: the given directory or an experiment in evalwire.toml does not exist, or the directory cannot be
            read.
        NothingToRunError: no experiment matches `--name`.
    """
    with _loaded(inherited, names) as loaded:
        return replace(loaded, processes={})


@contextlib.contextmanager
def loaded_experiments(inherited: Inherited, signals: Signals, names: Sequence[str] | None = None) -> Iterator[Loaded]:
    """Import experiments, and yield them with the processes of variants, which end with the context.

    Args:
        inherited: the objects that the processes share with the job.
        signals: the signals of the job.
        names: the exact names of the experiments; by default the experiments that the flags select.

    Raises:
        NothingToRunError: there is no experiment.
        Interrupted: a signal arrived during the import.
    """
    settings, console = inherited.settings, inherited.console
    with _loaded(inherited, names) as found:
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
        yield found


@contextlib.contextmanager
def _loaded(inherited: Inherited, names: Sequence[str] | None) -> Iterator[Loaded]:
    settings = inherited.settings
    _check_tables(settings)
    selected = _select(settings, names)
    variants = [each.variant for each in selected if each.variant is not None]
    with contextlib.ExitStack() as running:
        processes: dict[str, VariantProcess] = {}
        for variant in variants:  # before user code is imported here
            module = load("evalwire.jobs.variants.process")
            processes[variant.experiment] = running.enter_context(module.VariantProcess.start(variant, inherited))
        here = [each.directory for each in selected if each.variant is None]
        found = _load(settings, here) if here or not variants else Discovered(experiments=(), skipped=())
        loaded = {experiment.name: experiment for experiment in found.experiments}
        loaded |= {name: process.load() for name, process in processes.items()}
        yield Loaded(
            experiments=tuple(loaded[each.name] for each in selected),
            skipped=tuple(find_experiments(settings.experiments)[1]),
            processes=processes,
        )


def _load(settings: Settings, names: Sequence[str]) -> Discovered:
    if not names:
        return Discovered(experiments=(), skipped=())
    return load_experiments(
        settings.experiments,
        names=names,
        helpers=settings.helpers_by_experiment,
        dataset_names=settings.dataset_names,
        isolated=settings.isolated_experiments,
        inputs=settings.input_patterns,
    )


def _check_tables(settings: Settings) -> None:
    """Check that the experiments directory has each experiment of evalwire.toml.

    Raises:
        UsageError: the given directory or an experiment does not exist.
    """
    root = settings.experiments
    known = [path.name for path in find_experiments(root)[0]]
    if not root.is_dir() and settings.source("experiments") != "default":
        raise UsageError(f"the experiments directory {root} does not exist (from: {settings.source('experiments')}).")
    for name in settings.tables:
        if name not in known:
            raise UsageError(f"evalwire.toml has a table [experiments.{name}], but {root}/ has no experiment {name!r}.")
    for table in settings.declared_variants.values():
        for variant in table.values():
            if variant.experiment in known:
                raise UsageError(
                    f"{root}/{variant.experiment}/ has the name of the variant {variant.name} of {variant.directory}. "
                    "Rename the directory or the variant."
                )


def select_names(settings: Settings, names: Sequence[str], *, of: str) -> list[str]:
    """Return the experiments of an earlier job or of a plan that `--name` and `--variant` select; all without both.

    Raises:
        NothingToRunError: the job or plan has no experiments.
        UsageError: it does not have a given experiment.
    """
    if not names:
        raise NothingToRunError(f"the {of} has no experiment, so there is nothing to run.")
    known = {each.name: each for each in project_experiments(replace(settings, variants=()))}

    def fits(name: str, wanted: str) -> bool:
        return name == wanted or (name in known and known[name].is_named(wanted))

    for wanted in settings.names:
        if not any(fits(name, wanted) for name in names):
            raise UsageError(f"the {of} has no experiment {wanted!r}. It has: {', '.join(names)}.")
    found = [name for name in names if not settings.names or any(fits(name, wanted) for wanted in settings.names)]
    if settings.variants:
        selected = {each.name for each in project_experiments(settings)}
        if not selected.intersection(found):
            raise UsageError(
                f"the {of} has no experiment of the variant {', '.join(settings.variants)}. It has: {', '.join(names)}."
            )
        found = [name for name in found if name in selected]
    return found
