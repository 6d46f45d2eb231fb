"""Read the recorded outputs that `evalwire score` scores: of experiments in Phoenix, a journal or a results file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evalwire import reports
from evalwire.errors import (
    DatasetNotFound,
    ExperimentNotFound,
    PhoenixError,
    PhoenixRefused,
    PhoenixUnreachable,
    UsageError,
)
from evalwire.jobs.listing import Listing
from evalwire.jobs.names import RecordedNames
from evalwire.jobs.selection import project_experiments, recorded_names, select_names
from evalwire.masking import MASK
from evalwire.model import (
    UNKNOWN_FILES,
    ExampleSelection,
    Inputs,
    OutputSource,
    count,
    data_digest,
    first_of,
    own_metadata,
    partial_facts,
    source_facts,
)
from evalwire.recording import PastExperiment, past_of_runs, read_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from evalwire.model import Dataset, Example, Experiment, ExperimentResult, JobSpec, OpenExperiment, TaskRun
    from evalwire.phoenix import Phoenix
    from evalwire.recording import PastJob
    from evalwire.settings import Settings

_MOST_NAMED = 5  # examples in a message
_OTHER_SERVER = "Check that PHOENIX_ENDPOINT is the server on which the run was recorded."


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedOutputs:
    """The recorded outputs of an experiment.

    Attributes:
        source: the experiment that called the task.
        past: the outputs, in the form in which a journal has them.
    """

    source: OutputSource
    past: PastExperiment


def recorded_outputs(
    settings: Settings, phoenix: Phoenix, *, experiments: Sequence[str], path: Path | None
) -> dict[str, RecordedOutputs]:
    """Return the recorded outputs of each experiment of the project.

    Args:
        settings: the settings of the project.
        phoenix: the server of the datasets.
        experiments: names of recorded experiments, as in `RecordedNames`; used without a path.
        path: a journal (`.jsonl`) or a `results.json`.

    Raises:
        UsageError: the outputs cannot be scored, or do not fit the server or the project.
        EvalwireError: Phoenix cannot be reached.
    """
    if path is None:
        found = _from_phoenix(settings, phoenix, experiments)
    elif path.suffix == ".jsonl":
        found = _from_journal(settings, phoenix, path)
    else:
        found = _from_results(settings, phoenix, path)
    named: dict[str, RecordedOutputs] = {}
    for outputs in found:
        name = outputs.past.experiment
        if name in named:
            raise UsageError(f"two of the recorded experiments have the name {name!r}. Score one at a time.")
        if not outputs.source.outputs:
            raise UsageError(_without_outputs(name, path or outputs.source))
        named[name] = outputs
    return {name: named[name] for name in _selected(settings, list(named))}


def scored_spec(spec: JobSpec, outputs: Mapping[str, RecordedOutputs]) -> JobSpec:
    """Return the spec of a job that scores outputs; the job is partial if any of its sources is partial."""
    sources = {name: each.source for name, each in outputs.items()}
    partial = next((source.selection for source in sources.values() if source.selection is not None), None)
    return replace(spec, sources=sources, selection=ExampleSelection.from_json(partial))


def with_task_files(experiments: Iterable[Experiment], spec: JobSpec) -> list[Experiment]:
    """Return the experiments with the files of the tasks that returned the recorded outputs, for comparisons."""
    return [
        replace(
            experiment,
            task_files=source.task_files,
            inputs=replace(experiment.inputs, task=source.task_files),
        )
        if (source := spec.sources.get(experiment.name)) is not None
        else experiment
        for experiment in experiments
    ]


def check_outputs(past: PastJob) -> None:
    """Check that the journal of a job that scores outputs has all of them: the job may have been killed before.

    Raises:
        UsageError: an output is missing.
    """
    for name, source in past.spec.sources.items():
        found = past.past.get(name)
        if (len(found.runs) if found else 0) < source.outputs:
            raise UsageError(
                f"the journal does not have all {count(source.outputs, 'output')} of {name}, because the job ended "
                "while it copied them. Start a new job with `evalwire score`."
            )


def say_sources(outputs: Mapping[str, RecordedOutputs], say: Callable[[str], object]) -> None:
    """Say which outputs a job scores, and whether it is partial."""
    for name, each in outputs.items():
        source = each.source
        say(f"{name}: scoring {count(source.outputs, 'output')} of {source}. The task is not called")
        if (selection := ExampleSelection.from_json(source.selection)) is not None:
            say(f"PARTIAL: {name} has only the examples of {selection}")


# --- Phoenix ---------------------------------------------------------------------------------------


def _from_phoenix(settings: Settings, phoenix: Phoenix, wanted: Sequence[str]) -> Iterator[RecordedOutputs]:
    names = RecordedNames(settings, Listing(phoenix))
    for experiment_id in dict.fromkeys(found for text in wanted for found in names.find(text)):
        try:
            result = phoenix.recorded.result(experiment_id, with_examples=True)
        except ExperimentNotFound as error:
            raise UsageError(str(error)) from error
        if result.opened is None:  # a recorded experiment always has a dataset
            continue
        dataset = result.opened.dataset
        if dataset.split is not None:  # Phoenix does not keep splits with versions
            whole = phoenix.datasets.fetch_version(dataset.id, dataset.version_id)
            own = {example.node_id for example in dataset.examples}
            ran = phoenix.runs.read(experiment_id, whole)
            _check_found([run.example.id for run in ran if run.example.node_id not in own], dataset)
        yield _outputs(_directory_of(settings, result), result.opened, dataset, result.runs)


def _directory_of(settings: Settings, result: ExperimentResult) -> str:
    """Return the name of the directory whose evaluators score a recorded experiment.

    Raises:
        UsageError: no directory, or more than one, uses its dataset.
    """
    if result.name in [each.name for each in project_experiments(replace(settings, variants=()))]:
        return result.name
    fitting = [name for name, dataset in recorded_names(settings).items() if dataset == result.dataset_name]
    if len(fitting) != 1:
        found = f"{', '.join(fitting)} use it. Select a directory with --name" if fitting else "none does"
        raise UsageError(
            f"cannot find the evaluators of the recorded experiment {result.experiment_id}: exactly 1 directory in "
            f"{settings.experiments}/ must use the dataset {result.dataset_name!r}, but {found}."
        )
    return fitting[0]


# --- journal ---------------------------------------------------------------------------------------


def _from_journal(settings: Settings, phoenix: Phoenix, path: Path) -> Iterator[RecordedOutputs]:
    job = read_journal(path)
    if job.spec.sharing is not None:
        raise UsageError(_of_shard(path))
    for name in _selected(settings, job.experiments):
        past = job.past.get(name)
        if past is None or past.dataset is None:
            raise UsageError(_without_outputs(name, path))
        dataset = _version(phoenix, past.dataset.id, past.dataset.name, past.dataset.version_id, past.dataset.split)
        if dataset is None or not _has_same_data(dataset, past.metadata):
            raise UsageError(
                f"{path} cannot be scored: this Phoenix server does not have the version {past.dataset.version_id} of "
                f"the dataset {past.dataset.name!r} with the same examples. {_OTHER_SERVER}"
            )
        own = {example.node_id for example in dataset.examples}
        _check_found([node_id for node_id, _ in past.runs if node_id not in own], dataset)
        yield _outputs(name, _as_here(past, phoenix), dataset, past.runs_on(dataset.examples, others={}).values())


# --- results.json ----------------------------------------------------------------------------------


def _from_results(settings: Settings, phoenix: Phoenix, path: Path) -> Iterator[RecordedOutputs]:
    report = reports.load_results(path)
    if report.dry_run:
        raise UsageError(f"{path} cannot be scored: it is from a dry run. Use the results of `evalwire run`.")
    if report.shard is not None:
        raise UsageError(_of_shard(path))
    results = {result.name: result for result in report.results}
    for name in _selected(settings, list(results)):
        result = results[name]
        if result.opened is None:
            raise UsageError(_without_outputs(name, path))
        _check_unmasked(path, result, report.journal)
        dataset = _dataset_of(phoenix, path, result)
        past = _as_here(PastExperiment.of(result.opened), phoenix)
        yield _outputs(name, past, dataset, _on_dataset(result.runs, dataset))


def _check_unmasked(path: Path, result: ExperimentResult, journal: str | None) -> None:
    """Check that no secret in an output was masked, because evaluators would score the mask.

    Raises:
        UsageError: an output has the mask.
    """
    masked = [run.example.id for run in result.runs if MASK in str(run.output)]
    if masked:
        places = [f"`--from {journal}`"] if journal else []
        places += [f"`--experiment {result.experiment_id}`"] if result.opened and result.opened.id else []
        advice = f" Score the outputs from another place: {' or '.join(places)}." if places else ""
        raise UsageError(
            f"{path} cannot be scored: it masks secrets as {MASK} in the outputs of {_named(masked)}, so their scores "
            f"would be wrong.{advice}"
        )


def _dataset_of(phoenix: Phoenix, path: Path, result: ExperimentResult) -> Dataset:
    """Return the dataset version that ran; on another server, the newest version of the dataset with this name.

    Raises:
        UsageError: the server does not have the dataset.
    """
    split = own_metadata(result.experiment_metadata).get("split")
    dataset = _version(phoenix, result.dataset_id, result.dataset_name, result.dataset_version_id, split)
    if dataset is not None and _has_same_data(dataset, result.experiment_metadata):
        return dataset
    try:
        return phoenix.datasets.fetch(result.dataset_name, split=split)
    except DatasetNotFound as error:
        raise UsageError(f"{path} cannot be scored: {error}") from error


def _on_dataset(runs: Iterable[TaskRun], dataset: Dataset) -> Iterator[TaskRun]:
    """Yield the runs on the examples of a dataset with the same ID and content.

    Raises:
        UsageError: examples are missing or have another content.
    """
    examples: dict[tuple[str, str], Example] = {(each.id, each.content_hash): each for each in dataset.examples}
    missing = []
    for run in runs:
        example = examples.get((run.example.id, run.example.content_hash))
        if example is None:
            missing.append(run.example.id)
        else:
            yield replace(run, example=example)
    _check_found(missing, dataset)


# --- parts of all three ----------------------------------------------------------------------------


def _outputs(
    name: str, recorded: OpenExperiment | PastExperiment, dataset: Dataset, runs: Iterable[TaskRun]
) -> RecordedOutputs:
    """Return the outputs of runs of an experiment, without the usage of the task, which is not called."""
    metadata = recorded.metadata
    facts = own_metadata(metadata)
    own = {
        "experiment": recorded.id,
        "name": recorded.recorded_name,
        "begun": facts.get("begun"),
        "commit": metadata.get("commit"),
    }
    known = source_facts(metadata) or own  # new scores of new scores have the outputs of the same run
    inputs = Inputs.from_json(facts.get("inputs"))
    kept = [replace(run, attempts=1, usage=()) for run in runs]
    return RecordedOutputs(
        source=OutputSource(
            facts={key: str(known[key]) for key in own if known.get(key)},
            version_id=dataset.version_id,
            split=dataset.split,
            repetitions=recorded.repetitions,
            outputs=len(kept),
            task_files=inputs.task if inputs.is_known else UNKNOWN_FILES,
            selection=_selection(metadata),
        ),
        past=past_of_runs(name, kept, repetitions=recorded.repetitions),
    )


def _as_here(past: PastExperiment, phoenix: Phoenix) -> PastExperiment:
    """Return an experiment without its ID if this server has no experiment or another experiment with the ID."""
    try:
        record = phoenix.experiments.find(past.id) if past.id is not None else None
    except ExperimentNotFound:
        record = None
    is_same = record is not None and past.is_same(recorded_name=record["name"], metadata=record["metadata"])
    return past if is_same else replace(past, id=None)


def _selection(metadata: Mapping[str, Any]) -> Mapping[str, Any] | None:
    try:
        selection = ExampleSelection.from_json(partial_facts(metadata))
    except ValueError as error:
        raise UsageError(f"the recorded experiment has an invalid selection: {error}.") from error
    return selection.to_json() if selection is not None else None


def _version(phoenix: Phoenix, dataset_id: str, name: str, version_id: str, split: str | None) -> Dataset | None:
    """Return a dataset version; None if the server has no such version of a dataset with this name."""
    try:
        dataset = phoenix.datasets.fetch_version(dataset_id, version_id, split=split)
    except (PhoenixUnreachable, PhoenixRefused, UsageError):
        raise
    except PhoenixError:
        return None
    return dataset if dataset.name == name else None


def _has_same_data(dataset: Dataset, metadata: Mapping[str, Any]) -> bool:
    """Check whether a dataset version has the examples that ran; splits may have changed since."""
    digest = own_metadata(metadata).get("data")
    return dataset.split is not None or not isinstance(digest, str) or data_digest(dataset) == digest


def _check_found(missing: Sequence[str], dataset: Dataset) -> None:
    if missing:
        split = f", split {dataset.split!r}" if dataset.split else ""
        raise UsageError(
            f"cannot score the outputs of {_named(missing)}: version {dataset.version_id} of the dataset "
            f"{dataset.name!r}{split} does not have {'this example' if len(set(missing)) == 1 else 'these examples'} "
            "with the same content. Start a new run with `evalwire run`."
        )


def _named(ids: Iterable[str]) -> str:
    own = list(dict.fromkeys(ids))
    return f"{'example' if len(own) == 1 else 'examples'} {first_of(own, _MOST_NAMED)}"


def _selected(settings: Settings, names: Sequence[str]) -> list[str]:
    return select_names(settings, names, of="recorded run")


def _without_outputs(name: str, place: object) -> str:
    return (
        f"{place} has no output of {name}, which did not start or was interrupted. Complete it with `evalwire resume`, "
        "or name the experiments to score."
    )


def _of_shard(path: Path) -> str:
    return f"{path} cannot be scored: it has the outputs of a single shard. Name the experiment with --experiment ID."
