"""A baseline, and how a run compares with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from evalwire.model.json_values import EMPTY
from evalwire.model.numbers import difference

if TYPE_CHECKING:
    from evalwire.model.usage import Usage

Direction = Literal["maximize", "minimize"]

EvaluationKind = Literal["bool", "number", "label", "not_applicable"]
"""What an evaluator returned: a bool, another number, a label alone, or that it does not apply to the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided confidence interval.

    Attributes:
        method: such as `Wilson` or `paired t`.
        confidence: 0.95 for one of 95 %.
    """

    low: float
    high: float
    method: str
    confidence: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One example under one evaluator, in the baseline and in this run: the means over its repetitions."""

    example_id: str
    before: float
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One evaluation of an experiment beside its baseline, over the examples that are the same in both.

    Attributes:
        name: of the evaluation.
        direction: whether higher or lower scores are better.
        is_bool: whether the scores are passes and failures on both sides.
        pairs: the examples that have a score on both sides, in the dataset's order.
        unscored: examples that are the same in both, but lack a score on a side, so that they could not be paired.
        half_applicable: those of them that the evaluation applies to on one side only.
        before: the baseline's mean over the pairs; None without a pair.
        after: this run's.
        change: `after - before`.
        interval: of the change, two-sided; None where there are too few pairs.
        p_value: one-sided, of a change for the worse; None without a pair.
        test: the test's name.
        minimum_detectable: the smallest change for the worse that would have been found in four of five cases.
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

    def gain(self, pair: Pair) -> float:
        """The improvement of an example; negative for a regression."""
        change = difference(pair.after, pair.before)
        return -change if self.direction == "minimize" else change

    @property
    def worse(self) -> list[Pair]:
        """The examples that became worse, the worst first."""
        return sorted((pair for pair in self.pairs if self.gain(pair) < 0), key=self.gain)

    @property
    def better(self) -> list[Pair]:
        """The examples that became better, the best first."""
        return sorted((pair for pair in self.pairs if self.gain(pair) > 0), key=self.gain, reverse=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineScore:
    """What today's evaluator returned for the baseline's output in the place of a run.

    Attributes:
        experiment_id: Phoenix's ID of the baseline; empty where it is a file.
        score: as that of an evaluation.
        label: likewise.
        kind: likewise.
        failed: whether the evaluator failed on the baseline's output, so that there is nothing to compare.
    """

    experiment_id: str
    score: float | None = None
    label: str | None = None
    kind: EvaluationKind | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescored:
    """An evaluator that was changed, and therefore scored the baseline's outputs again.

    Attributes:
        evaluator: its name.
        evaluation: the name of the score.
        reason: what was changed.
        outputs: how many of the baseline's outputs it scored.
        failed: on how many it failed.
        recorded: the mean that was recorded with the baseline, over the same outputs; None where it has none.
        today: the mean of today's scores of them; None where there is none.
        usage: what scoring them used of language models; None where it is not known.
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
class Baseline:
    """What an experiment was compared with, or why with nothing.

    Attributes:
        experiment: the name of the experiment's folder.
        asked: how it was chosen: `auto`, an id, `branch:main`, `tag:release`, `file:main.json`.
        note: why there is none; empty when there is one.
        experiment_id: Phoenix's id of it; None when it has none.
        recorded_name: its name in Phoenix.
        url: its page in Phoenix.
        branch: that it ran on, where CI said so.
        commit: likewise.
        paired: how many examples are the same in both.
        added: ids of the examples that the baseline does not have.
        removed: ids of those that only the baseline has.
        changed: ids of those that are in both with another content.
        comparisons: one for each evaluation that both have.
        examples: how many examples this run has; `paired` of them are in the baseline.
        rescored: the evaluators that scored the baseline again.
        changed_evaluators: why scores of these evaluators cannot be compared: they were changed, and did not score the
            baseline again.
        changed_task: the files of the task that were changed; empty where none was.
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

    def comparison(self, name: str) -> Comparison | None:
        """The comparison of one evaluation."""
        return next((one for one in self.comparisons if one.name == name), None)
