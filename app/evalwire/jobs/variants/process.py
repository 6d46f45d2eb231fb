"""The process of a variant: start it, run its experiment in it, and pass on its events."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing.connection
import os
import signal
import sys
import time
import warnings
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Self

from evalwire import clocks
from evalwire.errors import UsageError
from evalwire.jobs.parts import PartResult
from evalwire.jobs.variants.messages import PartRequest
from evalwire.jobs.variants.worker import serve
from evalwire.model import Amount, Experiment, ExperimentResult, Failure
from evalwire.processes import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from evalwire.engine import EarlierRuns, Limits, Observer, Stop
    from evalwire.jobs.gating import Gating
    from evalwire.jobs.run import Job
    from evalwire.jobs.variants.messages import Inherited, PartReply
    from evalwire.model import FailureStage, OpenExperiment, RunKey, TaskRun, Variant
    from evalwire.recording import Journal

log = logging.getLogger("evalwire")

_LOOK_SECONDS = 0.2
_LATE_SECONDS = 1.75  # after the grace period, for the process to send its results
_END_SECONDS = 5.0  # for functions that user code registered with `atexit`


_OWN_FIELDS = ("experiments", "phoenix", "environ", "mask", "past", "processes")  # of a `Job`: each process has its own

_UNRECORDED = Failure(
    kind="evalwire",
    stage="record",
    type="ProcessEnded",
    message="the process of the variant ended before the run was recorded",
)


class VariantProcess:
    """A process that loaded an experiment with the environment of a variant, and can run it.

    Args:
        variant: the variant.
        path: the directory of the experiment.
        dataset_name: the name of the dataset in Phoenix.
        connection: sends requests to the process, and receives its events.
        process_id: the ID of the process.
        lifeline: the writing end of a pipe that ends the process when this process ends.
        is_local: whether the job uses the local Phoenix.
    """

    def __init__(
        self,
        variant: Variant,
        *,
        path: Path,
        dataset_name: str,
        connection: multiprocessing.connection.Connection,
        process_id: int,
        lifeline: int,
        is_local: bool,
    ) -> None:
        self.variant = variant
        self._path = path
        self._dataset_name = dataset_name
        self._connection = connection
        self._process_id = process_id
        self._lifeline = lifeline
        self._is_local = is_local
        self._status: int | None = None

    @classmethod
    def start(cls, variant: Variant, inherited: Inherited) -> VariantProcess:
        """Start a process, which loads the experiment immediately; the experiments directory must be importable.

        Raises:
            UsageError: the system cannot start a process.
        """
        settings = inherited.settings
        own, other = multiprocessing.connection.Pipe()
        lifeline_of_process, lifeline = os.pipe()
        parent = os.getpid()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or both processes would write the buffered text
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # threads of evalwire hold no lock here
                process_id = os.fork()
        except OSError as error:
            raise UsageError(
                f"cannot start a process for the variant {variant.experiment}: {error.strerror}. Raise the limit on "
                "processes, or run fewer variants with --variant."
            ) from error
        if process_id == 0:
            own.close()
            os.close(lifeline)
            end_with_parent(parent, lifeline_of_process)
            serve(other, variant, inherited)
        other.close()
        os.close(lifeline_of_process)
        return cls(
            variant,
            path=settings.experiments.resolve() / variant.directory,
            dataset_name=settings.dataset_names.get(variant.directory, variant.directory),
            connection=own,
            process_id=process_id,
            lifeline=lifeline,
            is_local=inherited.is_local,
        )

    def load(self) -> Experiment:
        """Return the experiment, whose functions only its own process can call; wait until it is loaded."""
        for kind, content in self._messages(lambda: False):
            if kind == "loaded":
                loaded: Experiment = content
                return loaded
            _pass_on(kind, content)
        return Experiment(
            name=self.variant.experiment,
            dataset_name=self._dataset_name,
            path=self._path,
            task=None,
            variant=self.variant,
            problems=(self._ended("import"),),
        )

    def run(
        self,
        job: Job,
        experiment: Experiment,
        *,
        gating: Gating,
        observer: Observer,
        stop: Stop,
        journal: Journal | None,
        earlier: EarlierRuns,
        say: Callable[[str], object],
    ) -> PartResult:
        """Run the experiment in the process, and return its result; the arguments are as in `run_parts`.

        A process that crashes, or does not end after a stop, is a failure of its experiment. Its runs so far are in the
        result.
        """
        name = experiment.name
        request = PartRequest(
            experiment=experiment,
            job={item.name: getattr(job, item.name) for item in fields(job) if item.name not in _OWN_FIELDS},
            past={name: job.past[name]} if name in job.past else {},
            gating=gating.of_experiment(name),
            address=job.phoenix.endpoint if self._is_local else None,
            journal=journal.path if journal is not None else None,
            earlier=earlier,
            is_stopped=stop.requested,
        )
        seen = _Seen(observer, stop=stop, say=say)
        with contextlib.suppress(OSError):  # the process ended: reported below
            self._connection.send(request)
        with _forwarding(stop, self._process_id):
            for kind, content in self._messages(lambda: _is_late(stop, job.limits)):
                if kind == "done":
                    reply: PartReply = content
                    job.mask.learn(reply.environ)
                    if journal is not None and not reply.is_journal_whole:
                        journal.is_whole = False
                    return reply.result
                seen.handle(kind, content)
        return PartResult(
            results=[seen.result(experiment, self._ended("task"))],
            made=replace(earlier, failed=earlier.failed + 1, spent=seen.spent(job, earlier)),
        )

    def close(self) -> None:
        """End the process, and wait for its end."""
        self._connection.close()
        until = clocks.monotonic() + _END_SECONDS
        while not self._is_over() and clocks.monotonic() < until:
            time.sleep(0.01)
        self._kill()
        os.close(self._lifeline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self._kill()
        self.close()

    def _messages(self, is_late: Callable[[], bool]) -> Iterator[tuple[str, Any]]:
        """Yield the messages of the process until it ends, or is late and therefore killed."""
        while True:
            try:
                if self._connection.poll(_LOOK_SECONDS):
                    yield self._connection.recv()
                    continue
            except (EOFError, OSError):
                break
            if is_late():
                self._kill()
            elif not self._is_over():
                continue
            if not self._connection.poll(0):  # processes that user code started may keep the pipe open
                break
        self._kill()

    def _is_over(self) -> bool:
        if self._status is None:
            try:
                process_id, status = os.waitpid(self._process_id, os.WNOHANG)
            except ChildProcessError:  # user code ignores SIGCHLD
                process_id, status = self._process_id, 0
            if process_id:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is not None

    def _kill(self) -> None:
        while not self._is_over():
            os.kill(self._process_id, signal.SIGKILL)
            time.sleep(0.01)

    def _ended(self, stage: FailureStage) -> Failure:
        """Return the failure of a process that ended without a result."""
        code = self._status or 0
        how = f"exited with code {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"
        return Failure(
            kind="user",
            stage=stage,
            type="ProcessEnded",
            message=f"the process of the variant {self.variant.name} {how}. Check its output above for the cause",
        )


class _Seen:
    """Passes on the events of a process, and keeps its runs for a result without the process."""

    def __init__(self, observer: Observer, *, stop: Stop, say: Callable[[str], object]) -> None:
        self._observer = observer
        self._stop = stop
        self._say = say
        self._opened: dict[str, OpenExperiment] = {}
        self._runs: dict[str, dict[RunKey, TaskRun]] = {}
        self._counts: dict[str, int] = {}
        self._has_observer_failed = False

    def handle(self, kind: str, content: Any) -> None:
        """Pass on an event."""
        if kind == "started":
            opened, count = content
            self._opened[opened.experiment.name] = opened
            self._counts[opened.experiment.name] = count
            self._notify(self._observer.started, opened, count)
        elif kind in ("ran", "recorded"):
            name, run = content
            kept = run if kind == "recorded" else replace(run, record_failure=_UNRECORDED)
            self._runs.setdefault(name, {})[run.key] = kept
            self._notify(getattr(self._observer, kind), self._opened[name], run)
        elif kind in ("rate_limited", "finished"):
            self._notify(getattr(self._observer, kind), content)
        elif kind == "say":
            self._say(content)
        else:
            _pass_on(kind, content)

    def _notify(self, event: Callable[..., None], *about: Any) -> None:
        try:
            event(*about)
        except Exception as error:
            if not self._has_observer_failed:
                log.warning("cannot show the progress; the job continues: %r", error)
            self._has_observer_failed = True

    def spent(self, job: Job, earlier: EarlierRuns) -> Amount:
        """Return the usage of the job with the runs of the process, except for runs of an earlier attempt."""
        budget = job.limits.budget
        spent = earlier.spent or budget.spent
        for name, runs in self._runs.items():
            known = job.past[name].runs if name in job.past else ()
            spent = sum((budget.amount_of(run.total_usage) for key, run in runs.items() if key not in known), spent)
        return spent

    def result(self, experiment: Experiment, failure: Failure) -> ExperimentResult:
        """Return the result of an experiment whose process ended."""
        opened = self._opened.get(experiment.name)
        places = {example.node_id: place for place, example in enumerate(opened.dataset.examples if opened else ())}
        made = self._runs.get(experiment.name, {})
        if self._stop.requested:
            message = "the job was stopped before it finished"
            failure = Failure(kind="evalwire", stage="interrupted", type="Interrupted", message=message)
        return ExperimentResult(
            name=experiment.name,
            dataset_name=experiment.dataset_name,
            path=str(experiment.path),
            evaluator_names=tuple(evaluator.name for evaluator in experiment.evaluators),
            opened=opened,
            runs=tuple(made[key] for key in sorted(made, key=lambda key: (places[key[0]], key[1]))),
            example_count=len(opened.dataset.examples) if opened else 0,
            repetitions=opened.repetitions if opened else 1,
            failure=None if experiment.problems else failure,
            problems=experiment.problems,
        )


def _pass_on(kind: str, content: Any) -> None:
    """Log a message, or write the output of user code."""
    if kind == "log":
        level, message = content
        log.log(level, "%s", message)
    elif kind == "write":
        name, text = content
        with contextlib.suppress(OSError, ValueError):  # a closed terminal does not stop the job
            (sys.stdout if name == "stdout" else sys.stderr).write(text)


@contextlib.contextmanager
def _forwarding(stop: Stop, process_id: int) -> Iterator[None]:
    """Forward the signal that stops the job to a process."""

    def forward() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process_id, stop.signal_number or signal.SIGTERM)

    if not stop.requested:  # else the request has it
        stop.on_request(forward)
    try:
        yield
    finally:
        stop.forget(forward)


def _is_late(stop: Stop, limits: Limits) -> bool:
    at = stop.requested_at
    return at is not None and clocks.monotonic() > at + limits.grace_seconds + _LATE_SECONDS


def _signal_name(number: int) -> str:
    guess = " (out of memory?)" if number == signal.SIGKILL else ""
    with contextlib.suppress(ValueError):
        return f"{signal.Signals(number).name}{guess}"
    return f"signal {number}"
