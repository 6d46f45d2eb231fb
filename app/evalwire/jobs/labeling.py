"""Compose the labeling of a recorded experiment: outputs in order, the file of labels, annotations in Phoenix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evalwire import labeling
from evalwire.errors import UsageError
from evalwire.judges import LabelRows, label_row, read_labels, row_value
from evalwire.labeling import Answer, Output
from evalwire.masking import plain
from evalwire.model import Label, label_value, own_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from evalwire.jobs.names import RecordedNames
    from evalwire.model import ExperimentResult, TaskRun
    from evalwire.phoenix import Phoenix


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelingRequest:
    """The labels that a person wants to give.

    Attributes:
        evaluation: the name of the score by which the outputs are stratified.
        annotation: the name of the annotations in Phoenix.
        annotator: the name of the person.
        path: the file of labels.
        limit: the maximum number of outputs to label; None for all.
    """

    evaluation: str
    annotation: str
    annotator: str
    path: Path
    limit: int | None = None


class LabelBook:
    """The labels of a person for an experiment, in the file and in Phoenix. The file is the truth.

    Args:
        phoenix: the server of the experiment.
        experiment: the recorded experiment.
        request: the labels to give.

    Raises:
        UsageError: the experiment does not have the evaluation, or the file is invalid.
    """

    def __init__(self, phoenix: Phoenix, experiment: ExperimentResult, request: LabelingRequest) -> None:
        self.experiment = experiment
        self.request = request
        self._phoenix = phoenix
        self._runs = _labelable(experiment, request.evaluation)
        scores = {run.id or "": _score(run, request.evaluation) or 0.0 for run in self._runs}
        seed = f"{experiment.experiment_id} {request.evaluation}"
        by_id = {run.id or "": run for run in self._runs}
        self.order = [by_id[id_] for id_ in labeling.labeling_order(scores, seed=seed)][: request.limit]
        self._rows = LabelRows(request.path)
        if request.path.exists():
            read_labels(request.path)  # invalid cells are errors
        self._answers: dict[str, tuple[Label, bool]] = {}  # by run ID, with whether the output was skipped
        self._in_phoenix: dict[str, Label] = {}
        self.without_trace: set[str] = set()  # IDs of runs with labels that only the file has

    @property
    def left_out(self) -> int:
        """The number of expected runs without an output or without a score of the evaluation."""
        return self.experiment.expected_runs - len(self._runs)

    def load(self) -> list[str]:
        """Read the person's labels from the file and from Phoenix; return the IDs of runs that Phoenix should update.

        A label that is only in Phoenix is added to the file.

        Raises:
            UsageError: the file cannot be read or written.
            PhoenixError: Phoenix did not send a valid response within the policy.
        """
        by_place = {(run.example.id, str(run.repetition)): run for run in self.experiment.runs}
        by_id = {run.id: run for run in self.experiment.runs}
        for row in self._rows.of(self.experiment.experiment_id, self.request.annotator):
            run = by_id.get(row["run_id"]) or by_place.get((row["example_id"], row["repetition"] or "1"))
            if run is not None:
                value, is_score = row_value(row) or (0.0, False)
                label = self._label(run, value, is_score=is_score, note=row["note"])
                self._answers[run.id or ""] = label, row_value(row) is None
        people = self._phoenix.annotations.people(self.experiment, self.request.annotation)
        self._in_phoenix = {label.run_id: label for label in people if label.annotator == self.request.annotator}
        new = [label for run_id, label in self._in_phoenix.items() if run_id not in self._answers]
        if new:
            self._rows.put(map(label_row, new))
            self._answers |= {label.run_id: (label, False) for label in new}
        return [run_id for run_id in self._answers if self._differs(run_id)]

    def _differs(self, run_id: str) -> bool:
        label, is_skipped = self._answers[run_id]
        held = self._in_phoenix.get(run_id)
        return held is not None if is_skipped else held != label

    @property
    def answers(self) -> dict[str, Answer]:
        """The person's answers by the ID of the run."""
        return {
            run_id: Answer(word="" if is_skipped else label.word or f"{label.value:g}", note=label.note)
            for run_id, (label, is_skipped) in self._answers.items()
        }

    @property
    def labeled(self) -> int:
        """The number of the experiment's runs with a label of the person."""
        return sum(not is_skipped for _, is_skipped in self._answers.values())

    def outputs(self, mask: Callable[[str], str], *, longest: int | None = None) -> list[Output]:
        """Return the outputs to label, in order, as safe text without secrets."""

        def fields(value: object) -> list[tuple[str, str]]:
            cut = {} if longest is None else {"longest": longest}
            return labeling.fields_of(value, lambda text: plain(mask(text)), **cut) if value not in ({}, None) else []

        return [
            Output(
                run_id=run.id or "",
                example_id=run.example.id,
                repetition=run.repetition,
                input=fields(run.example.input),
                expected=fields(run.example.output),
                output=fields(run.output) or [("", "null" if run.output is None else "{}")],
            )
            for run in self.order
        ]

    def save(self, output: Output, answer: Answer) -> None:
        """Save an answer in the file.

        Raises:
            UsageError: the file cannot be read or written.
        """
        run = next(run for run in self.order if run.id == output.run_id)
        value = label_value(answer.word)
        label = self._label(run, value or 0.0, note=answer.note)
        self._rows.put([label_row(label, is_skipped=value is None)])
        self._answers[output.run_id] = label, value is None

    def add(self, labels: Iterable[Label]) -> list[Label]:
        """Save labels of a spreadsheet in the file, and return them with the IDs of their runs.

        Raises:
            UsageError: a label belongs to no run of the experiment, or the file cannot be written.
        """
        by_id = {run.id: run for run in self.experiment.runs}
        by_place = {(run.example.id, run.repetition): run for run in self.experiment.runs}
        found = []
        for label in labels:
            run = by_id.get(label.run_id) if label.run_id else by_place.get((label.example_id, label.repetition or 1))
            if run is None or label.experiment_id not in ("", self.experiment.experiment_id):
                raise UsageError(
                    f"{label.place}: is not a run of the experiment {self.experiment.experiment_id}. Select the "
                    "experiment of the file with --experiment."
                )
            own = self._label(run, label.value, is_score=label.is_score, note=label.note)
            found.append(replace(own, annotator=label.annotator or self.request.annotator))
        self._rows.put(map(label_row, found))
        return found

    def send(self, run_ids: Sequence[str]) -> None:
        """Bring Phoenix up to date with the answers of runs.

        Raises:
            PhoenixError: Phoenix did not accept the annotations.
        """
        current = [self._answers[run_id] for run_id in run_ids]
        self.write([label for label, is_skipped in current if not is_skipped], is_patient=False)
        if skipped := [label for label, is_skipped in current if is_skipped]:
            self._phoenix.annotations.remove(self.experiment, skipped, self.request.annotation, is_patient=False)

    def write(self, labels: Sequence[Label], *, is_patient: bool = True) -> None:
        """Write labels to Phoenix.

        Raises:
            PhoenixError: Phoenix did not accept the annotations.
        """
        name = self.request.annotation
        without = self._phoenix.annotations.write(self.experiment, labels, name, is_patient=is_patient)
        self.without_trace |= {label.run_id for label in without}

    def _label(self, run: TaskRun, value: float, *, is_score: bool = False, note: str = "") -> Label:
        return Label(
            value=value,
            example_id=run.example.id,
            repetition=run.repetition,
            experiment_id=self.experiment.experiment_id,
            run_id=run.id or "",
            annotator=self.request.annotator,
            is_score=is_score,
            note=note,
        )


def find_labeled_experiment(names: RecordedNames, phoenix: Phoenix, text: str, evaluation: str) -> ExperimentResult:
    """Return the recorded experiment that a name stands for, and that has the evaluation.

    Raises:
        UsageError: the name stands for no experiment, or for several with the evaluation.
        EvalwireError: Phoenix cannot be reached.
    """
    found = names.find(text)
    if len(found) > 1:
        own = [id_ for id_ in found if _has(phoenix.experiments.find(id_), evaluation)]
        if len(own) != 1:
            return phoenix.recorded.result(names.find_single(text))  # raises the error
        found = own
    return phoenix.recorded.result(found[0])


def _has(record: Mapping[str, Any], evaluation: str) -> bool:
    """Check whether the record of an experiment lists an evaluation, or the evaluator with its name."""
    facts = own_metadata(record.get("metadata"))
    return evaluation in (facts.get("scores") or {}) or evaluation in (facts.get("evaluators") or {})


def _labelable(experiment: ExperimentResult, evaluation: str) -> list[TaskRun]:
    """Return the recorded runs with an output and a score of the evaluation.

    Raises:
        UsageError: no run has a score of the evaluation.
    """
    found = [run for run in experiment.runs if run.id and run.failure is None and _score(run, evaluation) is not None]
    if found:
        return found
    known = ", ".join(score.name for score in experiment.scores) or "none"
    raise UsageError(
        f"the experiment {experiment.experiment_id} ({experiment.name}) has no score {evaluation!r}, by which the "
        f"outputs are ordered. Its scores are: {known}."
    )


def _score(run: TaskRun, evaluation: str) -> float | str | None:
    for each in run.evaluations:
        if each.name == evaluation and each.failure is None and each.is_applicable:
            return each.score if each.score is not None else each.label
    return None
