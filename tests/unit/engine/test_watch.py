"""The watch over the event loop: whom it warns of, at which line, and when it gives up the loop."""

from __future__ import annotations

import collections
import gc
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from evalwire.engine import event_loop
from evalwire.engine.event_loop import LoopThread, Watch, _frame_of
from evalwire.usercode import leave_fork

ROOT = Path("/project")
HANDLE = event_loop._HANDLE_RUN


def frame(file: str, line: int = 1, code: Any = None) -> Any:
    return SimpleNamespace(f_code=code or SimpleNamespace(co_filename=file), f_lineno=line, f_back=None)


STEP = frame("events.py", code=HANDLE)
OTHER_STEP = frame("events.py", code=HANDLE)
LIBRARY = frame("/usr/lib/json.py", 7)
TASK = frame("/project/experiments/a/task.py", 3)
HELPER = frame("/project/helper.py", 5)
NEIGHBOUR = frame("/project/experiments/ab/task.py", 9)
IDLE = [frame("/usr/lib/selectors.py", 4)]


class Looks:
    """A watch over two experiments with a clock and frames of the test's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.beats = 100.0, 0
        self.thread = SimpleNamespace(ident=None, broken="")
        self.clock = SimpleNamespace(now=lambda: self.at, beat=self._beat, turn_began=None, limit_seconds=3.0)
        self.frames: list[Any] = []
        ones = [self._experiment(name) for name in ("a", "b")]
        self.watch = Watch(self.thread, ones, clock=self.clock)  # type: ignore[arg-type]
        monkeypatch.setattr(self.watch, "_frames", lambda: iter(self.frames))

    def _experiment(self, name: str) -> Any:
        return SimpleNamespace(name=name, path=ROOT / "experiments" / name, import_root=ROOT)

    def _beat(self) -> None:
        self.beats += 1

    def look(self, *frames: Any, times: int = 1, seconds: float = 0.1, is_in_turn: bool = False) -> None:
        self.frames, self.clock.turn_began = list(frames), 1.0 if is_in_turn else None
        for _ in range(times):
            self.at += seconds
            self.watch.look()


@pytest.fixture
def looks(monkeypatch):
    return Looks(monkeypatch)


def test_ten_of_twenty_looks_that_find_an_experiment_are_a_warning_of_it(looks, caplog):
    """Once; of the innermost line in the project, whatever library it called."""
    looks.look(LIBRARY, HELPER, TASK, STEP, times=9)
    looks.look(*IDLE, times=10)
    assert caplog.messages == []
    looks.look(LIBRARY, HELPER, TASK, STEP)
    (said,) = caplog.messages
    assert said == (
        "a: /project/helper.py:5 blocks the event loop, so no other example can run (this time does not count for them). "
        "Await an async call there, or make the function a plain `def`, which runs on a thread"
    )
    looks.look(TASK, times=30)
    assert len(caplog.messages) == 1
    looks.look(frame("/project/experiments/b/task.py", 8), times=10)
    assert [each[:35] for each in caplog.messages[1:]] == ["b: /project/experiments/b/task.py:8"]
    assert looks.beats == 61


def test_looks_are_forgotten_and_other_code_is_nobodys(looks, caplog):
    looks.look(TASK, times=9)
    looks.look(*IDLE, times=12)
    looks.look(TASK, times=9)
    looks.look(NEIGHBOUR, times=20)
    looks.look(HELPER, times=20)
    looks.look(times=20)
    looks.watch.advise(10)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("looked", "in_flight", "said"),
    [
        (40, 4, ("4 s.", "3 s")),
        (40, 2, ("4 s.", "2 s")),
        (40, 1, None),
        (40, 0, None),
        (20, 2, ("2 s.", "1 s")),
        (19, 2, None),
    ],
)
def test_the_advice_has_the_time_that_threads_would_have_saved(looks, caplog, looked, in_flight, said):
    looks.look(*IDLE, seconds=50)
    looks.look(TASK, times=looked // 2, seconds=0.1001)
    looks.look(*IDLE, seconds=50)
    looks.look(TASK, times=looked - looked // 2, seconds=0.1001)
    looks.watch.advise(in_flight)
    advice = caplog.messages[1:]
    if said is None:
        assert advice == []
        return
    (text,) = advice
    blocked, saved = said
    assert text.startswith(f'a: async code blocked the event loop for {blocked} Set isolate = "thread" under [experim')
    assert "[experiments.a]" in text
    assert text.endswith(f" {saved}")


def test_a_step_that_exceeds_the_limit_of_a_call_gives_up_the_loop(looks):
    """Which has a second more, as a call that is cancelled."""
    looks.look(*IDLE, seconds=50)
    looks.look(LIBRARY, TASK, STEP, is_in_turn=True, seconds=50)
    looks.look(LIBRARY, TASK, STEP, is_in_turn=True, seconds=3.9)
    assert looks.thread.broken == ""
    looks.look(LIBRARY, TASK, STEP, is_in_turn=True, seconds=0.2)
    assert looks.thread.broken == (
        "the event loop was blocked for 4 s at /project/experiments/a/task.py:3, longer than the time limit of a call"
    )


@pytest.mark.parametrize(
    ("between", "is_in_turn"), [((TASK, OTHER_STEP), True), ((TASK, STEP), False), ((TASK,), True), ((), True)]
)
def test_steps_that_follow_each_other_are_no_block(looks, between, is_in_turn):
    looks.look(TASK, STEP, is_in_turn=True)
    looks.look(TASK, STEP, is_in_turn=True, seconds=3)
    looks.look(*between, is_in_turn=is_in_turn)
    looks.look(TASK, STEP, is_in_turn=True, seconds=3)
    looks.look(TASK, STEP, is_in_turn=True, seconds=3)
    looks.look(*IDLE, is_in_turn=True, times=50)
    assert looks.thread.broken == ""


def test_a_loop_in_a_loop_is_one_step(looks):
    """A notebook's trick runs one loop inside a step of another: the outermost step decides."""
    looks.look(TASK, STEP, OTHER_STEP, is_in_turn=True)
    for _ in range(5):
        looks.look(TASK, frame("events.py", code=HANDLE), OTHER_STEP, is_in_turn=True)
        looks.at += 1
    assert looks.thread.broken.startswith("the event loop was blocked for 4 s")


@pytest.mark.parametrize(
    ("frames", "line"),
    [((), "an unknown line"), ((LIBRARY, STEP), "/usr/lib/json.py:7"), ((LIBRARY, HELPER), "/project/helper.py:5")],
)
def test_a_line_outside_the_project_is_the_innermost(looks, frames, line):
    assert looks.watch._line(frames) == line


def test_the_frames_of_a_thread_are_from_the_innermost_on():
    watch = Watch(SimpleNamespace(ident=threading.get_ident()), [], clock=SimpleNamespace(now=float, beat=list))  # type: ignore[arg-type]
    names = [each.f_code.co_name for each in watch._frames()]
    own = names.index("test_the_frames_of_a_thread_are_from_the_innermost_on")
    assert own < names.index("pytest_pyfunc_call")
    assert "<module>" in names[own:]


@pytest.mark.parametrize("collects", [True, False])
def test_a_look_leaves_the_garbage_collection_as_it_was(collects):
    (gc.enable if collects else gc.disable)()
    try:
        assert _frame_of(threading.get_ident()) is not None
        assert _frame_of(None) is None
        assert gc.isenabled() is collects
    finally:
        gc.enable()


# --- forks ---------------------------------------------------------------------------------------------


class Loop:
    def __init__(self) -> None:
        self._ready = collections.deque(["first", "second"])

    def call_soon(self, callback: Any) -> None:
        self._ready.append(callback)


class OtherLoop(Loop):
    def __init__(self) -> None:
        self.soon: list[Any] = []

    def call_soon(self, callback: Any) -> None:
        self.soon.append(callback)


def loop_thread(loop: Any, *, is_here: bool) -> LoopThread:
    thread = LoopThread(lambda: None, None)  # type: ignore[arg-type, return-value]
    thread._loop = loop
    thread._ident = threading.get_ident() if is_here else -1  # type: ignore[attr-defined]
    return thread


def test_a_process_that_user_code_forked_on_the_loop_ends_before_its_next_step():
    loop, other = Loop(), OtherLoop()
    loop_thread(loop, is_here=True).leave_fork()
    loop_thread(other, is_here=True).leave_fork()
    loop_thread(None, is_here=True).leave_fork()
    assert list(loop._ready) == [leave_fork, "first", "second"]
    assert other.soon == [leave_fork]


def test_a_process_that_was_forked_on_another_thread_has_no_loop_to_leave():
    loop = Loop()
    loop_thread(loop, is_here=False).leave_fork()
    assert list(loop._ready) == ["first", "second"]
