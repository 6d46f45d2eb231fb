"""`evalwire gate`: apply gates to recorded results without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evalwire import clocks, reports
from evalwire._version import __version__
from evalwire.errors import EvalwireError, ExperimentNotFound, NothingToRunError, UsageError
from evalwire.experiments import find_experiments, importable
from evalwire.gates import (
    BaselineChoice,
    BaselineQuery,
    KnownNames,
    unapplied_gates,
    undecided_gates,
)
from evalwire.jobs import (
    OF_BUDGET,
    GateRequest,
    Listing,
    RecordedNames,
    ReportWriter,
    budget_of,
    decide_outcome,
    discover,
    job_spec,
    prepare_gating,
    record_outcomes,
)
from evalwire.loading import uncollected
from evalwire.masking import masked
from evalwire.model import (
    ExperimentResult,
    Report,
    comparison_time,
    own_metadata,
    partial_facts,
    recorded_prefix,
    recorded_variant,
    source_facts,
)
from evalwire.shards import ShardPlan, find_run_key, merge_agreed, merge_planned

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from evalwire.cli.invocation import Invocation
    from evalwire.jobs import Gating
    from evalwire.model import Budget
    from evalwire.phoenix import Phoenix

_PARTIAL = (
    "cannot apply gates to {}: it is from a partial run, and the limits are for all examples. Run all examples first "
    "with `evalwire run`."
)

_CI_KEYS = ("ci", "commit", "branch", "base_branch", "pull_request", "job_url", "dirty")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recorded:
    """Recorded experiments to apply gates to.

    Attributes:
        results: results of the experiments.
        ci: metadata of the CI job that recorded them.
        known: names that gates may use; None for any name, if the experiments were recorded elsewhere.
        limited: the experiments whose job had a budget on its usage, so that it needs a model call.
    """

    results: Sequence[ExperimentResult]
    ci: Mapping[str, Any] = field(default_factory=dict)
    known: KnownNames | None = None
    limited: Collection[str] = ()

    @classmethod
    def of(cls, results: Sequence[ExperimentResult]) -> _Recorded:
        """Return results from Phoenix with the CI metadata and the budgets that they contain."""
        ci = {key: value for result in results for key, value in result.experiment_metadata.items() if key in _CI_KEYS}
        budgets = {result.name: own_metadata(result.experiment_metadata).get("budget") for result in results}
        limited = [name for name, budget in budgets.items() if isinstance(budget, Mapping) and _limits_usage(budget)]
        return cls(results=results, ci=ci, limited=limited)


@uncollected()  # collections would visit all runs repeatedly, a fifth of the processor time
def gate(
    invocation: Invocation,
    *,
    experiment_ids: Sequence[str] = (),
    results: Path | None = None,
    shards: int | None = None,
    fresh: bool = False,
) -> int:
    """Apply the gates to recorded experiments; return the exit code of an equivalent run.

    For shards, this decides the outcome of all shards together, writes the same reports as a run, and records the
    outcomes in Phoenix. Otherwise, it writes reports only with `--report-dir`.

    Args:
        invocation: settings, streams, and how to reach Phoenix.
        experiment_ids: names of recorded experiments, as in `RecordedNames`.
        results: a results.json; without experiments, plan and shards, None stands for the file in the report directory.
        shards: the number of shards of this pipeline run, which ran without a plan.
        fresh: whether the shards ran with `--fresh`.

    Raises:
        UsageError: a given experiment, file, gate or baseline does not exist.
        EvalwireError: Phoenix cannot be reached.
    """
    settings, console = invocation.settings, invocation.console
    if shards is not None or (settings.plan is not None and not experiment_ids and results is None):
        return _gate_shards(invocation, shards=shards, fresh=fresh)
    if experiment_ids:
        phoenix = invocation.connect(None)
        report = _report(invocation, phoenix, _Recorded.of(_fetch(invocation, phoenix, experiment_ids)))
    else:
        report = _gate_report(invocation, reports.load_results(results or settings.report_dir / "results.json"))
    writes = settings.source("report_dir") == "flag"
    writer = ReportWriter(settings, invocation.environ, console, writes=writes)
    return writer.write(masked(report, console.mask))


def _gate_report(invocation: Invocation, report: Report) -> Report:
    """Apply the gates to the report in a results.json.

    Raises:
        UsageError: the report is from a dry run, a partial run or a single shard, or an experiment ended early without
            deciding a gate.
    """
    if report.dry_run:
        raise UsageError(
            "cannot apply gates to the results.json of a dry run. Run `evalwire run` without --dry-run first."
        )
    if report.partial is not None:
        raise UsageError(_PARTIAL.format("this results.json"))
    if report.shard is not None:
        raise UsageError(
            f"cannot apply gates to this results.json: it contains only shard {report.shard}. Apply them to all shards "
            "with `evalwire gate --plan FILE`, or without a plan with `evalwire gate --shards N`."
        )
    is_limited = report.budget is not None and _limits_usage(asdict(report.budget))
    limited = [result.name for result in report.results if is_limited]
    gating = _gating(invocation, None, _Recorded(results=report.results, ci=report.ci, limited=limited))
    _check_decided(report.results, gating)
    found = gating.apply(report.results)
    history = gating.history or report.history
    applied = replace(
        report,
        unwritten=(),
        gates=found.gates,
        baselines=found.baselines,
        calibrations=found.calibrations or report.calibrations,
        history=history,
        variants=gating.compare_variants(report.results),
        prices=gating.prices,
    )
    if report.outcome == "interrupted":
        return applied
    outcome = decide_outcome(report.results, found.gates) if report.results else report.outcome
    return replace(applied, outcome=outcome, exit_code=int(outcome != "passed"))


def _gate_shards(invocation: Invocation, *, shards: int | None, fresh: bool) -> int:
    """Apply the gates to all shards, and write a report in any case."""
    console = invocation.console
    writer = ReportWriter(invocation.settings, invocation.environ, console)
    try:
        phoenix = invocation.connect(None)
        found = _merge(invocation, phoenix, shards=shards, fresh=fresh)
        limited = [result.name for result in found if _shared_budget(invocation, shards).limits_usage]
        recorded = replace(_Recorded.of(found), known=_known_here(invocation, found), limited=limited)
        report = _report(invocation, phoenix, recorded, records_outcomes=True)
    except UsageError:
        raise
    except EvalwireError as error:
        writer.write_bare("nothing_to_run" if isinstance(error, NothingToRunError) else "infrastructure", 1)
        raise
    return writer.write(masked(report, console.mask))


def _merge(invocation: Invocation, phoenix: Phoenix, *, shards: int | None, fresh: bool) -> list[ExperimentResult]:
    """Return the merged results of the shards, found by the plan or by the run key.

    Raises:
        UsageError: the plan, the run key or an experiment is missing.
        NothingToRunError: there is no experiment.
    """
    settings = invocation.settings
    if shards is None:
        return merge_planned(phoenix, ShardPlan.load(settings.plan or ""))
    key, _ = find_run_key(settings, invocation.environ, fresh=fresh)
    with importable(settings.experiments):
        experiments = discover(invocation.inherited()).experiments
        invocation.console.learn_secrets()
        if not experiments:
            raise NothingToRunError(
                f"no experiment in {settings.experiments.resolve()}/, so there are no results to apply gates to."
            )
        spec = job_spec(settings, invocation.environ)
        return merge_agreed(phoenix, experiments, spec, run_key=key, shards=shards)


def _shared_budget(invocation: Invocation, shards: int | None) -> Budget:
    """Return the budget of all shards together, which no shard records: of the settings, or else of the plan."""
    settings = invocation.settings
    return budget_of(settings, planned=ShardPlan.load(settings.plan or "").budget if shards is None else None)


def _limits_usage(budget: Mapping[str, Any]) -> bool:
    """Check whether a recorded budget has a limit on cost or tokens."""
    return any(budget.get(name) is not None for name in ("max_cost_usd", "max_tokens"))


def _known_here(invocation: Invocation, results: Sequence[ExperimentResult]) -> KnownNames:
    """Return the names that gates may use: experiments of the shards and of the experiments directory."""
    experiment_names = [path.name for path in find_experiments(invocation.settings.experiments)[0]]
    gated = {result.name: _names(result) for result in results}
    return KnownNames(
        gated=gated,
        others=[name for name in experiment_names if name not in gated],
        variants=_variants(results),
        is_lenient=not experiment_names,
    )


def _fetch(invocation: Invocation, phoenix: Phoenix, wanted: Sequence[str]) -> list[ExperimentResult]:
    """Fetch recorded experiments of different directories.

    Raises:
        UsageError: an experiment does not exist or is partial, or two have the same name.
    """
    recorded_names = RecordedNames(invocation.settings, Listing(phoenix))
    ids = dict.fromkeys(experiment_id for text in wanted for experiment_id in recorded_names.find(text))
    try:
        results = [phoenix.recorded.result(experiment_id) for experiment_id in ids]
    except ExperimentNotFound as error:
        raise UsageError(str(error)) from error
    for result in results:
        if partial_facts(result.experiment_metadata) is not None:
            raise UsageError(_PARTIAL.format(f"the experiment {result.experiment_id}"))
    names = [result.name for result in results]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two of these experiments have the name {name!r}. Apply the gates to one at a time.")
    return results


def _report(invocation: Invocation, phoenix: Phoenix, recorded: _Recorded, *, records_outcomes: bool = False) -> Report:
    """Apply the gates; with `records_outcomes`, record the outcomes in Phoenix so that later jobs find baselines."""
    results = recorded.results
    gating = _gating(invocation, phoenix, recorded)
    _check_decided(results, gating)
    applied = gating.apply(results)
    outcome = decide_outcome(results, applied.gates) if results else "errors"
    if records_outcomes:
        try:
            record_outcomes(phoenix.experiments, results, applied.gates)
        except EvalwireError as error:
            invocation.console.warn(str(error))
            outcome = "infrastructure" if outcome == "passed" else outcome
    return Report(
        outcome=outcome,
        exit_code=int(outcome != "passed"),
        results=tuple(results),
        started_at=min((run.start_time for result in results for run in result.runs), default=clocks.now()),
        seconds=sum(result.seconds for result in results),
        endpoint=phoenix.endpoint,
        evalwire_version=__version__,
        ci=recorded.ci,
        gates=applied.gates,
        baselines=applied.baselines,
        calibrations=applied.calibrations,
        history=gating.history,
        variants=gating.compare_variants(results),
        prices=invocation.settings.prices,
    )


def _check_decided(results: Sequence[ExperimentResult], gating: Gating) -> None:
    """Check that experiments that ended early decide all gates.

    Raises:
        UsageError: a gate has another limit or another baseline than when the experiment ended, or is new.
    """
    for result in results:
        before = gating.baselines.get(result.name)
        missing = undecided_gates(result, gating.gates, before if isinstance(before, ExperimentResult) else None)
        if missing and result.stopping is not None:
            names = ", ".join(gate.name for gate in missing)
            raise UsageError(
                f"{result.name} ended early, after {result.stopping.extent}, which do not decide: {names}. Run the "
                "rest with `evalwire resume --whole`, or use the gates and the baseline of the job that ended early."
            )


def _gating(invocation: Invocation, phoenix: Phoenix | None, recorded: _Recorded) -> Gating:
    """Return the gates, baselines and history of recorded experiments."""
    settings, results = invocation.settings, recorded.results
    known = recorded.known or KnownNames(
        gated={result.name: _names(result) for result in results}, variants=_variants(results), is_lenient=True
    )
    choice = settings.baseline or BaselineChoice("auto")
    ids = {result.experiment_id for result in results}
    if phoenix is None and choice.kind not in ("none", "file"):
        phoenix = invocation.connect(None)
    if others := unapplied_gates(settings.thresholds, known):
        invocation.console.say(f"gates of unselected experiments are skipped: {', '.join(others)}")
    queries = [_query(result, ids) for result in results]
    request = GateRequest.of(settings)
    request = request.with_calls() if recorded.limited else request
    gating = prepare_gating(request, queries, known, phoenix=phoenix, ci=recorded.ci)
    needed = [gate for gate in gating.gates if gate.source != OF_BUDGET or gate.experiment in recorded.limited]
    return replace(gating, gates=needed)


def _variants(results: Sequence[ExperimentResult]) -> dict[str, str]:
    found = {result.name: recorded_variant(result.experiment_metadata) for result in results}
    return {name: variant.directory for name, variant in found.items() if variant is not None}


def _names(result: ExperimentResult) -> list[str] | None:
    if result.problems:
        return None
    return sorted({*result.evaluator_names, *(score.name for score in result.scores)})


def _query(result: ExperimentResult, ids: set[str]) -> BaselineQuery:
    recorded = own_metadata(result.experiment_metadata)
    source = source_facts(result.experiment_metadata) or {}
    name = result.opened.recorded_name if result.opened else ""
    record = {"metadata": result.experiment_metadata, "name": name}
    return BaselineQuery(
        experiment=result.name,
        dataset_name=result.dataset_name,
        prefix=recorded_prefix(record, result.dataset_name),
        split=recorded.get("split"),
        dataset_version=result.dataset_version_id or None,
        contents=result.contents,
        experiment_ids={*ids, source.get("experiment", "")},
        before=comparison_time(result.experiment_metadata)
        or min((run.start_time for run in result.runs), default=None),
    )
