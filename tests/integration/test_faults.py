"""Phoenix at its worst: whatever it does, nothing is lost, nothing is there twice, nothing is falsely green."""

from __future__ import annotations

import io
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from faults import Fault, FaultyPhoenix, Kind, Schedule, kind_of
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st
from losses import TALLY, Comparison, Held, Told, compare
from nightly import mostly_nightly

from evalwire.cli.commands.resume import resume
from evalwire.cli.commands.run import run
from evalwire.cli.invocation import Invocation
from evalwire.engine import call_retries as attempts
from evalwire.errors import PhoenixError
from evalwire.jobs import Console
from evalwire.masking import Mask
from evalwire.model import to_json
from evalwire.model.metadata import CREATION_KEY
from evalwire.model.run import TaskRun
from evalwire.phoenix.connection import connect
from evalwire.phoenix.request_retries import retry
from evalwire.phoenix.retry_policy import RetryPolicy
from evalwire.phoenix.server import Phoenix
from evalwire.settings import load_settings

pytestmark = pytest.mark.needs_phoenix

LONGEST_SECONDS = 60.0  # for a run and its resume; a retry policy that has run wild takes far longer

TASK = """
import asyncio
import collections
import json
import pathlib
import uuid

calls = collections.Counter()

async def task(example):
    calls[example.node_id] += 1
    raises = example.metadata["raises"]
    fails = raises < 0 or calls[example.node_id] <= raises
    output = None if fails else {{"value": uuid.uuid4().hex, "of": example.node_id}}
    with pathlib.Path({calls!r}).open("a") as file:
        file.write(json.dumps({{"example": example.node_id, "output": output}}) + "\\n")
    await asyncio.sleep({seconds})
    if fails:
        raise TimeoutError("the model took too long")
    return output
"""

# The score is made of the output alone: one that was attached to another's output shows.
FIRST = "def first(output):\n    return int(output['value'][:8], 16) / 16**8\n"
LAST = "async def last(output):\n    return int(output['value'][-8:], 16) / 16**8, 'a label', 'é' * 20\n"


def nap(seconds: float) -> None:
    """The wait between two tries, shortened: also what `Retry-After` asks for."""
    time.sleep(min(seconds, 0.01))


FETCH = RetryPolicy(attempts=5, total_seconds=20, first_wait_seconds=0.01, sleep=nap)
PATIENT = RetryPolicy(attempts=None, total_seconds=20, first_wait_seconds=0.01, longest_wait_seconds=0.05, sleep=nap)


@dataclass
class Ended:
    """How a command ended."""

    code: int
    report: dict[str, Any]
    out: str
    err: str
    seconds: float


@dataclass
class Seat:
    """A project with one experiment, whose commands run in this process, so that a run takes a fraction of a second.

    Attributes:
        fates: of each example: how many first calls of its task raise; -1 for all of them.
    """

    folder: Path
    upstream: str
    client: Any
    name: str
    fates: tuple[int, ...] = (0, 0, 0, 0)
    repetitions: int = 1
    retries: int = 0
    task_concurrency: int = 4
    connections: int = 4
    seconds: float = 0.0
    dataset_id: str = ""
    examples: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = self.client.datasets.create_dataset(
            name=self.name,
            examples=[
                {"input": {"q": f"question é {n}"}, "output": {"a": n}, "metadata": {"raises": raises}}
                for n, raises in enumerate(self.fates)
            ],
            timeout=60,
        )
        self.dataset_id = made.id
        self.examples = [example.get("node_id") or example["id"] for example in made.examples]
        home = self.folder / "experiments" / self.name
        home.mkdir(parents=True)
        (home / "task.py").write_text(TASK.format(calls=str(self.calls_file), seconds=self.seconds))
        (home / "first.py").write_text(FIRST)
        (home / "last.py").write_text(LAST)

    @property
    def calls_file(self) -> Path:
        return self.folder / "calls.jsonl"

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Each call of the task so far."""
        if not self.calls_file.exists():
            return []
        return [json.loads(line) for line in self.calls_file.read_text().splitlines()]

    @property
    def journal(self) -> Path:
        (path,) = (self.folder / "report").glob("journal_*.jsonl")
        return path

    @property
    def told(self) -> Told:
        return Told.read(self.journal)

    def run(self, url: str, *, fetch: RetryPolicy = FETCH, record: RetryPolicy = PATIENT, **flags: Any) -> Ended:
        return self._command(run, url, fetch, record, flags)

    def resume(self, url: str | None = None, **flags: Any) -> Ended:
        return self._command(resume, url or self.upstream, FETCH, PATIENT, flags)

    def _command(self, command: Any, url: str, fetch: RetryPolicy, record: RetryPolicy, flags: Any) -> Ended:
        flags = {
            "experiments": self.folder / "experiments",
            "report_dir": self.folder / "report",
            "retries": self.retries,
            "repetitions": self.repetitions,
            "task_concurrency": str(self.task_concurrency),
            **flags,
        }
        out, err = io.StringIO(), io.StringIO()
        invocation = Invocation(
            settings=load_settings(flags, {"EVALWIRE_RECORD_CONNECTIONS": str(self.connections)}),
            environ={},
            console=Console(out=out, err=err, mask=Mask()),
            connect=lambda _: Phoenix(connect(base_url=url), fetch=fetch, record=record),
        )
        calls, began = len(self.calls), time.monotonic()
        code = command(invocation)
        seconds = time.monotonic() - began
        report = json.loads((self.folder / "report/results.json").read_text())
        TALLY.add(runs=1, calls=len(self.calls) - calls)
        return Ended(code, report, out.getvalue(), err.getvalue(), seconds)

    def compare(self) -> Comparison:
        """The journal against what Phoenix holds."""
        held = Held(self.upstream)
        try:
            told = self.told
            found = compare(held, self.dataset_id, told)
        finally:
            held.close()
        TALLY.add(compared=len(told.runs) + sum(map(len, told.scores.values())), twice=len(found.twice))
        return found

    def check_delivered(self) -> None:
        """Law: all that the journal has is there, once, as it is, in one experiment."""
        found = self.compare()
        TALLY.add(lost=len(found.missing) + len(found.wrong))
        assert found.is_whole, found
        assert len(self.told.runs) == len(self.fates) * self.repetitions
        for place, run_ in self.told.runs.items():
            assert set(self.told.scores.get(place, {})) == (set() if run_["failure"] else {"first", "last"})

    def check_journal(self) -> None:
        """Law: every output that a task returned is in the journal."""
        returned = [call["output"]["value"] for call in self.calls if call["output"]]
        told = {output["value"] for output in self.told.outputs if output}
        lost = [value for value in returned if value not in told]
        TALLY.add(lost=len(lost))
        assert not lost

    def check_calls(self) -> None:
        """Law: no task is called more often than its retries allow."""
        calls = Counter(call["example"] for call in self.calls)
        most = self.repetitions * (1 + self.retries)
        assert all(number <= most for number in calls.values()), calls


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    """The waits between calls of a task are another test's subject."""
    monkeypatch.setattr(attempts, "_FIRST_WAIT", 0.01)


@pytest.fixture
def seat(tmp_path_factory, phoenix_url, client) -> Any:
    """Makes seats: `seat(fates=(0, 0), repetitions=2)`."""

    def make(**features: Any) -> Seat:
        folder = tmp_path_factory.mktemp("seat")
        return Seat(
            folder=folder,
            upstream=phoenix_url,
            client=client,
            name=f"f_{folder.name}_{os.urandom(4).hex()}",
            **features,
        )

    return make


@pytest.fixture
def proxy(phoenix_url) -> Iterator[FaultyPhoenix]:
    with FaultyPhoenix(phoenix_url).serving() as running:
        yield running
    TALLY.add(injected=running.injected)


# --- schedules of faults -------------------------------------------------------------------------------

HTML = b"<!doctype html><html><body>one moment please</body></html>"

# What passes by itself: a request that is repeated often enough gets through.
PASSING = {
    "503": Fault(status=503),
    "502": Fault(status=502, headers={"content-type": "text/html"}, body=b"<html>502 Bad Gateway</html>"),
    "429": Fault(status=429, headers={"Retry-After": "1"}),
    "429 for long": Fault(status=429, headers={"Retry-After": "5"}),
    "HTML": Fault(status=200, headers={"content-type": "text/html"}, body=HTML),
    "reset": Fault(reset=True),
    "half": Fault(cut="close"),
    "cut": Fault(cut="reset"),
    "truncated": Fault(truncated=True),
    "delay": Fault(delay_seconds=0.15),
}
# The server did as it was asked, and nobody learns of it.
AFTER_COMMIT = {
    "lost": Fault(reset=True, after_commit=True),
    "half after commit": Fault(cut="close", after_commit=True),
    "cut after commit": Fault(cut="reset", after_commit=True),
    "truncated after commit": Fault(truncated=True, after_commit=True),
    "503 after commit": Fault(status=503, after_commit=True),
    "HTML after commit": Fault(status=200, body=HTML, after_commit=True),
}
LATE = {"late": Fault(late_seconds=0.05)}
ERRORS = {"500": Fault(status=500), "500 after commit": Fault(status=500, after_commit=True)}
FAULTS = {**PASSING, **AFTER_COMMIT, **LATE, **ERRORS}

READ = st.sampled_from([*PASSING.values(), ERRORS["500"]])
WRITE = st.sampled_from([*PASSING.values(), *AFTER_COMMIT.values(), *LATE.values(), *ERRORS.values()])
CREATE = st.sampled_from([*PASSING.values(), *AFTER_COMMIT.values(), *ERRORS.values()])


def sequence(faults: st.SearchStrategy[Fault], most: int) -> st.SearchStrategy[list[Fault | None]]:
    """Faults with requests that pass between them."""
    return st.lists(st.one_of(faults, faults, st.none()), max_size=most)


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """A project and the faults that it meets."""
    kinds: dict[Kind, list[Fault | None]] = {
        "connect": draw(st.lists(st.sampled_from([Fault(refuse=True), None]), max_size=4)),
        "dataset": draw(sequence(READ, 3)),
        "create": draw(sequence(CREATE, 3)),
        "runs": draw(sequence(WRITE, 10)),
        "evaluations": draw(sequence(WRITE, 10)),
        "spans": draw(sequence(st.sampled_from([PASSING["503"], PASSING["reset"], AFTER_COMMIT["lost"]]), 1)),
        "others": draw(sequence(READ, 3)),
    }
    return {
        "faults": kinds,
        "fates": tuple(draw(st.lists(st.sampled_from([0, 0, 0, 0, 1, -1]), min_size=1, max_size=8))),
        "repetitions": draw(st.integers(1, 2)),
        "retries": draw(st.integers(0, 2)),
        "task_concurrency": draw(st.integers(1, 8)),
        "connections": draw(st.integers(1, 4)),
        "tries": draw(st.sampled_from([None, None, None, 2, 4])),
        "keep_alive": draw(st.booleans()),
    }


def names(faults: dict[Kind, list[Fault | None]]) -> dict[str, list[str]]:
    """For people."""
    known = {id(fault): name for name, fault in FAULTS.items()}
    return {
        kind: ["-" if one is None else known.get(id(one), one.name) for one in sequence_]
        for kind, sequence_ in faults.items()
        if sequence_
    }


def must_pass(world: dict[str, Any]) -> bool:
    """Whether every request is sure to get through within its tries, and no task fails for good."""
    if any(raises < 0 or raises > world["retries"] for raises in world["fates"]):
        return False
    faults = {kind: [one for one in sequence_ if one] for kind, sequence_ in world["faults"].items()}
    at_opening = sum(len(faults[kind]) for kind in ("connect", "dataset", "create", "others"))
    errors = sum(one.status == 500 for sequence_ in faults.values() for one in sequence_)
    return world["tries"] is None and at_opening < 5 and errors < 3


def live_through(world: dict[str, Any], seat: Any, url: str) -> None:
    """Run a project among faults, hold it to the laws, resume it without faults, hold it to them again."""
    faults = world["faults"]
    note(f"{names(faults)}")
    its = seat(**{key: world[key] for key in ("fates", "repetitions", "retries", "task_concurrency", "connections")})
    keep_alive = world["keep_alive"] and not faults["connect"]
    record = PATIENT if world["tries"] is None else replace(PATIENT, attempts=world["tries"])
    with FaultyPhoenix(url, Schedule(faults), keep_alive=keep_alive).serving() as proxy:
        ended = its.run(proxy.url, record=record)
        proxy.settle()
    TALLY.add(injected=proxy.injected)
    note(ended.out + ended.err)
    fails = any(raises < 0 or raises > world["retries"] for raises in world["fates"])
    event(f"exit code {ended.code}")
    assert ended.seconds < LONGEST_SECONDS
    assert ended.report["exit_code"] == ended.code == its.told.end["exit_code"]
    assert (ended.report["outcome"] == "passed") == (ended.code == 0)
    its.check_calls()
    its.check_journal()
    found = its.compare()
    assert not found.twice
    assert not found.wrong
    assert not found.foreign
    assert found.experiments <= 1
    if ended.code == 0:
        its.check_delivered()
        assert not fails
        return
    if must_pass(world):
        raise AssertionError(f"nothing was worth giving up: {ended.out}")
    if not fails:
        assert ended.report["outcome"] == "infrastructure"
    journaled = its.told.runs
    calls = Counter(call["example"] for call in its.calls)
    again = its.resume()
    note(again.out + again.err)
    assert again.code == (1 if fails else 0), again.out
    its.check_delivered()
    its.check_journal()
    kept = Counter(example for example, _ in journaled)
    new = Counter(call["example"] for call in its.calls) - calls
    for example, number in new.items():
        assert number <= (world["repetitions"] - kept[example]) * (1 + world["retries"]), (
            "a journaled output was made anew"
        )
    assert all(its.told.runs[place]["output"] == line["output"] for place, line in journaled.items())


COMMON: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "phases": (Phase.explicit, Phase.generate),  # threads decide which request meets which fault: no shrinking
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=8, **COMMON)
@given(world=worlds())
def test_whatever_phoenix_does(world, seat, phoenix_url):
    """Bounded time, no task re-run, nothing twice; everything arrives, or the exit code and the journal tell."""
    live_through(world, seat, phoenix_url)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=600, **{**COMMON, "derandomize": False, "print_blob": True})
@given(world=worlds())
def test_whatever_phoenix_does_at_length(world, seat, phoenix_url):
    live_through(world, seat, phoenix_url)


# --- answers that were lost ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", mostly_nightly([pytest.param(fault, id=name) for name, fault in AFTER_COMMIT.items()], kept=(0, 4))
)
def test_what_phoenix_did_in_silence_is_not_done_again(seat, proxy, fault):
    """An answer lost after the server committed, of a creation, of runs, of evaluations: each is there once."""
    its = seat()
    proxy.rule = Schedule({"create": [fault], "runs": [fault, None, fault], "evaluations": [fault, None, None, fault]})
    ended = its.run(proxy.url)
    assert ended.code == 0, ended.out
    its.check_delivered()
    assert proxy.injected.total() == 5


def test_a_creation_that_is_carried_out_after_it_was_given_up_leaves_one_experiment(seat, proxy):
    """The connection is reset, a second creation succeeds, and then the server carries out the first one too."""
    its = seat(fates=(0,) * 6, seconds=0.5, task_concurrency=2)
    proxy.rule = Schedule({"create": [Fault(late_seconds=0.8)]})
    ended = its.run(proxy.url)
    assert ended.code == 0, ended.out
    assert proxy.count("POST", "/experiments") - proxy.count("POST", "/runs") >= 2  # created twice indeed
    its.check_delivered()


def test_a_second_experiment_does_not_outlive_a_job_that_failed(seat, proxy):
    """The one that was created too late is removed by whoever completes the job."""
    its = seat(fates=(0,) * 3, seconds=0.3, task_concurrency=1)
    proxy.rule = Schedule({"create": [Fault(late_seconds=0.2)]}, then={"runs": Fault(status=503)})
    assert its.run(proxy.url, record=replace(PATIENT, attempts=3)).code == 1
    proxy.settle()
    assert its.resume().code == 0
    its.check_delivered()


@pytest.mark.parametrize("fault", [Fault(reset=True, after_commit=True), Fault(status=503)], ids=["lost", "503"])
def test_a_creation_that_was_given_up_is_gone_on_with(seat, proxy, fault):
    """Whether or not the server has created it: `resume` finds it, or creates it, once."""
    its = seat()
    proxy.rule = Schedule({"create": [fault]}, then={"others": Fault(status=503), "create": Fault(status=503)})
    ended = its.run(proxy.url)
    assert (ended.code, ended.report["outcome"]) == (1, "infrastructure")
    assert its.calls == []
    held = Held(its.upstream)
    created = [one["id"] for one in held.experiments(its.dataset_id)]
    held.close()
    again = its.resume()
    assert again.code == 0, again.out
    its.check_delivered()
    assert its.told.ids == created or fault.status == 503


# --- records that are refused or taken by others -------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"), mostly_nightly([("ours", "theirs"), ({"a": 1}, {"a": 2}), ([], None), (True, 1)], kept=(3,))
)
def test_a_run_that_somebody_else_recorded_is_a_failure_and_gets_no_score(seat, proxy, ours, theirs):
    """A 409 whose output is another: red, said, and no evaluation is attached to what is not ours."""
    its = seat()
    home = its.folder / "experiments" / its.name
    (home / "task.py").write_text(f"async def task(example):\n    return {ours!r}\n")
    (home / "first.py").write_text("def first(output):\n    return 0.5\n")
    (home / "last.py").unlink()
    taken: dict[str, str] = {}
    held = Held(its.upstream)

    def rule(method: str, path: str) -> None:
        if kind_of(method, path) == "runs" and not taken:
            taken["run"] = held.post_run(path.split("/")[3], its.examples[2], theirs)

    proxy.rule = rule
    ended = its.run(proxy.url)
    assert (ended.code, ended.report["outcome"]) == (1, "infrastructure")
    assert f"already has a different output for example {its.examples[2]} (repetition 1)" in ended.out
    (experiment,) = its.told.ids
    runs = {run_["dataset_example_id"]: run_ for run_ in held.runs(experiment)}
    assert runs[its.examples[2]]["id"] == taken["run"]
    assert runs[its.examples[2]]["output"] == theirs
    assert type(runs[its.examples[2]]["output"]) is type(theirs)
    scores = held.scores(experiment)
    assert scores[its.examples[2], 1] == {}
    assert all(set(scores[example, 1]) == {"first"} for example in its.examples if example != its.examples[2])
    assert its.resume().code == 1  # it stays a failure, and still has no score
    assert held.scores(experiment)[its.examples[2], 1] == {}
    held.close()


def test_a_409_whose_text_was_replaced_is_held_against_what_is_there(seat, proxy):
    """An ingress puts a page of its own in the place of every error: the run is found all the same."""
    its = seat(fates=(0, 0))
    page = Fault(status=409, headers={"content-type": "text/html"}, body=HTML)
    lost = iter([Fault(reset=True, after_commit=True)] * 2)
    proxy.rule = lambda method, path: next(lost, page) if kind_of(method, path) == "runs" else None
    ended = its.run(proxy.url)
    assert ended.code == 0, ended.out
    its.check_delivered()


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))  # what `to_json` lets through
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=30, **COMMON)
@given(output=JSON)
def test_any_output_whose_answer_was_lost_is_known_again(output, lost_answers):
    """Whatever a task returns: what Phoenix holds after a lost answer is taken for what was sent."""
    lost_answers(output)


@pytest.fixture(scope="module")
def lost_answers(phoenix_url) -> Iterator[Any]:
    """Records a run of an output, whose answer is lost; one experiment for all of them."""
    name, now, held = f"lost_{os.urandom(6).hex()}", datetime.now(UTC), Held(phoenix_url)
    client = connect(base_url=phoenix_url)
    client.datasets.create_dataset(name=name, examples=[{"input": {"q": 1}, "output": {}}], timeout=60)
    repetition = 0
    with FaultyPhoenix(phoenix_url).serving() as proxy:
        phoenix = Phoenix(connect(base_url=proxy.url), fetch=FETCH, record=PATIENT)
        dataset = phoenix.datasets.fetch(name)
        created = phoenix.experiments.create(dataset, name=name, metadata={CREATION_KEY: name}, repetitions=10_000)

        def record(output: Any) -> None:
            nonlocal repetition
            repetition += 1
            run_ = TaskRun(
                example=dataset.examples[0],
                output=to_json(output),
                failure=None,
                start_time=now,
                end_time=now,
                repetition=repetition,
            )
            proxy.rule = Schedule({"runs": [Fault(reset=True, after_commit=True)]})
            try:
                phoenix.runs.record(created["id"], run_, error=None)
            except PhoenixError as error:
                there = [one["output"] for one in held.runs(created["id"]) if one["repetition_number"] == repetition]
                raise AssertionError(f"sent {output!r}, held {there!r}: {error}") from error

        yield record
    held.close()
    TALLY.add(injected=proxy.injected)


def test_a_500_that_stays_is_given_up_after_a_few_tries(seat, proxy):
    """The other records go on; the one that was given up is in the journal, and arrives later."""
    its = seat(task_concurrency=1, connections=1)
    proxy.rule = Schedule({"runs": [Fault(status=500)] * 3})
    ended = its.run(proxy.url)
    assert (ended.code, ended.report["outcome"]) == (1, "infrastructure")
    assert proxy.count("POST", "/runs") == 3 + 3
    assert len(its.calls) == 4
    found = its.compare()
    assert [place for place in found.missing if isinstance(place[0], str)] == [(its.examples[0], 1)]
    assert its.resume().code == 0
    its.check_delivered()
    assert len(its.calls) == 4


def test_a_500_with_resets_between_is_given_up_too(seat, proxy):
    """Phoenix itself ends the connection after a 500: the next request on it is reset."""
    its = seat(fates=(0,))
    proxy.rule = Schedule({"runs": [Fault(status=500), Fault(reset=True)] * 50})
    ended = its.run(proxy.url)
    assert ended.code == 1
    assert proxy.count("POST", "/runs") <= 8


@pytest.mark.parametrize("before", [Fault(status=503), Fault(reset=True)], ids=["503", "reset"])
def test_a_500_that_does_not_stay_costs_nothing(seat, proxy, before):
    """A Phoenix that starts answers a 500 or two after many refusals: they are no more permanent than those."""
    its = seat(fates=(0,))
    proxy.rule = Schedule(
        {"runs": [before] * 5 + [Fault(status=500)], "evaluations": [before] * 4 + [Fault(status=500)] * 2}
    )
    ended = its.run(proxy.url)
    assert ended.code == 0, ended.out
    its.check_delivered()


def test_a_run_that_is_there_although_it_was_given_up_is_not_called_anothers(seat, proxy):
    """The server has it, and answers nothing but 500: the message may not blame another job."""
    its = seat(fates=(0, 0), task_concurrency=1, connections=1)
    proxy.rule = Schedule({"runs": [Fault(status=500, after_commit=True)] * 3})
    ended = its.run(proxy.url)
    assert ended.code == 1
    assert "another job" not in ended.out
    assert its.resume().code == 0
    its.check_delivered()


# --- pages, hangs and waits ----------------------------------------------------------------------------

LATIN = "<html><body>Gerät überlastet</body></html>".encode("latin-1")


@pytest.mark.parametrize(
    ("kind", "body"),
    mostly_nightly(
        [
            *(
                pytest.param(kind, LATIN, id=f"latin-1 {kind}")
                for kind in ("create", "runs", "dataset", "evaluations", "others")
            ),
            pytest.param("runs", b'{"data": "\xc3', id="half a letter"),
            pytest.param("runs", b"\xff\xfe\x00", id="bytes"),
            pytest.param("runs", b"", id="nothing"),
        ],
        kept=(0, 5),
    ),
)
def test_an_answer_that_is_not_utf_8_is_no_answer(seat, proxy, kind, body):
    """An error page in another encoding under status 200, or half of a letter, is as passing as any HTML."""
    its = seat(fates=(0,))
    proxy.rule = Schedule({kind: [Fault(status=200, body=body)]})
    ended = its.run(proxy.url)
    assert ended.code == 0, ended.out
    its.check_delivered()


@pytest.mark.parametrize("kind", mostly_nightly(["runs", "dataset", "create", "evaluations"]))
def test_a_request_that_is_never_answered_is_made_again_while_there_is_time(seat, proxy, kind):
    """One connection that hangs (its host is gone without a word) does not use up all the time there is."""
    its = seat(fates=(0, 0))
    proxy.rule = Schedule({kind: [Fault(hang=True)]})
    ended = its.run(proxy.url, fetch=replace(FETCH, total_seconds=4), record=replace(PATIENT, total_seconds=4))
    assert ended.code == 0, ended.out
    its.check_delivered()


@pytest.mark.parametrize("total", [30.0, 120.0, 600.0])
def test_no_try_may_take_all_the_time_there_is(total):
    """Of the time that a record has, a try that hangs leaves enough for others."""
    given_to_tries: list[float] = []
    retry(given_to_tries.append, "test", RetryPolicy.for_records(total))
    assert given_to_tries[0] <= total / 2


@pytest.mark.parametrize(
    "asked",
    mostly_nightly(["3", "soon", "-1", "nan", "Wed, 21 Oct 2015 07:28:00 GMT", "1 Jan 2040 00:00:00 +999999999999"]),
)
def test_whatever_stands_in_retry_after_the_record_arrives(seat, proxy, asked):
    its = seat(fates=(0,))
    proxy.rule = Schedule({"runs": [Fault(status=429, headers={"Retry-After": asked})]})
    ended = its.run(proxy.url)
    assert ended.code == 0, ended.out
    its.check_delivered()


# --- outages -------------------------------------------------------------------------------------------


def test_tasks_go_on_while_phoenix_takes_nothing(seat, proxy):
    """The queue has room: Phoenix takes the first record only when every task has been called."""
    its = seat(fates=(0,) * 30, task_concurrency=2, connections=2)
    proxy.rule = lambda method, path: (
        Fault(status=503) if kind_of(method, path) == "runs" and len(its.calls) < 30 else None
    )
    ended = its.run(proxy.url)
    assert ended.code == 0, ended.out
    its.check_delivered()
    its.check_calls()


def test_phoenix_that_goes_away_and_comes_back_costs_nothing(seat, proxy):
    """Nobody listens for a while, connections die: no task is called again, no record is lost, the run is green."""
    its = seat(fates=(0,) * 40, seconds=0.1, task_concurrency=4)
    during: list[int] = []

    def outage() -> None:
        while len(its.calls) < 8:
            time.sleep(0.01)
        with proxy.gone():
            before = len(its.calls)
            time.sleep(1.0)
            during.append(len(its.calls) - before)
        TALLY.add(injected={"gone for a second": 1})

    thread = threading.Thread(target=outage)
    thread.start()
    ended = its.run(proxy.url)
    thread.join()
    assert ended.code == 0, ended.out
    assert during[0] > 0
    assert len(its.calls) == 40
    its.check_delivered()


def test_an_outage_that_lasts_is_told_and_delivered_later(phoenix_project, seat, proxy):
    """By the command line: exit 1, `infrastructure`, all that was paid for in the journal, `evalwire resume` sends it."""
    its = seat(fates=(0,) * 12, task_concurrency=3)
    proxy.rule = Schedule({"runs": [None] * 3}, then={"runs": Fault(status=503)})
    arguments = ("--experiments", str(its.folder / "experiments"), "--report-dir", str(its.folder / "report"))
    began = time.monotonic()
    done = phoenix_project.run("run", *arguments, PHOENIX_ENDPOINT=proxy.url, EVALWIRE_RECORD_TIMEOUT_SECONDS="2")
    assert time.monotonic() - began < LONGEST_SECONDS
    report = json.loads((its.folder / "report/results.json").read_text())
    assert (done.returncode, report["outcome"], report["exit_code"]) == (1, "infrastructure", 1), done.stdout
    its.check_journal()
    its.check_calls()
    calls = len(its.calls)
    assert calls == len(its.told.runs)
    done = phoenix_project.run("resume", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(its.calls) == 12  # those that were not called yet, and no other
    TALLY.add(runs=2, calls=12)
    its.check_delivered()


@pytest.mark.parametrize("fault", [Fault(status=401), Fault(status=403)], ids=["401", "403"])
def test_a_key_that_expires_in_the_middle_loses_nothing(seat, proxy, fault):
    its = seat(fates=(0,) * 8, task_concurrency=2)
    proxy.rule = Schedule({"runs": [None, None]}, then={"runs": fault, "evaluations": fault})
    ended = its.run(proxy.url)
    assert (ended.code, ended.report["outcome"]) == (1, "infrastructure")
    its.check_journal()
    assert its.resume().code == 0
    its.check_delivered()
    its.check_calls()


def test_a_verification_that_cannot_be_made_is_red(seat, proxy):
    """Everything is there, and nobody can tell: exit 1; `resume` looks again and calls nothing."""
    its = seat()
    proxy.rule = Schedule(then={"others": Fault(status=503)})
    ended = its.run(proxy.url, record=replace(PATIENT, attempts=4))
    assert (ended.code, ended.report["outcome"]) == (1, "infrastructure")
    assert its.resume().code == 0
    its.check_delivered()
    assert len(its.calls) == 4


def test_an_experiment_that_cannot_be_opened_leaves_the_others_their_retries(seat, proxy):
    """Phoenix gives the dataset of one to nobody; the records of another are as patient as ever."""
    its = seat(fates=(0,) * 3)
    broken = its.folder / "experiments" / "a_broken"
    broken.mkdir()
    (broken / "task.py").write_text("async def task(example):\n    return 1\n")
    (broken / "e.py").write_text("def e(output):\n    return 1\n")
    schedule = Schedule({"runs": [Fault(status=503)] * 2, "evaluations": [Fault(reset=True)] * 2})
    proxy.rule = lambda method, path: Fault(status=503) if "a_broken" in path else schedule(method, path)
    ended = its.run(proxy.url)
    assert ended.code == 1
    passed = {entry["name"]: entry["passed"] for entry in ended.report["experiments"]}
    assert passed == {"a_broken": False, its.name: True}, ended.out


# --- lies ----------------------------------------------------------------------------------------------


def test_a_run_that_phoenix_never_got_is_found_and_named(seat, proxy):
    """Something in between answers 200 with an id: the count at the end does not."""
    its = seat(fates=(0, 0, 0), task_concurrency=1, connections=1)
    proxy.rule = Schedule(
        {"runs": [None, Fault(lie=True)], "evaluations": [None, None, Fault(lie=True), Fault(lie=True)]}
    )
    ended = its.run(proxy.url)
    assert (ended.code, ended.report["outcome"]) == (1, "infrastructure"), ended.out
    assert f"missing runs: 1 (example {its.examples[1]})" in ended.out
    its.check_journal()
    found = its.compare()
    assert (its.examples[1], 1) in found.missing
    assert not found.wrong


@pytest.mark.parametrize("name", ["first", "last"])
def test_an_evaluation_that_phoenix_never_got_is_found_and_named(seat, proxy, name):
    its = seat(fates=(0, 0, 0), task_concurrency=1, connections=1)
    place = 2 + ("first", "last").index(name)
    proxy.rule = Schedule({"evaluations": [None] * place + [Fault(lie=True)]})
    ended = its.run(proxy.url)
    assert (ended.code, ended.report["outcome"]) == (1, "infrastructure"), ended.out
    assert f"missing evaluations {name!r}: 1 (example {its.examples[1]})" in ended.out
    assert its.compare().missing == [((its.examples[1], 1), name)]


def test_an_experiment_that_phoenix_never_made_is_red(seat, proxy):
    its = seat()
    proxy.rule = Schedule({"create": [Fault(lie=True)]})
    ended = its.run(proxy.url)
    assert (ended.code, ended.report["outcome"]) == (1, "infrastructure"), ended.out
    assert "does not exist" in ended.out
    its.check_journal()


@pytest.mark.parametrize("kind", mostly_nightly(["runs", "create", "evaluations"]))
def test_what_a_lie_has_cost_is_delivered_by_resume(seat, proxy, kind):
    """The journal has what was paid for, so a record that was only claimed to be taken can be sent again."""
    its = seat(task_concurrency=1)
    proxy.rule = Schedule({kind: [Fault(lie=True)]})
    assert its.run(proxy.url).code == 1
    calls = len(its.calls)
    again = its.resume()
    assert again.code == 0, again.out + again.err
    assert len(its.calls) == calls
    its.check_delivered()


def test_an_answer_that_belongs_to_another_run_is_found_out(seat, proxy):
    """A cache in between gives the id of an earlier run: no score goes there, and it is red."""
    its = seat(fates=(0, 0, 0), task_concurrency=1, connections=1)
    earlier: list[str] = []
    held = Held(its.upstream)

    def rule(method: str, path: str) -> Fault | None:
        if kind_of(method, path) != "runs":
            return None
        if not earlier:
            earlier.append("")
            return None
        if earlier == [""]:
            (run_,) = held.runs(path.split("/")[3])
            earlier[0] = run_["id"]
            return Fault(status=200, body=json.dumps({"data": {"id": run_["id"]}}).encode())
        return None

    proxy.rule = rule
    ended = its.run(proxy.url)
    found = its.compare()
    held.close()
    assert ended.code == 1, ended.out
    assert not found.wrong


@st.composite
def lying_worlds(draw: st.DrawFn) -> dict[str, Any]:
    lies = st.lists(st.sampled_from([Fault(lie=True), None, None]), max_size=8)
    world = draw(worlds())
    return {**world, "faults": {**world["faults"], "runs": draw(lies), "evaluations": draw(lies)}, "tries": None}


@settings(max_examples=4, **COMMON)
@given(world=lying_worlds())
def test_lies_are_never_green(world, seat, phoenix_url):
    """Whatever is only claimed to be recorded: the run is red, and the journal has it."""
    its = seat(**{key: world[key] for key in ("fates", "repetitions", "retries", "task_concurrency", "connections")})
    with FaultyPhoenix(phoenix_url, Schedule(world["faults"])).serving() as proxy:
        ended = its.run(proxy.url)
    TALLY.add(injected=proxy.injected)
    its.check_journal()
    found = its.compare()
    assert not found.wrong
    assert not found.twice
    if found.missing or proxy.injected["lie"]:
        assert ended.code == 1, ended.out
    if ended.code == 0:
        its.check_delivered()


# --- OpenTelemetry's variables -------------------------------------------------------------------------

OTEL = {
    "OTEL_SDK_DISABLED": "true",
    "OTEL_TRACES_SAMPLER": "always_off",
    "OTEL_TRACES_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces",
    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer nobody",
    "OTEL_RESOURCE_ATTRIBUTES": "openinference.project.name=elsewhere,service.name=x",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1",
    "OTEL_PROPAGATORS": "none",
}


@pytest.mark.parametrize(
    "names_",
    [
        *(
            pytest.param([name], marks=pytest.mark.slow)
            for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_SAMPLER", "OTEL_EXPORTER_OTLP_ENDPOINT")
        ),
        [name for name in OTEL if name != "OTEL_SDK_DISABLED"],
        list(OTEL),
    ],
    ids=lambda names_: names_[0] if len(names_) < 2 else f"{len(names_)} at once",
)
def test_no_variable_of_opentelemetry_loses_a_run(phoenix_project, seat, spans_of, names_):
    """Those that switch tracing off or redirect it: green, and every record is there."""
    its = seat(fates=(0, 0, 0))
    arguments = ("--experiments", str(its.folder / "experiments"), "--report-dir", str(its.folder / "report"))
    done = phoenix_project.run("run", *arguments, **{name: OTEL[name] for name in names_})
    assert done.returncode == 0, done.stdout + done.stderr
    TALLY.add(runs=1, calls=len(its.calls))
    its.check_delivered()
    if "OTEL_SDK_DISABLED" in names_:
        return
    held = Held(its.upstream)
    (experiment,) = held.experiments(its.dataset_id)
    traces = {run_["trace_id"] for run_ in held.runs(experiment["id"])}
    held.close()
    spans = spans_of(experiment["project_name"], at_least=3)
    assert {span["context"]["trace_id"] for span in spans} == traces
