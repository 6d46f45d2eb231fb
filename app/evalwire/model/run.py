"""One run of a task, and its evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from evalwire.model.baseline import BaselineScore, EvaluationKind  # noqa: TC001 - likewise
from evalwire.model.failure import Failure  # noqa: TC001 - the journal's reader evaluates the annotations
from evalwire.model.json_values import EMPTY
from evalwire.model.usage import Usage, total_usage

if TYPE_CHECKING:
    from evalwire.model.example import Example

AnnotatorKind = Literal["CODE", "LLM", "HUMAN"]


RunKey = tuple[str, int]
"""The node ID of a run's example, and its repetition: what a run is known by within its experiment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What one evaluator said of one run: a finite score, a label, or both; or the failure instead.

    Attributes:
        kind: by the type that was returned; by score and label where that is not given. None for a failure.
        attempts: how many calls it took.
        usage: what they used of language models; empty for all but the first of one evaluator, None when not known.
        baseline_score: what the same evaluator returned today for the baseline's output in this place; None where it
            was not asked.
    """

    name: str
    evaluator: str
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    annotator_kind: AnnotatorKind = "CODE"
    failure: Failure | None = None
    attempts: int = 1
    usage: Usage | None = None
    start_time: datetime
    end_time: datetime
    trace_id: str | None = None
    id: str | None = None
    baseline_score: BaselineScore | None = None
    kind: EvaluationKind | None = None

    def __post_init__(self) -> None:
        """Work out the kind where it is not given."""
        if self.kind is None and self.failure is None:
            object.__setattr__(self, "kind", kind_by_score(self.score, self.label))

    @property
    def is_applicable(self) -> bool:
        """True unless the evaluator said that it does not apply to the run."""
        return self.kind != "not_applicable"


def kind_by_score(score: float | None, label: str | None) -> EvaluationKind:
    """Return the kind of an evaluation that does not tell it.

    A bool without a label of its own is recorded with the label `True` or `False`, by Phoenix's client as well.
    """
    if score is None:
        return "label"
    return "bool" if (score, label) in {(0.0, "False"), (1.0, "True")} else "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """One run of the task on one example, and the evaluations of what it returned.

    Attributes:
        output: the returned value as JSON; None when the task failed.
        failure: why the task failed, or None.
        record_failure: why Phoenix does not have (all of) this run, or None.
        repetition: which run of the example it is, from 1.
        attempts: how many calls of the task it took.
        usage: what the task used of language models, by the spans seen, over all attempts; None when not known, as in
            a dry run.
        id: Phoenix's id of the run, or None when it is not recorded.
        lossy_output: what a failed run returned, as near as JSON comes, where it has no JSON form or came too late; the
            journal has it.
    """

    example: Example
    output: Any
    failure: Failure | None
    evaluations: tuple[Evaluation, ...] = ()
    record_failure: Failure | None = None
    start_time: datetime
    end_time: datetime
    repetition: int = 1
    attempts: int = 1
    usage: Usage | None = None
    trace_id: str | None = None
    id: str | None = None
    lossy_output: Any = None

    @property
    def key(self) -> RunKey:
        """Return what the run is known by within its experiment."""
        return self.example.node_id, self.repetition

    @property
    def is_recorded(self) -> bool:
        """True if Phoenix has the run and all its evaluations."""
        return self.id is not None and all(evaluation.id is not None for evaluation in self.evaluations)

    @property
    def seconds(self) -> float:
        """The duration of the task in seconds."""
        return (self.end_time - self.start_time).total_seconds()

    @property
    def total_usage(self) -> Usage | None:
        """The usage of the task and its evaluators; None where that of some is not known."""
        parts = [self.usage, *(evaluation.usage for evaluation in self.evaluations)]
        known = [part for part in parts if part is not None]
        return total_usage(known) if len(known) == len(parts) else None

    @property
    def retries(self) -> int:
        """The number of retries of the task and its evaluators; one call may give several evaluations."""
        attempts = {evaluation.evaluator: evaluation.attempts for evaluation in self.evaluations}
        return sum(attempts.values(), self.attempts) - len(attempts) - 1

    @property
    def failures(self) -> list[Failure]:
        """Everything that went wrong with it, as far as it is known: the task, its evaluators, the recording."""
        found = [self.failure, *(evaluation.failure for evaluation in self.evaluations), self.record_failure]
        return [failure for failure in found if failure]
