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
        labels: the number of labeled outputs.
        annotators: the number of people.
        kappa: Cohen's kappa, weighted for scores; None if all labels and scores are equal.
        interval: the confidence interval of kappa.
        table: the passes and failures of people and of the evaluator; None for scores.
        files: a digest of each file that the evaluator read, its prompts among them.
        models: the language models that the evaluator called, sorted.
        experiment_id: Phoenix's ID of the experiment with the labeled outputs.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationState:
    """The calibration of an evaluation by a language model, as reports show it.

    Attributes:
        experiment: the name of the experiment's directory.
        evaluation: the name of the evaluation.
        date: the day of the calibration in UTC, such as `2026-11-30`; empty if people never calibrated the evaluator.
        labels: the number of labeled outputs.
        kappa: the kappa of the evaluator and people; None if it is unknown.
        interval: the confidence interval of kappa.
        change: what changed about the evaluator since then, as a clause; empty if nothing did.
    """

    experiment: str
    evaluation: str
    date: str = ""
    labels: int = 0
    kappa: float | None = None
    interval: Interval | None = None
    change: str = ""

    @classmethod
    def of(cls, experiment: str, evaluation: str, found: Calibration | None, change: str) -> CalibrationState:
        """Return the state of an evaluation in an experiment.

        Args:
            experiment: the name of the experiment.
            evaluation: the name of the evaluation.
            found: its calibration; None without one.
            change: what changed since then.
        """
        if found is None:
            return cls(experiment=experiment, evaluation=evaluation)
        return cls(
            experiment=experiment,
            evaluation=evaluation,
            date=found.date.isoformat(),
            labels=found.labels,
            kappa=found.kappa,
            interval=found.interval,
            change=change,
        )

    @property
    def is_calibrated(self) -> bool:
        """True if there is a calibration that holds."""
        return bool(self.date) and not self.change

    @property
    def text(self) -> str:
        """A clause on the calibration, to follow the name of the evaluation."""
        if not self.date:
            return f"not calibrated with labels of people (`evalwire label {self.evaluation}`)"
        if self.change:
            return f"changed since its calibration of {self.date}: {self.change}"
        kappa = "unknown"
        if self.kappa is not None and self.interval is not None:
            kappa = f"{self.kappa:.2f} ({self.interval.low:.2f} to {self.interval.high:.2f})"
        return f"calibrated on {self.date} with {self.labels} labels, kappa {kappa}"
