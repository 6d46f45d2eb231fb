"""The work in the process of a variant: load the experiment with the variant's environment, and run it on request."""

from __future__ import annotations

import atexit
import contextlib
import io
import logging
import os
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

from evalwire.errors import EvalwireError, Interrupted
from evalwire.experiments import load_experiments
from evalwire.jobs.parts import PartResult, run_part
from evalwire.jobs.run import Job
from evalwire.jobs.signals import Signals, failing_exits
from evalwire.jobs.variants.messages import PartReply
from evalwire.masking import MaskedStream
from evalwire.model import ExperimentResult, Failure
from evalwire.recording import Journal
from evalwire.usercode import failure_of, single_process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from evalwire.engine import Stop
    from evalwire.jobs.console import Console
    from evalwire.jobs.variants.messages import Inherited, PartRequest
    from evalwire.model import Experiment, OpenExperiment, TaskRun, Variant


def serve(connection: Connection, variant: Variant, inherited: Inherited) -> NoReturn:
    """Load the experiment, answer a request to run it, and end the process.

    Args:
        connection: receives the request, and sends events and the reply.
        variant: the variant of this process.
        inherited: the objects from before the fork.
    """
    atexit._clear()  # noqa: SLF001 - the functions of the job, which the job itself calls
    code = 1
    try:
        with Signals() as signals, failing_exits("its experiment is aborted"), single_process():
            _serve(_Sender(connection), variant, inherited, signals)
        code = 0
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the job has no request, or has ended
        code = 0
    except Interrupted as interrupted:
        code = interrupted.exit_code
    except SystemExit as asked:  # from a signal handler of user code
        code = asked.code if isinstance(asked.code, int) and asked.code else 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001 - of user code, such as the delivery of its telemetry
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _serve(sender: _Sender, variant: Variant, inherited: Inherited, signals: Signals) -> None:
    before = dict(os.environ)
    os.environ.update(variant.env)
    _send_logs(sender)
    experiment = _load(variant, inherited)
    signals.reclaim()
    if signals.received is not None:  # user code may have caught the exception during its import
        raise Interrupted(signals.received)
    sender.send("loaded", experiment)
    request: PartRequest = sender.connection.recv()
    journal = Journal.join(request.journal) if request.journal is not None else None
    if request.is_stopped:
        signals.stop.request()
    with signals.stop.heeded(), _streams_of_job(sender, inherited.console):
        job = _job(experiment, request, inherited)
        result = _run(job, request, sender=sender, stop=signals.stop, journal=journal)
    changed = {name: value for name, value in os.environ.items() if before.get(name) != value}
    whole = journal is None or journal.is_whole
    sender.send("done", PartReply(result=result, is_journal_whole=whole, environ=changed))


def _load(variant: Variant, inherited: Inherited) -> Experiment:
    settings = inherited.settings
    found = load_experiments(
        settings.experiments,
        names=[variant.directory],
        helpers=settings.helpers_by_experiment,
        dataset_names=settings.dataset_names,
        isolated=settings.isolated_experiments,
        inputs=settings.input_patterns,
    )
    inherited.console.learn_secrets()
    return replace(found.experiments[0], name=variant.experiment, variant=variant)


def _run(job: Job, request: PartRequest, *, sender: _Sender, stop: Stop, journal: Journal | None) -> PartResult:
    """Run the experiment of a job; an error outside of user code is a failure in the result."""
    try:
        return run_part(
            job,
            gating=request.gating,
            observer=_Events(sender),
            stop=stop,
            journal=journal,
            earlier=request.earlier,
            say=lambda line: sender.send("say", line),
        )
    except EvalwireError as error:
        failure = Failure(kind=error.failure_kind, stage="open", type=type(error).__name__, message=str(error))
    except Exception as error:
        failure = failure_of(error, stage="open", kind="evalwire")
    experiment = job.experiments[0]
    result = ExperimentResult(
        name=experiment.name,
        dataset_name=experiment.dataset_name,
        path=str(experiment.path),
        evaluator_names=tuple(evaluator.name for evaluator in experiment.evaluators),
        failure=failure,
        problems=experiment.problems,
    )
    return PartResult(results=[result], made=request.earlier)


def _job(experiment: Experiment, request: PartRequest, inherited: Inherited) -> Job:
    """Return the job that runs only the experiment of this process."""
    if inherited.connect is None:
        raise RuntimeError("the process was started only to load the experiment")
    asked = request.experiment
    return Job(
        experiments=[replace(experiment, task_files=asked.task_files, inputs=asked.inputs)],
        phoenix=inherited.connect(request.address),
        environ=inherited.environ,
        mask=inherited.console.mask,
        past=request.past,
        **request.job,
    )


class _Sender:
    """Sends messages from all threads of the process."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def send(self, kind: str, content: Any) -> None:
        """Send a message."""
        with self._lock:
            self.connection.send((kind, content))


class _Events:
    """Sends progress events; as an `Observer`."""

    def __init__(self, sender: _Sender) -> None:
        self._sender = sender

    def started(self, opened: OpenExperiment, run_count: int) -> None:
        """Send the event."""
        self._sender.send("started", (opened, run_count))

    def ran(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Send the event."""
        self._sender.send("ran", (opened.experiment.name, run))

    def recorded(self, opened: OpenExperiment, run: TaskRun) -> None:
        """Send the event."""
        self._sender.send("recorded", (opened.experiment.name, run))

    def rate_limited(self, seconds: float) -> None:
        """Send the event."""
        self._sender.send("rate_limited", seconds)

    def finished(self, result: ExperimentResult) -> None:
        """Send the event."""
        self._sender.send("finished", result)

    def close(self) -> None:
        """Do nothing: the job closes its own observer."""


class _SentStream(io.TextIOBase):
    """Sends text to the job, which writes it above its progress bars."""

    encoding = "utf-8"

    def __init__(self, sender: _Sender, name: str) -> None:
        self._sender = sender
        self._name = name

    def write(self, text: str) -> int:
        """Send a text."""
        with contextlib.suppress(OSError):  # the job has ended
            self._sender.send("write", (self._name, text))
        return len(text)

    def isatty(self) -> bool:
        """Return True: the job writes to a terminal."""
        return True


@contextlib.contextmanager
def _streams_of_job(sender: _Sender, console: Console) -> Iterator[None]:
    """At a terminal, let the job write the output of user code."""
    if not console.err.isatty():
        yield
        return
    before = sys.stdout, sys.stderr
    sent = [MaskedStream(cast("TextIO", _SentStream(sender, name)), console.mask) for name in ("stdout", "stderr")]
    sys.stdout, sys.stderr = cast("TextIO", sent[0]), cast("TextIO", sent[1])
    try:
        yield
    finally:
        for stream in sent:
            stream.flush()
        sys.stdout, sys.stderr = before


class _LogHandler(logging.Handler):
    """Sends log records, so that they do not interrupt the job's progress bars."""

    def __init__(self, sender: _Sender) -> None:
        super().__init__()
        self._sender = sender

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        with contextlib.suppress(OSError):  # the job has ended
            self._sender.send("log", (record.levelno, record.getMessage()))


def _send_logs(sender: _Sender) -> None:
    own = logging.getLogger("evalwire")
    own.handlers[:] = [_LogHandler(sender)]
