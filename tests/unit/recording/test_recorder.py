"""Recorders: what is sent and in which order, what is kept of a run that failed half way, and dry runs."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from dataclasses import replace

import pytest
from recording_seams import (
    DATASET,
    EXAMPLES,
    FakeJournal,
    FakePhoenix,
    evaluation,
    evaluator,
    experiment,
    opened,
    run,
)

from evalwire.errors import PhoenixError, PhoenixUnreachable
from evalwire.model import CREATION_KEY, FACTS_KEY, BaselineScore, Failure, JobSpec, UploadedVersion
from evalwire.model.selection import ExampleSelection
from evalwire.model.shard import Shard, Sharing
from evalwire.recording import DryRunRecorder, NoTracing, PhoenixRecorder

FAILURE = Failure(kind="user", stage="task", type="KeyError", message="the secret, \ud800 and \0")
SHARD = Shard(1, 2)


@pytest.fixture
def phoenix():
    return FakePhoenix()


@pytest.fixture
def recorder(phoenix):
    class Opener:
        def open(self, experiment):
            return opened(experiment=experiment, url=threading.current_thread().name)

    made = PhoenixRecorder(
        phoenix,
        Opener(),
        journal=FakeJournal(phoenix.asked),
        connections=2,
        mask=lambda text: text.replace("secret", "***"),
    )
    with contextlib.closing(made):
        yield made


def test_an_experiment_is_opened_on_a_thread(recorder):
    found = asyncio.run(recorder.open(experiment("other")))
    assert found.experiment.name == "other"
    assert found.url != threading.current_thread().name


def test_results_are_written_to_the_journal(recorder, phoenix):
    recorder.returned(opened(), run(1))
    recorder.evaluated(opened(), run(1), [evaluation("a"), evaluation("b")])
    assert phoenix.asked == [("returned", "E1", ("N1", 1)), ("evaluated", "E1", ("N1", 1), ["a", "b"])]


ALL = (evaluation("a"), evaluation("b"), evaluation("c"))


@pytest.mark.parametrize(
    ("ids", "sent"),
    [
        ((None, None, None, None), ["record", "a", "b", "c"]),
        (("R-q0", None, None, None), ["a", "b", "c"]),
        (("R-q0", "A-R-q0-a", None, "A-R-q0-c"), ["b"]),
        (("R-q0", "A-R-q0-a", "A-R-q0-b", "A-R-q0-c"), []),
    ],
)
def test_the_parts_of_a_run_without_an_id_are_recorded_in_order(recorder, phoenix, ids, sent):
    run_id, *others = ids
    given = tuple(replace(each, id=id_) for each, id_ in zip(ALL, others, strict=True))
    found, error = asyncio.run(recorder.record(opened(), run(id=run_id, evaluations=given)))
    assert error is None
    assert found == run(id="R-q0", evaluations=tuple(replace(each, id=f"A-R-q0-{each.name}") for each in ALL))
    assert [asked[0] if asked[0] == "record" else asked[2] for asked in phoenix.asked] == sent
    assert {asked[1] for asked in phoenix.asked} <= {"E1", "R-q0"}


def test_an_error_keeps_the_ids_of_what_was_recorded_before_it(recorder, phoenix):
    error = PhoenixUnreachable("gone")
    phoenix.errors["record_evaluation"] = [None, error]
    found, raised = asyncio.run(recorder.record(opened(), run(evaluations=ALL)))
    assert raised is error
    assert (found.id, [each.id for each in found.evaluations]) == ("R-q0", ["A-R-q0-a", None, None])
    assert [asked[0] for asked in phoenix.asked] == ["record", "record_evaluation", "record_evaluation"]


def test_a_defect_is_not_an_error_of_phoenix(recorder, phoenix):
    phoenix.errors["record"] = [LookupError("a defect")]
    with pytest.raises(LookupError):
        asyncio.run(recorder.record(opened(), run()))


def test_a_run_of_an_experiment_without_an_id_is_an_error(recorder, phoenix):
    found, error = asyncio.run(recorder.record(opened(id=None), run(evaluations=ALL)))
    assert isinstance(error, PhoenixError)
    assert "eval_set_then" in str(error)
    assert (found, phoenix.asked) == (run(evaluations=ALL), [])


def test_failures_are_recorded_without_secrets_and_as_text_that_phoenix_can_store(recorder, phoenix):
    failed = evaluation("a", score=None, failure=replace(FAILURE, stage="evaluator"))
    asyncio.run(recorder.record(opened(), run(output=None, failure=FAILURE, evaluations=(failed, evaluation("b")))))
    assert [asked[-1] for asked in phoenix.asked] == ["KeyError: the ***, ? and  "] * 2 + [None]


def test_facts_that_phoenix_does_not_have_are_in_the_metadata_of_an_evaluation(recorder, phoenix):
    """Beside the user's own; only evaluations of a shared experiment have the evaluator, for the gates of all."""
    scored = BaselineScore(experiment_id="E0", score=1.0)
    given = evaluation("a", metadata={"own": 1}, baseline_score=scored, usage=())
    for shard in (None, SHARD):
        asyncio.run(recorder.record(opened(shard=shard), run(evaluations=(given, evaluation("b")), usage=())))
    alone, plain, shared, second = [asked[3] for asked in phoenix.asked if asked[0] == "record_evaluation"]
    assert (alone["own"], alone[FACTS_KEY]["baseline_score"]["experiment_id"]) == (1, "E0")
    assert "evaluator" not in alone[FACTS_KEY]
    assert plain == {}
    assert (shared["own"], shared[FACTS_KEY]["evaluator"], shared[FACTS_KEY]["of"]) == (1, "a", 1)
    assert "task_usage" in shared[FACTS_KEY]
    assert second[FACTS_KEY]["evaluator"] == "b"
    assert "task_usage" not in second[FACTS_KEY]


@pytest.mark.parametrize("fails", [False, True])
def test_only_evaluations_with_a_score_of_the_baseline_are_recorded_again(recorder, phoenix, fails):
    scored = BaselineScore(experiment_id="E0", score=1.0)
    given = run(
        id="R",
        evaluations=(
            evaluation("a", id="A"),
            evaluation("b", id="B", baseline_score=scored),
            evaluation("c", baseline_score=scored),  # was never recorded
            evaluation("d", id="D"),
        ),
    )
    error = PhoenixUnreachable("gone") if fails else None
    phoenix.errors["record_evaluation"] = [error]
    found, raised = asyncio.run(recorder.record_again(opened(), given))
    assert raised is error
    assert [(asked[0], asked[1], asked[2]) for asked in phoenix.asked] == [("record_evaluation", "R", "b")]
    ids = [each.id for each in found.evaluations]
    assert ids == ["A", None if fails else "A-R-b", None, "D"]
    assert found == replace(
        given, evaluations=tuple(replace(each, id=id_) for each, id_ in zip(given.evaluations, ids, strict=True))
    )


KEY = {CREATION_KEY: "k"}


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"metadata": KEY}, [("remove_twins", "D", "k", "E1"), ("missing", "E1", [("N2", 1)], False)]),
        ({"metadata": {}}, [("missing", "E1", [("N2", 1)], False)]),
        ({"metadata": KEY, "shard": SHARD}, [("missing", "E1", [("N2", 1)], True)]),
    ],
)
def test_the_end_of_an_experiment_removes_its_twins_and_names_what_is_missing(recorder, phoenix, fields, asked):
    assert asyncio.run(recorder.verify(opened(**fields), [run(2)])) == ["one is missing"]
    assert phoenix.asked == asked


def test_an_experiment_that_was_not_created_misses_nothing(recorder, phoenix):
    assert asyncio.run(recorder.verify(opened(id=None, metadata=KEY), [])) == []
    assert phoenix.asked == []


def test_there_are_as_many_requests_at_once_as_connections(recorder, phoenix, monkeypatch):
    together = threading.Barrier(2, timeout=10)
    now, most = 0, 0
    lock = threading.Lock()

    def record(experiment_id, run, *, error):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait()
        with lock:
            now -= 1
        return "R"

    async def all_of_them():
        await asyncio.gather(*(recorder.record(opened(), run(n)) for n in range(6)))

    monkeypatch.setattr(phoenix, "record", record)
    asyncio.run(all_of_them())
    assert most == 2


def test_a_closed_recorder_leaves_no_thread(phoenix):
    made = PhoenixRecorder(phoenix, None, journal=FakeJournal([]), connections=1, mask=str)
    before = set(threading.enumerate())
    asyncio.run(made.verify(opened(), []))
    (own,) = set(threading.enumerate()) - before
    made.close()
    own.join(10)
    assert not own.is_alive()


# --- dry runs ------------------------------------------------------------------------------------------


def dry(phoenix, spec, *, examples=3):
    with contextlib.closing(DryRunRecorder(phoenix, spec, examples=examples)) as recorder:
        return asyncio.run(recorder.open(experiment()))


def test_a_dry_run_has_the_first_examples_and_no_id(phoenix):
    found = dry(phoenix, JobSpec(prefix="p", split="s", dataset_version="V7", repetitions=2))
    assert phoenix.asked == [("fetch", "set", "s", "V7")]
    assert [(each.id, each.splits) for each in found.dataset.examples] == [(f"q{n}", ("known",)) for n in range(3)]
    assert (found.dataset.split, found.dataset.version_id) == ("s", "V7")
    assert (found.id, found.recorded_name, found.repetitions) == (None, "p_set_dry_run", 2)
    assert (found.experiment, found.metadata, found.shard) == (experiment(), {}, None)


def test_a_dry_run_of_a_selection_is_partial(phoenix):
    ids = ("q2", "q4", "q5", "q7")
    found = dry(phoenix, JobSpec(selection=ExampleSelection(failing={"sums": ids, "other": ("q1",)})))
    assert [each.id for each in found.dataset.examples] == ["q2", "q4", "q5"]
    assert found.metadata[FACTS_KEY]["partial"] == {"failing": {"sums": list(ids)}, "examples": 4, "of": 8}


def test_a_dry_run_is_on_the_version_that_the_job_uploaded(phoenix):
    dry(phoenix, JobSpec(uploaded={"set": UploadedVersion(id="V5", data="x")}, dataset_version="V7"))
    assert phoenix.asked == [("fetch", "set", None, "V5")]


@pytest.mark.parametrize("size", [0, len(EXAMPLES)])
def test_a_dry_run_of_a_shard_has_its_first_examples(size):
    """An empty dataset is no empty part of it, but an error."""
    phoenix = FakePhoenix(replace(DATASET, examples=EXAMPLES[:size]))
    parts = [
        dry(phoenix, JobSpec(sharing=Sharing(total=2, shard=shard)), examples=99) for shard in (SHARD, Shard(2, 2))
    ]
    assert sorted(each.id for part in parts for each in part.dataset.examples) == [f"q{n}" for n in range(size)]
    assert [len(part.dataset.examples) for part in parts] == [size // 2] * 2
    assert [part.shard for part in parts] == ([SHARD, Shard(2, 2)] if size else [None, None])


def test_a_dry_run_records_nothing(phoenix):
    with contextlib.closing(DryRunRecorder(phoenix, JobSpec(), examples=1)) as recorder:
        recorder.returned(opened(), run())
        recorder.evaluated(opened(), run(), ALL)
        assert asyncio.run(recorder.record(opened(), run(evaluations=ALL))) == (run(evaluations=ALL), None)
        assert asyncio.run(recorder.verify(opened(), [run()])) == []
    assert phoenix.asked == []


def test_calls_of_a_dry_run_have_a_context_and_no_trace():
    variable = contextvars.ContextVar("variable")
    token = variable.set("set")
    tracer = NoTracing()
    trace = tracer.trace(opened(), evaluator("exact"), {})
    variable.reset(token)
    assert (trace.trace_id, trace.usage, trace.context.run(variable.get)) == (None, None, "set")
    trace.finish(output=1)
    assert tracer.lost == 0
