"""`results.json`: everything a report knows, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalwire.model import Evaluation, ExperimentResult, Failure, Report, TaskRun
    from evalwire.scores import ScoreSummary

SCHEMA_VERSION = 1


def pieces(report: Report) -> Iterator[str]:
    """The report as JSON text, each run a piece of its own, since a large report is not to be held twice."""
    head = {
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
        "journal": report.journal,
        "undelivered": report.undelivered,
        "ci": dict(report.ci),
    }
    yield from _object(head, {"experiments": map(_experiment, report.results)}, depth=0)
    yield "\n"


def _experiment(result: ExperimentResult) -> Iterator[str]:
    opened = result.opened
    head = {
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
        "repetitions": result.repetitions,
        "expected_runs": result.expected_runs,
        "failed": len(result.failed_runs),
        "not_run": result.not_run,
        "failure": _failure(result.failure),
        "problems": [_failure(problem) for problem in result.problems],
    }
    runs = ([_text(_run(run), depth=4)] for run in result.runs)
    return _object(head, {"scores": map(_score, result.scores), "runs": runs}, depth=2)


def _score(score: ScoreSummary) -> Iterator[str]:
    head = {
        "name": score.name,
        "mean": score.mean,
        "count": score.count,
        "missing": score.missing,
        "labels": dict(score.labels),
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
    """A value as JSON text, indented by `depth` but for its first line; what it says has no line ends of its own."""
    return json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n" + "  " * depth)


def _run(run: TaskRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "example_id": run.example.id,
        "example_node_id": run.example.node_id,
        "repetition": run.repetition,
        "input": dict(run.example.input),
        "expected": dict(run.example.output),
        "output": run.output,
        "failure": _failure(run.failure),
        "record_failure": _failure(run.record_failure),
        "attempts": run.attempts,
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
        "metadata": dict(evaluation.metadata),
        "failure": _failure(evaluation.failure),
        "attempts": evaluation.attempts,
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
