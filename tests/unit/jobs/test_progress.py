"""What is said while the job runs."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import terminal
from rich.cells import cell_len
from rich.console import Console

from evalwire.jobs.bars import Bars
from evalwire.jobs.console import Console as Streams
from evalwire.jobs.progress import Lines, Quiet, progress_of
from evalwire.masking import Mask
from evalwire.model.example import Dataset, Example
from evalwire.model.experiment import Experiment, OpenExperiment
from evalwire.model.failure import Failure
from evalwire.model.prices import Price
from evalwire.model.result import ExperimentResult
from evalwire.model.run import Evaluation, TaskRun
from evalwire.model.usage import ModelUsage, Usage

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


def recorded(run: TaskRun) -> TaskRun:
    return replace(run, id="r", evaluations=tuple(replace(one, id="s") for one in run.evaluations))


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
        "a: 1/6, 1 failed, ETA 0:25",
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
    assert [line.partition(",")[0] for line in stream.getvalue().splitlines()[1:]] in (
        ["a: 50/1000", "a: 100/1000"],
        ["a: 51/1000"],
    )


def test_lines_of_a_long_job_are_a_minute_apart():
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, clock=clock)
    progress.started(opened(), 10_000)
    for _ in range(3600):
        clock.now += 1
        progress.ran(opened(), ran())
    lines = stream.getvalue().splitlines()[1:]
    assert 60 < len(lines) < 90
    assert lines[-1].startswith("a: 3")
    assert max(map(len, lines)) < 40


def test_failures_are_counted_while_it_runs():
    """A line says how many examples failed so far: a record that failed counts once, also of a run that failed."""
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, every_seconds=5.0, clock=clock)
    progress.started(opened(), 3)
    for failure in (FAILURE, None):
        progress.ran(opened(), ran(failure))
        progress.recorded(opened(), replace(ran(failure), record_failure=FAILURE))
    clock.now += 5
    progress.ran(opened(), ran())
    assert stream.getvalue().splitlines()[1:] == ["a: 3/3, 2 failed"]


def test_what_is_recorded_is_counted_apart_where_phoenix_records():
    """In a dry run, nothing will be recorded."""
    for url, shown in (("http://phoenix/x", "a: 2/3, 1 recorded, ETA 0:02"), (None, "a: 2/3, ETA 0:02")):
        stream, clock = io.StringIO(), Clock()
        progress = Lines(stream, every_seconds=5.0, clock=clock)
        progress.started(opened(url=url), 3)
        progress.ran(opened(url=url), ran())
        progress.recorded(opened(url=url), recorded(ran()))
        clock.now += 5
        progress.ran(opened(url=url), ran())
        assert stream.getvalue().splitlines()[1:] == [shown]


def test_the_time_left_is_by_the_runs_of_this_job():
    """A resumed job has many runs at once, which say nothing of the others."""
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, every_seconds=5.0, clock=clock)
    progress.started(opened(), 100)
    for _ in range(90):
        progress.ran(opened(), recorded(ran()))
    clock.now += 60
    progress.ran(opened(), ran())
    assert stream.getvalue().splitlines()[1:] == ["a: 91/100, ETA 9:00"]


def test_a_long_wait_for_a_rate_limit_is_a_line():
    """A short wait is none, and neither is the same wait of every call."""
    stream, clock = io.StringIO(), Clock()
    progress = Lines(stream, every_seconds=5.0, clock=clock)
    clock.now += 60
    for seconds in (4.9, 11.2, 12.0, 30.0):
        progress.rate_limited(seconds)
    assert stream.getvalue() == "waiting for a rate limit, 12 s\n"


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
    assert stream.getvalue() == "a: 0/2\nb: 1/2, ETA 0:06\n"


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
    progress.recorded(opened(), ran(FAILURE))
    progress.rate_limited(12.0)
    progress.finished(finished())
    progress.close()
    assert capsys.readouterr() == ("", "")


def test_bars_count_to_the_end():
    """On a terminal the bar shows how many ran and how many failed, and an unopened experiment is no error."""
    stream = io.StringIO()
    progress = Bars(stream, mask=str, prices={})
    progress.started(opened(), 2)
    progress.ran(opened(), ran(FAILURE))
    progress.ran(opened(), ran())
    progress.finished(finished(ran(FAILURE), ran()))
    progress.finished(finished(name="never opened"))
    progress.close()
    assert "2/2" in stream.getvalue()
    assert "1 failed" in stream.getvalue()


@contextmanager
def screen(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, columns: int = 80, **prices: Price
) -> Iterator[tuple[Bars, Callable[[], list[str]]]]:
    """Bars on a terminal of this width, whose lines can be read."""
    monkeypatch.setenv("COLUMNS", str(columns))
    bars = Bars(io.StringIO(), mask=str, prices=prices, clock=clock)

    def lines() -> list[str]:
        stream = io.StringIO()
        Console(file=stream, width=columns).print(bars._progress.get_renderable())
        found = [line.rstrip() for line in stream.getvalue().splitlines()]
        assert max(map(cell_len, found)) <= columns
        return found

    try:
        yield bars, lines
    finally:
        bars.close()


def scored(*scores: tuple[str, float | bool], usage: Usage = ()) -> TaskRun:
    times = {"start_time": MOMENT, "end_time": MOMENT}
    evaluations = tuple(
        Evaluation(
            name=name, evaluator=name, score=score, kind="bool" if isinstance(score, bool) else "number", **times
        )
        for name, score in scores
    )
    return replace(ran(), evaluations=evaluations, usage=usage)


def test_bars_show_what_ran_what_is_recorded_failures_and_the_time_left(monkeypatch):
    clock, its = Clock(), opened("doc_search", url="http://phoenix/x")
    with screen(monkeypatch, clock) as (bars, lines):
        bars.started(its, 120)
        assert re.fullmatch(r"doc_search +0/120 +0:00", lines()[0])
        for _ in range(30):
            bars.ran(its, ran())
        bars.ran(its, ran(FAILURE))
        bars.recorded(its, recorded(ran()))
        clock.now += 62
        assert re.fullmatch(r"doc_search ━+╸? +31/120, 1 recorded 1 failed 1:02 ETA 2:58", lines()[0])


def test_below_a_bar_are_means_tokens_and_cost_until_the_experiment_ends(monkeypatch):
    usage = (ModelUsage(model="gpt-4o-mini", total_tokens=12_345, unpriced=1, unpriced_prompt_tokens=10_000),)
    with screen(monkeypatch, Clock()) as (bars, lines):
        bars.started(opened(), 3)
        assert len(lines()) == 1
        bars.ran(opened(), scored(("exact", True), ("judge", 0.25), usage=usage))
        bars.ran(opened(), scored(("exact", False), ("judge", 1.0)))
        bars.ran(opened(), ran(FAILURE))
        assert lines()[1] == "  exact 50.0%  judge 0.625  ev 1.000  12,345 tokens, 0.0015 USD"
        bars.finished(finished())
        assert len(lines()) == 1


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (80, "  evaluator_0 1.000  evaluator_1 1.000  8 more  12,345 tokens, 0.50 USD"),
        (40, "  10 more  12,345 tokens, 0.50 USD"),
        (20, "  10 more  12,345 t…"),
        (300, "  evaluator_0 1.000  evaluator_1 1.000  evaluator_2 1.000  7 more  12,345 tokens, 0.50 USD"),
    ],
)
def test_means_that_do_not_fit_are_counted_and_the_cost_stays(monkeypatch, columns, line):
    usage = (ModelUsage(model="m", total_tokens=12_345, cost_usd=0.5),)
    with screen(monkeypatch, Clock(), columns) as (bars, lines):
        bars.started(opened("a" * 100), 3)
        bars.ran(opened("a" * 100), scored(*((f"evaluator_{n}", 1.0) for n in range(10)), usage=usage))
        assert lines()[1] == line


def test_names_are_cut_and_as_wide_as_each_other(monkeypatch):
    with screen(monkeypatch, Clock()) as (bars, lines):
        for name in ("a", "名" * 30, "b" * 20):
            bars.started(opened(name), 3)
        a, wide, b = lines()
        assert a.startswith("a" + " " * 20)
        assert wide.startswith("名" * 9 + " …")
        assert b.startswith("b" * 20 + " ")


def test_a_wait_for_a_rate_limit_counts_down_below_all_bars(monkeypatch):
    clock = Clock()
    with screen(monkeypatch, clock) as (bars, lines):
        bars.started(opened(), 3)
        bars.rate_limited(12.0)
        bars.rate_limited(3.0)
        assert lines()[-1] == "waiting for a rate limit, 12 s"
        clock.now += 11.5
        assert lines()[-1] == "waiting for a rate limit, 1 s"
        clock.now += 1
        assert len(lines()) == 1


def test_names_are_plain_text_beside_bars_and_in_lines():
    name = "a\x1b[31m\r[red]x\n"
    for made in (lambda stream: Bars(stream, mask=str, prices={}), Lines):
        stream = io.StringIO()
        progress = made(stream)
        progress.started(opened(name), 1)
        progress.close()
        assert "a\\x1b[31m\\r[red]x\\n" in stream.getvalue()


def test_what_is_printed_above_the_bars_is_masked_and_a_text_stream_s(capsys):
    """A line that is flushed in pieces goes above in one piece, and the last one is not lost."""
    progress = Bars(io.StringIO(), mask=Mask(["sk-0123456789"]), prices={})
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


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_line_of_evalwires_own_appears_above_the_bars(monkeypatch):
    """Written to the terminal itself, it would end in the midst of the bars, and be overwritten."""
    monkeypatch.setenv("TERM", "xterm")
    streams = Streams(out=io.StringIO(), err=Terminal(), mask=Mask([]))
    with progress_of(streams, {}) as (bars, shown):
        bars.started(opened(), 2)
        shown.say("a: 2 outputs are scored again")
        shown.warn("a trace is lost")
    lines = terminal.screen(streams.err.getvalue()).splitlines()
    assert lines[:2] == ["a: 2 outputs are scored again", "evalwire: a trace is lost"], lines
    assert re.fullmatch(r"a ━+ 0/2 +0:00", lines[2])
    assert len(lines) == 3
