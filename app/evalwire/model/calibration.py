"""The calibration of an evaluator: its agreement with people, and what it was then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from evalwire.model.agreement import AgreementTable  # noqa: TC001 - the same
from evalwire.model.baseline import Interval  # noqa: TC001 - the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The agreement of an evaluator with people.

    Attributes:
        experiment: the name of the experiment's directory.
        evaluation: the name of the evaluation.
        evaluator: the name of the evaluator.
        date: the day of the calibration, in UTC.
        labels: the number of labelled outputs.
        annotators: the number of people.
        kappa: Cohen's kappa, weighted for scores; None if all labels and scores are equal.
        interval: the confidence interval of kappa.
        table: the passes and failures of people and of the evaluator; None for scores.
        files: a digest of each file that the evaluator read, its prompts among them.
        models: the language models that the evaluator called, sorted.
        experiment_id: Phoenix's ID of the experiment with the labelled outputs.
    """

    experiment: str
    evaluation: str
    evaluator: str
    date: date
    labels: int
    annotators: int
    kappa: float | None
    interval: Interval | None
    table: AgreementTable | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    experiment_id: str = ""
