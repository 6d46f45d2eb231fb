"""Failures of the engine: whose they are, where, how often they count, and what they end."""

from __future__ import annotations

import _thread
import asyncio
import json
import logging
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from engine_seams import FakeRecorder, FakeTracer, always, experiment, go
from recording_seams import evaluation, run

from evalwire import clocks
from evalwire.engine.call_retries import _Tries
from evalwire.engine.engine import run_engine
from evalwire.engine.experiment_run import ExperimentRun
from evalwire.engine.job_state import JobState, _log_pace, engine_failure
from evalwire.engine.limits import EarlierRuns, Limits, Stop
from evalwire.errors import DatasetNotFound, PhoenixRefused, PhoenixUnreachable, RunTaken
from evalwire.jobs.progress import Quiet
from evalwire.model import Failure, ModelUsage, TaskRun, token_count
from evalwire.model.budget import Amount
from evalwire.model.shard import Shard

NOTHING = Amount()
GONE = PhoenixUnreachable("gone")
PROBLEM = Failure(kind="user", stage="import", type="E", message="m")


async def passing(example):
    return example.input["n"]


async def failing(example):
    raise KeyError("no")


def judge(output):
    raise ValueError("no")


def facts(failure: Failure | None) -> tuple[Any, ...] | None:
    return failure and (failure.kind, failure.stage, failure.type, failure.message)


class Recorder(FakeRecorder):
    """A recorder of a shard whose verification may fail, and which keeps what it is asked to verify."""

    def __init__(self, *, verify_error: Exception | None = None, shard: Shard | None = None, **given: Any) -> None:
        super().__init__(**given)
        self.verify_error, self.shard = verify_error, shard
        self.about: list[tuple[str, str]] = []
        self.verified: list[str] = []

    def _tell(self, what: str, opened: Any) -> None:
        self.about.append((what, opened.recorded_name))

    async def open(self, experiment):
        return replace(await super().open(experiment), shard=self.shard)

    def returned(self, opened, run):
        self._tell("returned", opened)

    def evaluated(self, opened, run, evaluations):
        self._tell("evaluated", opened)

    async def record(self, opened, run):
        self._tell("record", opened)
        return await super().record(opened, run)

    async def verify(self, opened, runs):
        self._tell("verify", opened)
        self.verified = [run.id for run in runs]
        if self.verify_error:
            raise self.verify_error
        return self.missing


EMPTY = "the dataset 'set_0' has no examples; upload some, or select another version"


@pytest.mark.parametrize(
    ("recorder", "name", "expected"),
    [
        (Recorder(open_error=DatasetNotFound("no such")), "set_2", ("user", "open", "DatasetNotFound", "no such")),
        (Recorder(open_error=GONE), "set_2", ("phoenix", "open", "PhoenixUnreachable", "gone")),
        (Recorder(open_error=RuntimeError("x")), "set_2", ("evalwire", "open", "RuntimeError", "x")),
        (Recorder(), "set_0", ("user", "open", "EmptyDataset", EMPTY)),
        (Recorder(shard=Shard(1, 2)), "set_0", None),
        (Recorder(record_error=GONE), "set_2", ("phoenix", "record", "PhoenixUnreachable", "gone")),
        (
            Recorder(missing=["run a", "run b"]),
            "set_2",
            (
                "phoenix",
                "record",
                "RecordsMissing",
                "Phoenix accepted records that are now missing: run a; run b",
            ),
        ),
        (Recorder(verify_error=GONE), "set_2", ("phoenix", "record", "PhoenixUnreachable", "gone")),
        (Recorder(verify_error=RuntimeError("x")), "set_2", ("evalwire", "record", "RuntimeError", "x")),
        (Recorder(), "set_2", None),
    ],
)
def test_a_failure_of_an_experiment_has_its_kind_and_stage(recorder, name, expected):
    """By which the outcome of the job is decided."""
    job = go(experiment(passing, name=name), recorder=recorder, task_concurrency=1)
    (result,) = job.results
    assert facts(result.failure) == expected
    assert result.passed is (expected is None)
    assert job.made.planned == (2 if result.runs else 0)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PhoenixRefused("no"), ("phoenix", "record", "PhoenixRefused", "no")),
        (RuntimeError("x"), ("evalwire", "record", "RuntimeError", "x")),
    ],
)
def test_a_failure_of_a_record_has_its_kind_and_stage(error, expected):
    (result,) = go(experiment(passing, name="set_1"), recorder=Recorder(record_error=error)).results
    assert [facts(each.record_failure) for each in result.runs] == [expected]


def test_an_error_of_evalwire_itself_has_a_traceback_and_the_others_do_not():
    """They say what to do."""
    with pytest.raises(AttributeError) as raised:
        go.undefined()
    assert "in test_an_error_of_evalwire" in engine_failure(raised.value, stage="open").traceback
    assert engine_failure(GONE, stage="open").traceback == ""


def test_calls_that_fail_have_their_stage():
    (task,) = go(experiment(failing, name="set_1")).results
    (evaluator,) = go(experiment(passing, judge, name="set_1")).results
    assert facts(task.runs[0].failure) == ("user", "task", "KeyError", "'no'")
    assert facts(evaluator.runs[0].evaluations[0].failure) == ("user", "evaluator", "ValueError", "no")
    assert evaluator.runs[0].evaluations[0].name == "judge"


def test_a_stopped_job_is_interrupted():
    stop = Stop()
    stop.request()
    job = go(experiment(passing, name="set_2"), stop=stop)
    message = "the job was stopped before it finished"
    assert [facts(each.failure) for each in job.results] == [("evalwire", "interrupted", "Interrupted", message)]
    assert (job.interrupted, job.made) == (True, EarlierRuns(spent=NOTHING))


def test_a_run_that_a_stop_kept_from_being_recorded_is_interrupted():
    stop = Stop()

    class Hanging(Recorder):
        async def record(self, opened, run):
            stop.request()
            await asyncio.sleep(60)

    recorder = Hanging()
    (result,) = go(experiment(passing, name="set_1"), recorder=recorder, stop=stop, grace_seconds=0.05).results
    assert "verify" not in [what for what, _ in recorder.about]
    assert [(each.output, facts(each.record_failure)) for each in result.runs] == [
        (0, ("evalwire", "interrupted", "Interrupted", "the job ended before the run was recorded"))
    ]


@pytest.mark.parametrize(
    ("most", "failures", "share"), [(1, 1, "1"), (3, 3, "3"), (0.05, 5, "5% of 100 runs"), (0.5, 50, "50% of 100 runs")]
)
def test_the_reason_of_a_job_that_is_given_up_is_the_failure_of_all_its_experiments(most, failures, share, caplog):
    job = go(
        experiment(failing, name="set_100"),
        experiment(passing, name="next_2"),
        task_concurrency=1,
        max_failures=most,
    )
    message = f"the job was stopped after {failures} failures (max_failures: {share})"
    expected = ("user", "task", "TooManyFailures", message)
    assert [facts(each.failure) for each in job.results] == [expected] * 2
    assert caplog.messages == [message]
    assert job.made.planned == 100
    assert facts(job.made.ended_by) == expected
    assert job.made.failed == failures


@pytest.mark.parametrize(
    ("one", "recorder", "failed"),
    [
        (experiment(passing, name="set_3"), Recorder(), 0),
        (experiment(failing, name="set_3"), Recorder(), 3),
        (experiment(passing, judge, name="set_3"), Recorder(), 3),
        (experiment(passing, name="set_3"), Recorder(record_error=RuntimeError()), 3),
        (experiment(failing, name="set_3"), Recorder(record_error=RuntimeError()), 3),
        (experiment(passing, judge, name="set_3"), Recorder(record_error=RuntimeError()), 3),
        (experiment(passing, name="set_3"), Recorder(open_error=GONE), 1),
        (replace(experiment(passing, name="set_3"), problems=(PROBLEM,)), Recorder(), 1),
    ],
)
def test_each_failed_run_counts_once(one, recorder, failed):
    """And an experiment that did not run."""
    job = go(one, recorder=recorder)
    made = {} if failed == 1 else {"planned": 3, "largest": NOTHING}
    assert job.made == EarlierRuns(failed=failed, spent=NOTHING, **made)
    assert job.results[0].passed is (failed == 0)


def test_failures_of_earlier_parts_of_the_job_count():
    """Variants have processes of their own."""

    def later(**earlier: Any) -> Any:
        return run_engine(
            [experiment(failing, name="set_10")],
            recorder=FakeRecorder(),
            tracer=FakeTracer(),
            observer=Quiet(),
            limits=Limits(max_failures=0.5, task_concurrency=1),
            stop=Stop(),
            earlier=EarlierRuns(**earlier),
        )

    assert [len(later(**each).results[0].runs) for each in ({}, {"failed": 2}, {"planned": 4})] == [5, 3, 7]
    ended = later(ended_by=PROBLEM, planned=4, failed=1)
    assert (ended.results[0].runs, ended.results[0].failure) == ((), PROBLEM)
    assert ended.made == EarlierRuns(planned=4, failed=1, ended_by=PROBLEM, spent=NOTHING)


@pytest.mark.parametrize(
    ("error", "shard", "is_outage"),
    [
        (GONE, None, True),
        (PhoenixRefused("no"), None, True),
        (RunTaken("another job"), Shard(1, 2), True),
        (RunTaken("another job"), None, False),
        (RuntimeError("x"), Shard(1, 2), False),
    ],
)
def test_an_error_that_all_records_would_have_ends_the_job(error, shard, is_outage):
    recorder = Recorder(record_error=error, shard=shard)
    job = go(experiment(passing, name="set_50"), experiment(passing, name="next_1"), recorder=recorder, backlog=1)
    assert (job.made.ended_by is not None) is is_outage
    assert (len(job.results[0].runs) < 50) is is_outage
    assert (job.results[1].opened is None) is is_outage
    assert ("verify", "eval") not in recorder.about or not is_outage


def test_the_first_of_several_outages_is_the_reason():
    job = JobState([], recorder=FakeRecorder(), tracer=FakeTracer(), observer=Quiet(), limits=Limits(), stop=Stop())
    for error in (GONE, PhoenixRefused("no")):
        job.end_for_outage(error)
    assert (job.outage, job.is_ending) == (GONE, True)


def test_everything_is_told_with_its_experiment():
    events = []

    class Observer(Quiet):
        def started(self, opened, run_count):
            events.append(("started", opened.recorded_name, run_count))

        def ran(self, opened, run):
            events.append(("ran", opened.recorded_name, run.example.id))

        def recorded(self, opened, run):
            events.append(("recorded", opened.recorded_name, run.example.id))

        def finished(self, result):
            events.append(("finished", result.opened.recorded_name, result.passed))

    recorder = Recorder(repetitions=2, earlier={("n0", 1): known(0)})
    go(experiment(passing, name="set_1"), recorder=recorder, observer=Observer(), task_concurrency=1)
    assert events == [
        ("started", "eval", 2),
        ("ran", "eval", "e0"),
        ("recorded", "eval", "e0"),
        ("ran", "eval", "e0"),
        ("recorded", "eval", "e0"),
        ("finished", "eval", True),
    ]
    assert recorder.about == [(what, "eval") for what in ("returned", "evaluated", "record", "verify")]
    assert recorder.verified == ["R0", "run-e0"]


def known(n: int) -> TaskRun:
    """A run of an earlier job, which is recorded and evaluated."""
    example = replace(run().example, id=f"e{n}", node_id=f"n{n}", input={"n": n})
    return replace(run(id=f"R{n}"), example=example, evaluations=(evaluation("always", id="A"),))


def test_outputs_of_an_earlier_job_that_fail_alike_do_not_stop_the_experiment():
    """Their tasks have been paid for, and those that follow may not fail."""

    def judge(output):
        if output == "said":
            raise ValueError
        return 1.0

    earlier = {(f"n{n}", 1): replace(known(n), evaluations=()) for n in range(12)}
    one = experiment(passing, judge, name="set_30")
    (result,) = go(one, recorder=Recorder(earlier=earlier), stop_failing={"set_30"}, task_concurrency=1).results
    assert (result.failure, len(result.runs)) == (None, 30)


def test_the_evaluators_of_a_run_run_at_once():
    met = asyncio.Barrier(2)

    async def one(output):
        await asyncio.wait_for(met.wait(), 10)
        return 1.0

    async def other(output):
        await asyncio.wait_for(met.wait(), 10)
        return 1.0

    (result,) = go(experiment(passing, one, other, name="set_1")).results
    assert result.passed


def test_an_evaluator_receives_the_trace_of_the_task():
    def judge(output, trace_id):
        return {"label": trace_id}

    (result,) = go(experiment(passing, judge, name="set_1")).results
    assert result.runs[0].evaluations[0].label == "trace"


def test_a_result_so_far_does_not_pass():
    """Of an event loop that ended early, also if every run was recorded: nobody has verified them."""
    job = JobState([], recorder=FakeRecorder(), tracer=FakeTracer(), observer=Quiet(), limits=Limits(), stop=Stop())
    one = experiment(passing, always, name="set_2")
    found = ExperimentRun(job, one).snapshot(broken="the loop is closed")
    assert facts(found.failure) == ("user", "task", "RuntimeError", "the loop is closed")
    assert (found.name, found.dataset_name, found.path) == ("set_2", "set_2", str(one.path))
    assert (found.evaluator_names, found.runs, found.example_count) == (("always",), (), 0)
    assert (found.repetitions, found.seconds, found.opened) == (1, 0.0, None)
    assert facts(ExperimentRun(job, one).snapshot(broken="").failure)[1] == "interrupted"
    with_problems = ExperimentRun(job, replace(one, problems=(PROBLEM,))).snapshot(broken="x")
    assert (with_problems.failure, with_problems.problems) == (None, (PROBLEM,))


class Broken(dict[Any, Any]):
    def get(self, *_: Any) -> Any:
        raise LookupError("a defect")


class Defective(Recorder):
    async def record(self, opened, run):
        raise LookupError("a defect")


@pytest.mark.parametrize("recorder", [Recorder(earlier=Broken(a=1)), Defective()])
def test_a_defect_of_evalwire_fails_the_experiment(recorder):
    (result,) = go(experiment(passing, name="set_3"), recorder=recorder).results
    assert facts(result.failure) == ("evalwire", "record", "LookupError", "a defect")


def test_a_run_that_passes_logs_nothing(caplog):
    caplog.set_level(logging.INFO)
    assert go(experiment(passing, name="set_3")).results[0].passed
    assert caplog.messages == []


# --- calls ---------------------------------------------------------------------------------------------

USAGE = (ModelUsage(model="m", calls=1, prompt_tokens=2, completion_tokens=3, total_tokens=5),)


class Tracer(FakeTracer):
    """A tracer that keeps what it is told, and gives each call a trace of its own with a usage."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, dict[str, Any]]] = []

    def trace(self, opened, callee, values):
        self.told.append((opened.recorded_name, callee.name, dict(values["input"])))
        trace = super().trace(opened, callee, values)
        trace.trace_id, trace.usage = f"trace of {callee.name}", USAGE
        return trace


def test_a_run_and_its_evaluations_have_the_times_the_trace_and_the_usage_of_their_calls():
    tracer = Tracer()
    began = clocks.now()
    job = run_engine(
        [experiment(passing, name="set_1")],
        recorder=FakeRecorder(),
        tracer=tracer,
        observer=Quiet(),
        limits=Limits(),
        stop=Stop(),
    )
    (found,) = job.results[0].runs
    assert tracer.told == [("eval", "task", {"n": 0}), ("eval", "always", {"n": 0})]
    assert began <= found.start_time <= found.end_time <= found.evaluations[0].start_time <= clocks.now()
    assert [(each.trace_id, each.usage, each.attempts) for each in (found, *found.evaluations)] == [
        ("trace of task", USAGE, 1),
        ("trace of always", USAGE, 1),
    ]
    assert 0 < job.results[0].seconds < 10


@pytest.mark.parametrize(
    ("usages", "tokens"),
    [
        ([USAGE], 5),
        ([USAGE, USAGE], 10),
        ([(), USAGE], 5),
        ([USAGE, ()], 5),
        ([None, USAGE], None),
        ([USAGE, None], None),
        ([()], 0),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_the_usage_of_a_call_is_that_of_all_its_attempts(usages, tokens, fails):
    """None if it is not known for any of them."""
    settled = []
    tries = _Tries(settled.append)
    error = ValueError()
    calls = [SimpleNamespace(usage=usage, error=error, value=None, failure=PROBLEM) for usage in usages]
    if not fails:
        calls[-1].error = calls[-1].failure = None
    for call in calls:
        tries.ended(call)
    assert len(settled) == (not fails), "a call that succeeds is settled at once, because no other follows"
    tries.result_of(calls[-1])
    (found,) = settled
    assert (found.call, found.attempts, found.failure) == (calls[-1], len(usages), PROBLEM if fails else None)
    assert (found.usage if found.usage is None else token_count(found.usage)) == tokens


def test_a_failure_is_at_the_line_of_the_project():
    """Also where a library raised it."""

    async def task(example):
        json.loads("no JSON")

    one = replace(experiment(task, name="set_1"), path=Path(__file__).parent / "experiment")
    (result,) = go(one).results
    assert result.runs[0].failure.where == f"{__file__}:{task.__code__.co_firstlineno + 1}"


def test_a_rate_limit_that_lowers_the_limit_is_logged(caplog, monkeypatch):
    monkeypatch.setattr("evalwire.engine.call_retries._FIRST_WAIT", 0.001)
    caplog.set_level(logging.INFO)

    class RateLimited(Exception):
        status_code = 429

    errors = [RateLimited()]

    async def task(example):
        if errors:
            raise errors.pop()
        return 1

    assert go(experiment(task, name="set_1"), task_concurrency="auto").results[0].passed
    assert caplog.messages == ["a rate limit: 7 examples in flight instead of 10"]


# --- stops and logs ------------------------------------------------------------------------------------


def test_a_stop_keeps_its_first_time_and_its_signal_and_wakes_once():
    stop, woken = Stop(), []
    assert (stop.requested, stop.requested_at, stop.signal_number) == (False, None, None)
    stop.on_request(forgotten := lambda: woken.append("forgotten"))
    stop.on_request(lambda: woken.append("first"))
    stop.forget(forgotten)
    stop.request(15)
    at = stop.requested_at
    stop.request()
    assert (stop.requested, stop.requested_at, stop.signal_number) == (True, at, 15)
    stop.request(2)
    assert (stop.requested_at, stop.signal_number) == (at, 2)
    stop.on_request(lambda: woken.append("late"))
    assert woken == ["first", "late"]


def test_a_stop_is_heeded_in_its_block_alone():
    stop = Stop()
    assert stop.is_heeded is False
    with pytest.raises(KeyError), stop.heeded():
        assert stop.is_heeded is True
        raise KeyError
    assert stop.is_heeded is False


@pytest.mark.parametrize("is_blocked", [False, True])
def test_a_keyboard_interrupt_reaches_the_caller_after_the_grace_period(is_blocked):
    """Also if the event loop does not end."""
    release, stop = threading.Event(), Stop()

    async def task(example):
        _thread.interrupt_main()
        if is_blocked:
            release.wait(60)
        await asyncio.sleep(60)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the process was started with
    try:
        with pytest.raises(KeyboardInterrupt):
            go(experiment(task, name="set_1"), stop=stop, grace_seconds=0.1)
    finally:
        signal.signal(signal.SIGINT, before)
    release.set()
    assert stop.requested


def test_a_signal_handler_that_exits_ends_the_job_early_and_is_logged(caplog):
    async def task(example):
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(60)

    before = signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))
    try:
        job = go(experiment(task, name="set_1"), grace_seconds=0.1)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert (job.interrupted, job.results[0].passed) == (True, False)
    assert caplog.messages == ["a signal handler of your code called sys.exit(7), so the job ends early"]


def test_a_lowered_limit_is_logged_for_the_user_and_a_raised_one_is_not(caplog):
    caplog.set_level(logging.DEBUG, logger="evalwire")
    _log_pace(10, 7)
    _log_pace(7, 8)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "a rate limit: 7 examples in flight instead of 10"),
        ("DEBUG", "no rate limit: 8 examples in flight instead of 7"),
    ]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_trace_that_cannot_start_fails_the_experiment_with_its_error(concurrency):
    """Of a call that starts at once, and of calls that wait for their turns."""

    class Defective(FakeTracer):
        def trace(self, opened, callee, values):
            raise RuntimeError("no trace")

    async def task(example):
        return 1

    (result,) = go(experiment(task, name="set_3"), tracer=Defective(), task_concurrency=concurrency).results
    assert (result.failure.kind, result.failure.message) == ("evalwire", "no trace")
    assert not result.passed
