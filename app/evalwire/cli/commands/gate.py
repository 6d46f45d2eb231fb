"""`evalwire gate`: judge what is already recorded, without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire._version import __version__
from evalwire.errors import EvalwireError, ExperimentNotFound, NothingToRunError, UsageError
from evalwire.experiments import find_experiments
from evalwire.gates import BaselineChoice, BaselineQuery, KnownNames, branches_for, unjudged_gates
from evalwire.jobs import GateRequest, Gating, Reporter, note_ends, outcome_of, prepare_gating
from evalwire.masking import masked
from evalwire.model import Report, own_metadata
from evalwire.reports import load_results
from evalwire.shards import merged_results

if TYPE_CHECKING:
    from evalwire.jobs import Context
    from evalwire.model import ExperimentResult
    from evalwire.phoenix import Phoenix


def gate(
    context: Context,
    *,
    experiment_ids: Sequence[str] = (),
    results: Path | None = None,
    shards: int | None = None,
    fresh: bool = False,
) -> int:
    """Hold recorded experiments against the gates; the exit code is the one that their run would have.

    Of shards, this is the one verdict: their reports are written as a run's would be, and Phoenix is told how the
    experiments ended. Otherwise reports are written where `--report-dir` says so, and only then.

    Args:
        context: settings, streams, and how to reach Phoenix.
        experiment_ids: of Phoenix.
        results: a results.json; the one in the report folder, where there is nothing else to judge, a plan included.
        shards: as many jobs of this pipeline run have recorded without a plan.
        fresh: they had `--fresh`.

    Raises:
        UsageError: an experiment, a file, a gate or a baseline that was named is not there.
        EvalwireError: Phoenix cannot be asked.
    """
    if shards is not None or (context.settings.plan is not None and not experiment_ids and results is None):
        return _judge_whole(context, shards=shards, fresh=fresh)
    if experiment_ids:
        phoenix = context.connect(None)
        report = _judged(context, _from_phoenix(phoenix, experiment_ids), phoenix)
    else:
        report = load_results(results or context.settings.report_dir / "results.json")
        if report.dry_run:
            raise UsageError("this results.json is of a dry run, of which no gates are judged.")
        if report.shard is not None:
            raise UsageError(
                f"this results.json is of shard {report.shard} alone; all shards are judged by `evalwire gate --plan "
                "FILE`, or by `evalwire gate --shards N` where there is no plan."
            )
        report = _judged(context, report, None)
    reporter = Reporter(context, writes=context.settings.source("report_dir") == "flag")
    return reporter.write(masked(report, context.mask))


def _judge_whole(context: Context, *, shards: int | None, fresh: bool) -> int:
    """The verdict on all shards, with a report of its own whatever comes of it."""
    reporter = Reporter(context)
    try:
        phoenix = context.connect(None)
        found = merged_results(context, phoenix, shards=shards, fresh=fresh)
        report = _report(phoenix, found)
        report = _noted(context, phoenix, _judged(context, report, phoenix, known=_known_here(context, report)))
    except UsageError:
        raise
    except EvalwireError as error:
        reporter.write_bare("nothing_to_run" if isinstance(error, NothingToRunError) else "infrastructure", 1)
        raise
    return reporter.write(masked(report, context.mask))


def _known_here(context: Context, report: Report) -> KnownNames:
    """What limits may name: what the shards ran, and the experiments of the folder, where there is one."""
    folders = [path.name for path in find_experiments(context.settings.experiments)[0]]
    judged = {one.name: _names(one) for one in report.results}
    return KnownNames(judged=judged, others=[name for name in folders if name not in judged], is_lenient=not folders)


def _judged(context: Context, report: Report, phoenix: Phoenix | None, *, known: KnownNames | None = None) -> Report:
    """A report with what the gates come to, and the outcome that this makes.

    Args:
        context: settings, streams.
        report: what was recorded.
        phoenix: where baselines are.
        known: what limits may name; None for anything, where what is judged was recorded elsewhere.
    """
    judge = _judge(context, report, phoenix, known)
    gates, baselines = judge.verdicts(report.results)
    report = replace(report, gates=gates, baselines=baselines, prices=context.settings.prices)
    if report.outcome == "interrupted":
        return report
    outcome = outcome_of(report, report.results) if report.results else report.outcome
    return replace(report, outcome=outcome, exit_code=int(outcome != "passed"))


def _noted(context: Context, phoenix: Phoenix, report: Report) -> Report:
    """A report of all shards, after Phoenix was told of it: their experiments may be baselines from now on."""
    try:
        note_ends(phoenix, report.results, lambda result: outcome_of(report, [result]))
    except EvalwireError as error:
        context.err.write(f"evalwire: {error}\n")
        if report.outcome == "passed":
            return replace(report, outcome="infrastructure", exit_code=1)
    return report


def _from_phoenix(phoenix: Phoenix, experiment_ids: Sequence[str]) -> Report:
    try:
        results = tuple(phoenix.records.result(one) for one in experiment_ids)
    except ExperimentNotFound as error:
        raise UsageError(str(error)) from error
    names = [result.name for result in results]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two of these experiments are of the folder {name!r}; judge one at a time.")
    return _report(phoenix, results)


def _report(phoenix: Phoenix, results: Sequence[ExperimentResult]) -> Report:
    """Recorded experiments as a report that is not judged yet."""
    times = [run.start_time for result in results for run in result.runs]
    return Report(
        outcome="errors",
        exit_code=1,
        results=tuple(results),
        started_at=min(times, default=datetime.now(UTC)),
        seconds=sum(result.seconds for result in results),
        endpoint=phoenix.endpoint,
        evalwire_version=__version__,
        ci={key: value for result in results for key, value in result.experiment_metadata.items() if key in _OF_CI},
    )


_OF_CI = ("ci", "commit", "branch", "base_branch", "pull_request", "job_url")


def _judge(context: Context, report: Report, phoenix: Phoenix | None, known: KnownNames | None) -> Gating:
    settings = context.settings
    known = known or KnownNames(judged={one.name: _names(one) for one in report.results}, is_lenient=True)
    branches = branches_for(settings.baseline or BaselineChoice("auto"), report.ci, settings.base_branch)
    ids = {one.experiment_id for one in report.results}
    subjects = [_subject(one, branches, ids) for one in report.results]
    asks_phoenix = (settings.baseline or BaselineChoice("auto")).kind not in ("none", "file")
    if phoenix is None and asks_phoenix:
        phoenix = context.connect(None)
    if others := unjudged_gates(settings.thresholds, known):
        context.say(f"not among what is judged, so these gates are not either: {', '.join(others)}")
    return prepare_gating(GateRequest.of(settings), subjects, known, phoenix=phoenix)


def _names(result: ExperimentResult) -> list[str] | None:
    if result.problems:
        return None
    return sorted({*result.evaluator_names, *(score.name for score in result.scores)})


def _subject(result: ExperimentResult, branches: list[str | None], ids: set[str]) -> BaselineQuery:
    facts = own_metadata(result.experiment_metadata)
    times = [run.start_time for run in result.runs]
    return BaselineQuery(
        experiment=result.name,
        dataset_name=result.dataset_name,
        evaluators=facts.get("evaluators"),
        split=facts.get("split"),
        repetitions=result.repetitions,
        branches=branches,
        experiment_ids=ids,
        before=min(times) if times else None,
    )
