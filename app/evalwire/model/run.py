"""A run of a task, and its evaluations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from evalwire.model.baseline import BaselineScore, EvaluationKind  # noqa: TC001 - the journal's reader evaluates the annotations
from evalwire.model.failure import Failure  # noqa: TC001 - the journal's reader evaluates the annotations
from evalwire.model.json_values import EMPTY
from evalwire.model.usage import Usage, total_usage

if TYPE_CHECKING:
    from evalwire.model.example import Example

AnnotatorKind = Literal["CODE", "LLM", "HUMAN"]


RunKey = tuple[str, int]
"""The key of a run within its experiment: the example's node ID and the repetition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The result of an evaluator for a run: a finite score, a label, or both; or else a failure.

    Attributes:
        kind: the kind by the type of the returned value, or by score and label if it is not given. None for a failure.
        attempts: the number of calls.
        usage: the language model usage of all attempts; None if unknown. Only an evaluator's first evaluation of a run
            has it; it is empty for the others.
        baseline_score: the same evaluator's current score for the corresponding baseline output; None if it did not
            score the baseline.
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
        """Derive the kind if it is not given."""
        if self.kind is None and self.failure is None:
            object.__setattr__(self, "kind", kind_by_score(self.score, self.label))

    @property
    def is_applicable(self) -> bool:
        """False if the evaluator reported that it does not apply to the run."""
        return self.kind != "not_applicable"


def kind_by_score(score: float | None, label: str | None) -> EvaluationKind:
    """Return the kind of an evaluation by its score and label.

    evalwire and Phoenix's client record a bool without a label with the label `True` or `False`.
    """
    if score is None:
        return "label"
    return "bool" if (score, label) in {(0.0, "False"), (1.0, "True")} else "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRun:
    """A run of the task on an example, and the evaluations of its output.

    Attributes:
        output: the returned value as JSON; None if the task failed.
        failure: the failure of the task, or None.
        record_failure: the failure because of which Phoenix does not have (all of) this run, or None.
        repetition: the number of this run among the example's runs, from 1.
        attempts: the number of calls of the task.
        usage: the task's language model usage over all attempts, from the spans; None if unknown, as in a dry run.
        id: Phoenix's ID of the run, or None if the run is not recorded.
        lossy_output: the value that a failed run returned, if JSON cannot represent it or it was returned too late. It
            is converted to JSON as closely as possible, for the journal.
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
        """The key of the run within its experiment."""
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
        """The usage of the task and its evaluators; None if any part is unknown."""
        parts = [self.usage, *[evaluation.usage for evaluation in self.evaluations]]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        return total_usage(known) if any(known) else ()

    @property
    def retries(self) -> int:
        """The number of retries of the task and its evaluators; a call may return several evaluations."""
        attempts = {evaluation.evaluator: evaluation.attempts for evaluation in self.evaluations}
        return sum(attempts.values(), self.attempts) - len(attempts) - 1

    @property
    def has_failed(self) -> bool:
        """True if the task, an evaluator or the recording failed."""
        if self.failure or self.record_failure:
            return True
        return any([evaluation.failure for evaluation in self.evaluations])  # noqa: C419 - faster for the few of a run

    @property
    def failures(self) -> list[Failure]:
        """The failures of the task, its evaluators and the recording."""
        found = [self.failure, *(evaluation.failure for evaluation in self.evaluations), self.record_failure]
        return [failure for failure in found if failure]
