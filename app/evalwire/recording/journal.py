"""The append-only file behind `evalwire resume`: what was paid for, on disk before it is sent anywhere.

One JSON object a line, each with a `type`:

    job          once, first: what was to run
    create       an experiment is about to be created in Phoenix, under this key
    open         it was created, under this id
    run          what the task returned on one example, or why it failed
    evaluations  what one evaluator said of that run
    end          how the job ended

A later line on the same thing replaces an earlier one. A torn last line, of a process that was killed, is left out.
What of it Phoenix has is not here: Phoenix is asked.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evalwire.errors import UsageError
from evalwire.model import (
    CREATION_KEY,
    Evaluation,
    Failure,
    JobSpec,
    ModelUsage,
    Shard,
    Sharing,
    TaskRun,
    kind_without_record,
    usage_from_json,
)

if TYPE_CHECKING:
    from pathlib import Path

    from evalwire.model import Dataset, Example, Experiment, OpenExperiment, RunKey

log = logging.getLogger("evalwire")

FORMAT = 1

_PATTERN = "journal_*.jsonl"

_OWNER_ONLY = 0o600


def newest_journal(folder: Path) -> Path | None:
    """The journal of a folder that was begun last, by its name; None when there is none."""
    return max(folder.glob(_PATTERN), key=lambda path: path.stem, default=None)


class Journal:
    """Appends lines, from any thread; a disk that fails is told once, and the job goes on without.

    The file is the owner's alone, since it holds outputs as they are. Each line is handed to the operating system
    before the call returns, so it outlives this process; a crash of the machine may cost the last ones.

    Attributes:
        path: of the file.
        is_whole: whether every line could be written.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.is_whole = True
        self._file: int | None = descriptor
        self._lock = threading.Lock()
        _open.add(self)

    @classmethod
    def create(cls, folder: Path, *, now: datetime) -> Journal:
        """Begin a new journal.

        Raises:
            OSError: the folder cannot be written.
        """
        for attempt in range(1000):
            suffix = f"_{attempt:03}" if attempt else ""
            path = folder / f"journal_{now:%Y%m%dT%H%M%SZ}{suffix}.jsonl"
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, _OWNER_ONLY)
                os.fchmod(descriptor, _OWNER_ONLY)  # whatever the umask
                _lock(descriptor, path)
                return cls(path, descriptor)
        raise FileExistsError(f"{folder} has a thousand journals of this second")

    @classmethod
    def reopen(cls, path: Path) -> tuple[Journal, PastJob]:
        """Go on with a journal: the journal, and what it holds; a torn last line is cut off.

        Raises:
            UsageError: it cannot be opened, another process is writing it, or it is no journal.
        """
        try:
            descriptor = os.open(path, os.O_APPEND | os.O_RDWR)
        except OSError as error:
            raise UsageError(f"the journal {path} cannot be opened: {error.strerror}.") from error
        _lock(descriptor, path)
        journal = cls(path, descriptor)
        try:
            past = read_journal(path)
        except UsageError:
            journal.close()
            raise
        _cut_torn_line(descriptor)
        return journal, past

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever noted in it."""
        return self._file is not None and os.fstat(self._file).st_size == 0

    def close(self) -> None:
        """Let others have it."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def forget(self) -> None:
        """Close the file in a forked child, without waiting for a lock that no thread of the child will release."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def append(self, type_: str, **fields: Any) -> None:
        """Append one line."""
        line = json.dumps({"type": type_, **fields}, ensure_ascii=False, default=_to_plain) + "\n"
        rest = line.encode("utf-8", "backslashreplace")
        with self._lock:
            if self._file is None:
                return
            try:
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            except OSError as error:
                log.error(  # noqa: TRY400 - one line, and seen with --quiet too
                    "the journal %s cannot be written (%s); the run goes on without it", self.path, error
                )
                self.is_whole = False
                os.close(self._file)
                self._file = None

    def begin(self, spec: JobSpec, experiments: Sequence[Experiment], *, endpoint: str = "") -> None:
        """Write what is to run, as the first line."""
        sharing = spec.sharing
        self.append(
            "job",
            format=FORMAT,
            started_at=datetime.now(UTC),
            endpoint=endpoint,
            experiments=[experiment.name for experiment in experiments],
            prefix=spec.prefix,
            metadata=spec.metadata,
            repetitions=spec.repetitions,
            split=spec.split,
            dataset_version=spec.dataset_version,
            gates=list(spec.gates),
            baseline=spec.baseline,
            shard=str(sharing.shard) if sharing and sharing.shard else None,
            run_key=sharing.run_key if sharing else None,
        )

    # --- what a recorder tells -----------------------------------------------------------------------

    def creating(self, opened: OpenExperiment) -> None:
        """An experiment is about to be created in Phoenix."""
        self.append(
            "create",
            experiment=opened.experiment.name,
            dataset=_named(opened.dataset),
            recorded_name=opened.recorded_name,
            metadata=opened.metadata,
            repetitions=opened.repetitions,
        )

    def opened(self, opened: OpenExperiment) -> None:
        """It was created."""
        self.append(
            "open",
            experiment=opened.experiment.name,
            id=opened.id,
            url=opened.url,
            project_name=opened.project_name,
        )

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """A task returned, or failed for good."""
        self.append(
            "run",
            **_place(opened, run),
            output=run.output,
            failure=run.failure,
            start_time=run.start_time,
            end_time=run.end_time,
            trace_id=run.trace_id,
            attempts=run.attempts,
            usage=run.usage,
        )

    def judged(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """An evaluator said something of a run, or failed for good."""
        self.append(
            "evaluations",
            **_place(opened, run),
            evaluator=evaluations[0].evaluator,
            evaluations=[_evaluation_fields(evaluation) for evaluation in evaluations],
        )


def _named(dataset: Dataset) -> dict[str, Any]:
    """What a later job finds a dataset again by, and knows it by."""
    return {
        "id": dataset.id,
        "name": dataset.name,
        "version_id": dataset.version_id,
        "examples": len(dataset.examples),
        "split": dataset.split,
    }


def _place(opened: OpenExperiment, run: TaskRun) -> dict[str, Any]:
    return {"experiment": opened.experiment.name, "example": run.example.node_id, "repetition": run.repetition}


def _evaluation_fields(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "name": evaluation.name,
        "score": evaluation.score,
        "label": evaluation.label,
        "explanation": evaluation.explanation,
        "metadata": evaluation.metadata,
        "annotator_kind": evaluation.annotator_kind,
        "failure": evaluation.failure,
        "start_time": evaluation.start_time,
        "end_time": evaluation.end_time,
        "trace_id": evaluation.trace_id,
        "attempts": evaluation.attempts,
        "usage": evaluation.usage,
    }


def _to_plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Failure | ModelUsage):
        return asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)  # of a user's metadata; outputs are JSON already


_open: weakref.WeakSet[Journal] = weakref.WeakSet()


def _close_in_child() -> None:
    """A process that user code forks has this one's open files, and would hold the lock when this one is gone."""
    for journal in list(_open):
        journal.forget()


os.register_at_fork(after_in_child=_close_in_child)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageError(f"another evalwire is still writing the journal {path}.") from error
    except OSError:  # a file system without locks
        pass


def _cut_torn_line(descriptor: int) -> None:
    """End the file after its last newline, or with one where the last line is whole without it."""
    size = os.fstat(descriptor).st_size
    keep, step = size, 64 * 1024
    tail = b""
    while keep and b"\n" not in tail:
        keep = max(0, keep - step)
        tail = os.pread(descriptor, size - keep, keep)
    last = tail[tail.rfind(b"\n") + 1 :]
    if last:
        try:
            json.loads(last)
        except ValueError:
            os.ftruncate(descriptor, size - len(last))
        else:
            os.write(descriptor, b"\n")


@dataclass(slots=True, kw_only=True)
class PastExperiment:
    """What a journal, or Phoenix, knows of one experiment of an earlier job.

    Attributes:
        dataset: `id`, `name`, `version_id`, `split` and the number of `examples`; empty before the experiment was
            to be created.
        id: Phoenix's id of the experiment; None when its creation is not known to have succeeded.
        runs: without examples, which only Phoenix has: see `runs_on`.
    """

    experiment: str
    dataset: Mapping[str, Any] = field(default_factory=dict)
    recorded_name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    repetitions: int = 1
    id: str | None = None
    url: str | None = None
    project_name: str | None = None
    runs: dict[RunKey, Mapping[str, Any]] = field(default_factory=dict)
    evaluations: dict[RunKey, dict[str, list[Mapping[str, Any]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, opened: OpenExperiment) -> PastExperiment:
        """An experiment that has begun, and has no runs yet."""
        return cls(
            experiment=opened.experiment.name,
            dataset=_named(opened.dataset),
            recorded_name=opened.recorded_name,
            metadata=opened.metadata,
            repetitions=opened.repetitions,
            id=opened.id,
            url=opened.url,
            project_name=opened.project_name,
        )

    def is_same(self, *, recorded_name: str, metadata: Mapping[str, Any] | None) -> bool:
        """Whether an experiment in Phoenix is this one, and not another that has its id by now."""
        key = (metadata or {}).get(CREATION_KEY)
        return recorded_name == self.recorded_name and key == self.metadata.get(CREATION_KEY)

    def runs_on(self, examples: Sequence[Example], *, others: Mapping[RunKey, TaskRun]) -> dict[RunKey, TaskRun]:
        """What is known of the runs on these examples.

        Args:
            examples: of the dataset's version that ran.
            others: runs that Phoenix has; they count where the journal holds none.
        """
        found: dict[RunKey, TaskRun] = {}
        for example in examples:
            for repetition in range(1, self.repetitions + 1):
                place = (example.node_id, repetition)
                if place in self.runs:
                    run: TaskRun | None = self._run(example, place)
                else:
                    run = others.get(place)
                    if run is not None and place in self.evaluations:  # judged after its run was found in Phoenix
                        run = self._judged(run, place)
                if run is not None:
                    found[place] = run
        return found

    def _run(self, example: Example, place: RunKey) -> TaskRun:
        line = self.runs[place]
        run = TaskRun(
            example=example,
            output=line["output"],
            failure=_failure(line["failure"]),
            start_time=datetime.fromisoformat(line["start_time"]),
            end_time=datetime.fromisoformat(line["end_time"]),
            repetition=place[1],
            trace_id=line["trace_id"],
            attempts=line["attempts"],
            usage=usage_from_json(line.get("usage")),
        )
        return self._judged(run, place)

    def _judged(self, run: TaskRun, place: RunKey) -> TaskRun:
        own = self.evaluations.get(place, {})
        evaluations = [_evaluation(fields, evaluator=evaluator) for evaluator, said in own.items() for fields in said]
        others = [one for one in run.evaluations if one.evaluator not in own]
        return replace(run, evaluations=(*others, *evaluations))


@dataclass(slots=True, kw_only=True)
class PastJob:
    """What a journal holds of a job.

    Attributes:
        experiments: the names of all experiments that were to run, those that never began included.
        spec: what it ran.
        past: what is known of each experiment that it began, by name.
        damaged: lines in its midst that could not be read.
    """

    experiments: list[str]
    spec: JobSpec
    past: dict[str, PastExperiment] = field(default_factory=dict)
    damaged: int = 0


def read_journal(path: Path) -> PastJob:
    """Read a journal.

    Raises:
        UsageError: it cannot be read, or is no journal that this version understands.
    """
    job: PastJob | None = None
    torn = False
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                except ValueError:
                    if job is not None:
                        job.damaged += 1
                    torn = True
                    continue
                torn = False
                if job is None:
                    job = _job(entry, path)
                else:
                    _take(entry, job)
    except OSError as error:
        raise UsageError(f"the journal {path} cannot be read: {error.strerror or error}.") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no journal of evalwire: {type(error).__name__}: {error}.") from error
    if job is None and path.stat().st_size == 0:
        raise UsageError(
            f"the journal {path} is empty: its job ended before anything ran. Start it anew with `evalwire run`."
        )
    if job is None:
        raise UsageError(f"{path} is no journal of evalwire: it does not begin with a job.")
    job.damaged -= torn  # the last line, of a process that was killed
    return job


def _job(entry: Mapping[str, Any], path: Path) -> PastJob:
    if entry["type"] != "job" or entry["format"] != FORMAT:
        raise UsageError(f"{path} is no journal that this version of evalwire understands.")
    return PastJob(
        experiments=list(entry["experiments"]),
        spec=JobSpec(
            prefix=entry["prefix"],
            metadata=entry["metadata"],
            repetitions=entry["repetitions"],
            split=entry.get("split"),
            dataset_version=entry.get("dataset_version"),
            gates=tuple(entry.get("gates", ())),
            baseline=entry.get("baseline", ""),
            sharing=_sharing(entry.get("shard"), entry.get("run_key")),
        ),
    )


def _sharing(text: str | None, run_key: str | None) -> Sharing | None:
    """Return how an earlier job shared its experiments; None where it had them for itself.

    Raises:
        UsageError: the journal names no shard that there is.
    """
    if text is None:
        return None
    try:
        shard = Shard.parse(text)
    except ValueError as error:
        raise UsageError(f"the journal names the shard {text!r}: {error}.") from error
    return Sharing(total=shard.total, shard=shard, run_key=run_key)


def _take(entry: Mapping[str, Any], job: PastJob) -> None:
    """Add one line to what is known."""
    if entry["type"] not in ("create", "open", "run", "evaluations"):
        return
    name = entry["experiment"]
    past = job.past.setdefault(name, PastExperiment(experiment=name))
    match entry["type"]:
        case "create":
            past.dataset, past.recorded_name = entry["dataset"], entry["recorded_name"]
            past.metadata, past.repetitions = entry["metadata"], entry["repetitions"]
            return
        case "open":
            past.id, past.url, past.project_name = entry["id"], entry["url"], entry["project_name"]
            return
    place = (entry["example"], entry["repetition"])
    match entry["type"]:
        case "run":
            past.runs[place] = entry
            past.evaluations.pop(place, None)
        case "evaluations":
            past.evaluations.setdefault(place, {})[entry["evaluator"]] = entry["evaluations"]


def _failure(fields: Mapping[str, Any] | None) -> Failure | None:
    return Failure(**{"kind": kind_without_record(fields["stage"], fields["type"]), **fields}) if fields else None


def _evaluation(fields: Mapping[str, Any], *, evaluator: str) -> Evaluation:
    return Evaluation(
        **{
            **fields,
            "failure": _failure(fields["failure"]),
            "start_time": datetime.fromisoformat(fields["start_time"]),
            "end_time": datetime.fromisoformat(fields["end_time"]),
            "usage": usage_from_json(fields.get("usage")),
        },
        evaluator=evaluator,
    )
