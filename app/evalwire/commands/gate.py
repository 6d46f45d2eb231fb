"""`evalwire gate`: judge what is already recorded, without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import __version__, judging, reports, results_file
from evalwire.baselines import Asked, Subject, branches_for
from evalwire.errors import ExperimentNotFound, UsageError
from evalwire.facts import facts_of
from evalwire.job import outcome_of
from evalwire.masking import masked
from evalwire.model import Report
from evalwire.thresholds import Known, unjudged

if TYPE_CHECKING:
    from evalwire.context import Context
    from evalwire.gateway import Phoenix
    from evalwire.model import ExperimentResult


def gate(context: Context, *, experiment_ids: Sequence[str] = (), results: Path | None = None) -> int:
    """Hold recorded experiments against the gates; the exit code is the one that their run would have.

    The reports are written where `--report-dir` says so, and only then.

    Args:
        context: settings, streams, and how to reach Phoenix.
        experiment_ids: of Phoenix.
        results: a results.json; without any of both, the one in the report folder.

    Raises:
        UsageError: an experiment, a file, a gate or a baseline that was named is not there.
        EvalwireError: Phoenix cannot be asked.
    """
    phoenix: Phoenix | None = None
    if experiment_ids:
        phoenix = context.connect(None)
        report = _from_phoenix(phoenix, experiment_ids)
    else:
        report = results_file.load(results or context.settings.report_dir / "results.json")
        if report.dry_run:
            raise UsageError("this results.json is of a dry run, of which no gates are judged.")
    judge = _judge(context, report, phoenix)
    gates, baselines = judge.verdicts(report.results)
    report = replace(report, gates=gates, baselines=baselines, prices=context.settings.prices)
    if report.outcome != "interrupted":
        outcome = outcome_of(report, report.results) if report.results else report.outcome
        report = replace(report, outcome=outcome, exit_code=int(outcome != "passed"))
    return _tell(context, masked(report, context.mask))


def _from_phoenix(phoenix: Phoenix, experiment_ids: Sequence[str]) -> Report:
    try:
        results = tuple(phoenix.recorded_result(one) for one in experiment_ids)
    except ExperimentNotFound as error:
        raise UsageError(str(error)) from error
    names = [result.name for result in results]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two of these experiments are of the folder {name!r}; judge one at a time.")
    times = [run.start_time for result in results for run in result.runs]
    return Report(
        outcome="errors",
        exit_code=1,
        results=results,
        started_at=min(times, default=datetime.now(UTC)),
        seconds=sum(result.seconds for result in results),
        endpoint=phoenix.endpoint,
        evalwire_version=__version__,
        ci={key: value for result in results for key, value in result.experiment_metadata.items() if key in _OF_CI},
    )


_OF_CI = ("ci", "commit", "branch", "base_branch", "job_url")


def _judge(context: Context, report: Report, phoenix: Phoenix | None) -> judging.Judge:
    settings = context.settings
    known = Known(judged={one.name: _names(one) for one in report.results}, is_lenient=True)
    branches = branches_for(settings.baseline or Asked("auto"), report.ci, settings.base_branch)
    ids = {one.experiment_id for one in report.results}
    subjects = [_subject(one, branches, ids) for one in report.results]
    asks_phoenix = (settings.baseline or Asked("auto")).kind not in ("none", "file")
    if phoenix is None and asks_phoenix:
        phoenix = context.connect(None)
    if others := unjudged(settings.thresholds, known):
        context.say(f"not among what is judged, so these gates are not either: {', '.join(others)}")
    return judging.prepare(judging.Wanted.of(settings), subjects, known, phoenix=phoenix)


def _names(result: ExperimentResult) -> list[str] | None:
    if result.problems:
        return None
    return sorted({*result.evaluator_names, *(score.name for score in result.scores)})


def _subject(result: ExperimentResult, branches: list[str | None], ids: set[str]) -> Subject:
    facts = facts_of(result.experiment_metadata)
    times = [run.start_time for run in result.runs]
    return Subject(
        experiment=result.name,
        dataset_name=result.dataset_name,
        evaluators=facts.get("evaluators"),
        split=facts.get("split"),
        repetitions=result.repetitions,
        branches=branches,
        experiment_ids=ids,
        before=min(times) if times else None,
    )


def _tell(context: Context, report: Report) -> int:
    from evalwire.reports import console  # noqa: PLC0415 - rich, after the work

    code = report.exit_code
    if context.settings.source("report_dir") == "flag":
        folder: Path = context.settings.report_dir
        for file, format_ in reports.FILES.items():
            try:
                reports.write(folder / file, reports.pieces(report, format_))
            except OSError as error:
                context.err.write(f"evalwire: {folder / file} cannot be written: {error}\n")
                code = code or 1
    text = console.render(report, color=context.color, width=context.width, verbose=context.verbose)
    context.out.write(text)
    context.out.flush()
    if context.environ.get("GITHUB_ACTIONS"):
        for piece in reports.pieces(report, "annotations"):
            context.command(piece)
    return code
