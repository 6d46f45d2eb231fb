"""Reading of journals."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import msgspec

from evalwire.errors import UsageError
from evalwire.model import FACTS_KEY, Budget, ExampleSelection, JobSpec, Shard, Sharing, own_metadata
from evalwire.recording.journal import lines
from evalwire.recording.journal.past import PastExperiment, PastJob

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def read_journal(path: Path) -> PastJob:
    """Read a journal; skip a torn last line, which a killed process leaves.

    Raises:
        UsageError: the file cannot be read, or is not a journal of this version.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            job = _read(file, path)
    except OSError as error:
        raise UsageError(f"the journal {path} cannot be read: {error.strerror or error}.") from error
    if job is None and path.stat().st_size == 0:
        raise UsageError(
            f"the journal {path} is empty: its job ended before anything ran. Start a new job with `evalwire run`."
        )
    if job is None:
        raise UsageError(f"{path} is not an evalwire journal: the first line does not describe a job.")
    return job


def count_runs(path: Path) -> int:
    """Return the number of task runs in a journal, which is read line by line because it may exceed the memory.

    Raises:
        OSError: the journal cannot be read.
    """
    found = set()
    with path.open(encoding="utf-8", errors="replace") as file:
        for text in file:
            with contextlib.suppress(msgspec.ValidationError, json.JSONDecodeError):  # `resume` reports them
                if isinstance(line := lines.decode(text), lines.RunLine):
                    found.add((line.experiment, line.key))
    return len(found)


def _read(file: Iterable[str], path: Path) -> PastJob | None:
    job: PastJob | None = None
    is_torn = False
    for number, text in enumerate(file, start=1):
        is_torn = False
        try:
            if job is None:
                job = _first(text, path)
            else:
                _take(lines.decode(text), job)
        except msgspec.ValidationError as error:
            raise UsageError(
                f"line {number} of the journal {path} is damaged: {error}. Remove the line; its work is then done "
                "again."
            ) from error
        except json.JSONDecodeError:
            is_torn = True
            if job is not None:
                job.damaged += 1
    if job is not None:
        job.damaged -= is_torn
    return job


def _first(text: str, path: Path) -> PastJob:
    entry = json.loads(text)
    if not isinstance(entry, dict) or entry.get("type") != "job" or "format" not in entry:
        raise UsageError(f"{path} is not an evalwire journal: the first line does not describe a job.")
    if entry["format"] != lines.FORMAT:
        raise UsageError(
            f"the journal {path} was written by another version of evalwire (format {entry['format']}; this version "
            f"reads {lines.FORMAT}). Resume it with that version, or start a new job with `evalwire run`."
        )
    return _job(msgspec.convert(entry, type=lines.JobLine))


def _job(line: lines.JobLine) -> PastJob:
    try:
        selection = ExampleSelection.from_json(line.selection)
    except ValueError as error:
        raise UsageError(f"the journal has an invalid selection: {error}.") from error
    return PastJob(
        experiments=line.experiments,
        spec=JobSpec(
            prefix=line.prefix,
            metadata=line.metadata,
            repetitions=line.repetitions,
            split=line.split,
            dataset_version=line.dataset_version,
            uploaded=line.uploaded,
            sources=line.sources,
            gates=line.gates,
            baseline=line.baseline,
            selection=selection,
            stopping=line.stopping,
            is_noise=line.is_noise,
            sharing=_sharing(line.shard, line.run_key),
        ),
    )


def _sharing(text: str | None, run_key: str | None) -> Sharing | None:
    """Return the sharing of an earlier job; None for a job without shards.

    Raises:
        UsageError: the journal has an invalid shard.
    """
    if text is None:
        return None
    try:
        shard = Shard.parse(text)
    except ValueError as error:
        raise UsageError(f"the journal has an invalid shard, {text!r}: {error}.") from error
    return Sharing(total=shard.total, shard=shard, run_key=run_key)


def _take(line: lines.Line | None, job: PastJob) -> None:
    """Add a line to the state of the job."""
    if isinstance(line, lines.BudgetLine):
        limits = {name: getattr(line, name) for name in line.__struct_fields__}
        job.budget = Budget(**limits)
    if line is None or isinstance(line, lines.JobLine | lines.BudgetLine | lines.EndLine):
        return
    _count_calls(line, job)
    if isinstance(line, lines.PaidLine):
        return
    name = line.experiment
    if name not in job.past:
        job.past[name] = PastExperiment(experiment=name, repetitions=job.spec.of_experiment(name).repetitions)
    past = job.past[name]
    match line:
        case lines.CreateLine():
            past.dataset, past.recorded_name = line.dataset, line.recorded_name
            past.metadata, past.repetitions = line.metadata, line.repetitions
        case lines.OpenLine():
            past.id, past.url, past.project_name = line.id, line.url, line.project_name
        case lines.InputsLine():
            past.metadata = {**past.metadata, FACTS_KEY: {**own_metadata(past.metadata), "inputs": line.inputs}}
        case lines.RunLine():
            past.runs[line.key] = line
            past.evaluations.pop(line.key, None)
        case lines.EvaluationsLine():
            past.evaluations.setdefault(line.key, {})[line.evaluator] = line.evaluations


def _count_calls(line: lines.Line, job: PastJob) -> None:
    """Add the calls of a line to the calls of the job; a job that scores recorded outputs does not call tasks."""
    use = job.use
    match line:
        case lines.RunLine() if not job.spec.sources:
            use.add(line.experiment, line.key, line.usage)
            use.times.append((line.start_time, line.end_time))
        case lines.EvaluationsLine():
            for evaluation in line.evaluations:
                use.add(line.experiment, line.key, evaluation.usage)
                use.times.append((evaluation.start_time, evaluation.end_time))
        case lines.PaidLine():
            use.add(line.experiment, None, line.usage)
