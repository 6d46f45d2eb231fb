"""Gates and baselines around a job: found before anything runs, held against what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import reports
from evalwire.errors import DatasetNotFound, ExperimentNotFound, UsageError
from evalwire.experiments import find_experiments
from evalwire.gates import (
    BaselineChoice,
    BaselineQuery,
    Gate,
    GateConfig,
    KnownNames,
    choose_baseline,
    compare_results,
    judge_gates,
    resolve_gates,
)
from evalwire.model import Baseline, GateResult

if TYPE_CHECKING:
    from evalwire.jobs.context import Context
    from evalwire.model import Direction, Experiment, ExperimentResult, Price
    from evalwire.phoenix import Phoenix
    from evalwire.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRequest:
    """What is asked of some experiments, before it is known which these are.

    Attributes:
        thresholds: the limits.
        baseline: which one; None for the default, `auto` where a drop is limited.
        prices: of models whose spans tell no cost.
    """

    thresholds: GateConfig
    baseline: BaselineChoice | None
    prices: Mapping[str, Price]

    @classmethod
    def of(cls, settings: Settings) -> GateRequest:
        """What the settings ask."""
        return cls(thresholds=settings.thresholds, baseline=settings.baseline, prices=settings.prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gating:
    """What is asked of a job's experiments.

    Attributes:
        gates: every limit.
        asked: which baseline.
        prices: of models whose spans tell no cost.
        baselines: by experiment, what it is compared with, or the note why with nothing.
    """

    gates: Sequence[Gate]
    asked: BaselineChoice
    prices: Mapping[str, Price]
    baselines: Mapping[str, ExperimentResult | str]

    def verdicts(self, results: Sequence[ExperimentResult]) -> tuple[tuple[GateResult, ...], tuple[Baseline, ...]]:
        """What the gates come to, and how each experiment compares with its baseline."""
        directions: dict[str, dict[str, Direction]] = {}
        for gate in self.gates:
            directions.setdefault(gate.experiment, {})[gate.evaluation or ""] = gate.direction
        found: dict[str, Baseline] = {}
        for result in results:
            match self.baselines.get(result.name):
                case None:
                    continue
                case str() as note:
                    found[result.name] = Baseline(experiment=result.name, asked=str(self.asked), note=note)
                case before:
                    own = directions.get(result.name)
                    found[result.name] = compare_results(result, before, asked=str(self.asked), directions=own)
        gates = judge_gates(results, self.gates, baselines=found, prices=self.prices)
        return gates, tuple(found.values())


def known_names(context: Context, experiments: Sequence[Experiment]) -> KnownNames:
    """What limits may name: these experiments with their evaluators, and the others of the folder."""
    names = [experiment.name for experiment in experiments]
    return KnownNames(
        judged={
            one.name: None if one.problems else [evaluator.name for evaluator in one.evaluators] for one in experiments
        },
        others=[path.name for path in find_experiments(context.settings.experiments)[0] if path.name not in names],
    )


def prepare_gating(
    wanted: GateRequest,
    subjects: Sequence[BaselineQuery],
    known: KnownNames,
    *,
    phoenix: Phoenix | None,
    is_dry: bool = False,
) -> Gating:
    """Find the limits and the baselines of some experiments.

    Args:
        wanted: what is asked.
        subjects: the experiments.
        known: what limits may name.
        phoenix: where the baselines are; None where there is none to ask.
        is_dry: only check what is asked: there will be no verdicts.

    Raises:
        UsageError: a limit or a baseline names what does not exist.
        EvalwireError: Phoenix cannot be asked.
    """
    gates = resolve_gates(wanted.thresholds, known)
    asked = wanted.baseline or BaselineChoice("auto")
    if is_dry:
        return Gating(gates=(), asked=asked, baselines={}, prices=wanted.prices)
    if asked.kind == "none":
        return Gating(gates=gates, asked=asked, baselines=_none_for(gates), prices=wanted.prices)
    needing = {gate.experiment for gate in gates if gate.rule == "max_drop"}
    wanting = [one for one in subjects if wanted.baseline is not None or one.experiment in needing]
    baselines = find_baselines(asked, wanting, phoenix) if wanting else {}
    return Gating(gates=gates, asked=asked, baselines=baselines, prices=wanted.prices)


def _none_for(gates: Sequence[Gate]) -> dict[str, ExperimentResult | str]:
    return {gate.experiment: "none was asked for (--baseline none)" for gate in gates if gate.rule == "max_drop"}


def find_baselines(
    asked: BaselineChoice, subjects: Sequence[BaselineQuery], phoenix: Phoenix | None
) -> dict[str, ExperimentResult | str]:
    """The baseline of each experiment, or the note why it has none.

    Raises:
        UsageError: a baseline that was named is not there for any of them.
        EvalwireError: Phoenix cannot be asked.
    """
    match asked.kind:
        case "file":
            found = _from_file(asked, subjects)
        case "id":
            found = _by_id(asked, subjects, _asking(phoenix, asked))
        case "tag":
            found = {one.experiment: _tagged(asked, one, _asking(phoenix, asked)) for one in subjects}
        case _:
            found = {one.experiment: _newest(one, _asking(phoenix, asked)) for one in subjects}
    if asked.kind != "auto" and all(isinstance(one, str) for one in found.values()):
        raise UsageError(f"the baseline {asked} is not there: {'; '.join(map(str, found.values()))}.")
    return found


def _asking(phoenix: Phoenix | None, asked: BaselineChoice) -> Phoenix:
    if phoenix is None:
        raise UsageError(f"the baseline {asked} needs a Phoenix to be asked; a file can be named with file:PATH.")
    return phoenix


def _from_file(asked: BaselineChoice, subjects: Sequence[BaselineQuery]) -> dict[str, ExperimentResult | str]:
    there = {result.name: result for result in reports.load_results(Path(asked.value)).results}
    missing = f"{asked.value} has no experiment of this name"
    return {one.experiment: there.get(one.experiment) or f"{missing} ({one.experiment})" for one in subjects}


def _by_id(
    asked: BaselineChoice, subjects: Sequence[BaselineQuery], phoenix: Phoenix
) -> dict[str, ExperimentResult | str]:
    try:
        result = phoenix.recorded_result(asked.value)
    except ExperimentNotFound as error:
        raise UsageError(f"the baseline {asked} is not there: {error}") from error
    fitting = [one for one in subjects if one.dataset_name == result.dataset_name]
    fitting = [one for one in fitting if one.experiment == result.name] or fitting
    note = f"{asked} is an experiment on the dataset {result.dataset_name!r}"
    return {one.experiment: result if one in fitting else note for one in subjects}


def _tagged(asked: BaselineChoice, subject: BaselineQuery, phoenix: Phoenix) -> ExperimentResult | str:
    try:
        for record in phoenix.experiments_on(subject.dataset_name):
            if asked.value in phoenix.tags(record["id"]):
                return phoenix.recorded_result(record["id"])
    except DatasetNotFound:
        return f"there is no dataset {subject.dataset_name!r}"
    return f"no experiment on the dataset {subject.dataset_name!r} has the tag {asked.value!r}"


def _newest(subject: BaselineQuery, phoenix: Phoenix) -> ExperimentResult | str:
    try:
        record, note = choose_baseline(phoenix.experiments_on(subject.dataset_name), subject)
    except DatasetNotFound:
        return f"there is no dataset {subject.dataset_name!r}"
    return phoenix.recorded_result(record["id"]) if record else note
