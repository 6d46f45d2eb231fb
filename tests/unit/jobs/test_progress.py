"""What is said while the job runs."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from evalwire.jobs.bars import Bars
from evalwire.jobs.progress import Lines, Quiet
from evalwire.masking import Mask
from evalwire.model.example import Dataset, Example
from evalwire.model.experiment import Experiment, OpenExperiment
from evalwire.model.failure import Failure
from evalwire.model.result import ExperimentResult
from evalwire.model.run import Evaluation, TaskRun

MOMENT = datetime(2024, 5, 6, tzinfo=UTC)
FAILURE = Failure(kind="user", stage="task", type="KeyError", message="q")


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def opened(name: str = "a", url: str | None = None, repetitions: int = 1) -> OpenExperiment:
    experiment = Experiment(name=name, dataset_name=name, path=Path("/p") / name, task=None)
    dataset = Dataset(id="d", name=name, version_id="v", examples=())
    return OpenExperiment(
        experiment=experiment, dataset=dataset, recorded_name="eval", url=url, repetitions=repetitions
    )


def ran(failure: Failure | None = None) -> TaskRun:
    example = Example(id="e", node_id="n", input={}, output={}, metadata={})
    times = {"start_time": MOMENT, "end_time": MOMENT}
    said = Evaluation(name="ev", evaluator="ev", score=1.0, **times)
    return TaskRun(example=example, output=None, failure=failure, evaluations=(said,), **times)


def finished(*runs: TaskRun, name: str = "a", count: int = 2, repetitions: int = 1) -> ExperimentResult:
    return ExperimentResult(
        name=name,
        dataset_name=name,
        evaluator_names=("ev",),
        runs=runs,
        example_count=count,
        repetitions=repetitions,
        seconds=1.26,
    )


def test_the_start_names_the_experiment_its_size_and_its_page():
    """The first line says what runs, over how much, and where to watch it."""
    stream = io.StringIO()
    progress = Lines(stream)
    progress.started(opened("a", "http://phoenix/x"), 3)
    progress.started(opened("b"), 1)
    assert stream.getvalue() == "a: 3 examples, http://phoenix/x\nb: 1 example\n"


def test_with_repetitions_runs_are_counted():
    """The start names examples and how often each runs; from then on it is runs that are done, failed and left."""
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, every_seconds=5.0, clock=clock)
    progress.started(opened(repetitions=3), 6)
    clock.now += 5
    progress.ran(opened(repetitions=3), ran(FAILURE))
    progress.finished(finished(*[ran()] * 5, repetitions=3))
    progress.finished(finished(*[ran()] * 6, repetitions=3))
    assert stream.getvalue().splitlines() == [
        "a: 2 examples x 3",
        "a: 1/6, 1 failed",
        "a: FAILED, 5/6 in 1.3 s",
        "a: done, 6/6 in 1.3 s",
    ]


def test_lines_come_every_few_seconds_not_at_each_example():
    """Between the lines at least the interval passes, however fast examples finish."""
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, every_seconds=5.0, clock=clock)
    progress.started(opened(), 1000)
    for _ in range(100):
        clock.now += 0.1
        progress.ran(opened(), ran())
    assert stream.getvalue().splitlines()[1:] in (["a: 50/1000", "a: 100/1000"], ["a: 51/1000"])


def test_failures_are_counted_while_it_runs():
    """A line says how many examples failed so far."""
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, every_seconds=5.0, clock=clock)
    progress.started(opened(), 3)
    progress.ran(opened(), ran(FAILURE))
    clock.now += 5
    progress.ran(opened(), ran())
    assert stream.getvalue().splitlines()[1:] == ["a: 2/3, 1 failed"]


def test_every_running_experiment_has_its_line():
    """Experiments that run side by side are each reported, finished ones no more."""
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, every_seconds=5.0, clock=clock)
    for name in ("a", "b", "c"):
        progress.started(opened(name), 2)
    progress.finished(finished(name="c"))
    stream.truncate(0)
    stream.seek(0)
    clock.now += 6
    progress.ran(opened("b"), ran())
    assert stream.getvalue() == "a: 0/2\nb: 1/2\n"


def test_the_end_says_how_it_went():
    """The last line of an experiment says passed or FAILED, how much ran, and how long it took."""
    stream = io.StringIO()
    progress = Lines(stream)
    progress.started(opened(), 2)
    progress.finished(finished(ran(), ran()))
    progress.finished(finished(ran(FAILURE), ran()))
    progress.finished(finished(ran()))
    assert stream.getvalue().splitlines()[1:] == [
        "a: done, 2/2 in 1.3 s",
        "a: FAILED, 2/2 in 1.3 s",
        "a: FAILED, 1/2 in 1.3 s",
    ]


def test_an_experiment_that_never_started_has_an_end():
    """An experiment that could not open is reported as failed, without a start."""
    stream = io.StringIO()
    Lines(stream).finished(finished(count=0))
    assert stream.getvalue() == "a: FAILED, 0/0 in 1.3 s\n"


def test_each_line_is_sent_at_once():
    """A CI log shows a line when it is said: the stream is flushed."""

    class Flushed(io.StringIO):
        seen = ""

        def flush(self) -> None:
            self.seen = self.getvalue()

    stream = Flushed()
    Lines(stream).started(opened(), 1)
    assert stream.seen == "a: 1 example\n"


def test_quiet_says_nothing(capsys):
    """Quiet is silent from start to end."""
    progress = Quiet()
    progress.started(opened(), 1)
    progress.ran(opened(), ran(FAILURE))
    progress.finished(finished())
    progress.close()
    assert capsys.readouterr() == ("", "")


def test_bars_count_to_the_end():
    """On a terminal the bar shows how many ran and how many failed, and an unopened experiment is no error."""
    stream = io.StringIO()
    progress = Bars(stream, mask=str)
    progress.started(opened(), 2)
    progress.ran(opened(), ran(FAILURE))
    progress.ran(opened(), ran())
    progress.finished(finished(ran(FAILURE), ran()))
    progress.finished(finished(name="never opened"))
    progress.close()
    assert "2/2" in stream.getvalue()
    assert "1 failed" in stream.getvalue()


def test_names_are_plain_text_beside_bars_and_in_lines():
    name = "a\x1b[31m\r[red]x\n"
    for made in (lambda stream: Bars(stream, mask=str), Lines):
        stream = io.StringIO()
        progress = made(stream)
        progress.started(opened(name), 1)
        progress.close()
        assert "a\\x1b[31m\\r[red]x\\n" in stream.getvalue()


def test_what_is_printed_above_the_bars_is_masked_and_a_text_stream_s(capsys):
    """A line that is flushed in pieces goes above in one piece, and the last one is not lost."""
    progress = Bars(io.StringIO(), mask=Mask(["sk-0123456789"]))
    try:
        sys.stdout.writelines(["a sk-0123456789\n"])
        wrapper = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", write_through=True)
        for token in ("b sk-01", "23456789", "\n", "no end"):
            print(token, end="", file=wrapper, flush=True)
        wrapper.detach()
        assert isinstance(sys.stdout, io.TextIOBase)
    finally:
        progress.close()
    assert capsys.readouterr().out == "a ***\nb ***\nno end"
