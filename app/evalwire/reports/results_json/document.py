"""Declare the shape of `results.json`; the reader, the writer and docs/results.schema.json follow it.

Files of one `schema_version` differ only in fields that a later evalwire added: a field keeps its name, its type and
its meaning. Whatever breaks that raises the version. A field with a default is worked out from the others, or is
missing from files of an earlier evalwire; every other field is required.
"""

# NOTE: no `from __future__ import annotations` here: msgspec reads the annotations
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from evalwire.model import AnnotatorKind, Direction, EvaluationKind, FailureKind, FailureStage, Outcome, Rule, Status

SCHEMA_VERSION: Final = 2


class Record(Struct, frozen=True):
    """An object of the file."""


def said(description: str, **constraints: Any) -> Meta:
    """Return a field's description, and constraints that the schema states and the reader does not check."""
    return Meta(description=description, extra_json_schema=constraints or None)


Number = int | float  # an int stays an int
Count = Annotated[int, Meta(ge=0)]
Time = Annotated[datetime, Meta(tz=True)]
_K = Annotated[str, Meta(extra_json_schema={"pattern": "^[1-9][0-9]*$"})]
_Share = Annotated[Number, said("The mean over examples.", minimum=0, maximum=1)]
ByK = dict[_K, _Share]
_HASH = said(
    "A digest of input, expected output and metadata, made before secrets were masked: examples with the same one are "
    "the same."
)


class Price(Record, frozen=True):
    """US dollars per million tokens."""

    input: Annotated[Number, said("Of tokens sent.", minimum=0)]
    output: Annotated[Number, said("Of tokens made.", minimum=0)]


class Interval(Record, frozen=True):
    """A two-sided confidence interval."""

    low: Annotated[Number, said("Its lower end.")]
    high: Annotated[Number, said("Its upper end.")]
    method: Annotated[str, said("Such as `Wilson` or `paired t`.")]
    confidence: Annotated[Number, said("0.95 for one of 95 %.", exclusiveMinimum=0, exclusiveMaximum=1)]


class GateResult(Record, frozen=True):
    """What one gate came to."""

    experiment: Annotated[str, said("The experiment's folder.")]
    rule: Annotated[Rule, said("Which limit it is.")]
    threshold: Annotated[Number, said("The limit.")]
    status: Annotated[Status, said("What it came to.")]
    is_red: Annotated[bool, said("Whether it fails the job.")]
    text: Annotated[str, said("It all in one sentence.")]
    evaluation: Annotated[str | None, said("What it is over; null for one over the whole experiment.")]
    value: Annotated[Number | None, said("What was held to the limit. For `max_drop` the drop, above 0 when worse.")]
    interval: Annotated[Interval | None, said("Of the value, or for `max_drop` of the change.")]
    p_value: Annotated[
        Number | None,
        said("For `max_drop`: one-sided, corrected over all drop gates of the job (Holm).", minimum=0, maximum=1),
    ]
    source: Annotated[
        str, said("Where the gate was asked for; `default` for the error rate of an experiment without one.")
    ]
    label: Annotated[str | None, said("The label whose share is limited; null for another rule.")] = None


class Pair(Record, frozen=True):
    """One example under one evaluator: the means over its repetitions."""

    example_id: Annotated[str, said("The example's id.")]
    before: Annotated[Number, said("In the baseline.")]
    after: Annotated[Number, said("In this run.")]


class Comparison(Record, frozen=True, kw_only=True):
    """One evaluation beside its baseline, over the examples that are the same in both."""

    name: Annotated[str, said("Of the evaluation.")]
    direction: Annotated[Direction, said("Whether higher or lower scores are better.")]
    is_bool: Annotated[bool, said("Whether the scores are passes and failures on both sides.")]
    unscored: Annotated[Count, said("Examples that are the same in both but lack a score on a side.")]
    before: Annotated[Number | None, said("The baseline's mean over the pairs.")]
    after: Annotated[Number | None, said("This run's mean over the pairs.")]
    change: Annotated[Number | None, said("`after - before`.")]
    interval: Annotated[Interval | None, said("Of the change; null where there are too few pairs.")]
    p_value: Annotated[Number | None, said("One-sided, of a change for the worse.", minimum=0, maximum=1)]
    test: Annotated[str, said("The test's name.")]
    minimum_detectable: Annotated[
        Number | None, said("The smallest change for the worse that would have been found in four of five cases.")
    ]
    half_applicable: Annotated[Count, said("Those of them that it applies to on one side only.")] = 0
    pairs: Annotated[tuple[Pair, ...], said("In the dataset's order.")]


class BaselineScore(Record, frozen=True):
    """What today's evaluator returned for the baseline's output in the place of a run."""

    experiment_id: Annotated[str, said("Phoenix's ID of the baseline; empty where it is a file.")]
    score: Annotated[Number | None, said("The score, if any.")]
    label: Annotated[str | None, said("The label, if any.")]
    kind: Annotated[EvaluationKind | None, said("The type that the evaluator returned.")]
    failed: Annotated[bool, said("Whether the evaluator failed on the baseline's output.")]


class ModelUsage(Record, frozen=True):
    """What the calls of one model used."""

    model: Annotated[str, said("Its name, as the spans have it; empty where they do not say.")]
    calls: Annotated[Count, said("LLM spans.")]
    prompt_tokens: Annotated[Count, said("Tokens sent to it.")]
    completion_tokens: Annotated[Count, said("Tokens made by it.")]
    total_tokens: Annotated[Count, said("Of the two, or as the spans give it.")]
    cost_usd: Annotated[Number, said("Of the calls whose spans tell their cost.", minimum=0)]
    uncounted: Annotated[Count, said("Calls whose spans have no token counts.")]
    unpriced: Annotated[Count, said("Calls whose spans do not tell their cost.")]
    unpriced_prompt_tokens: Annotated[Count, said("Tokens sent in those calls.")]
    unpriced_completion_tokens: Annotated[Count, said("Tokens made in those calls.")]


Usage = tuple[ModelUsage, ...]


class Rescored(Record, frozen=True):
    """An evaluator that was changed, and therefore scored the baseline's outputs again."""

    evaluator: Annotated[str, said("Its name.")]
    evaluation: Annotated[str, said("The name of the score.")]
    reason: Annotated[str, said("What was changed.")]
    outputs: Annotated[Count, said("How many of the baseline's outputs it scored.")]
    failed: Annotated[Count, said("On how many it failed.")]
    recorded: Annotated[Number | None, said("The mean that was recorded with the baseline, over the same outputs.")]
    today: Annotated[Number | None, said("The mean of today's scores of them.")]
    usage: Annotated[Usage | None, said("What scoring them used of language models; null where it is not known.")]


class Baseline(Record, frozen=True):
    """What an experiment was compared with, or why with nothing."""

    experiment: Annotated[str, said("The experiment's folder.")]
    asked: Annotated[str, said("How it was chosen: `auto`, an id, `branch:main`, `tag:release`, `file:main.json`.")]
    note: Annotated[str, said("Why there is none; empty when there is one.")]
    experiment_id: Annotated[str | None, said("Phoenix's id of it.")]
    recorded_name: Annotated[str, said("Its name in Phoenix.")]
    url: Annotated[str | None, said("Its page in Phoenix.")]
    branch: Annotated[str | None, said("That it ran on.")]
    commit: Annotated[str | None, said("That it ran on.")]
    paired: Annotated[Count, said("Examples that are the same in both.")]
    added: Annotated[tuple[str, ...], said("Ids of the examples that the baseline does not have.")]
    removed: Annotated[tuple[str, ...], said("Ids of the examples that only the baseline has.")]
    changed: Annotated[tuple[str, ...], said("Ids of the examples that are in both with another content.")]
    examples: Annotated[Count, said("Examples that this run has.")] = 0
    rescored: Annotated[tuple[Rescored, ...], said("The evaluators that scored the baseline again.")] = ()
    changed_evaluators: Annotated[
        dict[str, str],
        said("By evaluator: why its scores cannot be compared, where it has not scored the baseline again."),
    ] = {}
    changed_task: Annotated[tuple[str, ...], said("The files of the task that were changed since the baseline.")] = ()
    comparisons: Annotated[tuple[Comparison, ...], said("One for each evaluation that both have.")] = ()


class Failure(Record, frozen=True):
    """Why something did not work."""

    stage: Annotated[FailureStage, said("Where in the run it happened.")]
    type: Annotated[str, said("The exception's class name.")]
    message: Annotated[str, said("The exception's text.")]
    cause: Annotated[str | None, said("The first exception of a chain, or those in a group.")]
    where: Annotated[str | None, said("`file:line` of the last frame in the user's code.")]
    traceback: Annotated[
        str, said("Without evalwire's own frames; may be empty. Of a very long one the middle is left out.")
    ]
    kind: Annotated[
        FailureKind | None,
        said("Whose failure it is: the user's code or data, Phoenix, or the job itself."),
    ] = None


class Evaluation(Record, frozen=True):
    """What an evaluator said of one run, or its failure."""

    id: Annotated[str | None, said("Phoenix's id of it; null where it is not recorded.")]
    name: Annotated[str, said("Of the evaluation: the evaluator's name, or one that it gave.")]
    evaluator: Annotated[str, said("The evaluator that said it.")]
    annotator_kind: Annotated[AnnotatorKind, said("How Phoenix files it.")]
    score: Annotated[Number | None, said("The score, if any.")]
    label: Annotated[str | None, said("The label, if any.")]
    explanation: Annotated[str | None, said("Why, in the evaluator's words.")]
    metadata: Annotated[dict[str, Any], said("Whatever else the evaluator said.")]
    failure: Annotated[Failure | None, said("Why it failed instead.")]
    attempts: Annotated[Count, said("Calls of the evaluator that it took.")]
    usage: Annotated[
        Usage | None,
        said("Of these calls; empty for all but the first evaluation of one evaluator, null where that is not known."),
    ]
    start_time: Annotated[Time, said("When it began.")]
    end_time: Annotated[Time, said("When it ended.")]
    trace_id: Annotated[str | None, said("Of its trace.")]
    baseline_score: Annotated[
        BaselineScore | None,
        said("What the same evaluator returned today for the baseline's output; null where it was not asked."),
    ] = None
    kind: Annotated[
        EvaluationKind | None,
        said("The type that the evaluator returned, or that it does not apply to the run; null for a failure."),
    ] = None


class Run(Record, frozen=True, kw_only=True):
    """One run of the task on one example."""

    id: Annotated[str | None, said("Phoenix's id of it; null where it is not recorded.")]
    example_id: Annotated[str, said("The id that the example's author gave, else Phoenix's.")]
    example_node_id: Annotated[str, said("Phoenix's global id of the example.")]
    input: Annotated[dict[str, Any], said("What the task was given.")]
    expected: Annotated[dict[str, Any], said("What the example expects.")]
    example_metadata: Annotated[dict[str, Any], said("Whatever else the example's author attached.")]
    example_updated_at: Annotated[str | None, said("When Phoenix last changed the example, in ISO 8601.")]
    content_hash: Annotated[str, _HASH]
    repetition: Annotated[int, said("Which run of the example it is, from 1.", minimum=1)]
    output: Annotated[Any, said("What the task returned, any JSON value; null when it failed.")]
    failure: Annotated[Failure | None, said("Why the task failed.")]
    record_failure: Annotated[Failure | None, said("Why Phoenix does not have all of this run.")]
    attempts: Annotated[Count, said("Calls of the task that it took.")]
    start_time: Annotated[Time, said("When the task began.")]
    end_time: Annotated[Time, said("When it ended.")]
    seconds: Annotated[Number, said("How long it took.")] = 0.0
    usage: Annotated[
        Usage | None, said("Of the task, over all attempts; null where that is not known, as in a dry run.")
    ]
    trace_id: Annotated[str | None, said("Of the task's trace.")]
    evaluations: Annotated[tuple[Evaluation, ...], said("What was said of the output.")]


class ExampleNotRun(Record, frozen=True):
    """An example of the dataset without any run; what it asks is not here."""

    position: Annotated[Count, said("Its place in the dataset, from 0.")]
    example_id: Annotated[str, said("The id its author gave, else Phoenix's.")]
    example_node_id: Annotated[str, said("Phoenix's global id.")]
    example_updated_at: Annotated[str | None, said("When Phoenix last changed the example, in ISO 8601.")]
    content_hash: Annotated[str, _HASH]


class ExampleScore(Record, frozen=True):
    """One example over its repetitions."""

    example_id: Annotated[str, said("The example's id.")]
    mean: Annotated[Number | None, said("Of the scores there are.")]
    spread: Annotated[Number | None, said("Their sample standard deviation.", minimum=0)]
    count: Annotated[int, said("Repetitions with a score; with a label, where no run has a score.", minimum=0)]
    missing: Annotated[int, said("Repetitions without one, though the evaluator applies to them.")]


class ScoreSummary(Record, frozen=True, kw_only=True):
    """What an evaluator said over all runs."""

    name: Annotated[str, said("Of the evaluation.")]
    mean: Annotated[Number | None, said("Of the scores there are.")]
    count: Annotated[int, said("Runs with a score; with a label, where no run has a score.", minimum=0)]
    missing: Annotated[
        int,
        said("Runs without one: the task or the evaluator failed, or there is a label without a score.", minimum=0),
    ]
    labels: Annotated[dict[str, Annotated[int, Meta(ge=1)]], said("How often each label was given.")]
    pass_rate: Annotated[
        Number | None,
        said("Of an evaluator that returns bools, over all expected runs that it applies to.", minimum=0, maximum=1),
    ]
    spread: Annotated[
        Number | None, said("The mean of the examples' sample standard deviations over their repetitions.", minimum=0)
    ]
    pass_at: Annotated[ByK, said("By k: the chance that at least one of k runs passes.")]
    pass_hat: Annotated[ByK, said("By k: the chance that all of k runs pass.")]
    unscored: Annotated[Count, said("Missing runs with a label and no score.")] = 0
    not_applicable: Annotated[Count, said("Runs that the evaluator does not apply to.")] = 0
    per_example: Annotated[tuple[ExampleScore, ...], said("Of repeated examples, in the dataset's order; else empty.")]


class Dataset(Record, frozen=True):
    """What it ran on."""

    name: Annotated[str, said("The dataset's name.")]
    id: Annotated[str | None, said("Phoenix's id of it; null where it was not fetched.")]
    version_id: Annotated[str | None, said("The version that ran.")]


class Experiment(Record, frozen=True, kw_only=True):
    """One experiment."""

    name: Annotated[str, said("Its folder.")]
    passed: Annotated[
        bool,
        said(
            "Whether everything ran, was scored and was recorded, or its failures were tolerated; and no gate failed."
        ),
    ] = False
    experiment_id: Annotated[str | None, said("Phoenix's id of it; null where nothing was created.")]
    recorded_name: Annotated[str | None, said("Its name in Phoenix; null where its dataset was not fetched.")]
    url: Annotated[str | None, said("Its page in Phoenix.")]
    project_name: Annotated[str | None, said("The Phoenix project that its traces are in.")]
    metadata: Annotated[dict[str, Any], said("What was recorded with it.")]
    dataset: Annotated[Dataset, said("What it ran on.")]
    path: Annotated[str, said("Of its folder.")]
    evaluators: Annotated[tuple[str, ...], said("The evaluators' names, each that of its file.")]
    seconds: Annotated[Number, said("Wall time.", minimum=0)]
    examples: Annotated[Count, said("Examples that were to run.")]
    repetitions: Annotated[Count, said("How many times each.")]
    expected_runs: Annotated[int, said("Runs that there were to be.", minimum=0)] = 0
    failed: Annotated[int, said("Runs with any failure.", minimum=0)] = 0
    not_run: Annotated[int, said("Runs that were not made.")] = 0
    error_rate: Annotated[Number, said("The share of the expected runs that failed or were not made.", minimum=0)] = 0.0
    usage: Annotated[Usage | None, said("Of all its tasks and evaluators; null where that is not known of some.")]
    cost_usd: Annotated[Number | None, said("Of `usage`, as far as spans and prices tell.", minimum=0)] = None
    unpriced_models: Annotated[tuple[str, ...], said("Models whose cost lacks, in part or wholly, in `cost_usd`.")] = ()
    failure: Annotated[Failure | None, said("What stopped it as a whole.")]
    problems: Annotated[tuple[Failure, ...], said("Why it cannot run at all: what was found wrong when it was loaded.")]
    scores: Annotated[tuple[ScoreSummary, ...], said("One summary for each evaluation name, sorted.")] = ()
    examples_not_run: Annotated[tuple[ExampleNotRun, ...], said("In the dataset's order.")]
    runs: Annotated[tuple[Run, ...], said("In the dataset's order, then by repetition.")]


class Results(Record, frozen=True, kw_only=True):
    """Everything that one job of evalwire came to.

    Within a schema_version fields are only added, never removed, renamed or given another meaning: a reader should
    ignore the fields that it does not know. This schema describes the evalwire it came with, and knows every field.
    """

    schema_version: Annotated[Literal[2], said("Raised when a field is removed, renamed or given another meaning.")]
    evalwire_version: Annotated[str, said("The evalwire that wrote it; empty where that is not known.")]
    outcome: Annotated[Outcome, said("Why the job ended as it did.")]
    exit_code: Annotated[Count, said("Of the command: 0 only for a job that passed.")]
    dry_run: Annotated[bool, said("Whether nothing was written to Phoenix.")]
    shard: Annotated[
        str | None,
        said(
            "The part of every experiment that was run, such as `2/5`; its gates are judged with the others.",
            pattern="^[0-9]+/[0-9]+$",
        ),
    ] = None
    endpoint: Annotated[str | None, said("Phoenix's address; null where none was reached.")]
    started_at: Annotated[Time, said("When the command began.")]
    seconds: Annotated[Number, said("Wall time of the whole job.", minimum=0)]
    directory: Annotated[
        str, said("The working directory, which paths in reports are shown relative to; may be empty.")
    ]
    abandoned_threads: Annotated[Count, said("Plain functions that were still running when their time was up.")]
    lost_spans: Annotated[Count, said("Spans that could not be delivered; they are not part of the outcome.")]
    unwritten: Annotated[tuple[str, ...], said("Reports that could not be written, each with the reason.")] = ()
    journal: Annotated[str | None, said("The file that `evalwire resume` goes on with.")]
    undelivered: Annotated[int, said("Runs and evaluations that Phoenix does not have.", minimum=0)] = 0
    ci: Annotated[
        dict[str, Any],
        said(
            "About the CI job: `ci`, `commit`, `branch`, `base_branch`, `pull_request`, `job_url`; empty outside of CI."
        ),
    ]
    prices: Annotated[dict[str, Price], said("By model: the prices of calls whose spans tell no cost.")]
    gates: Annotated[tuple[GateResult, ...], said("What each gate came to; empty where none was judged.")]
    baselines: Annotated[
        tuple[Baseline, ...], said("What each experiment was compared with, of those that were to be.")
    ]
    experiments: Annotated[tuple[Experiment, ...], said("In the order in which they were found.")]
