"""Gates and baselines around a job: found before anything runs, held against what came out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire import discovery, results_file
from evalwire.baselines import Asked, Subject, choose
from evalwire.comparison import compare
from evalwire.errors import DatasetNotFound, ExperimentNotFound, UsageError
from evalwire.gates import judge
from evalwire.thresholds import Gate, Known, Thresholds, resolve
from evalwire.verdicts import Baseline, Verdict

if TYPE_CHECKING:
    from evalwire.context import Context
    from evalwire.gateway import Phoenix
    from evalwire.model import Experiment, ExperimentResult
    from evalwire.settings import Settings
    from evalwire.usage import Price
    from evalwire.verdicts import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of some experiments, before it is known which these are.

    Attributes:
        thresholds: the limits.
        baseline: which one; None for the default, `auto` where a drop is limited.
        prices: of models whose spans tell no cost.
    """

    thresholds: Thresholds
    baseline: Asked | None
    prices: Mapping[str, Price]

    @classmethod
    def of(cls, settings: Settings) -> Wanted:
        """What the settings ask."""
        return cls(thresholds=settings.thresholds, baseline=settings.baseline, prices=settings.prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What is asked of a job's experiments.

    Attributes:
        gates: every limit.
        asked: which baseline.
        prices: of models whose spans tell no cost.
        baselines: by experiment, what it is compared with, or the note why with nothing.
    """

    gates: Sequence[Gate]
    asked: Asked
    prices: Mapping[str, Price]
    baselines: Mapping[str, ExperimentResult | str]

    def verdicts(self, results: Sequence[ExperimentResult]) -> tuple[tuple[Verdict, ...], tuple[Baseline, ...]]:
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
                    found[result.name] = compare(result, before, asked=str(self.asked), directions=own)
        gates = judge(results, self.gates, baselines=found, prices=self.prices)
        return gates, tuple(found.values())


def known_of(context: Context, experiments: Sequence[Experiment]) -> Known:
    """What limits may name: these experiments with their evaluators, and the others of the folder."""
    names = [experiment.name for experiment in experiments]
    return Known(
        judged={
            one.name: None if one.problems else [evaluator.name for evaluator in one.evaluators] for one in experiments
        },
        others=[path.name for path in discovery.find(context.settings.experiments)[0] if path.name not in names],
    )


def prepare(
    wanted: Wanted, subjects: Sequence[Subject], known: Known, *, phoenix: Phoenix | None, is_dry: bool = False
) -> Judge:
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
    gates = resolve(wanted.thresholds, known)
    asked = wanted.baseline or Asked("auto")
    if is_dry:
        return Judge(gates=(), asked=asked, baselines={}, prices=wanted.prices)
    if asked.kind == "none":
        return Judge(gates=gates, asked=asked, baselines=_none_for(gates), prices=wanted.prices)
    needing = {gate.experiment for gate in gates if gate.rule == "max_drop"}
    wanting = [one for one in subjects if wanted.baseline is not None or one.experiment in needing]
    baselines = find(asked, wanting, phoenix) if wanting else {}
    return Judge(gates=gates, asked=asked, baselines=baselines, prices=wanted.prices)


def _none_for(gates: Sequence[Gate]) -> dict[str, ExperimentResult | str]:
    return {gate.experiment: "none was asked for (--baseline none)" for gate in gates if gate.rule == "max_drop"}


def find(asked: Asked, subjects: Sequence[Subject], phoenix: Phoenix | None) -> dict[str, ExperimentResult | str]:
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


def _asking(phoenix: Phoenix | None, asked: Asked) -> Phoenix:
    if phoenix is None:
        raise UsageError(f"the baseline {asked} needs a Phoenix to be asked; a file can be named with file:PATH.")
    return phoenix


def _from_file(asked: Asked, subjects: Sequence[Subject]) -> dict[str, ExperimentResult | str]:
    there = {result.name: result for result in results_file.load(Path(asked.value)).results}
    missing = f"{asked.value} has no experiment of this name"
    return {one.experiment: there.get(one.experiment) or f"{missing} ({one.experiment})" for one in subjects}


def _by_id(asked: Asked, subjects: Sequence[Subject], phoenix: Phoenix) -> dict[str, ExperimentResult | str]:
    try:
        result = phoenix.recorded_result(asked.value)
    except ExperimentNotFound as error:
        raise UsageError(f"the baseline {asked} is not there: {error}") from error
    fitting = [one for one in subjects if one.dataset_name == result.dataset_name]
    fitting = [one for one in fitting if one.experiment == result.name] or fitting
    note = f"{asked} is an experiment on the dataset {result.dataset_name!r}"
    return {one.experiment: result if one in fitting else note for one in subjects}


def _tagged(asked: Asked, subject: Subject, phoenix: Phoenix) -> ExperimentResult | str:
    try:
        for record in phoenix.experiments_on(subject.dataset_name):
            if asked.value in phoenix.tags(record["id"]):
                return phoenix.recorded_result(record["id"])
    except DatasetNotFound:
        return f"there is no dataset {subject.dataset_name!r}"
    return f"no experiment on the dataset {subject.dataset_name!r} has the tag {asked.value!r}"


def _newest(subject: Subject, phoenix: Phoenix) -> ExperimentResult | str:
    try:
        record, note = choose(phoenix.experiments_on(subject.dataset_name), subject)
    except DatasetNotFound:
        return f"there is no dataset {subject.dataset_name!r}"
    return phoenix.recorded_result(record["id"]) if record else note
