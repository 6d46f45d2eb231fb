"""`results.json`: everything a report knows, for programs; docs/results.schema.json says what is in it.

Files of one `schema_version` differ in nothing but fields that a later evalwire added: a field that is there keeps its
name, its type and its meaning. Whatever breaks that raises the version. `results_file.py` reads the file back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from evalwire.model import ModelUsage, usage_cost_usd

if TYPE_CHECKING:
    from evalwire.model import (
        Baseline,
        Comparison,
        Evaluation,
        ExperimentResult,
        Failure,
        Report,
        ScoreSummary,
        TaskRun,
        Usage,
    )

SCHEMA_VERSION = 2

_OF_A_MODEL = tuple(item.name for item in fields(ModelUsage))


def pieces(report: Report) -> Iterator[str]:
    """The report as JSON text, each run a piece of its own, since a large report is not to be held twice."""
    head = {
        "schema_version": SCHEMA_VERSION,
        "evalwire_version": report.evalwire_version,
        "outcome": report.outcome,
        "exit_code": report.exit_code,
        "dry_run": report.dry_run,
        "shard": str(report.shard) if report.shard else None,
        "endpoint": report.endpoint,
        "started_at": report.started_at.isoformat(),
        "seconds": report.seconds,
        "directory": report.directory,
        "abandoned_threads": report.abandoned_threads,
        "lost_spans": report.lost_spans,
        "journal": report.journal,
        "undelivered": report.undelivered,
        "ci": dict(report.ci),
        "prices": {model: asdict(price) for model, price in report.prices.items()},
        "gates": [asdict(verdict) for verdict in report.gates],
    }
    lists = {
        "baselines": map(_baseline, report.baselines),
        "experiments": (_experiment(report, result) for result in report.results),
    }
    yield from _object(head, lists, depth=0)
    yield "\n"


def _experiment(report: Report, result: ExperimentResult) -> Iterator[str]:
    opened, usage = result.opened, result.usage
    cost, unpriced = usage_cost_usd(usage, report.prices) if usage is not None else (None, [])
    head = {
        "name": result.name,
        "passed": report.passed(result),
        "experiment_id": opened.id if opened else None,
        "recorded_name": opened.recorded_name if opened else None,
        "url": result.url,
        "project_name": result.project_name,
        "metadata": dict(result.experiment_metadata),
        "dataset": {
            "name": result.dataset_name,
            "id": result.dataset_id or None,
            "version_id": result.dataset_version_id or None,
        },
        "path": result.path,
        "evaluators": list(result.evaluator_names),
        "seconds": result.seconds,
        "examples": result.example_count,
        "repetitions": result.repetitions,
        "expected_runs": result.expected_runs,
        "failed": len(result.failed_runs),
        "not_run": result.not_run,
        "error_rate": result.error_rate,
        "usage": _usage(usage),
        "cost_usd": cost,
        "unpriced_models": unpriced,
        "failure": _failure(result.failure),
        "problems": [_failure(problem) for problem in result.problems],
    }
    lists: dict[str, Iterable[Iterable[str]]] = {
        "scores": map(_score, result.scores),
        "examples_not_run": ([_text(one, depth=4)] for one in _not_run(result)),
        "runs": ([_text(_run(run), depth=4)] for run in result.runs),
    }
    return _object(head, lists, depth=2)


def _baseline(baseline: Baseline) -> Iterator[str]:
    head = {
        "experiment": baseline.experiment,
        "asked": baseline.asked,
        "note": baseline.note,
        "experiment_id": baseline.experiment_id,
        "recorded_name": baseline.recorded_name,
        "url": baseline.url,
        "branch": baseline.branch,
        "commit": baseline.commit,
        "paired": baseline.paired,
        "added": list(baseline.added),
        "removed": list(baseline.removed),
        "changed": list(baseline.changed),
    }
    return _object(head, {"comparisons": map(_comparison, baseline.comparisons)}, depth=2)


def _comparison(comparison: Comparison) -> Iterator[str]:
    head = {
        "name": comparison.name,
        "direction": comparison.direction,
        "is_bool": comparison.is_bool,
        "unscored": comparison.unscored,
        "before": comparison.before,
        "after": comparison.after,
        "change": comparison.change,
        "interval": asdict(comparison.interval) if comparison.interval else None,
        "p_value": comparison.p_value,
        "test": comparison.test,
        "minimum_detectable": comparison.minimum_detectable,
    }
    pairs = (
        [_text({"example_id": pair.example_id, "before": pair.before, "after": pair.after}, depth=6)]
        for pair in comparison.pairs
    )
    return _object(head, {"pairs": pairs}, depth=4)


def _score(score: ScoreSummary) -> Iterator[str]:
    head = {
        "name": score.name,
        "mean": score.mean,
        "count": score.count,
        "missing": score.missing,
        "labels": dict(score.labels),
        "pass_rate": score.pass_rate,
        "spread": score.spread,
        "pass_at": dict(score.pass_at),
        "pass_hat": dict(score.pass_hat),
    }
    examples = ([_text(asdict(one), depth=6)] for one in score.per_example)
    return _object(head, {"per_example": examples}, depth=4)


def _object(head: Mapping[str, Any], lists: Mapping[str, Iterable[Iterable[str]]], *, depth: int) -> Iterator[str]:
    """A JSON object, piece by piece: its first fields, then lists of items that come in pieces of their own."""
    line = "\n" + "  " * depth
    yield _text(head, depth=depth).removesuffix(line + "}")
    for key, items in lists.items():
        yield f',{line}  "{key}": ['
        before, end = f"{line}    ", "]"
        for item in items:
            for piece in item:
                yield before + piece
                before = ""
            before, end = f",{line}    ", f"{line}  ]"
        yield end
    yield line + "}"


def _text(value: Any, *, depth: int) -> str:
    """A value as JSON text, indented by `depth` but for its first line; what it says has no line ends of its own.

    Half of a surrogate pair is no Unicode and becomes a question mark, as in every other report.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False, default=str)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, indent=2, default=str)
    return text.replace("\n", "\n" + "  " * depth).encode(errors="replace").decode()


def _finite(value: Any) -> Any:
    """A value with its NaN and infinities, which a dataset's author may have written, as text."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case Mapping():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value


def _run(run: TaskRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "example_id": run.example.id,
        "example_node_id": run.example.node_id,
        "input": dict(run.example.input),
        "expected": dict(run.example.output),
        "example_metadata": dict(run.example.metadata),
        "example_updated_at": run.example.updated_at,
        "content_hash": run.example.content_hash,
        "repetition": run.repetition,
        "output": run.output,
        "failure": _failure(run.failure),
        "record_failure": _failure(run.record_failure),
        "attempts": run.attempts,
        "start_time": run.start_time.isoformat(),
        "end_time": run.end_time.isoformat(),
        "seconds": run.seconds,
        "usage": _usage(run.usage),
        "trace_id": run.trace_id,
        "evaluations": [_evaluation(evaluation) for evaluation in run.evaluations],
    }


def _not_run(result: ExperimentResult) -> Iterator[dict[str, Any]]:
    """The examples of the dataset that have no run, each with its place in the dataset.

    What they ask is left out: no report shows it, and secrets are taken out only of what is shown.
    """
    ran = {run.example.node_id for run in result.runs}
    for position, example in enumerate(result.opened.dataset.examples if result.opened else ()):
        if example.node_id not in ran:
            yield {
                "position": position,
                "example_id": example.id,
                "example_node_id": example.node_id,
                "example_updated_at": example.updated_at,
                "content_hash": example.content_hash,
            }


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "id": evaluation.id,
        "name": evaluation.name,
        "evaluator": evaluation.evaluator,
        "annotator_kind": evaluation.annotator_kind,
        "score": evaluation.score,
        "label": evaluation.label,
        "explanation": evaluation.explanation,
        "metadata": dict(evaluation.metadata),
        "failure": _failure(evaluation.failure),
        "attempts": evaluation.attempts,
        "usage": _usage(evaluation.usage),
        "start_time": evaluation.start_time.isoformat(),
        "end_time": evaluation.end_time.isoformat(),
        "trace_id": evaluation.trace_id,
    }


def _usage(usage: Usage | None) -> list[dict[str, Any]] | None:
    return None if usage is None else [{name: getattr(one, name) for name in _OF_A_MODEL} for one in usage]


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "kind": failure.kind,
        "stage": failure.stage,
        "type": failure.type,
        "message": failure.message,
        "cause": failure.cause,
        "where": failure.where,
        "traceback": failure.traceback,
    }
