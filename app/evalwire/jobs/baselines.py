"""Find the baseline of each experiment, in Phoenix or in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire import reports
from evalwire.errors import DatasetNotFound, ExperimentNotFound, UsageError
from evalwire.gates import choose_baseline, covered_share
from evalwire.model import own_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.gates import BaselineChoice, BaselineQuery
    from evalwire.model import Dataset, ExperimentResult
    from evalwire.phoenix import Phoenix

_MOST_SETS = 20  # of examples that are fetched in search of the one that covers all


def find_baselines(
    asked: BaselineChoice, subjects: Sequence[BaselineQuery], phoenix: Phoenix | None
) -> dict[str, ExperimentResult | str]:
    """The baseline of each experiment, or the note why it has none.

    Raises:
        UsageError: a baseline that was named is not there for any of them, or a file is not of a run that passed.
        EvalwireError: Phoenix cannot be asked.
    """
    match asked.kind:
        case "file":
            found = _from_file(asked, subjects)
        case "id":
            found = _by_id(asked, subjects, _asking(phoenix, asked))
        case "tag":
            found = {one.experiment: _tagged(asked, one, _asking(phoenix, asked)) for one in subjects}
        case _:
            found = {one.experiment: _newest(one, _asking(phoenix, asked)) for one in subjects}
    if asked.kind != "auto" and all(isinstance(one, str) for one in found.values()):
        raise UsageError(f"the baseline {asked} is not there: {'; '.join(map(str, found.values()))}.")
    return found


def _asking(phoenix: Phoenix | None, asked: BaselineChoice) -> Phoenix:
    if phoenix is None:
        raise UsageError(f"the baseline {asked} needs a Phoenix to be asked; a file can be named with file:PATH.")
    return phoenix


def _from_file(asked: BaselineChoice, subjects: Sequence[BaselineQuery]) -> dict[str, ExperimentResult | str]:
    report = reports.load_results(Path(asked.value))
    if report.dry_run or report.shard is not None:
        what = "a dry run" if report.dry_run else f"shard {report.shard} alone"
        raise UsageError(f"{asked.value} is not a baseline: it is of {what}. Name the results.json of a whole run.")
    there = {result.name: result for result in report.results}
    for one in subjects:
        result = there.get(one.experiment)
        if result is not None and not (result.is_complete and report.passed(result)):
            raise UsageError(
                f"{asked.value} is not a baseline: {one.experiment} did not run to its end and pass in it. Name the "
                "results.json of a run that passed."
            )
    missing = f"{asked.value} has no experiment of this name"
    return {one.experiment: there.get(one.experiment) or f"{missing} ({one.experiment})" for one in subjects}


def _by_id(
    asked: BaselineChoice, subjects: Sequence[BaselineQuery], phoenix: Phoenix
) -> dict[str, ExperimentResult | str]:
    try:
        result = phoenix.recorded.result(asked.value)
    except ExperimentNotFound as error:
        raise UsageError(f"the baseline {asked} is not there: {error}") from error
    fitting = [one for one in subjects if one.dataset_name == result.dataset_name]
    fitting = [one for one in fitting if one.experiment == result.name] or fitting
    note = f"{asked} is an experiment on the dataset {result.dataset_name!r}"
    return {one.experiment: result if one in fitting else note for one in subjects}


def _tagged(asked: BaselineChoice, subject: BaselineQuery, phoenix: Phoenix) -> ExperimentResult | str:
    try:
        for record in phoenix.experiments.on_dataset(subject.dataset_name):
            if asked.value in phoenix.experiments.tags(record["id"]):
                return phoenix.recorded.result(record["id"])
    except DatasetNotFound:
        return f"there is no dataset {subject.dataset_name!r}"
    return f"no experiment on the dataset {subject.dataset_name!r} has the tag {asked.value!r}"


def _newest(subject: BaselineQuery, phoenix: Phoenix) -> ExperimentResult | str:
    try:
        records = phoenix.experiments.on_dataset(subject.dataset_name)
        record, note = choose_baseline(records, subject, _Coverage(phoenix, subject))
    except DatasetNotFound:
        return f"there is no dataset {subject.dataset_name!r}"
    return phoenix.recorded.result(record["id"]) if record else note


class _Coverage:
    """How much of an experiment's examples recorded experiments have; each set of examples is fetched once.

    Args:
        phoenix: where the datasets are.
        subject: the experiment.
    """

    def __init__(self, phoenix: Phoenix, subject: BaselineQuery) -> None:
        self._phoenix = phoenix
        self._subject = subject
        self._contents = subject.contents
        self._version: str | None = subject.dataset_version
        self._shares: dict[tuple[str, str | None], float] = {}

    def __call__(self, record: Mapping[str, Any]) -> float:
        """Return the share of the examples that a recorded experiment has with the same content."""
        key = str(record["dataset_version_id"]), own_metadata(record.get("metadata")).get("split")
        if key not in self._shares:
            self._shares[key] = self._share(str(record["dataset_id"]), *key)
        return self._shares[key]

    def _share(self, dataset_id: str, version: str, split: str | None) -> float:
        datasets, subject = self._phoenix.datasets, self._subject
        if self._version is None:
            self._version = datasets.newest_version(dataset_id)
        if version == self._version and split in (None, subject.split):
            return 1.0
        if self._contents is None:
            own = datasets.fetch(subject.dataset_name, split=subject.split, version_id=subject.dataset_version)
            self._contents = _contents(own)
        if len(self._shares) >= _MOST_SETS:
            return 0.0
        return covered_share(self._contents, _contents(datasets.fetch_version(dataset_id, version, split=split)))


def _contents(dataset: Dataset) -> dict[str, str]:
    return {example.id: example.content_hash for example in dataset.examples}
