"""Read a `results.json` as the report that it was written from, which renders to the same reports."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from evalwire.errors import UsageError
from evalwire.model import (
    EMPTY,
    Dataset,
    Evaluation,
    Example,
    Experiment,
    ExperimentResult,
    OpenExperiment,
    Report,
    Shard,
    TaskRun,
    moment_of,
)
from evalwire.reports.results_json import baseline_records, document
from evalwire.reports.results_json.lines import OtherLayout, read_lines
from evalwire.reports.results_json.nouns import to_noun

_RUN = msgspec.json.Decoder(document.Run)
_BASELINE_RUN = msgspec.json.Decoder(baseline_records.BaselineRun)


def load_results(path: Path) -> Report:
    """Read a `results.json`.

    Raises:
        UsageError: the file is missing, cannot be read, is not an evalwire `results.json`, or has another version.
    """
    try:
        report = _read_by_line(path)
        text = b"" if report else path.read_bytes()
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no file {path}. `evalwire run` writes a results.json to its report directory"
        ) from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    try:
        return report or read_results(text)
    except UsageError as error:
        raise UsageError(f"{path} {error}") from error


def _read_by_line(path: Path) -> Report | None:
    """Read a file as `write` lays it out; None for another layout, and for files that are invalid."""

    def readers(section: str) -> Callable[[bytes], Any]:
        if section == "baselines":
            return lambda line: to_noun(_BASELINE_RUN.decode(line))
        examples: dict[str, Example] = {}  # shared by repetitions
        return lambda line: _run(_RUN.decode(line), examples)

    try:
        with path.open("rb") as file:
            lines = read_lines(file, readers)
        _check_version(lines.head)
        results = msgspec.json.decode(lines.head, type=document.Results)
    except (OtherLayout, UsageError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None  # reading the file as a whole finds the reason
    before, now = lines.runs["baselines"], lines.runs["experiments"]
    if len(before) != len(results.baselines) or len(now) != len(results.experiments):
        return None
    report = _report(results, runs=now)
    pairs = zip(report.baselines, before, strict=True)
    return replace(report, baselines=tuple(replace(baseline, runs=tuple(runs)) for baseline, runs in pairs))


def read_results(text: bytes | str) -> Report:
    """Read the text of a `results.json`.

    Raises:
        UsageError: the text is not a `results.json`, or has another version. The message must follow a file name.
    """
    try:
        _check_version(text)
        return _report(msgspec.json.decode(text, type=document.Results))
    except msgspec.ValidationError as error:
        raise UsageError(f"is damaged: {_damage(str(error))}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"is not a results.json: it is not JSON ({error})") from error


class _Failing(msgspec.Struct):
    """The field of the failing examples, which is read without the runs."""

    failing: dict[str, tuple[str, ...] | None] | None = None


def load_failing(path: Path) -> Mapping[str, tuple[str, ...] | None] | None:
    """Return the failing examples in a `results.json`; None if the file is missing, is invalid or has none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Failing).failing
    except (OSError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None


class _Head(msgspec.Struct):
    """The fields that every version has."""

    evalwire_version: Any
    schema_version: Any = None


def _check_version(text: bytes | str) -> None:
    try:
        head = msgspec.json.decode(text, type=_Head)
    except msgspec.ValidationError as error:
        msgspec.json.decode(text)  # raises if the text is not JSON
        raise UsageError("is not an evalwire results.json") from error
    version, known = head.schema_version, document.SCHEMA_VERSION
    if type(version) is not int:
        raise UsageError("is not an evalwire results.json: it has no schema_version")
    if version != known:
        advice = "use that version or a newer version" if version > known else "run evalwire again to write a new file"
        raise UsageError(
            f"has schema_version {version}, written by evalwire {head.evalwire_version}, but this version of evalwire "
            f"reads {known}: {advice}"
        )


def _damage(error: str) -> str:
    """Return an error of msgspec with its place first: `experiments[0].runs[3].output is missing`."""
    text, at = re.fullmatch(r"(.+?)(?: - at (?:`key` in )?`\$\.?([^`]*)`)?", error, re.DOTALL).groups("")  # type: ignore[union-attr] # matches any text
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return f"{at}.{missing[1]} is missing".lstrip(".")
    return f"{at}: {text}"


def _report(results: document.Results, runs: Sequence[Sequence[TaskRun]] | None = None) -> Report:
    shard = _shard(results.shard)
    own = runs or [_runs(experiment) for experiment in results.experiments]
    return Report(
        outcome=results.outcome,
        exit_code=results.exit_code,
        results=tuple(_result(*known, shard) for known in zip(results.experiments, own, strict=True)),
        started_at=results.started_at,
        seconds=results.seconds,
        dry_run=results.dry_run,
        endpoint=results.endpoint,
        evalwire_version=results.evalwire_version,
        abandoned_threads=results.abandoned_threads,
        lost_spans=results.lost_spans,
        unwritten=results.unwritten,
        budget=to_noun(results.budget),
        journal=results.journal,
        ci=results.ci,
        gates=to_noun(results.gates),
        calibrations=to_noun(results.calibrations),
        baselines=to_noun(results.baselines),
        history=to_noun(results.history),
        variants=to_noun(results.variants),
        prices={model: to_noun(price) for model, price in results.prices.items()},
        directory=results.directory,
        shard=shard,
        partial=to_noun(results.partial),
        failing=results.failing,
    )


def _shard(text: str | None) -> Shard | None:
    try:
        return Shard.parse(text) if text is not None else None
    except ValueError as error:
        raise UsageError(f"is damaged: shard is {text!r}: {error}") from error


def _runs(experiment: document.Experiment) -> list[TaskRun]:
    examples: dict[str, Example] = {}  # shared by repetitions
    return [_run(run, examples) for run in experiment.runs]


def _result(experiment: document.Experiment, runs: Sequence[TaskRun], shard: Shard | None) -> ExperimentResult:
    ordered = list({run.example.node_id: run.example for run in runs}.values())
    for example in experiment.examples_not_run:
        ordered.insert(example.position, _example(example, input=EMPTY, output=EMPTY, metadata=EMPTY))
    result = ExperimentResult(
        name=experiment.name,
        dataset_name=experiment.dataset.name,
        path=experiment.path,
        evaluator_names=experiment.evaluators,
        opened=_opened(experiment, ordered, shard),
        runs=tuple(runs),
        example_count=experiment.examples,
        repetitions=experiment.repetitions,
        failure=to_noun(experiment.failure),
        problems=to_noun(experiment.problems),
        seconds=experiment.seconds,
        stopping=to_noun(experiment.stopping),
    )
    return result if result.usage is not None else replace(result, used=to_noun(experiment.usage))


def _opened(experiment: document.Experiment, examples: list[Example], shard: Shard | None) -> OpenExperiment | None:
    """Return the opened experiment, without its functions; None if it was not opened."""
    if experiment.recorded_name is None:
        return None
    dataset = experiment.dataset
    return OpenExperiment(
        experiment=Experiment(name=experiment.name, dataset_name=dataset.name, path=Path(experiment.path), task=None),
        dataset=Dataset(
            id=dataset.id or "", name=dataset.name, version_id=dataset.version_id or "", examples=tuple(examples)
        ),
        recorded_name=experiment.recorded_name,
        id=experiment.experiment_id,
        url=experiment.url,
        project_name=experiment.project_name,
        repetitions=experiment.repetitions,
        metadata=experiment.metadata,
        shard=shard,
    )


def _run(run: document.Run, examples: dict[str, Example]) -> TaskRun:
    example = examples.get(run.example_node_id)
    if example is None:
        example = _example(run, input=run.input, output=run.expected, metadata=run.example_metadata)
        examples[run.example_node_id] = example
    return TaskRun(
        example=example,
        output=run.output,
        failure=to_noun(run.failure),
        evaluations=tuple(map(_evaluation, run.evaluations)),
        record_failure=to_noun(run.record_failure),
        start_time=run.start_time,
        end_time=run.end_time,
        repetition=run.repetition,
        attempts=run.attempts,
        usage=to_noun(run.usage),
        trace_id=run.trace_id,
        id=run.id,
    )


def _evaluation(record: document.Evaluation) -> Evaluation:
    """Return an evaluation whose names, which all runs have, share their memory."""
    return Evaluation(
        name=sys.intern(record.name),
        evaluator=sys.intern(record.evaluator),
        score=record.score,
        label=record.label if record.label is None else sys.intern(record.label),
        explanation=record.explanation,
        metadata=record.metadata or EMPTY,
        annotator_kind=record.annotator_kind,
        failure=to_noun(record.failure),
        attempts=record.attempts,
        usage=to_noun(record.usage),
        start_time=record.start_time,
        end_time=record.end_time,
        trace_id=record.trace_id,
        id=record.id,
        baseline_score=to_noun(record.baseline_score),
        kind=record.kind,
    )


def _example(record: document.Run | document.ExampleNotRun, **content: Any) -> Example:
    return Example(
        id=record.example_id,
        node_id=record.example_node_id,
        updated_at=moment_of(record.example_updated_at) if record.example_updated_at else None,
        splits=record.example_splits if isinstance(record, document.Run) else (),
        recorded_hash=record.content_hash,  # the texts may be masked
        **content,
    )
