"""Baselines, and comparisons of a run with a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from evalwire.model.json_values import EMPTY
from evalwire.model.numbers import difference
from evalwire.model.remembering import Remembers, remembered

if TYPE_CHECKING:
    from evalwire.model.usage import Usage

Direction = Literal["maximize", "minimize"]

EvaluationKind = Literal["bool", "number", "label", "not_applicable"]
"""The kind of an evaluator's return value: a bool, another number, only a label, or "does not apply to this run"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided confidence interval.

    Attributes:
        low: the lower end.
        high: the upper end.
        method: the method that computed it, for example `Wilson` or `paired t`.
        confidence: the confidence level as a fraction, for example 0.95.
    """

    low: float
    high: float
    method: str
    confidence: float = 0.95

    def within(self, low: float, high: float) -> Interval:
        """Return the part of the interval between two bounds, for values that cannot exceed them."""
        return replace(self, low=max(self.low, low), high=min(self.high, high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The mean scores of an example in the baseline and in this run, for an evaluator, over all repetitions."""

    example_id: str
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Remembers):
    """The comparison of an evaluation with the baseline, over the examples that both runs share.

    Attributes:
        name: the name of the evaluation.
        direction: whether higher or lower scores are better.
        is_bool: whether all scores are bools, in the baseline and in this run.
        pairs: the examples with a score in both runs, in the dataset's order.
        unscored: the number of shared examples that are not paired, because a run or both have no score for them.
        half_applicable: the number of unscored examples to which the evaluation applies in a single run only.
        before: the baseline's mean over the pairs; None without a pair.
        after: this run's mean over the pairs; None without a pair.
        change: `after - before`.
        interval: the two-sided confidence interval of the change; None with too few pairs.
        p_value: the one-sided p-value of a regression; None without a pair.
        test: the name of the statistical test.
        minimum_detectable: the smallest drop that the test finds with a power of 80%.
        repetitions: the number of runs of each example, in this run and in the baseline.
    """

    name: str
    direction: Direction = "maximize"
    is_bool: bool = False
    pairs: tuple[Pair, ...] = ()
    unscored: int = 0
    half_applicable: int = 0
    before: float | None = None
    after: float | None = None
    change: float | None = None
    interval: Interval | None = None
    p_value: float | None = None
    test: str = ""
    minimum_detectable: float | None = None
    repetitions: int = 1

    def gain(self, pair: Pair) -> float:
        """Return the improvement of an example; negative for a regression."""
        change = difference(pair.after, pair.before)
        return -change if self.direction == "minimize" else change

    @property
    def worse(self) -> list[Pair]:
        """The regressions, largest first."""
        return list(remembered(self, "worse", self._worse))

    def _worse(self) -> list[Pair]:
        return sorted((pair for pair in self.pairs if self.gain(pair) < 0), key=self.gain)

    @property
    def better(self) -> list[Pair]:
        """The improvements, largest first."""
        return list(remembered(self, "better", self._better))

    def _better(self) -> list[Pair]:
        return sorted((pair for pair in self.pairs if self.gain(pair) > 0), key=self.gain, reverse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineScore:
    """The current evaluator's result for the baseline's output that corresponds to a run.

    Attributes:
        experiment_id: Phoenix's ID of the baseline; `DRY_RUN` if it was not recorded.
        score: the score, as in `Evaluation`.
        label: the label, as in `Evaluation`.
        kind: the kind, as in `Evaluation`.
        failed: whether the evaluator failed on the baseline's output, which leaves nothing to compare.
    """

    experiment_id: str
    score: float | None = None
    label: str | None = None
    kind: EvaluationKind | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """A changed evaluator that scored the baseline's outputs again.

    Attributes:
        evaluator: the name of the evaluator.
        evaluation: the name of the score.
        reason: the description of the change.
        outputs: the number of baseline outputs that were scored again.
        failed: the number of baseline outputs on which the evaluator failed.
        recorded: the mean recorded with the baseline, over the same outputs; None without recorded scores.
        today: the mean of the new scores; None without a new score.
        usage: the language model usage of the scoring; None if unknown.
    """

    evaluator: str
    evaluation: str
    reason: str
    outputs: int = 0
    failed: int = 0
    recorded: float | None = None
    today: float | None = None
    usage: Usage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRun:
    """A run of the baseline, as reports show it next to this job's run of the same example and repetition.

    Attributes:
        example_id: the ID of the example.
        repetition: the number of the run among the example's runs, from 1.
        output: the returned value as JSON; None if the task failed.
        error: the failure of the task; empty if it returned a value.
        explanations: the recorded explanations by evaluation; evaluations of changed evaluators are left out.
        trace_id: the ID of the run's trace in Phoenix; None without a trace.
    """

    example_id: str
    repetition: int = 1
    output: Any = None
    error: str = ""
    explanations: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    trace_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The recorded experiment that an experiment was compared with, or the reason why there was none.

    Attributes:
        experiment: the name of the experiment's directory.
        asked: the requested baseline: `auto`, an ID, `branch:main`, `tag:release` or `file:main.json`.
        note: the reason why no baseline was found; empty if a baseline was found.
        experiment_id: Phoenix's ID of the baseline; None without an ID.
        recorded_name: the baseline's name in Phoenix.
        url: the baseline's page in Phoenix.
        branch: the branch on which the baseline ran; None if CI did not report it.
        commit: the commit on which the baseline ran; None if CI did not report it.
        paired: the number of examples that are the same in both.
        added: the IDs of the examples that only this run has.
        removed: the IDs of the examples that only the baseline has.
        changed: the IDs of the examples whose content differs between the two.
        comparisons: a comparison for each evaluation that both have.
        examples: the number of examples in this run; `paired` of them are in the baseline.
        rescored: the evaluators that scored the baseline again.
        changed_evaluators: the evaluators whose scores cannot be compared, with the reason: the evaluator changed and
            did not score the baseline again.
        changed_task: the changed files of the task; empty if none changed.
        runs: the runs of the baseline on unchanged examples whose output, failure or score differs from this job's run,
            in the dataset's order.
    """

    experiment: str
    asked: str
    note: str = ""
    experiment_id: str | None = None
    recorded_name: str = ""
    url: str | None = None
    branch: str | None = None
    commit: str | None = None
    paired: int = 0
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    examples: int = 0
    rescored: tuple[Rescored, ...] = ()
    changed_evaluators: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    changed_task: tuple[str, ...] = ()
    runs: tuple[BaselineRun, ...] = ()

    def comparison(self, name: str) -> Comparison | None:
        """Return the comparison of an evaluation; None if there is no comparison."""
        return next((comparison for comparison in self.comparisons if comparison.name == name), None)

    @property
    def runs_by_key(self) -> dict[tuple[str, int], BaselineRun]:
        """The differing runs of the baseline by example ID and repetition."""
        return {(run.example_id, run.repetition): run for run in self.runs}
