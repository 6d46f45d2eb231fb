"""Scores of a baseline's outputs: which runs they belong to, and what becomes of them when something fails."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import reporting
from recording_seams import DATASET, EXAMPLES, evaluation, experiment, opened, run

from evalwire.errors import PhoenixUnreachable
from evalwire.model import BaselineScore, ExperimentResult, ModelUsage
from evalwire.model.shard import Shard
from evalwire.recording import Rescoring, RescoringRecorder

FAILURE = reporting.failure(stage="record")
SCORED = experiment(evaluators=("exact",))


def result(*runs, **fields):
    given = {
        "dataset_name": "set",
        "path": "/project/experiments/sums",
        "evaluator_names": ("exact", "other"),
        "opened": opened(experiment=experiment(evaluators=("exact", "other")), shard=Shard(1, 2), repetitions=1),
        "runs": runs,
        "example_count": len(runs),
        **fields,
    }
    return ExperimentResult(name="sums", **given)


def before(n=0, **fields):
    """A run of the baseline, whose examples have the same IDs and other node IDs."""
    return replace(
        run(n, output="earlier", **fields), example=replace(EXAMPLES[n], node_id=f"B{n}"), id=f"R-before-{n}"
    )


def rescoring(*runs, earlier=(), **fields):
    given = {"experiment": SCORED, "baseline_id": "E0", "result": result(*runs), **fields}
    return Rescoring(before=result(*earlier, repetitions=2), **given)


def test_a_baseline_is_opened_with_its_runs_and_without_its_evaluations():
    earlier = [before(0, evaluations=(evaluation(),)), before(0, repetition=2), before(1)]
    found = rescoring(run(0), earlier=earlier).open()
    assert found == opened(
        experiment=SCORED,
        dataset=replace(DATASET, examples=(earlier[0].example, earlier[2].example)),
        repetitions=2,
        earlier={each.key: replace(each, evaluations=()) for each in earlier},
    )


def test_an_experiment_that_did_not_start_is_not_compared():
    with pytest.raises(ValueError, match="sums did not start"):
        rescoring(result=result(opened=None)).open()


KIND = {"kind": "bool", "label": "True", "score": 1.0}


@pytest.mark.parametrize(
    ("scored", "expected"),
    [
        (evaluation(**KIND), BaselineScore(experiment_id="E0", score=1.0, label="True", kind="bool")),
        (evaluation(score=None, failure=FAILURE), BaselineScore(experiment_id="E0", failed=True)),
        (evaluation("another"), BaselineScore(experiment_id="E0", failed=True)),
    ],
)
def test_a_score_of_the_baseline_goes_to_the_same_evaluation_of_the_same_repetition(scored, expected):
    """Other evaluators, which did not change, keep what they have."""
    kept = BaselineScore(experiment_id="kept")
    evaluations = (evaluation(), evaluation("other", baseline_score=kept))
    given = rescoring(run(0, output="first"), run(0, repetition=2, evaluations=evaluations), run(1))
    found = given.own_run(before(0, repetition=2, evaluations=(scored,)))
    assert found == run(
        0, repetition=2, evaluations=(evaluation(baseline_score=expected), evaluation("other", baseline_score=kept))
    )


@pytest.mark.parametrize("missing", [before(1), before(0, repetition=2)])
def test_a_run_of_the_baseline_without_a_counterpart_has_no_place(missing):
    assert rescoring(run(0)).own_run(missing) is None


@pytest.mark.parametrize("error", [None, PhoenixUnreachable("gone")])
def test_scores_are_recorded_with_the_compared_run(error):
    """Of the baseline, nothing is recorded: its run comes back as it was."""
    sent = []

    class Recorder:
        async def record_again(self, opened, run):
            sent.append((opened, run))
            return replace(run, id="again"), error

    given = rescoring(run(0, evaluations=(evaluation(),)), run(1))
    recorder = RescoringRecorder({"sums": given}, Recorder())
    assert asyncio.run(recorder.open(experiment())) == given.open()
    score = evaluation(score=0.25)
    for ignored in (before(3), before(1, failure=FAILURE)):
        assert asyncio.run(recorder.record(given.open(), ignored)) == (ignored, None)
    assert (sent, given.scored) == ([], {})
    scored = before(0, evaluations=(score,))
    assert asyncio.run(recorder.record(given.open(), scored)) == (scored, error)
    expected = run(
        0, evaluations=(evaluation(baseline_score=BaselineScore(experiment_id="E0", score=0.25, kind="number")),)
    )
    assert sent == [(given.compared, expected)]
    assert given.scored == {("B0", 1): replace(expected, id="again")}


def test_nothing_is_written_to_the_baseline():
    recorder = RescoringRecorder({}, None)
    recorder.returned(opened(), run())
    recorder.evaluated(opened(), run(), [evaluation()])
    assert asyncio.run(recorder.verify(opened(), [run()])) == []


INTERRUPTED = reporting.failure(stage="interrupted")


@pytest.mark.parametrize(("failure", "kept"), [(None, None), (INTERRUPTED, None), (FAILURE, FAILURE)])
def test_the_compared_result_has_the_scored_runs_and_the_failures_of_their_records(failure, kept):
    own = [run(0), run(0, repetition=2), run(1, record_failure=INTERRUPTED), run(2)]
    given = rescoring(*own, result=result(*own, failure=FAILURE))
    given.scored["B0", 2] = replace(own[1], id="scored")
    given.scored["B1", 1] = own[2]
    outcome = result(
        before(0),
        before(0, repetition=2, record_failure=FAILURE),
        before(1, record_failure=FAILURE),
        failure=failure,
    )
    found = given.finish(outcome)
    assert found.failure == kept
    assert found.runs == (own[0], replace(own[1], id="scored", record_failure=FAILURE), own[2], own[3])
    assert replace(found, failure=FAILURE, runs=tuple(own)) == given.result


def used(tokens):
    return (ModelUsage(model="m", calls=1, prompt_tokens=tokens, completion_tokens=0, total_tokens=tokens),)


@pytest.mark.parametrize(
    ("usages", "tokens"),
    [([used(2), used(3)], 5), ([used(2), ()], 2), ([used(2), None], None), ([(), ()], 0), ([], 0)],
)
def test_the_usage_is_that_of_the_evaluator_on_all_outputs(usages, tokens):
    runs = [before(n, evaluations=(evaluation(usage=usage),)) for n, usage in enumerate(usages)]
    runs.append(before(7, evaluations=(evaluation("other", evaluator="other", usage=used(90)),)))
    found = rescoring().usage(result(*runs), "exact")
    assert (found if found is None else sum(part.total_tokens for part in found)) == tokens


def test_the_usage_of_each_evaluation_is_passed_on_with_the_name_of_its_experiment():
    paid = []
    usage = (ModelUsage(model="m", calls=1, total_tokens=5),)
    recorder = RescoringRecorder({}, None, on_paid=lambda *each: paid.append(each))
    recorder.evaluated(opened(experiment=SCORED), run(0), [evaluation(usage=usage), evaluation("free", usage=())])
    RescoringRecorder({}, None).evaluated(opened(experiment=SCORED), run(0), [evaluation(usage=usage)])
    assert paid == [(SCORED.name, usage)]
