"""Write a journal: the append-only file behind `evalwire resume`."""

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
from evalwire.recording.journal import lines
from evalwire.recording.journal.past import PastDataset
from evalwire.recording.journal.reader import read_journal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from evalwire.model import Evaluation, Experiment, Inputs, JobSpec, OpenExperiment, TaskRun
    from evalwire.recording.journal.past import PastJob

log = logging.getLogger("evalwire")

_OWNER_ONLY = 0o600


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
            UsageError: it cannot be opened, another process is writing it, or it is not a journal.
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
        """True if nothing was ever noted in the journal."""
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

    def append(self, line: lines.Line) -> None:
        """Append one line."""
        rest = lines.encode(line)
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
                gates=spec.gates,
                baseline=spec.baseline,
                shard=str(sharing.shard) if sharing and sharing.shard else None,
                run_key=sharing.run_key if sharing else None,
            )
        )

    def end(self, outcome: str, exit_code: int) -> None:
        """Write how the job ended, as the last line."""
        self.append(lines.EndLine(outcome=outcome, exit_code=exit_code))

    # --- what a recorder tells -----------------------------------------------------------------------

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
        """Write what user code has read of the project by now."""
        self.append(lines.InputsLine(experiment=opened.experiment.name, inputs=inputs.to_json()))

    def returned(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Write what a task returned, or why it failed for good."""
        self.append(
            lines.RunLine(
                experiment=opened.experiment.name,
                example=run.example.node_id,
                repetition=run.repetition,
                output=run.output,
                failure=run.failure,
                start_time=run.start_time,
                end_time=run.end_time,
                trace_id=run.trace_id,
                attempts=run.attempts,
                usage=run.usage,
                lossy_output=run.lossy_output,
            )
        )

    def evaluated(self, opened: OpenExperiment, run: TaskRun, evaluations: Sequence[Evaluation]) -> None:
        """Write what an evaluator returned for a run, or why it failed for good."""
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
