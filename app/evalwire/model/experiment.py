"""A user's experiment, before and after it is opened in Phoenix."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from evalwire.model.inputs import UNKNOWN_INPUTS, FileDigests, Inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from evalwire.model.example import Dataset
    from evalwire.model.failure import Failure
    from evalwire.model.run import AnnotatorKind, TaskRun
    from evalwire.model.shard import Shard
    from evalwire.model.variant import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """A user's task or evaluator, ready to be called.

    Attributes:
        name: the name in reports and in Phoenix: `task`, or the name of the evaluator's file.
        path: the file that defines the function.
        function: the callable.
        is_async: whether the author wrote a coroutine function.
        on_loop: whether the function is called on the event loop. Otherwise it is called on a thread, and an awaitable
            result is awaited.
        is_isolated: whether it is a coroutine function that runs on the event loop of a worker thread.
        positional: the names of the values bound by position, in order.
        keywords: a mapping from each parameter's name to the name of the value bound to it.
        whole: whether to pass all values as a single mapping or as keywords (evaluator objects); None for neither.
        annotator_kind: the annotator kind of the evaluations in Phoenix.
        gives_bools: whether the author declared that the scores 0 and 1 are bools.
    """

    name: str
    path: Path
    function: Callable[..., Any]
    is_async: bool
    on_loop: bool = False
    is_isolated: bool = False
    positional: tuple[str, ...] = ()
    keywords: Mapping[str, str] = field(default_factory=dict)
    whole: Literal["mapping", "keywords"] | None = None
    annotator_kind: AnnotatorKind = "CODE"
    gives_bools: bool = False

    def __reduce__(self) -> tuple[Callable[..., Callee], tuple[dict[str, Any]]]:
        return _callee_elsewhere, (
            {item.name: getattr(self, item.name) for item in fields(self) if item.name != "function"},
        )


def _callee_elsewhere(values: dict[str, Any]) -> Callee:
    """Return a callee that arrived from another process, where its function is."""
    return Callee(**values, function=_in_other_process)


def _in_other_process(*_: object, **__: object) -> NoReturn:
    raise RuntimeError("this function can only be called in the process that imported it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A user's directory with a task and evaluators, and the dataset on which they run.

    Attributes:
        variant: the variant that runs; None for the experiment without a variant.
        problems: the problems found while loading; the experiment can run only if there are none.
        input_globs: patterns of the files that it reads without evalwire noticing, relative to `import_root`.
        inputs: the project files that were read while loading.
        task_files: the files of the task that returned the recorded outputs to score; None if the task is called.
    """

    name: str
    dataset_name: str
    path: Path
    task: Callee | None
    evaluators: tuple[Callee, ...] = ()
    problems: tuple[Failure, ...] = ()
    input_globs: tuple[str, ...] = ()
    inputs: Inputs = UNKNOWN_INPUTS
    task_files: FileDigests | None = None
    variant: Variant | None = None

    @property
    def import_root(self) -> Path:
        """The directory that is importable during the run: the parent of the experiments directory."""
        return self.path.parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenExperiment:
    """An experiment whose dataset is fetched and which, except in a dry run, exists in Phoenix.

    Attributes:
        id: Phoenix's ID of the experiment, or None in a dry run.
        url: the experiment's page in Phoenix, or None in a dry run.
        recorded_name: `{prefix}_{dataset}_{timestamp}`.
        project_name: the Phoenix project that receives the traces.
        repetitions: the number of runs of each example.
        earlier: the runs of the earlier job that is resumed, by the example's node ID and the repetition.
        shard: the shard whose examples `dataset` contains; None for all examples.
    """

    experiment: Experiment
    dataset: Dataset
    recorded_name: str
    id: str | None = None
    url: str | None = None
    project_name: str | None = None
    repetitions: int = 1
    metadata: Mapping[str, Any] = field(default_factory=dict)
    earlier: Mapping[tuple[str, int], TaskRun] = field(default_factory=dict)
    shard: Shard | None = None

    @property
    def is_empty_part(self) -> bool:
        """True if there is nothing to run because all examples belong to other shards."""
        return self.shard is not None and not self.dataset.examples
