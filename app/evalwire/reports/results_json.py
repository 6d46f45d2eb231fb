"""`results.json`: everything a report knows, for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalwire.model import Evaluation, ExperimentResult, Failure, Report, TaskRun

SCHEMA_VERSION = 1


def render(report: Report) -> str:
    """The report as JSON text."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "evalwire_version": report.evalwire_version,
        "outcome": report.outcome,
        "exit_code": report.exit_code,
        "dry_run": report.dry_run,
        "endpoint": report.endpoint,
        "started_at": report.started_at.isoformat(),
        "seconds": round(report.seconds, 3),
        "abandoned_threads": report.abandoned_threads,
        "lost_spans": report.lost_spans,
        "ci": dict(report.ci),
        "experiments": [_experiment(result) for result in report.results],
    }
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def _experiment(result: ExperimentResult) -> dict[str, Any]:
    opened = result.opened
    return {
        "name": result.name,
        "passed": result.passed,
        "experiment_id": opened.id if opened else None,
        "recorded_name": opened.recorded_name if opened else None,
        "url": result.url,
        "dataset": {
            "name": result.dataset_name,
            "id": result.dataset_id or None,
            "version_id": result.dataset_version_id or None,
        },
        "seconds": round(result.seconds, 3),
        "examples": result.example_count,
        "failed": len(result.failed_runs),
        "not_run": result.not_run,
        "failure": _failure(result.failure),
        "problems": [_failure(problem) for problem in result.problems],
        "scores": [
            {
                "name": score.name,
                "mean": score.mean,
                "count": score.count,
                "missing": score.missing,
                "labels": dict(score.labels),
            }
            for score in result.scores
        ],
        "runs": [_run(run) for run in result.runs],
    }


def _run(run: TaskRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "example_id": run.example.id,
        "example_node_id": run.example.node_id,
        "repetition": run.repetition,
        "input": run.example.input,
        "expected": run.example.output,
        "output": run.output,
        "failure": _failure(run.failure),
        "record_failure": _failure(run.record_failure),
        "start_time": run.start_time.isoformat(),
        "seconds": round(run.seconds, 6),
        "trace_id": run.trace_id,
        "evaluations": [_evaluation(evaluation) for evaluation in run.evaluations],
    }


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "id": evaluation.id,
        "name": evaluation.name,
        "evaluator": evaluation.evaluator,
        "score": evaluation.score,
        "label": evaluation.label,
        "explanation": evaluation.explanation,
        "metadata": evaluation.metadata,
        "failure": _failure(evaluation.failure),
        "trace_id": evaluation.trace_id,
    }


def _failure(failure: Failure | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    return {
        "stage": failure.stage,
        "type": failure.type,
        "message": failure.message,
        "cause": failure.cause,
        "where": failure.where,
        "traceback": failure.traceback,
    }
