"""An experiment of the user's, before and after it is opened in Phoenix."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from evalwire.model.inputs import UNKNOWN_INPUTS, Inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from evalwire.model.example import Dataset
    from evalwire.model.failure import Failure
    from evalwire.model.run import AnnotatorKind, TaskRun
    from evalwire.model.shard import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Callee:
    """A task or an evaluator of the user's, ready to be called.

    Attributes:
        name: what it is called in reports and in Phoenix: `task`, or the evaluator file's name.
        path: the file that defines it.
        function: what is called.
        is_async: whether its author wrote a coroutine function.
        on_loop: whether it is called on the event loop; else on a thread, and what it returns is awaited if need be.
        is_isolated: whether it is a coroutine function that runs on the event loop of a worker thread.
        positional: the names of the values bound by position, in order.
        keywords: parameter name -> the name of the value bound to it.
        whole: call with one mapping of all values, or with all of them as keywords (evaluator objects).
        annotator_kind: how Phoenix files its evaluations.
        gives_bools: whether its author declared that 0 and 1 are its only scores, so that they are bools.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A folder of the user's: a task, its evaluators, and the dataset they run on.

    Attributes:
        problems: what was found wrong when it was loaded; a non-empty tuple means that it cannot run.
        input_globs: patterns of files that it reads unseen, relative to `import_root`.
        inputs: what it had read of the project when it was loaded.
    """

    name: str
    dataset_name: str
    path: Path
    task: Callee | None
    evaluators: tuple[Callee, ...] = ()
    problems: tuple[Failure, ...] = ()
    input_globs: tuple[str, ...] = ()
    inputs: Inputs = UNKNOWN_INPUTS

    @property
    def import_root(self) -> Path:
        """The folder that is importable while it runs: the parent of the experiments folder."""
        return self.path.parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenExperiment:
    """An experiment with its dataset fetched and, except in a dry run, created in Phoenix.

    Attributes:
        id: Phoenix's id of it, or None in a dry run.
        url: its page in Phoenix, or None in a dry run.
        recorded_name: `{prefix}_{dataset}_{timestamp}`.
        project_name: the Phoenix project that its traces go to.
        repetitions: how many times each example is run.
        earlier: runs of an earlier job that goes on, by the example's node id and the repetition.
        shard: which part of the dataset's examples are here; None for all of them.
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
        """True if there is nothing to run because other shards have all the examples."""
        return self.shard is not None and not self.dataset.examples
