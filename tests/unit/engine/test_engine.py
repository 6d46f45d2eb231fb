"""The engine with a recorder and an observer of the test's own: order, overlap, limits, stops."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import freezegun
import pytest
import time_machine
from engine_seams import NOW, PATH, FakeRecorder, FakeTracer, always, experiment, go

from evalwire import clocks
from evalwire.engine.engine import run_engine
from evalwire.engine.event_loop import LoopThread
from evalwire.engine.limits import Limits, Stop
from evalwire.errors import DatasetNotFound, PhoenixRefused, PhoenixUnreachable
from evalwire.jobs.progress import Quiet
from evalwire.model.example import Example
from evalwire.model.failure import Failure
from evalwire.model.run import Evaluation, TaskRun
from evalwire.recording import Journal
from evalwire.usercode import NOT_APPLICABLE, Clock
from evalwire.usercode.binding import bind_evaluator, isolate_experiment


def test_results_are_in_the_datasets_order_whatever_finished_first():
    async def task(example):
        await asyncio.sleep(0.05 - example.input["n"] * 0.01)
        return example.input["n"]

    (result,) = go(experiment(task)).results
    assert [run.output for run in result.runs] == [0, 1, 2, 3, 4]
    assert result.passed


def test_results_are_in_the_given_order_whatever_experiment_finished_first():
    async def slow(example):
        await asyncio.sleep(0.05)
        return 1

    async def fast(example):
        return 1

    job = go(experiment(slow, name="a_3"), experiment(fast, name="b_3"), concurrency=2)
    assert [result.name for result in job.results] == ["a_3", "b_3"]


@pytest.mark.parametrize("is_async", [True, False])
def test_examples_run_at_once_up_to_the_limit_and_no_further(is_async):
    running = peak = 0
    lock = threading.Lock()
    both = threading.Event()

    def count(step):
        nonlocal running, peak
        with lock:
            running += step
            peak = max(peak, running)
            if peak == 3:
                both.set()

    async def as_coroutine(example):
        count(1)
        while not both.is_set():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        count(-1)
        return 1

    def as_function(input):
        count(1)
        both.wait(10)
        time.sleep(0.01)
        count(-1)
        return 1

    (result,) = go(experiment(as_coroutine if is_async else as_function, name="set_12"), task_concurrency=3).results
    assert result.passed
    assert peak == 3


def test_the_limit_on_examples_is_for_the_whole_job():
    running = peak = 0

    async def task(example):
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.005)
        running -= 1
        return 1

    go(experiment(task, name="a_10"), experiment(task, name="b_10"), concurrency=2, task_concurrency=4)
    assert peak == 4


def test_experiments_run_one_after_the_other_by_default():
    order = []

    def make(name):
        async def task(example):
            order.append(name)
            await asyncio.sleep(0.001)
            return 1

        return experiment(task, name=f"{name}_3")

    go(make("a"), make("b"))
    assert order == ["a", "a", "a", "b", "b", "b"]


def test_async_tasks_of_a_job_share_one_event_loop():
    loops = set()

    async def task(example):
        loops.add(asyncio.get_running_loop())
        return 1

    go(experiment(task, name="a_3"), experiment(task, name="b_3"))
    assert len(loops) == 1


def test_a_failing_task_is_a_value_and_its_evaluators_are_not_run():
    called = []

    async def task(example):
        if example.input["n"] == 1:
            raise KeyError("missing")
        return 1

    def evaluator(output, example):
        called.append(example.id)
        return True

    (result,) = go(experiment(task, evaluator)).results
    assert sorted(called) == ["e0", "e2", "e3", "e4"]
    failed = result.runs[1]
    assert (failed.failure.type, failed.failure.message) == ("KeyError", "'missing'")
    assert failed.failure.where.startswith(f"{__file__}:")
    assert failed.output is None
    assert not result.passed
    assert len(result.runs) == 5


def test_a_failed_run_is_recorded_too():
    async def task(example):
        raise ValueError("no")

    recorder = FakeRecorder()
    go(experiment(task, name="set_2"), recorder=recorder)
    assert sorted(recorder.recorded) == ["e0", "e1"]


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("is_async", [True, False])
def test_whatever_user_code_raises_fails_that_run_only(error, is_async):
    async def as_coroutine(example):
        await asyncio.sleep(0)
        if example.input["n"] == 2:
            raise error
        return 1

    def as_function(input):
        if input["n"] == 2:
            raise error
        return 1

    (result,) = go(experiment(as_coroutine if is_async else as_function)).results
    assert [run.failure is None for run in result.runs] == [True, True, False, True, True]
    assert result.runs[2].failure.type == type(error).__name__


def test_sys_exit_in_a_background_task_of_the_users_loses_nothing():
    async def leave():
        raise SystemExit(9)

    async def task(example):
        if example.input["n"] == 0:
            asyncio.get_running_loop().create_task(leave())
        await asyncio.sleep(0.01)
        return 1

    (result,) = go(experiment(task)).results
    assert result.passed


@pytest.mark.parametrize("is_async", [True, False])
def test_a_call_past_its_time_is_a_timeout_error_with_how_long_it_had(is_async):
    release = threading.Event()

    async def as_coroutine(example):
        await asyncio.sleep(60)

    def as_function(input):
        release.wait(60)

    job = go(experiment(as_coroutine if is_async else as_function, name="set_1"), timeout_seconds=0.05)
    release.set()
    failure = job.results[0].runs[0].failure
    assert failure.type == "TimeoutError"
    assert "0.05 s" in failure.message
    assert job.abandoned_threads == (0 if is_async else 1)


def test_a_coroutine_that_swallows_its_cancellation_does_not_hold_the_job():
    async def stubborn(example):
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)

    began = time.monotonic()
    (result,) = go(experiment(stubborn, name="set_1"), timeout_seconds=0.05).results
    assert result.runs[0].failure.type == "TimeoutError"
    assert time.monotonic() - began < 10


def test_an_evaluator_has_the_same_time_limit():
    async def task(example):
        return 1

    async def slow(output):
        await asyncio.sleep(60)

    (result,) = go(experiment(task, slow, name="set_1"), timeout_seconds=0.05).results
    assert result.runs[0].evaluations[0].failure.type == "TimeoutError"
    assert not result.passed


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), "", {}, [], object(), {"accuracy": 1}])
def test_a_useless_evaluation_is_a_failure(bad):
    async def task(example):
        return 1

    def evaluator(output):
        return bad

    (result,) = go(experiment(task, evaluator, name="set_1")).results
    assert result.runs[0].evaluations[0].failure
    assert not result.passed


def test_an_output_without_a_json_form_fails_the_run_with_its_type():
    async def task(example):
        return {1, object()}

    (result,) = go(experiment(task, name="set_1")).results
    assert "an object" in result.runs[0].failure.message
    assert result.runs[0].failure.where == str(PATH)


def test_an_error_while_an_output_is_converted_is_that_runs_failure():
    class Model:
        def model_dump(self, mode):
            raise OSError("lazy field")

    async def task(example):
        return Model()

    (result,) = go(experiment(task, name="set_1")).results
    assert (result.runs[0].failure.type, result.runs[0].failure.message) == ("OSError", "lazy field")
    assert result.runs[0].failure.where.startswith(f"{__file__}:")


def test_two_evaluators_with_results_of_one_name_are_a_failure():
    """Phoenix keeps one evaluation by name and run, so the other would be lost without a word."""

    async def task(example):
        return 1

    def first(output):
        return [{"name": "accuracy", "score": 1.0}, {"name": "recall", "score": 1.0}]

    def second(output):
        return [{"name": "accuracy", "score": 0.0}, {"name": "style", "score": 1.0}]

    (result,) = go(experiment(task, first, second, name="set_1")).results
    names = {evaluation.name: evaluation.failure for evaluation in result.runs[0].evaluations}
    assert names["second.accuracy"].message.count("accuracy") == 1
    assert not result.passed


def test_an_empty_dataset_is_a_failure():
    async def task(example):
        return 1

    (result,) = go(experiment(task, name="set_0")).results
    assert result.failure.type == "EmptyDataset"
    assert not result.passed


def test_a_dataset_that_is_not_there_fails_its_experiment():
    async def task(example):
        return 1

    (result,) = go(experiment(task), recorder=FakeRecorder(open_error=DatasetNotFound("no such dataset"))).results
    assert (result.failure.type, result.failure.stage) == ("DatasetNotFound", "open")
    assert not result.passed


def test_a_record_that_is_lost_is_a_failure_and_the_task_is_not_run_again():
    calls = []

    async def task(example):
        calls.append(example.id)
        return 1

    (result,) = go(experiment(task), recorder=FakeRecorder(record_error=RuntimeError("gone"))).results
    assert sorted(calls) == ["e0", "e1", "e2", "e3", "e4"]
    assert all(run.record_failure.message == "gone" for run in result.runs)
    assert not result.passed


def test_no_further_task_is_paid_for_once_phoenix_is_gone():
    calls = []

    async def task(example):
        calls.append(example.id)
        await asyncio.sleep(0)
        return 1

    recorder = FakeRecorder(record_error=PhoenixUnreachable("gone"))
    (result,) = go(experiment(task, name="set_100"), recorder=recorder, task_concurrency=2).results
    assert len(calls) < 20
    assert result.not_run == 100 - len(result.runs)
    assert result.failure.type == "PhoenixUnreachable"


def test_an_outage_ends_experiments_that_wait_for_a_slot():
    async def task(example):
        await asyncio.sleep(0.01)
        return 1

    experiments = [experiment(task, name=f"{name}_5") for name in "abcd"]
    recorder = FakeRecorder(record_error=PhoenixRefused("no"))
    job = go(*experiments, recorder=recorder, concurrency=4, task_concurrency=1)
    assert not any(result.passed for result in job.results)
    assert sum(len(result.runs) for result in job.results) < 20


def test_what_a_task_returned_is_kept_when_the_job_ends_before_its_evaluators_did():
    stop = Stop()

    async def task(example):
        return "paid for"

    async def judge(output):
        stop.request()
        await asyncio.sleep(60)

    job = go(experiment(task, judge, name="set_1"), stop=stop, grace_seconds=0.1)
    (run,) = job.results[0].runs
    assert run.output == "paid for"
    assert run.record_failure.type == "Interrupted"
    assert not job.results[0].passed


def test_an_evaluator_whose_lists_differ_does_not_pass():
    async def task(example):
        return example.input["n"]

    def judge(output):
        return [{"name": "a", "score": 1.0}, {"name": "b", "score": 1.0}, {"name": "c", "score": 1.0}][: 3 - output]

    (result,) = go(experiment(task, judge, name="set_2")).results
    assert not result.passed
    assert [score.name for score in result.incomplete_scores] == ["c"]


def test_keys_that_are_not_recorded_are_named_once(caplog):
    """For each evaluator, however many runs return them; a key that comes later is named as well."""

    async def task(example):
        return example.input["n"]

    def judge(output):
        return {"score": 1.0, "reason": "r", "confidence": 0.5, "logprob": 0} | ({"model": "m"} if output == 2 else {})

    (result,) = go(experiment(task, judge, always), task_concurrency=1).results
    assert result.passed
    assert {run.evaluations[0].explanation for run in result.runs} == {"r"}
    named = [record.getMessage() for record in caplog.records if "not recorded" in record.getMessage()]
    assert sum("confidence" in message for message in named) == 1
    assert sum("model" in message for message in named) == 1
    keys = "confidence, logprob. Move them to `metadata`, or remove them."
    assert named[0] == f"set_5: the evaluator judge returned keys that are not recorded: {keys}"


class Classifier:
    """The shape of a phoenix-evals classifier."""

    def __init__(self, **choices):
        self.label_score_map = choices or None

    def evaluate(self, eval_input):
        return [SimpleNamespace(name="c", score=1.0, label="yes", explanation=None, metadata=None)]


@pytest.mark.parametrize(
    ("choices", "kind"),
    [
        ({"yes": 1.0, "no": 0.0}, "bool"),
        ({"yes": 1, "no": 0, "unsure": 0}, "bool"),
        ({"yes": 1.0, "no": 0.0, "partly": 0.5}, "number"),
        ({"yes": 1.0}, "number"),
        ({}, "number"),
    ],
)
def test_a_classifier_that_declares_0_and_1_returns_bools(choices, kind):
    async def task(example):
        return 1

    evaluator = bind_evaluator("c", Classifier(**choices), path=PATH)
    (result,) = go(replace(experiment(task), evaluators=(evaluator,))).results
    assert {(said.kind, said.score, said.label) for run in result.runs for said in run.evaluations} == {
        (kind, 1.0, "yes")
    }


def test_an_evaluation_that_clashes_has_no_kind():
    async def task(example):
        return 1

    def one(output):
        return [{"name": "b", "score": True, "label": "x"}, {"name": "a", "score": True}]

    def b(output):
        return NOT_APPLICABLE

    (result,) = go(experiment(task, one, b, name="set_1")).results
    assert [(said.name, said.kind) for said in result.runs[0].evaluations] == [
        ("b", "bool"),
        ("a", "bool"),
        ("b.b", None),
    ]


def test_a_call_that_blocked_the_loop_past_its_time_is_a_timeout():
    async def task(example):
        threading.Event().wait(0.3)
        return 1

    (result,) = go(experiment(task, name="set_1"), timeout_seconds=0.1).results
    assert result.runs[0].failure.type == "TimeoutError"
    assert "blocked the event loop" in result.runs[0].failure.message


def test_a_loop_that_is_blocked_for_good_is_told_with_its_line_and_ends_the_job(caplog):
    release = threading.Event()

    async def task(example):
        release.wait(60)
        return 1

    line = task.__code__.co_firstlineno + 1
    one = replace(experiment(task, name="set_1"), path=Path(__file__).parent)
    job = go(one, timeout_seconds=2)
    release.set()
    assert f"{__file__}:{line}" in job.results[0].failure.message
    assert not job.results[0].passed
    assert any(f"{__file__}:{line} blocks the event loop" in message for message in caplog.messages)


@pytest.mark.parametrize("how", ["stop", "cancel"])
def test_user_code_that_stops_or_cancels_the_loop_is_red_or_harmless(how):
    async def task(example):
        loop = asyncio.get_running_loop()
        if how == "stop":
            loop.stop()
        else:
            for other in asyncio.all_tasks(loop):
                other.cancel()
        await asyncio.sleep(0.01)
        return 1

    (result,) = go(experiment(task, name="set_2")).results
    assert result.passed is (how == "stop")


def test_an_experiment_with_problems_is_not_run_and_the_others_are():
    async def task(example):
        return 1

    broken = replace(
        experiment(task, name="a_2"), problems=(Failure(kind="user", stage="import", type="E", message="m"),)
    )
    first, second = go(broken, experiment(task, name="b_2")).results
    assert not first.passed
    assert not first.runs
    assert second.passed


def test_recording_does_not_hold_up_the_next_example():
    """While there is room in the backlog: nothing is recorded here before every task has been called."""
    calls = []
    all_called = asyncio.Event()

    async def task(example):
        calls.append(example.id)
        if len(calls) == 20:
            all_called.set()
        return 1

    class Late(FakeRecorder):
        async def record(self, opened, run):
            await asyncio.wait_for(all_called.wait(), 30)
            return await super().record(opened, run)

    recorder = Late()
    (result,) = go(experiment(task, name="set_20"), recorder=recorder, task_concurrency=1).results
    assert result.passed
    assert len(recorder.recorded) == 20


def test_a_stop_lets_what_is_in_flight_finish_and_starts_nothing_new():
    stop = Stop()
    calls = []

    async def task(example):
        calls.append(example.id)
        if len(calls) == 2:
            stop.request()
        await asyncio.sleep(0.05)
        return 1

    recorder = FakeRecorder()
    job = go(experiment(task, name="set_50"), recorder=recorder, stop=stop, task_concurrency=2, grace_seconds=0.9)
    assert job.interrupted
    assert len(calls) == 2
    assert sorted(recorder.recorded) == ["e0", "e1"]
    assert job.results[0].not_run == 48
    assert not job.results[0].passed


def test_the_grace_period_ends():
    stop = Stop()

    async def task(example):
        stop.request()
        await asyncio.sleep(60)

    began = time.monotonic()
    job = go(experiment(task), stop=stop, grace_seconds=0.1)
    assert time.monotonic() - began < 5
    assert job.interrupted
    assert job.results[0].failure.type == "Interrupted"


def test_a_task_that_blocks_the_event_loop_cannot_hold_a_stopped_job():
    stop = Stop()
    release = threading.Event()

    async def task(example):
        stop.request()
        release.wait(60)

    began = time.monotonic()
    job = go(experiment(task, name="set_3"), stop=stop, grace_seconds=0.1)
    took = time.monotonic() - began
    release.set()
    assert took < 5
    assert job.interrupted
    assert job.results[0].not_run == 3


def test_a_job_that_is_given_up_before_phoenix_was_asked_is_red():
    """Everything ran and was recorded, and then the loop stood: nobody has seen that Phoenix has it."""
    release = threading.Event()

    class Standing(FakeRecorder):
        async def verify(self, opened, runs):
            release.wait(60)
            return []

    async def task(example):
        return 1

    recorder = Standing()
    job = go(experiment(task, name="set_2"), recorder=recorder, timeout_seconds=0.1)
    release.set()
    assert len(recorder.recorded) == 2
    assert not all(result.passed for result in job.results)
    assert "the event loop was blocked" in job.results[0].failure.message


class Gone:
    """An observer whose screen is no more."""

    def started(self, opened, run_count):
        raise BrokenPipeError

    def ran(self, opened, run):
        raise BrokenPipeError

    def recorded(self, opened, run):
        raise BrokenPipeError

    def finished(self, result):
        raise BrokenPipeError


class Watching(Quiet):
    """An observer that keeps its events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []

    def ran(self, opened, run):
        self.events.append(("ran", run.id))

    def recorded(self, opened, run):
        self.events.append(("recorded", run.id))

    def rate_limited(self, seconds):
        self.events.append(("rate limited", seconds))


def test_a_run_is_notified_when_it_ran_and_again_when_it_is_recorded():
    """A record that fails is no less an end; an earlier job's run has both at once."""

    async def task(example):
        return 1

    earlier = go(experiment(task, name="set_2")).results[0].runs[0]
    earlier = replace(earlier, evaluations=tuple(replace(one, id="a") for one in earlier.evaluations))
    observer = Watching()
    recorder = FakeRecorder(earlier={("n0", 1): earlier})
    go(experiment(task, name="set_2"), recorder=recorder, observer=observer)
    assert observer.events == [("ran", "run-e0"), ("recorded", "run-e0"), ("ran", None), ("recorded", "run-e1")]
    observer = Watching()
    failing = FakeRecorder(record_error=PhoenixRefused("no"))
    go(experiment(task, name="set_1"), recorder=failing, observer=observer)
    assert observer.events == [("ran", None), ("recorded", None)]


def test_a_screen_that_is_gone_costs_nothing(caplog):
    """Nor does it end the job: what runs has been paid for."""

    async def task(example):
        return 1

    recorder = FakeRecorder()
    experiments = [experiment(task, name=name) for name in ("a_3", "b_3")]
    job = run_engine(experiments, recorder=recorder, tracer=FakeTracer(), observer=Gone(), limits=Limits(), stop=Stop())
    assert all(result.passed for result in job.results)
    assert len(recorder.recorded) == 6
    assert [record.message for record in caplog.records if "progress" in record.message] == [
        "cannot show the progress; the job continues: BrokenPipeError()"
    ]


def test_a_defect_of_the_job_is_raised_and_what_runs_beside_it_is_cancelled():
    cancelled = threading.Event()

    async def beside():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def main():
        task = asyncio.create_task(beside())
        await asyncio.sleep(0)
        raise LookupError(task.get_name())

    thread = LoopThread(main, Clock(20))
    thread.start()
    thread.join(30)
    assert isinstance(thread.crash, LookupError)
    assert cancelled.is_set()


@pytest.mark.usefixtures("no_wait")
def test_a_call_for_which_there_is_no_thread_is_not_made(monkeypatch):
    """And is a failure of its example alone; the ones before and after it have theirs."""
    called = []
    start = threading.Thread.start

    def limited(self):
        if self.name == "evalwire-plain-function" and len(started) == 1:
            raise RuntimeError("can't start new thread")
        if self.name == "evalwire-plain-function":
            started.append(self)
        start(self)

    def task(input):
        called.append(input["n"])
        time.sleep(0.2)
        return 1

    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", limited)
    (result,) = go(experiment(task, name="set_3"), task_concurrency=2).results
    failed = [run for run in result.runs if run.failure]
    assert called == [run.example.input["n"] for run in result.runs if not run.failure] != []
    assert failed
    assert {run.failure.type for run in failed} == {"RuntimeError"}
    assert "can't start new thread" in failed[0].failure.message


def test_a_stop_while_datasets_are_fetched_ends_the_job():
    stop = Stop()

    class Hanging(FakeRecorder):
        async def open(self, experiment):
            stop.request()
            await asyncio.sleep(60)

    async def task(example):
        return 1

    began = time.monotonic()
    job = go(experiment(task), recorder=Hanging(), stop=stop, grace_seconds=0.1)
    assert time.monotonic() - began < 5
    assert job.results[0].failure.type == "Interrupted"


def test_it_works_inside_a_running_event_loop():
    async def task(example):
        return 1

    async def notebook():
        return go(experiment(task))

    assert asyncio.run(notebook()).results[0].passed


# --- blocked loops and isolation -----------------------------------------------------------------------


def test_many_short_blocks_are_told_once_for_each_experiment(caplog):
    """No single call is long, but nothing else runs while they do."""

    async def task(example):
        time.sleep(0.05)  # noqa: ASYNC251 - what is tested
        await asyncio.sleep(0)
        return 1

    line = task.__code__.co_firstlineno + 1
    ones = [replace(experiment(task, name=name), path=Path(__file__).parent) for name in ("a_40", "b_40")]
    for one in ones:
        assert all(result.passed for result in go(one).results)
    told = [message for message in caplog.messages if "blocks the event loop" in message]
    assert [message.partition(":")[0] for message in told] == ["a_40", "b_40"]
    assert all(f"{__file__}:{line} blocks" in message for message in told)
    advice = [message for message in caplog.messages if 'isolate = "thread"' in message]
    assert [message.partition(":")[0] for message in advice] == ["a_40", "b_40"]
    assert all(re.search(r"blocked the event loop for \d+ s\..* saved up to \d+ s$", message) for message in advice)


def test_a_task_that_awaits_is_not_told(caplog):
    async def task(example):
        await asyncio.sleep(0.05)
        return 1

    one = replace(experiment(task, name="a_200"), path=Path(__file__).parent)
    assert all(result.passed for result in go(one).results)
    assert not [message for message in caplog.messages if "blocks" in message]


def test_isolated_async_tasks_block_each_other_no_more():
    """Each waits for all of the others, without awaiting: on one loop none would ever go on."""
    together = threading.Barrier(5, timeout=20)

    async def task(example):
        together.wait()
        await asyncio.sleep(0)
        return example.input["n"]

    async def judge(output):
        return float(output)

    (result,) = go(isolate_experiment(experiment(task, judge)), task_concurrency=5).results
    assert [run.output for run in result.runs] == [0, 1, 2, 3, 4]
    assert result.passed


def test_an_isolated_task_is_cancelled_when_its_time_is_up():
    cancelled = threading.Event()

    async def task(example):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    (result,) = go(isolate_experiment(experiment(task, name="set_1")), timeout_seconds=0.1).results
    assert result.runs[0].failure.type == "TimeoutError"
    assert cancelled.wait(5)


# --- lanes ---------------------------------------------------------------------------------------------


def test_the_next_task_does_not_wait_for_the_evaluators_of_the_last():
    """Each evaluator waits until two further tasks have begun."""
    begun = 0
    further = threading.Condition()

    async def task(example):
        nonlocal begun
        with further:
            begun += 1
            further.notify_all()
        return begun

    def judge(output):
        with further:
            return float(further.wait_for(lambda: begun >= min(6, output + 2), timeout=20))

    (result,) = go(experiment(task, judge, name="set_6"), task_concurrency=3).results
    assert result.passed
    assert [run.evaluations[0].score for run in result.runs] == [1.0] * 6


@pytest.mark.parametrize("places", [1, 2, 5])
def test_fewer_examples_are_behind_their_tasks_than_may_be_in_them(places):
    """However slow the evaluators are; with one place, examples come strictly one after the other."""
    in_flight, most, most_late = set(), 0, 0

    async def task(example):
        nonlocal most, most_late
        in_flight.add(example.input["n"])
        most = max(most, len(in_flight))
        if example.input["n"] >= 20:
            most_late = max(most_late, len(in_flight))
        return example.input["n"]

    async def judge(output):
        await asyncio.sleep(0.01)
        in_flight.discard(output)
        return 1.0

    (result,) = go(experiment(task, judge, name="set_30"), task_concurrency=places).results
    assert result.passed
    assert places <= most <= 2 * places - 1
    assert most_late > places or places == 1, "the last examples overlap as the first do"


def test_two_experiments_share_the_places():
    """Neither waits until the other is through."""
    ran: list[str] = []

    def named(name):
        async def task(example):
            ran.append(name)
            await asyncio.sleep(0.001)
            return 1

        return experiment(task, name=name)

    job = go(named("a_40"), named("b_40"), concurrency=2, task_concurrency=4)
    assert all(result.passed for result in job.results)
    assert {"a_40", "b_40"} <= set(ran[:40]), "b began before a had ended"
    assert {"a_40", "b_40"} <= set(ran[40:])


# --- retries of user code ------------------------------------------------------------------------------


class RateLimited(Exception):
    status_code = 429


@pytest.fixture
def no_wait(monkeypatch):
    monkeypatch.setattr("evalwire.engine.call_retries._FIRST_WAIT", 0.001)


@pytest.mark.parametrize("error", [RateLimited("slow down"), TimeoutError(), ConnectionResetError()])
@pytest.mark.usefixtures("no_wait")
def test_errors_that_are_worth_it_are_retried_as_often_as_asked(error):
    calls = []

    async def task(example):
        calls.append(example.id)
        if len(calls) < 3:
            raise error
        return 1

    (result,) = go(experiment(task, name="set_1"), retries=2).results
    assert result.passed
    assert len(calls) == result.runs[0].attempts == 3


@pytest.mark.parametrize(
    ("error", "limits", "calls"),
    [
        (ValueError("the model said nothing"), {"retries": 3}, 1),
        (RateLimited(), {}, 1),
        (RateLimited(), {"retries": 0, "task_concurrency": "auto"}, 1),
        (RateLimited(), {"retries": 1}, 2),
        (RateLimited(), {"task_concurrency": "auto"}, 6),
        (TimeoutError(), {"task_concurrency": "auto"}, 1),
        (ValueError(), {"retries": 1, "retry_on": ["builtins.ValueError"]}, 2),
    ],
)
@pytest.mark.usefixtures("no_wait")
def test_a_call_is_made_no_more_often_than_its_retries_allow(error, limits, calls):
    made = 0

    def task(input):
        nonlocal made
        made += 1
        raise error

    (result,) = go(experiment(task, name="set_1"), **limits).results
    assert made == calls == result.runs[0].attempts
    assert result.runs[0].failure.type == type(error).__name__


@pytest.mark.usefixtures("no_wait")
def test_a_wait_for_a_rate_limit_is_notified_with_its_seconds():
    """The pause that the provider asked for, and the wait of the call; another error has none."""
    limited = RateLimited()
    limited.response = SimpleNamespace(headers={"retry-after-ms": "20"})  # type: ignore[attr-defined] - as clients have
    errors = [limited, RateLimited(), ConnectionResetError()]

    async def task(example):
        if errors:
            raise errors.pop(0)
        return 1

    observer = Watching()
    assert go(experiment(task, name="set_1"), observer=observer, retries=3).results[0].passed
    pause, *waits = [seconds for event, seconds in observer.events if event == "rate limited"]
    assert 0 < pause <= 0.02
    assert [0.02 <= wait <= 0.025 for wait in waits] == [True, False]
    assert 0 < waits[1] <= 0.0025


def test_each_wait_is_twice_the_last_up_to_the_longest(monkeypatch):
    monkeypatch.setattr("evalwire.engine.call_retries._FIRST_WAIT", 0.001)
    monkeypatch.setattr("evalwire.engine.call_retries._LONGEST_WAIT", 0.006)
    observer = Watching()

    async def task(example):
        raise RateLimited

    go(experiment(task, name="set_1"), observer=observer, retries=5)
    waits = [seconds for event, seconds in observer.events if event == "rate limited"]
    least = [0.001, 0.002, 0.004, 0.006, 0.006]
    assert [low <= wait <= 1.25 * low for low, wait in zip(least, waits, strict=True)] == [True] * 5


@pytest.mark.usefixtures("no_wait")
def test_a_provider_may_ask_to_wait_for_the_longest_time_and_no_longer(monkeypatch):
    monkeypatch.setattr("evalwire.engine.call_retries._LONGEST_ASKED", 0.02)
    limited = RateLimited()

    def passes(milliseconds):
        limited.response = SimpleNamespace(headers={"retry-after-ms": milliseconds})  # type: ignore[attr-defined]
        errors = [limited]

        async def task(example):
            if errors:
                raise errors.pop()
            return 1

        return go(experiment(task, name="set_1"), retries=1).results[0].passed

    assert [passes(milliseconds) for milliseconds in ("20", "21")] == [True, False]


@pytest.mark.usefixtures("no_wait")
def test_an_evaluator_is_retried_by_itself():
    made = {"task": 0, "judge": 0}

    async def task(example):
        made["task"] += 1
        return 1

    async def judge(output):
        made["judge"] += 1
        if made["judge"] == 1:
            raise RateLimited
        return 1.0

    (result,) = go(experiment(task, judge, name="set_1"), retries=1).results
    assert result.passed
    assert made == {"task": 1, "judge": 2}
    assert result.runs[0].evaluations[0].attempts == 2


def test_a_job_that_ends_does_not_wait_for_a_retry(monkeypatch):
    monkeypatch.setattr("evalwire.engine.call_retries._FIRST_WAIT", 60)
    stop = Stop()

    async def task(example):
        stop.request()
        raise RateLimited

    began = time.monotonic()
    job = go(experiment(task, name="set_1"), retries=5, stop=stop)
    assert job.interrupted
    assert time.monotonic() - began < 30
    assert job.results[0].runs[0].attempts == 1


@pytest.mark.usefixtures("no_wait")
def test_auto_concurrency_finds_what_the_provider_bears():
    running = peak = limited = 0

    async def task(example):
        nonlocal running, peak, limited
        if running >= 25:
            limited += 1
            raise RateLimited
        running += 1
        peak = max(peak, running)
        await asyncio.sleep(0.01)
        running -= 1
        return 1

    (result,) = go(experiment(task, name="set_600"), task_concurrency="auto", retries=20).results
    assert result.passed, "the waits are shorter than the calls, so three retries might not be enough"
    assert peak > 15, "it climbed from 10"
    assert 0 < limited < 200


# --- repetitions ---------------------------------------------------------------------------------------


def test_each_example_is_run_as_often_as_asked():
    calls = []

    async def task(example):
        calls.append(example.id)
        return len(calls)

    (result,) = go(experiment(task, name="set_3"), recorder=FakeRecorder(repetitions=4)).results
    assert [(run.example.id, run.repetition) for run in result.runs] == [
        (f"e{n}", repetition) for n in range(3) for repetition in (1, 2, 3, 4)
    ]
    assert result.passed
    assert len(calls) == 12


def test_a_repetition_that_is_missing_is_red():
    stop = Stop()

    async def task(example):
        if example.input["n"] == 2:
            stop.request()
        return 1

    recorder = FakeRecorder(repetitions=4)
    (result,) = go(experiment(task, name="set_5"), recorder=recorder, stop=stop, task_concurrency=1).results
    assert not result.passed
    assert result.not_run == 20 - len(result.runs) > 0


# --- a job that is plainly broken ----------------------------------------------------------------------


@pytest.mark.parametrize(("most", "failures"), [(1, 1), (3, 3), (0.05, 5), (0.5, 50)])
def test_too_many_failures_end_the_job(most, failures):
    async def task(example):
        raise KeyError(example.id)

    (result,) = go(experiment(task, name="set_100"), task_concurrency=1, max_failures=most).results
    assert not result.passed
    assert len(result.failed_runs) == failures
    assert result.not_run == 100 - failures
    assert result.failure.type == "TooManyFailures"
    assert f"after {failures} failures" in result.failure.message


def test_what_is_in_flight_is_finished_and_recorded_when_a_job_is_given_up():
    recorder = FakeRecorder()
    begun, failed = [], asyncio.Event()

    async def task(example):
        begun.append(example)
        if len(begun) == 5:
            failed.set()
        await failed.wait()
        if example.input["n"] == 0:
            raise ValueError
        await asyncio.sleep(0.05)
        return 1

    (result,) = go(experiment(task, name="set_50"), recorder=recorder, task_concurrency=5, max_failures=1).results
    assert len(result.runs) == len(recorder.recorded) == 5


def test_further_experiments_are_not_begun_after_too_many_failures():
    async def bad(example):
        raise ValueError

    async def good(example):
        raise AssertionError("never called")

    job = go(experiment(bad, name="a_9"), experiment(good, name="b_9"), max_failures=1, task_concurrency=1)
    assert [len(result.runs) for result in job.results] == [1, 0]
    assert not job.results[1].passed
    assert not job.interrupted


def test_a_failing_evaluator_counts_and_a_few_failures_do_not_end_the_job():
    async def task(example):
        return example.input["n"]

    def judge(output):
        return 1 / output

    (result,) = go(experiment(task, judge, name="set_10"), max_failures=2).results
    assert len(result.runs) == 10
    assert len(result.failed_runs) == 1


# --- journal, resume, verification ---------------------------------------------------------------------


def test_what_was_paid_for_is_noted_before_it_is_recorded():
    recorder = FakeRecorder(record_error=PhoenixUnreachable("gone"))

    async def task(example):
        return example.id

    go(experiment(task, name="set_1"), recorder=recorder)
    assert recorder.noted == ["e0 returned e0", "e0 judged by always"]


def earlier_run(n: int, *, id_: str | None = "run", evaluations: tuple[Evaluation, ...] = (), **fields: Any) -> TaskRun:
    example = Example(id=f"e{n}", node_id=f"n{n}", input={"n": n}, output={"expected_output": n}, metadata={})
    values = {"output": "earlier", "failure": None, **fields}
    return TaskRun(example=example, start_time=NOW, end_time=NOW, id=id_, evaluations=evaluations, **values)


def said(id_: str | None = "evaluation") -> Evaluation:
    return Evaluation(name="always", evaluator="always", score=0.25, start_time=NOW, end_time=NOW, id=id_)


def test_a_resumed_job_runs_judges_and_records_what_is_missing_only():
    calls, judged = [], []

    async def task(example):
        calls.append(example.id)
        return "new"

    def always(output):
        judged.append(output)
        return 1.0

    failed = Failure(kind="user", stage="task", type="KeyError", message="q")
    recorder = FakeRecorder(
        earlier={
            ("n0", 1): earlier_run(0, evaluations=(said(),)),  # complete
            ("n1", 1): earlier_run(1, id_=None, evaluations=(said(None),)),  # not recorded
            ("n2", 1): earlier_run(2),  # not judged
            ("n3", 1): earlier_run(3, output=None, failure=failed),  # failed, and recorded
        }
    )
    (result,) = go(experiment(task, always, name="set_5"), recorder=recorder).results
    assert calls == ["e4"]
    assert sorted(judged) == ["earlier", "new"]
    assert sorted(recorder.recorded) == ["e1", "e2", "e4"]
    assert [run.output for run in result.runs] == ["earlier", "earlier", "earlier", None, "new"]
    assert [run.evaluations[0].score for run in result.runs if run.evaluations] == [0.25, 0.25, 1.0, 1.0]
    assert not result.passed
    assert len(result.failed_runs) == 1


def test_what_phoenix_does_not_have_at_the_end_is_red():
    recorder = FakeRecorder(missing=["missing runs: 1 (example e3)"])

    async def task(example):
        return 1

    (result,) = go(experiment(task), recorder=recorder).results
    assert not result.passed
    assert result.failure.type == "RecordsMissing"
    assert "example e3" in result.failure.message


def test_a_verification_that_fails_is_red():
    class Recorder(FakeRecorder):
        async def verify(self, opened, runs):
            raise PhoenixUnreachable("gone at the end")

    async def task(example):
        return 1

    (result,) = go(experiment(task), recorder=Recorder()).results
    assert not result.passed
    assert result.failure.type == "PhoenixUnreachable"


# --- experiments whose first runs all fail --------------------------------------------------------------


def alike(n):
    raise KeyError(n)


def at_another_line(n):
    if n == 4:
        raise KeyError(n)
    raise KeyError(n)


def of_another_type(n):
    raise (KeyError if n else ValueError)(n)


def but_one(n):
    if n != 4:
        raise KeyError(n)


@pytest.mark.parametrize("is_evaluator", [False, True])
@pytest.mark.parametrize(
    ("fail", "is_stopped"), [(alike, True), (at_another_line, False), (of_another_type, False), (but_one, False)]
)
def test_an_experiment_whose_first_ten_runs_fail_alike_is_stopped(fail, is_stopped, is_evaluator, caplog):
    """The others run to their end; where it is not asked for, so does this one."""

    async def task(example):
        if example.input["n"] in (9, 10):  # the last two of ten let the others end, which may be on threads
            await asyncio.sleep(0.2)
        if not is_evaluator:
            fail(example.input["n"])
        return example.input["n"]

    def judge(output):
        fail(output)
        return 1.0

    async def good(example):
        return 1

    ones = [experiment(task, *([judge] if is_evaluator else []), name="a_40"), experiment(good, name="b_12")]
    ones = [replace(one, path=Path(__file__).parent / "a") for one in ones]
    results = go(*ones, task_concurrency=2, stop_failing={"a_40", "b_12"}).results
    assert results[1].passed
    assert (results[0].failure is not None) is is_stopped
    assert (results[0].not_run > 20) is is_stopped
    if is_stopped:
        line = alike.__code__.co_firstlineno + 1
        assert results[0].failure.type == "TooManyFailures"
        message = (
            f"the first 10 runs all failed with KeyError at engine/test_engine.py:{line}; no further runs were started"
        )
        assert results[0].failure.message == message
        assert caplog.messages == [f"a_40: {message}"]
        assert go(ones[0], task_concurrency=2).results[0].not_run == 0


def test_runs_of_an_earlier_job_say_nothing_of_this_one():
    """Nor does a failure of the last runs: nothing is left to be started."""

    async def task(example):
        raise KeyError

    (result,) = go(experiment(task, name="set_10"), stop_failing={"set_10"}).results
    assert result.failure is None
    assert len(result.runs) == 10


# --- what is not retried -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "limits", "said"),
    [
        (400, {}, {"retries": 2}, "no; not retried: HTTP 400"),
        (400, {}, {}, "no"),
        (429, {"retry-after": "3600"}, {"retries": 2}, "no; not retried: the provider asked to wait 3600 s"),
    ],
)
def test_what_is_not_retried_is_said(status, headers, limits, said):
    class Refused(Exception):
        status_code = status

    async def task(example):
        refused = Refused("no")
        refused.headers = headers
        raise refused

    (result,) = go(experiment(task, name="set_1"), **limits).results
    assert result.runs[0].failure.message == said
    assert result.runs[0].attempts == 1


# --- clocks --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("set_clock", [freezegun.freeze_time, time_machine.travel])
@pytest.mark.parametrize("is_async", [True, False])
def test_clocks_that_user_code_sets_change_nothing(set_clock, is_async):
    """A task that is frozen in time still ends, in its own time, and within its limit."""

    async def as_coroutine(example):
        await asyncio.sleep(0.02 if example.input["n"] else 60)
        return 1

    def as_function(input):
        time.sleep(0.02)
        return 1

    began = clocks.now()
    with set_clock("2001-02-03"):
        job = go(experiment(as_coroutine if is_async else as_function, name="set_3"), timeout_seconds=0.3)
    took = (clocks.now() - began).total_seconds()
    runs = job.results[0].runs
    assert [run.failure is None for run in runs] == [not is_async, True, True]
    assert all(began <= run.start_time < run.end_time for run in runs)
    assert all(0.01 < run.seconds < 1 for run in runs)
    assert 0 < job.results[0].seconds <= took


# --- outputs that cannot be recorded -------------------------------------------------------------------


def test_what_cannot_be_recorded_is_in_the_journal_all_the_same(tmp_path):
    """Without a JSON form, or after the time was up: it was paid for."""

    class Client:
        def __repr__(self):
            return "of a library"

    outputs = [{"answer": "paid", "by": Client()}, {"answer": "paid", "n": 2**64}, ["late"], {"answer": "recorded"}]

    async def task(example):
        if example.input["n"] == 2:
            threading.Event().wait(0.15)
        return outputs[example.input["n"]]

    with contextlib.closing(Journal.create(tmp_path, now=NOW)) as journal:

        class Recorder(FakeRecorder):
            def returned(self, opened, run):
                journal.returned(opened, run)

        (result,) = go(experiment(task, name="set_4"), recorder=Recorder(), timeout_seconds=0.1).results
    lines = [json.loads(line) for line in journal.path.read_text().splitlines()]
    found = {line["example"]: (line["output"], line["lossy_output"]) for line in lines}
    assert found == {
        "n0": (None, {"answer": "paid", "by": "<Client: of a library>"}),
        "n1": (None, {"answer": "paid", "n": f"<int: {2**64}>"}),
        "n2": (None, ["late"]),
        "n3": ({"answer": "recorded"}, None),
    }
    assert [run.failure is None for run in result.runs] == [False, False, False, True]
