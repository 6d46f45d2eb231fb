"""Find the baseline of each experiment, in Phoenix or in a file, and its history."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire import reports
from evalwire.errors import DatasetNotFound, EvalwireError, ExperimentNotFound, UsageError
from evalwire.gates import choose_baseline, choose_history, covered_share
from evalwire.jobs.names import is_experiment_id
from evalwire.model import History, baseline_obstacle, history_entry, own_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.gates import BaselineChoice, BaselineQuery
    from evalwire.jobs.listing import Listing
    from evalwire.model import Dataset, ExperimentResult
    from evalwire.phoenix import Phoenix

log = logging.getLogger("evalwire")

_MOST_SETS = 20  # the number of example sets to fetch in search of complete coverage


def find_baselines(
    asked: BaselineChoice,
    subjects: Sequence[BaselineQuery],
    listing: Listing | None,
) -> dict[str, ExperimentResult | str]:
    """Return the baseline of each experiment, or the reason why it has no baseline.

    Args:
        asked: the requested baseline.
        subjects: the experiments.
        listing: the recorded experiments of the server; None without a server.

    Raises:
        UsageError: no experiment has the given baseline, or a file is not from a passed run.
        EvalwireError: Phoenix cannot be reached.
    """
    match asked.kind:
        case "file":
            found = _from_file(asked, subjects)
        case "id":
            found = _by_id(asked, subjects, _asking(listing, asked).phoenix)
        case "tag":
            found = {query.experiment: _tagged(asked, query, _asking(listing, asked)) for query in subjects}
        case _:
            found = {query.experiment: _newest(query, _asking(listing, asked)) for query in subjects}
    if asked.kind not in ("auto", "file") and all(isinstance(baseline, str) for baseline in found.values()):
        raise UsageError(f"cannot find the baseline {asked}: {'; '.join(map(str, found.values()))}.")
    return found


def _asking(listing: Listing | None, asked: BaselineChoice) -> Listing:
    if listing is None:
        raise UsageError(f"the baseline {asked} requires a Phoenix server. Use file:PATH to compare with a file.")
    return listing


def _from_file(asked: BaselineChoice, subjects: Sequence[BaselineQuery]) -> dict[str, ExperimentResult | str]:
    report = reports.load_results(Path(asked.value))
    if report.dry_run or report.shard is not None or report.partial is not None:
        is_part = report.partial is not None
        origin = "a dry run" if report.dry_run else "a partial run" if is_part else f"shard {report.shard} alone"
        raise UsageError(f"{asked.value} cannot be a baseline: it is from {origin}. Use results of a complete run.")
    if not report.results:
        raise UsageError(f"{asked.value} cannot be a baseline: it has no experiment.")
    there = {result.name: result for result in report.results}
    for query in subjects:
        result = there.get(query.experiment)
        if result is None:
            continue
        if obstacle := baseline_obstacle(result.experiment_metadata, stopping=result.stopping):
            raise UsageError(f"{asked.value} cannot be a baseline: {query.experiment} {obstacle}.")
        if not (result.is_complete and report.passed(result)):
            raise UsageError(
                f"{asked.value} cannot be a baseline: {query.experiment} failed or did not finish. Use results of a "
                "passed run."
            )
    return {
        query.experiment: there.get(query.experiment) or f"{asked.value} has no experiment {query.experiment!r}"
        for query in subjects
    }


def _by_id(
    asked: BaselineChoice, subjects: Sequence[BaselineQuery], phoenix: Phoenix
) -> dict[str, ExperimentResult | str]:
    try:
        result = phoenix.recorded.result(asked.value)
    except ExperimentNotFound as error:
        advice = f"\nIf {asked} is a branch, write branch:{asked}." if not is_experiment_id(asked.value) else ""
        raise UsageError(f"cannot find the baseline {asked}: {error}{advice}") from error
    if obstacle := baseline_obstacle(result.experiment_metadata):
        raise UsageError(f"{asked} cannot be a baseline: it {obstacle}. Use the experiment of a complete run.")
    fitting = [query for query in subjects if query.dataset_name == result.dataset_name]
    fitting = [query for query in fitting if query.experiment == result.name] or fitting
    note = f"{asked} is an experiment on the dataset {result.dataset_name!r}"
    return {query.experiment: result if query in fitting else note for query in subjects}


def _tagged(asked: BaselineChoice, subject: BaselineQuery, listing: Listing) -> ExperimentResult | str:
    try:
        record = listing.tagged(subject.dataset_name, asked.value)
    except DatasetNotFound:
        return f"there is no dataset {subject.dataset_name!r}"
    if record is None:
        return f"no experiment on the dataset {subject.dataset_name!r} has the tag {asked.value!r}"
    if obstacle := baseline_obstacle(record.get("metadata")):
        return f"{record['id']} has the tag, but {obstacle}"
    return listing.phoenix.recorded.result(record["id"])


def _newest(subject: BaselineQuery, listing: Listing) -> ExperimentResult | str:
    coverage = _Coverage(listing.phoenix, subject)
    try:
        record, note = choose_baseline(listing.on_dataset(subject.dataset_name), subject, coverage)
        if record is None and subject.fallback is not None:
            other = replace(subject, branches=[subject.fallback])
            record, _ = choose_baseline(listing.on_dataset(subject.dataset_name), other, coverage)
    except DatasetNotFound:
        return f"there is no dataset {subject.dataset_name!r}"
    return listing.phoenix.recorded.result(record["id"]) if record else note


def find_histories(subjects: Sequence[BaselineQuery], listing: Listing) -> tuple[History, ...]:
    """Return the history of each experiment that has one.

    A job does not depend on its history: if Phoenix does not answer at the first attempt, there is none.

    Args:
        subjects: the experiments, with the branches of a baseline that is chosen automatically.
        listing: the recorded experiments of the server.
    """
    found: list[History] = []
    try:
        for subject in subjects:
            found.append(_history(subject, listing))  # noqa: PERF401 - keeps the histories before an error
    except EvalwireError as error:
        log.debug("the history cannot be read: %s", error)
    return tuple(history for history in found if history.entries)


def _history(subject: BaselineQuery, listing: Listing) -> History:
    branch, records = subject.base_branch, []
    with contextlib.suppress(DatasetNotFound):
        records = choose_history(listing.on_dataset(subject.dataset_name, is_patient=False), subject)
        if not records and subject.fallback is not None:
            branch = subject.fallback
            other = replace(subject, branches=[branch])
            records = choose_history(listing.on_dataset(subject.dataset_name, is_patient=False), other)
    return History(experiment=subject.experiment, branch=branch, entries=tuple(map(history_entry, reversed(records))))


class _Coverage:
    """The share of an experiment's examples that recorded experiments cover; each set of examples is fetched once.

    Args:
        phoenix: the server of the datasets.
        subject: the experiment.
    """

    def __init__(self, phoenix: Phoenix, subject: BaselineQuery) -> None:
        self._phoenix = phoenix
        self._subject = subject
        self._contents = subject.contents
        self._version: str | None = subject.dataset_version
        self._shares: dict[tuple[str, str | None], float] = {}

    def __call__(self, record: Mapping[str, Any]) -> float:
        """Return the share of the examples that a recorded experiment ran with the same content."""
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
