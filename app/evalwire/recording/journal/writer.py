"""Writing of journals, the append-only files for `evalwire resume`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import threading
import weakref
from datetime import datetime
from typing import TYPE_CHECKING

from evalwire import clocks
from evalwire.errors import UsageError
from evalwire.model import EMPTY
from evalwire.recording.journal import lines
from evalwire.recording.journal.past import PastDataset
from evalwire.recording.journal.reader import read_journal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evalwire.model import Budget, Evaluation, Experiment, Inputs, JobSpec, OpenExperiment, TaskRun, Usage
    from evalwire.recording.journal.past import PastExperiment, PastJob

log = logging.getLogger("evalwire")

_OWNER_ONLY = 0o600


class Journal:
    """Appends lines to a file, from any thread; if the disk fails, it logs an error and the job continues.

    Only the owner can read the file, because it contains unmasked outputs. Each line reaches the operating system
    before the call returns, so it outlives this process. A crash of the machine may lose the last lines.

    Attributes:
        path: the path of the file.
        is_whole: whether every line could be written.
    """

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.path = path
        self.is_whole = descriptor is not None
        self._file: int | None = descriptor
        self._lock = threading.Lock()
        _open.add(self)

    @classmethod
    def create(cls, directory: Path, *, now: datetime) -> Journal:
        """Create a journal.

        Raises:
            OSError: the directory is not writable.
        """
        for attempt in range(1000):
            suffix = f"_{attempt:03}" if attempt else ""
            path = directory / f"journal_{now:%Y%m%dT%H%M%SZ}{suffix}.jsonl"
            with contextlib.suppress(FileExistsError):
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, _OWNER_ONLY)
                os.fchmod(descriptor, _OWNER_ONLY)  # independent of the umask
                _lock(descriptor, path)
                return cls(path, descriptor)
        raise FileExistsError(f"{directory} already has 1,000 journals from this second")

    @classmethod
    def reopen(cls, path: Path) -> tuple[Journal, PastJob]:
        """Open an existing journal and cut off a torn last line; return it with the state of its job.

        Raises:
            UsageError: the file cannot be opened, another process is writing it, or it is not a journal.
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

    @classmethod
    def join(cls, path: Path) -> Journal:
        """Open a journal that another process of the same job has locked, to write to it at another time."""
        try:
            return cls(path, os.open(path, os.O_APPEND | os.O_WRONLY))
        except OSError as error:
            log.error("the journal %s cannot be opened (%s); the job continues without it", path, error)  # noqa: TRY400
            return cls(path, None)

    @property
    def is_empty(self) -> bool:
        """True if nothing was ever written to the journal."""
        return self._file is not None and os.fstat(self._file).st_size == 0

    def close(self) -> None:
        """Close the file, which releases its lock."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def forget(self) -> None:
        """Close the file in a forked child, without the lock, which no thread of the child would release."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def append(self, line: lines.Line) -> None:
        """Append a line."""
        rest = lines.encode(line)
        with self._lock:
            if self._file is None:
                return
            try:
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            except OSError as error:
                log.error(  # noqa: TRY400 - a single line, also shown with --quiet
                    "the journal %s cannot be written (%s); the job continues without it", self.path, error
                )
                self.is_whole = False
                os.close(self._file)
                self._file = None

    def begin(
        self,
        spec: JobSpec,
        experiments: Sequence[Experiment],
        *,
        endpoint: str = "",
        past: Mapping[str, PastExperiment] = EMPTY,
    ) -> None:
        """Write the job's specification, as the first line, and the recorded outputs that it scores.

        Args:
            spec: the specification.
            experiments: the experiments of the job.
            endpoint: the address of the server.
            past: the known state of the experiments; of a job that scores recorded outputs, these outputs.
        """
        sharing = spec.sharing
        self.append(
            lines.JobLine(
                format=lines.FORMAT,
                started_at=clocks.now(),
                endpoint=endpoint,
                experiments=[experiment.name for experiment in experiments],
                prefix=spec.prefix,
                metadata=spec.metadata,
                repetitions=spec.repetitions,
                split=spec.split,
                dataset_version=spec.dataset_version,
                uploaded=spec.uploaded,
                sources=spec.sources,
                gates=spec.gates,
                baseline=spec.baseline,
                shard=str(sharing.shard) if sharing and sharing.shard else None,
                run_key=sharing.run_key if sharing else None,
                selection=spec.selection.to_json() if spec.selection else None,
                stopping=spec.stopping,
                is_noise=spec.is_noise,
            )
        )
        for name in spec.sources:
            for line in past[name].runs.values():
                self.append(line)

    def limit(self, budget: Budget) -> None:
        """Write the budget of the job, if it has one."""
        if budget.is_set:
            self.append(
                lines.BudgetLine(
                    max_cost_usd=budget.max_cost_usd, max_tokens=budget.max_tokens, max_seconds=budget.max_seconds
                )
            )

    def paid(self, experiment: str, usage: Usage | None) -> None:
        """Write the usage of an evaluator on an output of the baseline."""
        self.append(lines.PaidLine(experiment=experiment, usage=usage))

    def end(self, outcome: str, exit_code: int) -> None:
        """Write the outcome of the job, as the last line."""
        self.append(lines.EndLine(outcome=outcome, exit_code=exit_code))

    # --- calls from recorders ------------------------------------------------------------------------

    def creating(self, opened: OpenExperiment) -> None:
        """Write that an experiment is about to be created in Phoenix."""
        self.append(
            lines.CreateLine(
                experiment=opened.experiment.name,
                dataset=PastDataset.of(opened.dataset),
                recorded_name=opened.recorded_name,
                metadata=opened.metadata,
                repetitions=opened.repetitions,
            )
        )

    def opened(self, opened: OpenExperiment) -> None:
        """Write that an experiment was created."""
        self.append(
            lines.OpenLine(
                experiment=opened.experiment.name,
                id=opened.id,
                url=opened.url,
                project_name=opened.project_name,
            )
        )

    def read(self, opened: OpenExperiment, inputs: Inputs) -> None:
        """Write the list of project files that user code has read so far."""
        self.append(lines.InputsLine(experiment=opened.experiment.name, inputs=inputs.to_json()))

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write the output of a task, or its final failure."""
        self.append(lines.RunLine.of(run, experiment=opened.experiment.name))

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write an evaluator's evaluations of a run, or its final failure."""
        self.append(
            lines.EvaluationsLine(
                experiment=opened.experiment.name,
                example=run.example.node_id,
                repetition=run.repetition,
                evaluator=evaluations[0].evaluator,
                evaluations=tuple(evaluations),
            )
        )


_open: weakref.WeakSet[Journal] = weakref.WeakSet()


def _close_in_child() -> None:
    """Close journals in a forked process, which would otherwise keep the lock after the job's process has ended."""
    for journal in list(_open):
        journal.forget()


os.register_at_fork(after_in_child=_close_in_child)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageError(f"another evalwire process is still writing the journal {path}.") from error
    except OSError:  # a file system without locks
        pass


def _cut_torn_line(descriptor: int) -> None:
    """Remove a torn last line, or add a newline to a complete last line."""
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
