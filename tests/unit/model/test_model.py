"""The nouns: what a failure points at, and what a result says of itself."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from evalwire.model.example import Dataset, Example, moment_of
from evalwire.model.experiment import Experiment, OpenExperiment
from evalwire.model.failure import Failure
from evalwire.model.json_values import EMPTY
from evalwire.model.metadata import evaluation_metadata, recorded_kind
from evalwire.model.result import ExperimentResult
from evalwire.model.run import Evaluation, TaskRun
from evalwire.model.scores import ScoreSummary, summarize_scores

MOMENT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
LATER = MOMENT + timedelta(seconds=2.5)
FAILURE = Failure(kind="user", stage="task", type="KeyError", message="q", where="/p/task.py:3")
EXAMPLE = Example(id="e1", node_id="n1", input={"q": 1}, output={"expected_output": 2}, metadata={})


def evaluation(name: str = "ev", **fields: Any) -> Evaluation:
    return Evaluation(**{"name": name, "evaluator": name, "start_time": MOMENT, "end_time": LATER} | fields)


def task_run(**fields: Any) -> TaskRun:
    given = {"example": EXAMPLE, "output": "out", "failure": None, "start_time": MOMENT, "end_time": LATER}
    return TaskRun(**given | fields)


SCORED = task_run(evaluations=(evaluation(score=1.0),))
OPENED = OpenExperiment(
    experiment=Experiment(name="a", dataset_name="set", path=Path("/p/a"), task=None),
    dataset=Dataset(id="d1", name="set", version_id="v1", examples=(EXAMPLE,)),
    recorded_name="eval_set_2024",
    id="x1",
    url="http://phoenix/x1",
    project_name="project-1",
    metadata={"run_by": "evalwire"},
)
PASSED = ExperimentResult(
    name="a", dataset_name="set", evaluator_names=("ev",), opened=OPENED, runs=(SCORED,), example_count=1, seconds=2.5
)


# --- failures ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "text"),
    [
        (FAILURE, "KeyError: q (/p/task.py:3)"),
        (replace(FAILURE, message="", where=None), "KeyError"),
        (replace(FAILURE, message=""), "KeyError (/p/task.py:3)"),
    ],
)
def test_a_failure_reads_as_one_line(failure, text):
    """A failure as text is its type, its message and its place, as far as they are known."""
    assert str(failure) == text


# --- examples and runs ---------------------------------------------------------------------------------


def test_an_example_has_attributes_and_items():
    """`example.input` and `example["input"]` are the same, and it unpacks like a dict."""
    assert EXAMPLE.input is EXAMPLE["input"]
    assert dict(EXAMPLE) == {
        "id": "e1",
        "node_id": "n1",
        "input": {"q": 1},
        "output": {"expected_output": 2},
        "metadata": {},
        "updated_at": None,
    }
    assert (len(EXAMPLE), EXAMPLE.get("missing", 0), "input" in EXAMPLE) == (6, 0, True)


@pytest.mark.parametrize("key", ["missing", "keys", "get", "__class__"])
def test_only_fields_are_items(key):
    """A name that is no field is a KeyError, also when it is an attribute."""
    with pytest.raises(KeyError):
        EXAMPLE[key]


def test_examples_cannot_be_reassigned():
    """The fields of an example are fixed."""
    with pytest.raises(FrozenInstanceError):
        EXAMPLE.id = "other"


def test_what_has_no_metadata_shares_an_empty_one():
    """Thousands of evaluations without metadata cost no dict each."""
    assert evaluation().metadata is evaluation().metadata is EMPTY


@pytest.mark.parametrize(
    "change",
    [
        lambda metadata: metadata.__setitem__("k", 1),
        lambda metadata: metadata.update(k=1),
        lambda metadata: metadata.update({"k": 1}),
        lambda metadata: metadata.setdefault("k", 1),
        lambda metadata: metadata.__ior__({"k": 1}),
    ],
    ids=["item", "update by keyword", "update", "setdefault", "|="],
)
def test_the_shared_metadata_cannot_be_filled(change):
    """What one writes into its metadata does not turn up in the others'."""
    with pytest.raises(TypeError, match="shared"):
        change(evaluation().metadata)
    assert EMPTY == {}


def test_the_shared_metadata_is_a_dict_to_everyone():
    """JSON, copies, `asdict` and pickles work as before, and a copy can be filled."""
    run = task_run(evaluations=(evaluation(),))
    assert (json.dumps(EMPTY), repr(EMPTY), dict(EMPTY), bool(EMPTY)) == ("{}", "{}", {}, False)
    assert json.dumps(asdict(run)["evaluations"][0]["metadata"]) == "{}"
    for copied in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        metadata = copied.evaluations[0].metadata
        metadata["k"] = 1
        assert metadata == {"k": 1}
    assert EMPTY == {}


def test_a_run_knows_how_many_calls_were_repeats():
    """Each call beyond the first of the task or of an evaluator is one; a call of several results is one call."""
    several = [evaluation(name, evaluator="list", attempts=3) for name in ("x", "y")]
    run = task_run(attempts=2, evaluations=(*several, evaluation(attempts=5), evaluation("once")))
    assert run.retries == 1 + 2 + 4
    assert task_run().retries == 0


def test_a_run_lists_everything_that_went_wrong():
    """The task's failure, each evaluator's, and the recording's are a run's failures; it knows its seconds."""
    wrong = [replace(FAILURE, message=str(number)) for number in range(3)]
    found = task_run(
        failure=wrong[0],
        evaluations=(evaluation("a", score=1.0), evaluation("b", failure=wrong[1])),
        record_failure=wrong[2],
    )
    assert found.failures == wrong
    assert SCORED.failures == []
    assert SCORED.seconds == 2.5


# --- results -------------------------------------------------------------------------------------------


def test_a_whole_result_passes():
    """Every example ran, every evaluator scored it, every record arrived: passed."""
    assert PASSED.passed is True
    assert PASSED.failed_runs == []


@pytest.mark.parametrize(
    "change",
    [
        {"failure": FAILURE},
        {"problems": (FAILURE,)},
        {"example_count": 2},
        {"example_count": 0, "runs": ()},
        {"repetitions": 2},
        {"repetitions": 0, "runs": ()},
        {"runs": (SCORED, SCORED)},
        {"runs": ()},
        {"runs": (replace(SCORED, failure=FAILURE),)},
        {"runs": (replace(SCORED, record_failure=FAILURE),)},
        {"runs": (replace(SCORED, evaluations=(evaluation(failure=FAILURE),)),)},
        {"runs": (SCORED, replace(SCORED, failure=FAILURE)), "example_count": 2},
        {"runs": (replace(SCORED, evaluations=()),)},
        {"evaluator_names": ("ev", "silent")},
    ],
    ids=[
        "failure",
        "problem",
        "not run",
        "no examples",
        "a repetition not run",
        "no repetitions",
        "more than was to run",
        "none ran",
        "task failure",
        "record failure",
        "evaluation failure",
        "one of two",
        "no evaluation",
        "an evaluator that said nothing",
    ],
)
def test_each_way_of_not_passing_is_a_failure(change):
    """Anything missing or failed makes the result not passed."""
    assert replace(PASSED, **change).passed is False


def test_a_result_without_anything_has_not_passed():
    """An experiment of which nothing is known did not pass."""
    assert ExperimentResult(name="a", dataset_name="a").passed is False


def test_a_list_evaluator_passes_under_its_own_names():
    """An evaluator whose results carry other names has said its part."""
    several = (evaluation("x", evaluator="ev", score=1.0), evaluation("y", evaluator="ev", score=0.0))
    assert replace(PASSED, runs=(replace(SCORED, evaluations=several),)).passed is True


def test_examples_that_did_not_run_are_counted():
    """What never finished is not run, and what is not whole has not passed."""
    unfinished = replace(PASSED, example_count=5)
    assert (unfinished.not_run, unfinished.passed) == (4, False)


def test_every_repetition_is_to_run():
    """With repetitions, runs are what is counted: each example as often as was asked."""
    again = replace(SCORED, repetition=2)
    result = replace(PASSED, repetitions=2, runs=(SCORED, again))
    assert (result.expected_runs, result.not_run, result.passed) == (2, 0, True)
    unfinished = replace(result, example_count=3)
    assert (unfinished.expected_runs, unfinished.not_run, unfinished.passed) == (6, 4, False)
    assert PASSED.expected_runs == 1


def test_a_result_is_a_mapping_with_the_clients_keys():
    """A result reads like the Phoenix client's RanExperiment, and as attributes."""
    assert list(PASSED) == [
        "experiment_id",
        "dataset_id",
        "dataset_version_id",
        "task_runs",
        "evaluation_runs",
        "experiment_metadata",
        "project_name",
    ]
    assert {key: PASSED[key] for key in PASSED} == {key: getattr(PASSED, key) for key in PASSED}
    assert len(PASSED) == 7
    assert (PASSED["experiment_id"], PASSED["dataset_id"], PASSED["dataset_version_id"]) == ("x1", "d1", "v1")
    assert (PASSED["experiment_metadata"], PASSED["project_name"]) == ({"run_by": "evalwire"}, "project-1")
    assert (PASSED.url, PASSED.get("name")) == ("http://phoenix/x1", None)


def test_a_result_computes_its_summaries_once(monkeypatch):
    """Every report format reads them; copies, comparisons and pickles do not contain them."""
    calls = []

    def counted(*args: Any, **fields: Any) -> list[ScoreSummary]:
        calls.append(fields)
        return summarize_scores(*args, **fields)

    monkeypatch.setattr("evalwire.model.result.summarize_scores", counted)
    result = replace(PASSED)
    first = result.scores
    first.clear()
    assert len(result.scores) == 1
    assert (len(result.failed_runs), result.passed, result.usage, result.incomplete_scores) == (0, True, None, [])
    assert len(calls) == 1
    failed = replace(result, runs=(task_run(failure=FAILURE, output=None),))
    assert (len(failed.failed_runs), failed.passed) == (1, False)
    for same in (copy.copy(result), pickle.loads(pickle.dumps(result)), replace(result)):
        assert same == result
        assert same.scores == result.scores
    assert len(calls) == 4


def test_a_result_that_was_not_opened_has_empty_ids():
    """Without a dataset and an experiment, the ids are those of a dry run, and nothing is None that was text."""
    result = ExperimentResult(name="a", dataset_name="a")
    assert (result.experiment_id, result.dataset_id, result.dataset_version_id) == ("DRY_RUN", "", "")
    assert (result.url, result.project_name, result.experiment_metadata) == (None, None, {})
    assert (result["task_runs"], result["evaluation_runs"]) == ([], [])


def test_task_runs_have_the_clients_shape():
    """Each run is a dictionary as the client's ExperimentRun, a failure its `error`."""
    runs = (replace(SCORED, id="r1", trace_id="t1"), task_run(failure=FAILURE, output=None))
    first, second = replace(PASSED, runs=runs)["task_runs"]
    assert first == {
        "id": "r1",
        "experiment_id": "x1",
        "dataset_example_id": "n1",
        "repetition_number": 1,
        "output": "out",
        "error": None,
        "start_time": "2024-05-06T07:08:09+00:00",
        "end_time": "2024-05-06T07:08:11.500000+00:00",
        "trace_id": "t1",
    }
    assert (second["id"], second["error"]) == ("DRY_RUN_n1", "KeyError: q (/p/task.py:3)")


def test_repetitions_that_are_not_recorded_have_ids_of_their_own():
    """In a dry run with repetitions, an evaluation still points at its one run."""
    result = replace(PASSED, repetitions=2, runs=(SCORED, replace(SCORED, repetition=2)))
    assert [run["id"] for run in result["task_runs"]] == ["DRY_RUN_n1", "DRY_RUN_n1_2"]
    assert [run["repetition_number"] for run in result["task_runs"]] == [1, 2]
    assert [one.experiment_run_id for one in result["evaluation_runs"]] == ["DRY_RUN_n1", "DRY_RUN_n1_2"]
    assert [one.id for one in result["evaluation_runs"]] == ["DRY_RUN_n1_ev", "DRY_RUN_n1_2_ev"]


def test_evaluation_runs_have_the_clients_shape():
    """Each evaluation has a result with what it said, or an error, as attributes and as items."""
    said = (evaluation("a", score=0.5, label="good", id="v1"), evaluation("b", failure=FAILURE))
    good, bad = replace(PASSED, runs=(replace(SCORED, id="r1", evaluations=said),))["evaluation_runs"]
    assert (good.name, good.id, good.experiment_run_id) == ("a", "v1", "r1")
    assert (good.result, good.error) == ({"score": 0.5, "label": "good"}, None)
    assert (bad.result, bad["error"]) == (None, "KeyError: q (/p/task.py:3)")
    with pytest.raises(KeyError):
        bad["missing"]


# --- scores --------------------------------------------------------------------------------------------


def summary_of(runs: list[TaskRun], *, expected: int | None = None) -> ScoreSummary:
    (only,) = summarize_scores(["ev"], runs, repetitions=1, expected=expected or len(runs))
    return only


def judged(*said: Evaluation) -> list[TaskRun]:
    """A run for each evaluation."""
    return [task_run(evaluations=(one,)) for one in said]


def test_a_mean_is_over_the_scores_there_are_and_the_rest_is_missing():
    """Failures and labels alone are no zeros and no silence: they are counted as missing beside the mean."""
    said = [evaluation(score=1.0), evaluation(score=0.5), evaluation(failure=FAILURE), evaluation(label="good")]
    summary = summary_of([*judged(*said), task_run(), task_run(evaluations=(evaluation("other"),))])
    assert summary == ScoreSummary(name="ev", mean=0.75, count=2, missing=4, labels={"good": 1}, unscored=1)
    assert summary.given == 3


def test_without_scores_there_is_no_mean():
    """Labels alone have counts and no mean."""
    summary = summary_of(judged(*(evaluation(label=label) for label in "bab")))
    assert (summary.mean, summary.count, summary.missing, summary.labels) == (None, 3, 0, {"a": 1, "b": 2})


def test_what_does_not_apply_is_neither_counted_nor_missing():
    """And it is not in a rate: of bools, what is missing is."""
    none = evaluation(label="not applicable", kind="not_applicable")
    yes, no = evaluation(score=1.0, kind="bool", label="a"), evaluation(score=0.0, kind="bool")
    [score] = [summary_of(judged(yes, none, no, none, evaluation(failure=FAILURE)), expected=6)]
    assert (score.count, score.missing, score.not_applicable, score.unscored) == (2, 1, 2, 0)
    assert (score.mean, score.pass_rate, score.labels) == (0.5, 1 / 4, {"a": 1})
    [nothing] = [summary_of(judged(none, none))]
    assert (nothing.count, nothing.missing, nothing.mean, nothing.pass_rate) == (0, 0, None, None)


def test_a_bool_stays_one_beside_labels_and_a_number_does_not_become_one():
    said = [evaluation(score=1.0, label="because", kind="bool"), evaluation(label="N/A")]
    assert summary_of(judged(*said)).pass_rate == 0.5
    assert summary_of(judged(evaluation(score=1.0), evaluation(score=0.0))).pass_rate is None
    assert summary_of(judged(*said, evaluation(score=0.5))).pass_rate is None


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"score": 1.0, "label": "True"}, "bool"),
        ({"score": 0.0, "label": "False"}, "bool"),
        ({"score": 1.0, "label": "False"}, "number"),
        ({"score": 1.0}, "number"),
        ({"label": "True"}, "label"),
        ({"failure": FAILURE}, None),
        ({"score": 1.0, "label": "yes", "kind": "bool"}, "bool"),
    ],
)
def test_the_kind_of_an_older_record_is_worked_out(fields, kind):
    assert evaluation(**fields).kind == kind


@pytest.mark.parametrize(
    ("fields", "facts"),
    [
        ({"score": 1.0, "label": "True"}, {}),
        ({"score": 1.0, "label": "yes", "kind": "bool"}, {"kind": "bool"}),
        ({"label": "not applicable", "kind": "not_applicable"}, {"kind": "not_applicable"}),
        ({"score": 0.5}, {}),
        ({"label": "good"}, {}),
        ({"failure": FAILURE}, {}),
    ],
)
def test_only_a_kind_that_the_record_does_not_tell_is_recorded(fields, facts):
    said = evaluation(**fields)
    run = task_run(evaluations=(said,))
    assert evaluation_metadata(said, run, is_shared=False) == facts
    shared = evaluation_metadata(said, run, is_shared=True)
    assert {key: shared.get(key) for key in facts} == facts
    assert recorded_kind(shared) == facts.get("kind")


def test_a_recorded_kind_of_another_version_is_none():
    assert recorded_kind({"kind": "grade"}) is None
    assert recorded_kind({"kind": ["bool"]}) is None


def test_a_mean_is_exact():
    """Rounding errors do not add up over many scores."""
    assert summary_of(judged(*[evaluation(score=0.1)] * 10)).mean == 0.1


def test_every_evaluator_has_a_summary():
    """An evaluator that never scored is there with all runs missing; summaries are sorted by name."""
    runs = (replace(SCORED, evaluations=(evaluation("z", score=1.0),)), task_run(failure=FAILURE))
    result = replace(PASSED, evaluator_names=("z", "a"), runs=runs, example_count=2)
    assert [(score.name, score.mean, score.missing) for score in result.scores] == [("a", None, 2), ("z", 1.0, 1)]


def test_an_evaluator_that_reports_under_other_names_has_those():
    """A list evaluator is summarised under the names of its results, not as missing under its own."""
    several = (evaluation("x", evaluator="ev", score=1.0), evaluation("y", evaluator="ev", score=0.0))
    result = replace(PASSED, runs=(replace(SCORED, evaluations=several),))
    assert [(score.name, score.mean) for score in result.scores] == [("x", 1.0), ("y", 0.0)]


# --- repetitions ---------------------------------------------------------------------------------------


def repeated(*examples: str, repetitions: int, **fields: Any) -> ExperimentResult:
    """A result by a text for each example, a letter for each repetition.

    T and F are an evaluator's True and False, a digit is so many tenths, L a label, N what does not apply, x an
    evaluator that failed, X a task that failed, and - a repetition that was not run.
    """
    said = {
        "T": {"score": 1.0, "label": "True"},
        "F": {"score": 0.0, "label": "False"},
        "L": {"label": "kind"},
        "N": {"label": "not applicable", "kind": "not_applicable"},
        "x": {"failure": FAILURE},
        **{str(digit): {"score": digit / 10} for digit in range(10)},
    }
    runs = tuple(
        task_run(
            example=replace(EXAMPLE, id=f"e{number}", node_id=f"n{number}"),
            repetition=repetition,
            failure=FAILURE if letter == "X" else None,
            evaluations=() if letter == "X" else (evaluation(**said[letter]),),
        )
        for number, letters in enumerate(examples)
        for repetition, letter in enumerate(letters, start=1)
        if letter != "-"
    )
    return replace(PASSED, example_count=len(examples), repetitions=repetitions, runs=runs, **fields)


def test_one_repetition_has_no_spread():
    """Without repetitions nothing is said of them."""
    [score] = repeated("T", "F", repetitions=1).scores
    assert (score.mean, score.spread, score.per_example, score.pass_at, score.pass_hat) == (0.5, None, (), {}, {})


def test_each_example_has_its_mean_and_spread():
    """Repetitions of one example are summarised together, in the dataset's order, and their spreads averaged."""
    [score] = repeated("0000", "0044", "x8X4", repetitions=4).scores
    assert [(one.example_id, one.mean, one.count, one.missing) for one in score.per_example] == [
        ("e0", 0.0, 4, 0),
        ("e1", 0.2, 4, 0),
        ("e2", pytest.approx(0.6), 2, 2),
    ]
    spreads = [one.spread for one in score.per_example]
    assert spreads == [0.0, pytest.approx((4 * 0.04 / 3) ** 0.5), pytest.approx(0.08**0.5)]
    assert score.spread == pytest.approx(sum(spreads) / 3)
    assert score.mean == pytest.approx(0.2)
    assert (score.count, score.missing) == (10, 2)


def test_an_example_with_fewer_than_two_scores_has_no_spread():
    """One score, a label, or nothing at all has no spread, and does not count as a spread of zero."""
    [score] = repeated("5x", "LL", "NX", "04", repetitions=2).scores
    assert [(one.mean, one.spread is None, one.count, one.missing) for one in score.per_example] == [
        (0.5, True, 1, 1),
        (None, True, 0, 2),
        (None, True, 0, 1),
        (0.2, False, 2, 0),
    ]
    assert score.spread == score.per_example[3].spread
    [nothing] = repeated("5x", "X7", repetitions=2).scores
    assert nothing.spread is None


def test_bools_have_pass_at_k_and_pass_hat_k():
    """Averaged over examples, for every k up to the repetitions."""
    [score] = repeated("TTT", "TFF", "FFF", repetitions=3).scores
    assert score.pass_at == pytest.approx({1: 4 / 9, 2: (1 + 2 / 3) / 3, 3: 2 / 3})
    assert score.pass_hat == pytest.approx({1: 4 / 9, 2: 1 / 3, 3: 1 / 3})


@pytest.mark.parametrize("failed", ["TTxF", "XTTF", "TT-F", "TFTx", "TTLF"])
def test_what_failed_or_never_ran_is_not_passed(failed):
    """A failure of the task or of the evaluator stays in the denominator, and so does what was not run."""
    [score] = repeated(failed, repetitions=4).scores
    [same] = repeated("TTFF", repetitions=4).scores
    assert (score.pass_at, score.pass_hat) == (same.pass_at, same.pass_hat)
    assert [(one.count, one.missing) for one in score.per_example] == [(3, 1)]


def test_an_example_that_only_failed_never_passed():
    """An example without a single evaluation is in the average, as not passed."""
    [score] = repeated("TT", "XX", repetitions=2).scores
    assert (score.pass_at, score.pass_hat) == ({1: 0.5, 2: 0.5}, {1: 0.5, 2: 0.5})


def test_repetitions_that_do_not_apply_are_left_out_of_pass_at_k():
    """Each k is over the examples that have so many."""
    [score] = repeated("TTF", "TNF", "NNN", "NTN", repetitions=3).scores
    assert score.pass_at == pytest.approx({1: (2 / 3 + 1 / 2 + 1) / 3, 2: 1.0, 3: 1.0})
    assert score.pass_hat == pytest.approx({1: (2 / 3 + 1 / 2 + 1) / 3, 2: (1 / 3 + 0) / 2, 3: 0.0})
    assert [(one.count, one.missing) for one in score.per_example] == [(3, 0), (2, 0), (0, 0), (1, 0)]


@pytest.mark.parametrize("letters", ["T1", "N1", "NN", "00", "LL", "XX", "Tx5"])
def test_only_bools_pass(letters):
    """A score that is no bool, a label, or nothing at all has no pass@k."""
    [score] = repeated(letters, repetitions=len(letters)).scores
    assert (score.pass_at, score.pass_hat) == ({}, {})


def test_several_names_have_each_their_own():
    """An evaluator that returns a list has a spread, and a pass@k, for each of its names."""
    runs = tuple(
        task_run(
            repetition=repetition,
            evaluations=(
                evaluation("close", evaluator="ev", score=repetition / 2),
                evaluation("exact", evaluator="ev", score=1.0, label="True"),
            ),
        )
        for repetition in (1, 2)
    )
    close, exact = replace(PASSED, repetitions=2, runs=runs).scores
    assert (close.name, close.spread, close.pass_at) == ("close", pytest.approx(0.125**0.5), {})
    assert (exact.name, exact.spread, exact.pass_hat) == ("exact", 0.0, {1: 1.0, 2: 1.0})


def test_examples_of_one_id_are_told_apart():
    """Examples are grouped by Phoenix's id, since an author's may come twice."""
    runs = [replace(run, example=replace(run.example, id="e")) for run in repeated("00", "88", repetitions=2).runs]
    [score] = replace(PASSED, repetitions=2, example_count=2, runs=tuple(runs)).scores
    assert [(one.example_id, one.mean) for one in score.per_example] == [("e", 0.0), ("e", 0.8)]


def test_a_moment_is_read_as_phoenix_writes_it():
    """With `Z` or an offset; another text is none."""
    assert moment_of("2026-01-02T03:04:05.678Z") == moment_of("2026-01-02T03:04:05.678+00:00")
    assert moment_of("2026-01-02T03:04:05Z") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert moment_of("yesterday") is None
