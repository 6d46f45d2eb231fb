"""Write a report as `results.json`, run by run, to limit the memory for a large report.

Each run, pair and example is a line, so that the reader can also read it alone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from evalwire.model import prices_in, usage_cost
from evalwire.reports.results_json import baseline_records, document, records
from evalwire.reports.results_json.nouns import to_record
from evalwire.reports.text import whole

if TYPE_CHECKING:
    from evalwire.model import (
        Baseline,
        BaselineRun,
        Comparison,
        Evaluation,
        ExperimentResult,
        Price,
        Report,
        ScoreSummary,
        TaskRun,
    )


def pieces(report: Report) -> Iterator[str]:
    """Yield the report as JSON text in pieces; each run is a piece and a line."""
    head = document.Results(
        schema_version=document.SCHEMA_VERSION,
        evalwire_version=report.evalwire_version,
        outcome=report.outcome,
        exit_code=report.exit_code,
        dry_run=report.dry_run,
        shard=str(report.shard) if report.shard else None,
        partial=to_record(report.partial),
        failing=dict(report.failing),
        endpoint=report.endpoint,
        started_at=report.started_at,
        seconds=report.seconds,
        directory=report.directory,
        abandoned_threads=report.abandoned_threads,
        lost_spans=report.lost_spans,
        unwritten=report.unwritten,
        budget=to_record(report.budget),
        journal=report.journal,
        undelivered=report.undelivered,
        ci=dict(report.ci),
        prices={model: to_record(price) for model, price in _prices(report).items()},
        gates=to_record(report.gates),
        calibrations=to_record(report.calibrations),
        baselines=(),
        history=to_record(report.history),
        variants=to_record(report.variants),
        experiments=(),
    )
    yield from _object(
        head,
        depth=0,
        baselines=map(_baseline, report.baselines),
        experiments=(_experiment(report, result) for result in report.results),
    )
    yield "\n"


def _prices(report: Report) -> dict[str, Price]:
    """Return the prices that the costs in the file use; a known price can be different in another version."""
    return prices_in((result.usage or () for result in report.results), report.prices)


def _experiment(report: Report, result: ExperimentResult) -> Iterator[str]:
    opened, usage = result.opened, result.usage
    cost = usage_cost(usage, report.prices) if usage is not None else None
    head = document.Experiment(
        name=result.name,
        passed=report.passed(result),
        experiment_id=opened.id if opened else None,
        recorded_name=opened.recorded_name if opened else None,
        url=result.url,
        project_name=result.project_name,
        metadata=dict(result.experiment_metadata),
        dataset=document.Dataset(
            name=result.dataset_name, id=result.dataset_id or None, version_id=result.dataset_version_id or None
        ),
        path=result.path,
        evaluators=result.evaluator_names,
        seconds=result.seconds,
        examples=result.example_count,
        repetitions=result.repetitions,
        expected_runs=result.expected_runs,
        failed=len(result.failed_runs),
        not_run=result.not_run,
        error_rate=result.error_rate,
        usage=to_record(usage),
        cost_usd=cost.usd if cost else None,
        unpriced_models=cost.unknown if cost else (),
        stopping=to_record(replace(result.stopping, runs_beyond=())) if result.stopping else None,
        failure=to_record(result.failure),
        problems=to_record(result.problems),
        examples_not_run=(),
        runs=(),
    )
    return _object(
        head,
        depth=2,
        scores=map(_score, result.scores),
        examples_not_run=([_line(example)] for example in _examples_not_run(result)),
        runs=([_line(_run(run))] for run in result.runs),
    )


def _baseline(baseline: Baseline) -> Iterator[str]:
    return _object(
        to_record(replace(baseline, comparisons=(), runs=())),
        depth=2,
        comparisons=map(_comparison, baseline.comparisons),
        runs=([_line(_baseline_run(run))] for run in baseline.runs),
    )


def _baseline_run(run: BaselineRun) -> baseline_records.BaselineRun:
    return to_record(replace(run, output=_finite(run.output)))  # type: ignore[no-any-return]


def _comparison(comparison: Comparison) -> Iterator[str]:
    head = to_record(replace(comparison, pairs=()))
    return _object(head, depth=4, pairs=([_line(to_record(pair))] for pair in comparison.pairs))


def _score(score: ScoreSummary) -> Iterator[str]:
    head = to_record(replace(score, per_example=()))
    return _object(head, depth=4, per_example=([_line(to_record(example))] for example in score.per_example))


def _run(run: TaskRun) -> document.Run:
    example = run.example
    return document.Run(
        id=run.id,
        example_id=example.id,
        example_node_id=example.node_id,
        input=_finite(example.input),
        expected=_finite(example.output),
        example_metadata=_finite(example.metadata),
        example_updated_at=example.updated_at.isoformat() if example.updated_at else None,
        example_splits=example.splits,
        content_hash=example.content_hash,
        repetition=run.repetition,
        output=_finite(run.output),
        failure=to_record(run.failure),
        record_failure=to_record(run.record_failure),
        attempts=run.attempts,
        start_time=to_record(run.start_time),
        end_time=to_record(run.end_time),
        seconds=run.seconds,
        usage=to_record(run.usage),
        trace_id=run.trace_id,
        evaluations=tuple(map(_evaluation, run.evaluations)),
    )


def _evaluation(evaluation: Evaluation) -> document.Evaluation:
    return document.Evaluation(
        id=evaluation.id,
        name=evaluation.name,
        evaluator=evaluation.evaluator,
        annotator_kind=evaluation.annotator_kind,
        score=evaluation.score,
        label=evaluation.label,
        explanation=evaluation.explanation,
        metadata=_finite(evaluation.metadata),
        failure=to_record(evaluation.failure),
        attempts=evaluation.attempts,
        usage=to_record(evaluation.usage),
        start_time=to_record(evaluation.start_time),
        end_time=to_record(evaluation.end_time),
        trace_id=evaluation.trace_id,
        baseline_score=to_record(evaluation.baseline_score),
        kind=evaluation.kind,
    )


def _examples_not_run(result: ExperimentResult) -> Iterator[document.ExampleNotRun]:
    """Yield the examples of the dataset that have no run.

    Their content is left out, because reports do not show it, and secrets are masked only in shown content.
    """
    ran = {run.example.node_id for run in result.runs}
    for position, example in enumerate(result.opened.dataset.examples if result.opened else ()):
        if example.node_id not in ran:
            yield document.ExampleNotRun(
                position=position,
                example_id=example.id,
                example_node_id=example.node_id,
                example_updated_at=example.updated_at.isoformat() if example.updated_at else None,
                content_hash=example.content_hash,
            )


def _object(record: records.Record, *, depth: int, **lists: Iterable[Iterable[str]]) -> Iterator[str]:
    """Yield a record as JSON text in pieces; the items of the lists, its last fields, are in pieces themselves."""
    line = "\n" + "  " * depth
    fields = msgspec.structs.asdict(record)
    head = {name: value for name, value in fields.items() if name not in lists}
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


def _line(record: records.Record) -> str:
    """Return a record as JSON text on a single line."""
    try:
        return _ENCODER.encode(record).decode()
    except (UnicodeError, OverflowError, TypeError):  # half of a surrogate pair, an int of more than 64 bits
        return _slow(record, separators=(",", ":"))


def _text(value: Any, *, depth: int) -> str:
    """Return a value as JSON text, with all lines except the first indented by `depth`."""
    laid_out = msgspec.json.format(_slow(value).encode(), indent=2)
    return laid_out.decode().replace("\n", "\n" + "  " * depth)


def _slow(value: Any, separators: tuple[str, str] | None = None) -> str:
    """Return any value as JSON text.

    Half of a surrogate pair is not valid Unicode and becomes a question mark, as in every other report.
    """
    options: dict[str, Any] = {"ensure_ascii": False, "separators": separators, "default": _plain}
    try:
        return whole(json.dumps(value, allow_nan=False, **options))
    except ValueError:
        return whole(json.dumps(_without_nan(value), **options))


def _finite(value: Any) -> Any:
    """Return a user's value whose NaN and infinities, which datasets may contain, are text.

    JSON does not have them, and the encoder would write null.
    """
    if not value or isinstance(value, str) or (isinstance(value, dict) and {*map(type, value.values())} <= _TEXT):
        return value  # as most are
    try:
        if b"null" not in _ENCODER.encode(value):
            return value
        json.dumps(value, allow_nan=False, default=_plain)
    except (UnicodeError, OverflowError, TypeError):
        return value  # `_slow` writes it
    except ValueError:
        return _without_nan(value)
    return value


def _without_nan(value: Any) -> Any:
    return json.loads(json.dumps(value, default=_plain), parse_constant=lambda name: str(float(name)))


def _plain(value: Any) -> Any:
    """Return a value that `json` cannot encode as a value that it can."""
    match value:
        case msgspec.Struct():
            return msgspec.structs.asdict(value)
        case datetime():
            return value.isoformat()
        case Mapping():
            return dict(value)
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else str(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
_TEXT = {str}
