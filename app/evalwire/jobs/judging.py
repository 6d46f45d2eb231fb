"""Find people's labels and the experiment with the labeled outputs."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.errors import ExperimentNotFound, NothingToRunError, UsageError
from evalwire.experiments import file_digest
from evalwire.judges import JUDGES_DIRECTORY, read_labels
from evalwire.model import source_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from evalwire.jobs.listing import Listing
    from evalwire.jobs.names import RecordedNames
    from evalwire.model import Calibration, ExperimentResult, Label
    from evalwire.settings import Settings

_MOST_RECORDS = 200  # experiments of a dataset in which the labeled experiment is searched


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRequest:
    """The labels to compare with an evaluator.

    Attributes:
        evaluation: the name of the evaluation.
        labels: a CSV file of labels; None for annotations in Phoenix.
        annotation: the name of the annotations.
        experiment: the name of a recorded experiment, as in `RecordedNames`; None for the labeled experiment.
    """

    evaluation: str
    labels: Path | None
    annotation: str
    experiment: str | None = None

    @property
    def is_in_phoenix(self) -> bool:
        """Check whether the labels are annotations in Phoenix."""
        return self.labels is None


def judges_directory(settings: Settings) -> Path:
    """Return the directory of calibrations, next to the experiments directory."""
    return settings.experiments.parent / JUDGES_DIRECTORY


def labels_path(settings: Settings, evaluation: str) -> Path:
    """Return the file in which `evalwire label` saves the labels for an evaluation."""
    return judges_directory(settings) / "labels" / f"{evaluation.replace('/', '_')}.csv"


def edited_files(settings: Settings, calibration: Calibration) -> list[str]:
    """Return the sorted files of an evaluator that were edited after it returned the calibrated scores."""
    project = settings.experiments.resolve().parent
    return sorted(
        path for path, digest in calibration.files.items() if file_digest(os.path.normpath(project / path)) != digest
    )


def labeled_experiment(
    request: LabelRequest, names: RecordedNames, listing: Listing
) -> tuple[list[Label], ExperimentResult]:
    """Return people's labels, and the experiment whose scores are compared with them.

    Without a requested experiment, it is the newest experiment that has, or scored again, the outputs that the labels
    name; for labels that name no experiment, and for annotations, it is the newest experiment.

    Raises:
        UsageError: no experiment, or several, have the evaluation; or the file has an error.
        NothingToRunError: the experiments directory contains no experiments.
        EvalwireError: Phoenix cannot be reached.
    """
    labels = read_labels(request.labels) if request.labels is not None else []
    if request.labels is not None and not labels:
        raise UsageError(f"{request.labels} has no labels. Fill in the column label or score, and try again.")
    result = _experiment(request, labels, names, listing)
    if request.is_in_phoenix:
        labels = listing.phoenix.annotations.people(result, request.annotation)
    return labels, result


def _experiment(
    request: LabelRequest, labels: Sequence[Label], names: RecordedNames, listing: Listing
) -> ExperimentResult:
    if request.experiment is not None:
        ids = names.find(request.experiment)
    else:
        if not names.datasets:
            raise NothingToRunError("the experiments directory has no experiments. Run this in the project.")
        labeled = {label.experiment_id for label in labels}
        labeled = set() if "" in labeled else labeled  # labels without an experiment are of the newest
        found = (_record(names.records(name), labeled) for name in names.datasets)
        ids = [record["id"] for record in found if record is not None]
    try:
        results = [listing.phoenix.recorded.result(experiment_id) for experiment_id in ids]
    except ExperimentNotFound as error:
        raise UsageError(str(error)) from error
    scored = [result for result in results if any(score.name == request.evaluation for score in result.scores)]
    if len(scored) == 1:
        return scored[0]
    if scored:
        several = ", ".join(result.name for result in scored)
        raise UsageError(f"several experiments have {request.evaluation}: {several}. Select one with --name.")
    known = sorted({score.name for result in results for score in result.scores})
    if not results:
        raise UsageError(
            "no recorded experiment has the labeled outputs. Run `evalwire run`, or select an experiment with "
            "--experiment."
        )
    raise UsageError(
        f"no score of {request.evaluation!r} in {', '.join(result.experiment_id for result in results)}. "
        f"Scores: {', '.join(known) or 'none'}."
    )


def _record(records: Iterator[Mapping[str, Any]], labeled: set[str]) -> Mapping[str, Any] | None:
    """Return the newest record of an experiment with the labeled outputs; the newest of all without labels."""
    for record in itertools.islice(records, _MOST_RECORDS):
        source = source_facts(record.get("metadata")) or {}
        if not labeled or labeled.intersection((record["id"], source.get("experiment"))):
            return record
    return None
