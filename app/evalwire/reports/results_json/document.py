"""Declare the structure of `results.json` for the reader, the writer and docs/results.schema.json.

Files with the same `schema_version` differ only in fields that later versions of evalwire added. A field keeps its
name, type and meaning; any other change raises the version. A field with a default is computed from other fields, or
is missing from files of earlier versions. Every other field is required.
"""

# NOTE: no `from __future__ import annotations` here: msgspec reads the annotations
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from evalwire.model import AnnotatorKind, EvaluationKind, FailureKind, FailureStage, Outcome, Rule, Status
from evalwire.reports.results_json.baseline_records import Baseline, BaselineScore
from evalwire.reports.results_json.history_records import History
from evalwire.reports.results_json.records import (
    BudgetUse,
    CalibrationState,
    Count,
    Interval,
    Number,
    PartialRun,
    Record,
    Time,
    Usage,
    describe,
)
from evalwire.reports.results_json.stopping_records import Stopping
from evalwire.reports.results_json.variant_records import VariantComparison

SCHEMA_VERSION: Final = 2


_K = Annotated[str, Meta(extra_json_schema={"pattern": "^[1-9][0-9]*$"})]
_Share = Annotated[Number, describe("The mean over examples.", minimum=0, maximum=1)]
ByK = dict[_K, _Share]
_HASH = describe(
    "Digest of input, expected output and metadata, computed before secrets were masked. Examples with the same digest "
    "are the same."
)


class Price(Record, frozen=True):
    """Prices in USD per million tokens."""

    input: Annotated[Number, describe("Price of tokens sent to the model.", minimum=0)]
    output: Annotated[Number, describe("Price of tokens that the model generated.", minimum=0)]
    max_prompt_tokens: Annotated[
        Count | None, describe("Largest prompt to which the price applies; null for any prompt.")
    ] = None
    as_of: Annotated[str, describe("Date of the price of a known model, as YYYY-MM-DD; empty for `[prices]`.")] = ""


class GateResult(Record, frozen=True):
    """The result of a gate."""

    experiment: Annotated[str, describe("Directory name of the experiment.")]
    rule: Annotated[Rule, describe("Kind of limit.")]
    threshold: Annotated[Number, describe("The limit.")]
    status: Annotated[Status, describe("State of the gate.")]
    is_red: Annotated[bool, describe("Whether the gate fails the job.")]
    text: Annotated[str, describe("The result in a sentence.")]
    evaluation: Annotated[str | None, describe("Evaluation that the gate limits; null for the whole experiment.")]
    value: Annotated[Number | None, describe("Value to limit. For `max_drop`: the drop, above 0 if worse.")]
    interval: Annotated[Interval | None, describe("Interval of the value, or for `max_drop` of the change.")]
    p_value: Annotated[
        Number | None,
        describe("For `max_drop`: one-sided p-value, corrected over all drop gates (Holm).", minimum=0, maximum=1),
    ]
    source: Annotated[
        str, describe("Where the gate is set; `default` for the gate on the error rate if an experiment sets none.")
    ]
    label: Annotated[str | None, describe("Label whose share is limited; null for other rules.")] = None
    is_rate: Annotated[bool, describe("Whether the value is a share of the runs, or the change of a share.")] = False
    is_relative: Annotated[bool, describe("Whether a `max_drop` is a share of the baseline's mean.")] = False
    minimum_detectable: Annotated[
        Number | None,
        describe("For `max_drop`: smallest drop that the gate would have found in 4 of 5 cases; null if unknown."),
    ] = None
    is_corrected: Annotated[
        bool, describe("Whether the value is a rate that is corrected for the errors of the evaluator.")
    ] = False


class Failure(Record, frozen=True):
    """The reason why something did not work."""

    stage: Annotated[FailureStage, describe("Stage of the run that failed.")]
    type: Annotated[str, describe("Class name of the exception.")]
    message: Annotated[str, describe("Message of the exception.")]
    cause: Annotated[str | None, describe("First exception of a chain, or the exceptions of a group.")]
    where: Annotated[str | None, describe("`file:line` of the last frame in the user's code.")]
    traceback: Annotated[
        str, describe("Traceback without evalwire's own frames, cut in the middle if it is very long; may be empty.")
    ]
    kind: Annotated[
        FailureKind | None,
        describe("Origin of the failure: the user's code or data, Phoenix, the job itself, or its budget."),
    ] = None


class Evaluation(Record, frozen=True):
    """The result of an evaluator for a run, or its failure."""

    id: Annotated[str | None, describe("ID of the evaluation in Phoenix; null if it is not recorded.")]
    name: Annotated[str, describe("Name of the evaluator, or a name that it returned.")]
    evaluator: Annotated[str, describe("Name of the evaluator.")]
    annotator_kind: Annotated[AnnotatorKind, describe("Kind of annotator in Phoenix.")]
    score: Annotated[Number | None, describe("The score, if any.")]
    label: Annotated[str | None, describe("The label, if any.")]
    explanation: Annotated[str | None, describe("Explanation by the evaluator.")]
    metadata: Annotated[dict[str, Any], describe("Metadata that the evaluator returned.")]
    failure: Annotated[Failure | None, describe("Failure of the evaluator, if any.")]
    attempts: Annotated[Count, describe("Number of calls of the evaluator, including retries.")]
    usage: Annotated[
        Usage | None,
        describe("Usage of these calls, in the first evaluation of each evaluator only; null if unknown."),
    ]
    start_time: Annotated[Time, describe("Start of the evaluator.")]
    end_time: Annotated[Time, describe("End of the evaluator.")]
    trace_id: Annotated[str | None, describe("Trace ID of the evaluator.")]
    baseline_score: Annotated[
        BaselineScore | None,
        describe(
            "Today's score of the baseline's output by the same evaluator; null if the evaluator did not score it."
        ),
    ] = None
    kind: Annotated[
        EvaluationKind | None,
        describe(
            "Type of the returned value, or `not_applicable` if the evaluator does not apply; null for a failure."
        ),
    ] = None


class Run(Record, frozen=True, kw_only=True):
    """A run of the task on an example."""

    id: Annotated[str | None, describe("ID of the run in Phoenix; null if it is not recorded.")]
    example_id: Annotated[str, describe("ID of the example as given by its author, or else by Phoenix.")]
    example_node_id: Annotated[str, describe("Global ID of the example in Phoenix.")]
    input: Annotated[dict[str, Any], describe("Input of the task.")]
    expected: Annotated[dict[str, Any], describe("Expected output of the example.")]
    example_metadata: Annotated[dict[str, Any], describe("Metadata of the example.")]
    example_updated_at: Annotated[str | None, describe("Time of the example's last change in Phoenix, in ISO 8601.")]
    example_splits: Annotated[tuple[str, ...], describe("Splits of the dataset that the example belongs to.")] = ()
    content_hash: Annotated[str, _HASH]
    repetition: Annotated[int, describe("Number of the repetition, from 1.", minimum=1)]
    output: Annotated[Any, describe("Return value of the task, any JSON value; null if the task failed.")]
    failure: Annotated[Failure | None, describe("Failure of the task, if any.")]
    record_failure: Annotated[Failure | None, describe("Reason why Phoenix does not have all of this run, if any.")]
    attempts: Annotated[Count, describe("Number of calls of the task, including retries.")]
    start_time: Annotated[Time, describe("Start of the task.")]
    end_time: Annotated[Time, describe("End of the task.")]
    seconds: Annotated[Number, describe("Duration of the task in seconds.")] = 0.0
    usage: Annotated[Usage | None, describe("Usage of the task over all attempts; null if unknown, as in a dry run.")]
    trace_id: Annotated[str | None, describe("Trace ID of the task.")]
    evaluations: Annotated[tuple[Evaluation, ...], describe("Evaluations of the output.")]


class ExampleNotRun(Record, frozen=True):
    """An example of the dataset without a run; its content is left out."""

    position: Annotated[Count, describe("Position in the dataset, from 0.")]
    example_id: Annotated[str, describe("ID of the example as given by its author, or else by Phoenix.")]
    example_node_id: Annotated[str, describe("Global ID of the example in Phoenix.")]
    example_updated_at: Annotated[str | None, describe("Time of the example's last change in Phoenix, in ISO 8601.")]
    content_hash: Annotated[str, _HASH]


class ExampleScore(Record, frozen=True):
    """The scores of an example over its repetitions."""

    example_id: Annotated[str, describe("ID of the example.")]
    mean: Annotated[Number | None, describe("Mean of the available scores.")]
    spread: Annotated[Number | None, describe("Sample standard deviation of the scores.", minimum=0)]
    count: Annotated[
        int, describe("Repetitions with a score, or with a label if no run of the experiment has a score.", minimum=0)
    ]
    missing: Annotated[int, describe("Repetitions without a score that the evaluator applies to.")]


class ScoreSummary(Record, frozen=True, kw_only=True):
    """The scores of an evaluation over all runs."""

    name: Annotated[str, describe("Name of the evaluation.")]
    mean: Annotated[Number | None, describe("Mean of the available scores.")]
    count: Annotated[int, describe("Runs with a score, or with a label if no run has a score.", minimum=0)]
    missing: Annotated[
        int,
        describe(
            "Runs without a score, because of a failure or because there is only a label.",
            minimum=0,
        ),
    ]
    labels: Annotated[dict[str, Annotated[int, Meta(ge=1)]], describe("Number of runs by label.")]
    pass_rate: Annotated[
        Number | None,
        describe(
            "For bools: pass rate over all expected runs that the evaluator applies to.",
            minimum=0,
            maximum=1,
        ),
    ]
    spread: Annotated[
        Number | None, describe("Mean over examples of the sample standard deviation over repetitions.", minimum=0)
    ]
    pass_at: Annotated[ByK, describe("By k: probability that at least one of k runs passes.")]
    pass_hat: Annotated[ByK, describe("By k: probability that all of k runs pass.")]
    unscored: Annotated[Count, describe("Missing runs that have a label but no score.")] = 0
    not_applicable: Annotated[Count, describe("Runs that the evaluator does not apply to.")] = 0
    per_example: Annotated[
        tuple[ExampleScore, ...], describe("Scores by example, in dataset order; empty without repetitions.")
    ]


class Dataset(Record, frozen=True):
    """The dataset of an experiment."""

    name: Annotated[str, describe("Name of the dataset.")]
    id: Annotated[str | None, describe("ID of the dataset in Phoenix; null if it was not fetched.")]
    version_id: Annotated[str | None, describe("ID of the dataset version.")]


class Experiment(Record, frozen=True, kw_only=True):
    """The results of an experiment."""

    name: Annotated[str, describe("Directory name of the experiment.")]
    passed: Annotated[
        bool,
        describe(
            "Whether no gate failed, and all runs were made, scored and recorded, or their failures were tolerated."
        ),
    ] = False
    experiment_id: Annotated[str | None, describe("ID of the experiment in Phoenix; null if it was not created.")]
    recorded_name: Annotated[str | None, describe("Name of the experiment in Phoenix; null if the dataset is missing.")]
    url: Annotated[str | None, describe("Page of the experiment in Phoenix.")]
    project_name: Annotated[str | None, describe("Phoenix project of the experiment's traces.")]
    metadata: Annotated[dict[str, Any], describe("Metadata recorded with the experiment.")]
    dataset: Annotated[Dataset, describe("Dataset of the experiment.")]
    path: Annotated[str, describe("Path of the experiment's directory.")]
    evaluators: Annotated[tuple[str, ...], describe("Names of the evaluators, as in their file names.")]
    seconds: Annotated[Number, describe("Wall time in seconds.", minimum=0)]
    examples: Annotated[Count, describe("Number of examples to run.")]
    repetitions: Annotated[Count, describe("Number of runs of each example.")]
    expected_runs: Annotated[int, describe("Number of runs to make.", minimum=0)] = 0
    failed: Annotated[int, describe("Runs with any failure.", minimum=0)] = 0
    not_run: Annotated[int, describe("Runs that were not made.")] = 0
    error_rate: Annotated[Number, describe("Share of the expected runs that failed or were not made.", minimum=0)] = 0.0
    usage: Annotated[Usage | None, describe("Usage of the task and all evaluators; null if a part is unknown.")]
    cost_usd: Annotated[
        Number | None, describe("Cost in USD of `usage`, as far as spans and prices provide it.", minimum=0)
    ] = None
    unpriced_models: Annotated[
        tuple[str, ...], describe("Models whose cost is missing in `cost_usd`, partly or completely.")
    ] = ()
    failure: Annotated[Failure | None, describe("Failure that stopped the experiment, if any.")]
    problems: Annotated[tuple[Failure, ...], describe("Reasons why the experiment cannot run, found when loading it.")]
    stopping: Annotated[
        Stopping | None,
        describe("Extent of the experiment, and the decisions of its gates; null without early verdicts."),
    ] = None
    scores: Annotated[tuple[ScoreSummary, ...], describe("Summaries by evaluation name, sorted.")] = ()
    examples_not_run: Annotated[tuple[ExampleNotRun, ...], describe("Examples without a run, in dataset order.")]
    runs: Annotated[tuple[Run, ...], describe("Runs in dataset order, then by repetition.")]


class Results(Record, frozen=True, kw_only=True):
    """The results of an evalwire job.

    Within a schema_version, fields are only added. They are never removed, renamed or given another meaning. Readers
    should ignore unknown fields. This schema belongs to a single version of evalwire and has all of its fields.
    """

    schema_version: Annotated[Literal[2], describe("Raised when a field is removed, renamed or given another meaning.")]
    evalwire_version: Annotated[str, describe("Version of evalwire that wrote the file; empty if unknown.")]
    outcome: Annotated[Outcome, describe("Outcome of the job.")]
    exit_code: Annotated[Count, describe("Exit code of the command: 0 only if the job passed.")]
    dry_run: Annotated[bool, describe("Whether the job did not write to Phoenix.")]
    shard: Annotated[
        str | None,
        describe(
            "Shard of the experiments that the job ran, such as `2/5`; the gates are applied to all shards together.",
            pattern="^[0-9]+/[0-9]+$",
        ),
    ] = None
    partial: Annotated[
        PartialRun | None, describe("Size of a partial run, which is never a baseline; null for a run of all examples.")
    ] = None
    failing: Annotated[
        dict[str, tuple[str, ...] | None],
        describe(
            "By experiment: IDs of the examples that failed or became worse, which `--failing` runs. They include "
            "failing examples of earlier results that this job did not run. Null stands for all examples."
        ),
    ] = {}  # noqa: RUF012 - msgspec copies it
    endpoint: Annotated[str | None, describe("Address of Phoenix; null if Phoenix was not reached.")]
    started_at: Annotated[Time, describe("Start of the command.")]
    seconds: Annotated[Number, describe("Wall time of the whole job in seconds.", minimum=0)]
    directory: Annotated[str, describe("Working directory, the base of relative paths in reports; may be empty.")]
    abandoned_threads: Annotated[Count, describe("Calls of plain functions that were still running after the timeout.")]
    lost_spans: Annotated[Count, describe("Spans that could not be delivered; they do not affect the outcome.")]
    unwritten: Annotated[tuple[str, ...], describe("Reports that could not be written, each with the reason.")] = ()
    budget: Annotated[
        BudgetUse | None, describe("Budget of the job, and what it used of it; null without a budget.")
    ] = None
    journal: Annotated[str | None, describe("Journal file for `evalwire resume`.")]
    undelivered: Annotated[int, describe("Runs and evaluations that Phoenix does not have.", minimum=0)] = 0
    ci: Annotated[
        dict[str, Any],
        describe(
            "CI job: `ci`, `commit`, `branch`, `base_branch`, `pull_request`, `job_url`. Outside of CI: `commit`, "
            "`branch`, `base_branch` and `dirty` from git, if the job ran in a repository."
        ),
    ]
    prices: Annotated[dict[str, Price], describe("Prices by model, for calls whose spans have no cost.")]
    gates: Annotated[tuple[GateResult, ...], describe("Results of the gates; empty if no gates were applied.")]
    baselines: Annotated[tuple[Baseline, ...], describe("Baselines of the experiments that were to be compared.")]
    calibrations: Annotated[
        tuple[CalibrationState, ...],
        describe("Calibration of each evaluation by a language model; empty if no gates were applied."),
    ] = ()
    history: Annotated[
        tuple[History, ...], describe("Earlier experiments of the base branch, for trends; empty if there are none.")
    ] = ()
    variants: Annotated[
        tuple[VariantComparison, ...], describe("Comparisons of the variants of each experiment with each other.")
    ] = ()
    experiments: Annotated[tuple[Experiment, ...], describe("Results of the experiments, in the order of discovery.")]
