"""Declare the records of `results.json` about the comparison with a baseline."""

# NOTE: no `from __future__ import annotations` here: msgspec reads the annotations
from typing import Annotated, Any

from msgspec import field

from evalwire.model import Direction, EvaluationKind
from evalwire.reports.results_json.records import Count, Interval, Number, Record, Usage, describe


class Pair(Record, frozen=True):
    """The mean scores of an example over its repetitions, in the baseline and in this run."""

    example_id: Annotated[str, describe("ID of the example.")]
    before: Annotated[Number, describe("Mean score in the baseline.")]
    after: Annotated[Number, describe("Mean score in this run.")]


class Comparison(Record, frozen=True, kw_only=True):
    """The comparison of an evaluation with the baseline, over the unchanged examples."""

    name: Annotated[str, describe("Name of the evaluation.")]
    direction: Annotated[Direction, describe("Whether higher or lower scores are better.")]
    is_bool: Annotated[bool, describe("Whether the scores are bools on both sides.")]
    unscored: Annotated[Count, describe("Unchanged examples that have no score in this run or in the baseline.")]
    before: Annotated[Number | None, describe("Mean of the baseline over the pairs.")]
    after: Annotated[Number | None, describe("Mean of this run over the pairs.")]
    change: Annotated[Number | None, describe("`after - before`.")]
    interval: Annotated[Interval | None, describe("Interval of the change; null if there are too few pairs.")]
    p_value: Annotated[Number | None, describe("One-sided p-value of a change for the worse.", minimum=0, maximum=1)]
    test: Annotated[str, describe("Name of the test.")]
    minimum_detectable: Annotated[
        Number | None, describe("Smallest change for the worse that would be detected with a power of 80%.")
    ]
    half_applicable: Annotated[
        Count,
        describe("Number of `unscored` examples that the evaluation applies to in only this run or only the baseline."),
    ] = 0
    repetitions: Annotated[int, describe("Runs of each example, in this run and in the baseline.", minimum=1)] = 1
    pairs: Annotated[tuple[Pair, ...], describe("Pairs, in dataset order.")]


class BaselineScore(Record, frozen=True):
    """The score that today's evaluator gave the baseline's output for the example and repetition of a run."""

    experiment_id: Annotated[str, describe("Experiment ID of the baseline in Phoenix; empty for a file.")]
    score: Annotated[Number | None, describe("The score, if any.")]
    label: Annotated[str | None, describe("The label, if any.")]
    kind: Annotated[EvaluationKind | None, describe("Type of the value that the evaluator returned.")]
    failed: Annotated[bool, describe("Whether the evaluator failed on the baseline's output.")]


class Rescored(Record, frozen=True):
    """An evaluator that changed since the baseline, and therefore scored the baseline's outputs again."""

    evaluator: Annotated[str, describe("Name of the evaluator.")]
    evaluation: Annotated[str, describe("Name of the score.")]
    reason: Annotated[str, describe("The change of the evaluator.")]
    outputs: Annotated[Count, describe("Number of the baseline's outputs that the evaluator scored.")]
    failed: Annotated[Count, describe("Number of the baseline's outputs on which the evaluator failed.")]
    recorded: Annotated[Number | None, describe("Mean of the recorded scores of the baseline, over the same outputs.")]
    today: Annotated[Number | None, describe("Mean of today's scores of the outputs.")]
    usage: Annotated[Usage | None, describe("Usage of language models to score the outputs; null if unknown.")]


class BaselineRun(Record, frozen=True):
    """A run of the baseline, on an unchanged example, whose output, failure or score differs from this run's."""

    example_id: Annotated[str, describe("ID of the example.")]
    repetition: Annotated[int, describe("Number of the repetition, from 1.", minimum=1)]
    output: Annotated[Any, describe("Return value of the task, any JSON value; null if the task failed.")]
    error: Annotated[str, describe("Failure of the task; empty if it returned a value.")]
    explanations: Annotated[dict[str, str], describe("Recorded explanations by evaluation.")]
    trace_id: Annotated[str | None, describe("Trace ID of the run in Phoenix.")]


class Baseline(Record, frozen=True):
    """The baseline of an experiment, or the reason why it has none."""

    experiment: Annotated[str, describe("Directory name of the experiment.")]
    asked: Annotated[
        str, describe("How the baseline was chosen: `auto`, an ID, `branch:main`, `tag:release`, `file:main.json`.")
    ]
    note: Annotated[str, describe("Reason why there is no baseline; empty if there is a baseline.")]
    experiment_id: Annotated[str | None, describe("Experiment ID of the baseline in Phoenix.")]
    recorded_name: Annotated[str, describe("Name of the baseline in Phoenix.")]
    url: Annotated[str | None, describe("Page of the baseline in Phoenix.")]
    branch: Annotated[str | None, describe("Branch that the baseline ran on.")]
    commit: Annotated[str | None, describe("Commit that the baseline ran on.")]
    paired: Annotated[Count, describe("Number of unchanged examples.")]
    added: Annotated[tuple[str, ...], describe("IDs of the examples that the baseline does not have.")]
    removed: Annotated[tuple[str, ...], describe("IDs of the examples that only the baseline has.")]
    changed: Annotated[tuple[str, ...], describe("IDs of the examples whose content differs.")]
    examples: Annotated[Count, describe("Number of examples of this run.")] = 0
    rescored: Annotated[tuple[Rescored, ...], describe("Evaluators that scored the baseline again.")] = ()
    changed_evaluators: Annotated[
        dict[str, str],
        describe("By evaluator that changed and did not score the baseline again: why its scores cannot be compared."),
    ] = field(default_factory=dict)
    changed_task: Annotated[tuple[str, ...], describe("Files of the task that changed since the baseline.")] = ()
    comparisons: Annotated[tuple[Comparison, ...], describe("Comparisons of the evaluations on both sides.")] = ()
    runs: Annotated[
        tuple[BaselineRun, ...],
        describe("Runs of the baseline on unchanged examples whose output, failure or score differs, in order."),
    ] = ()
