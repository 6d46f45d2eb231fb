"""Hold the nouns that pass between stages, all immutable and named as Phoenix names them."""

from evalwire.model.baseline import Baseline, Comparison, Direction, Interval, Pair
from evalwire.model.example import Dataset, Example, content_hash
from evalwire.model.experiment import Callee, Experiment, OpenExperiment
from evalwire.model.failure import Failure, FailureKind, FailureStage, kind_without_record
from evalwire.model.gates import GateResult, Rule, Status
from evalwire.model.job_spec import JobSpec
from evalwire.model.json_values import EMPTY, is_same_json, to_json
from evalwire.model.metadata import (
    CREATION_KEY,
    FACTS_KEY,
    end_metadata,
    evaluation_metadata,
    evaluator_hashes,
    file_hash,
    own_metadata,
    recorded_kind,
    recorded_usage,
    start_metadata,
)
from evalwire.model.report import Outcome, Report, has_passed, tolerates_errors
from evalwire.model.result import ExperimentResult
from evalwire.model.run import AnnotatorKind, Evaluation, EvaluationKind, RunKey, TaskRun, kind_by_score
from evalwire.model.scores import ScoreSummary, are_bools
from evalwire.model.shard import Shard, Sharing, deal_examples, missing_shards
from evalwire.model.stats import (
    SIGNIFICANCE,
    holm,
    mcnemar_midp,
    mean_interval,
    minimum_detectable_change,
    percentile,
    sign_flip,
    wilson_interval,
)
from evalwire.model.stored import OnExist, StoredDataset, StoredExample, UnfinishedUpload, mark_count, mark_unfinished
from evalwire.model.usage import (
    ModelUsage,
    Price,
    SpanUsage,
    Usage,
    token_count,
    total_usage,
    usage_cost_usd,
    usage_from_json,
    usage_of_spans,
)

__all__ = [
    "CREATION_KEY",
    "EMPTY",
    "FACTS_KEY",
    "SIGNIFICANCE",
    "AnnotatorKind",
    "Baseline",
    "Callee",
    "Comparison",
    "Dataset",
    "Direction",
    "Evaluation",
    "EvaluationKind",
    "Example",
    "Experiment",
    "ExperimentResult",
    "Failure",
    "FailureKind",
    "FailureStage",
    "GateResult",
    "Interval",
    "JobSpec",
    "ModelUsage",
    "OnExist",
    "OpenExperiment",
    "Outcome",
    "Pair",
    "Price",
    "Report",
    "Rule",
    "RunKey",
    "ScoreSummary",
    "Shard",
    "Sharing",
    "SpanUsage",
    "Status",
    "StoredDataset",
    "StoredExample",
    "TaskRun",
    "UnfinishedUpload",
    "Usage",
    "are_bools",
    "content_hash",
    "deal_examples",
    "end_metadata",
    "evaluation_metadata",
    "evaluator_hashes",
    "file_hash",
    "has_passed",
    "holm",
    "is_same_json",
    "kind_by_score",
    "kind_without_record",
    "mark_count",
    "mark_unfinished",
    "mcnemar_midp",
    "mean_interval",
    "minimum_detectable_change",
    "missing_shards",
    "own_metadata",
    "percentile",
    "recorded_kind",
    "recorded_usage",
    "sign_flip",
    "start_metadata",
    "to_json",
    "token_count",
    "tolerates_errors",
    "total_usage",
    "usage_cost_usd",
    "usage_from_json",
    "usage_of_spans",
    "wilson_interval",
]
