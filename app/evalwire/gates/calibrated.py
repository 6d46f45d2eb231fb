"""Check the calibrations of evaluators, and correct the rates that gates limit (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from evalwire.gates.gate_results import SLACK, passed_or_failed
from evalwire.model import (
    CalibrationState,
    changed_files,
    corrected_change,
    corrected_rate,
    corrected_value,
    correction_obstacle,
    first_of,
    inputs_of,
    models_of,
    recorded_variant,
)

if TYPE_CHECKING:
    from evalwire.gates.measures import Measure
    from evalwire.gates.resolve import Gate
    from evalwire.model import Calibration, Comparison, ExperimentResult, GateResult, ScoreSummary

_MOST_NAMED = 3  # files to list in a reason

_CLOCK_DAYS = 1  # by which the clocks of two machines may differ


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrations:
    """The recorded calibrations, and the values that decide whether they still hold.

    Attributes:
        found: the calibrations by the names of experiment and evaluation.
        day: the current day, in UTC.
        today: returns the current digest of a project file; None if it is unknown.
    """

    found: Mapping[tuple[str, str], Calibration] = field(default_factory=dict)
    day: date = date.max
    today: Callable[[str], str | None] = lambda _: None

    def of(self, result: ExperimentResult, evaluation: str) -> Calibration | None:
        """Return the calibration of an evaluation; None without one.

        A variant of an experiment has the calibrations of the experiment.
        """
        variant = recorded_variant(result.experiment_metadata)
        directory = variant.directory if variant is not None else result.name
        return self.found.get((directory, evaluation))

    def of_llm_evaluators(self, result: ExperimentResult) -> list[CalibrationState]:
        """Return the states of all evaluations by language models, in the order of their names.

        An evaluation counts if its annotator kind is LLM, its evaluator called a model, or it has a calibration.
        """
        evaluators = {found.name: found.evaluator for run in result.runs for found in run.evaluations}
        kinds = {found.name for run in result.runs for found in run.evaluations if found.annotator_kind == "LLM"}
        names = [
            name
            for name, evaluator in evaluators.items()
            if name in kinds or models_of(result, evaluator) or self.of(result, name) is not None
        ]
        return [
            CalibrationState.of(result.name, name, found, self.change(result, found))
            for name in sorted(names)
            for found in [self.of(result, name)]
        ]

    def problem(self, result: ExperimentResult, gate: Gate) -> str:
        """Return why a gate cannot use a calibration, as a sentence with the remedy; empty if it can."""
        again = f"Calibrate it with `evalwire judge {gate.evaluation}`"
        calibration, most = self.of(result, gate.evaluation or ""), gate.calibration.max_age_days
        if calibration is None:
            return (
                f"{gate.evaluation} is not calibrated. Label its outputs with `evalwire label {gate.evaluation}`, run "
                f"`evalwire judge {gate.evaluation}`, and commit the file that it writes"
            )
        if change := self.change(result, calibration):
            labeled = f" --experiment {calibration.experiment_id}" if calibration.experiment_id else ""
            return (
                f"{gate.evaluation} was changed since it was calibrated: {change}. Score the labeled outputs again "
                f"with `evalwire score{labeled}`, then run `evalwire judge {gate.evaluation}`"
            )
        age = (self.day - calibration.date).days
        if most is not None and age < -_CLOCK_DAYS:
            return f"the calibration of {gate.evaluation} has a date in the future, {calibration.date}. {again}"
        if most is not None and age > most:
            return f"the calibration of {gate.evaluation} is {age} days old, more than {most} days. {again}"
        return ""

    def change(self, result: ExperimentResult, calibration: Calibration | None) -> str:
        """Return what changed since a calibration, as a clause; empty if nothing did."""
        if calibration is None:
            return ""
        evaluators = {
            found.evaluator for run in result.runs for found in run.evaluations if found.name == calibration.evaluation
        }
        if others := evaluators - {calibration.evaluator}:
            return f"it is returned by the evaluator {', '.join(sorted(others))} instead of {calibration.evaluator}"
        now = inputs_of(result).evaluators.get(calibration.evaluator)
        if now is None:
            return "the files that it reads are not recorded"
        if files := changed_files(now, calibration.files, self.today):
            return first_of(files, _MOST_NAMED)
        models = models_of(result, calibration.evaluator)
        if models is None:
            return "its models are not recorded" if calibration.models else ""
        if models != calibration.models:
            before, after = (", ".join(names) or "no model" for names in (calibration.models, models))
            return f"it called {after} instead of {before}"
        return ""


NO_CALIBRATIONS = Calibrations()
"""No calibration of any evaluator."""


def apply_kappa_gate(result: ExperimentResult, gate: Gate, calibrations: Calibrations) -> GateResult:
    """Apply a gate on the agreement of an evaluator with people: the lower end of kappa's interval decides."""
    found = calibrations.of(result, gate.evaluation or "")
    problem = calibrations.problem(result, gate)
    if problem or found is None:
        return passed_or_failed(gate, None, problem, failed=True)
    if found.kappa is None or found.interval is None:
        text = f"the kappa of {gate.evaluation} is unknown: all labels and scores are equal. Label more outputs"
        return passed_or_failed(gate, None, text, failed=True)
    failed = found.interval.low < gate.threshold - SLACK
    low, high = found.interval.low, found.interval.high
    text = f"{gate.evaluation} agrees with people by a kappa of {found.kappa:.2f} ({low:.2f} to {high:.2f})"
    text += f": the lower end is {'below' if failed else 'at least'} {gate.threshold:g}"
    if failed and found.kappa >= gate.threshold:
        text += f". More labels may raise it: `evalwire label {gate.evaluation}`"
    return passed_or_failed(gate, found.kappa, text, failed=failed, interval=found.interval)


def correction_problem(result: ExperimentResult, gate: Gate, calibrations: Calibrations, *, is_rate: bool) -> str:
    """Return why the rate of a gate cannot be corrected; empty if it can.

    Args:
        result: the experiment.
        gate: a gate with `corrected = true`.
        calibrations: the recorded calibrations.
        is_rate: whether the scores are bools.
    """
    if problem := calibrations.problem(result, gate):
        return problem
    calibration = calibrations.of(result, gate.evaluation or "")
    table = calibration.table if calibration is not None else None
    if not is_rate or table is None:
        return f"{gate.evaluation} returns numbers, and only pass rates can be corrected. Remove corrected = true"
    obstacle = correction_obstacle(table)
    return f"the pass rate of {gate.evaluation} cannot be corrected: {obstacle}" if obstacle else ""


def corrected_measure(
    result: ExperimentResult, gate: Gate, score: ScoreSummary, measure: Measure, calibrations: Calibrations
) -> Measure:
    """Return the measure of a pass rate, corrected for the errors of the evaluator.

    Only scored runs are corrected: a run without a score still counts against the gate.
    """
    if problem := correction_problem(result, gate, calibrations, is_rate=measure.is_rate):
        return replace(measure, value=None, subject=problem)
    calibration = calibrations.of(result, gate.evaluation or "")
    if calibration is None or calibration.table is None or score.mean is None or measure.value is None:
        return measure
    scored = {
        run.example.id
        for run in result.runs
        for found in run.evaluations
        if found.name == score.name and found.score is not None
    }
    found = corrected_rate(score.mean, len(scored), calibration.table)
    uncounted = measure.value if gate.rule == "min_pass_rate" else 1 - measure.value
    own = score.mean if gate.rule == "min_pass_rate" else 1 - score.mean
    share = uncounted / own if own else 1.0  # the part of the runs that have a score

    def of_all(rate: float) -> float:
        return rate * share if gate.rule == "min_pass_rate" else 1 - (1 - rate) * share

    interval = replace(found.interval, low=of_all(found.interval.low), high=of_all(found.interval.high))
    slope = calibration.table.discrimination
    note = f"the evaluator's own is {score.mean:.1%}, corrected with {calibration.labels} labels (J = {slope:.2f})"
    return replace(
        measure,
        subject=f"{score.name} corrected pass rate",
        value=of_all(found.value),
        interval=interval,
        notes=(*measure.notes, note),
    )


def corrected_comparison(
    result: ExperimentResult, gate: Gate, compared: Comparison, calibrations: Calibrations
) -> tuple[Comparison, float]:
    """Return a comparison with the corrected rates and their change, and Youden's J; there must be no problem.

    The p-value remains: without a change of the true rate, the evaluator's rate does not change either.
    """
    calibration = calibrations.of(result, gate.evaluation or "")
    if calibration is None or calibration.table is None or compared.change is None:
        return compared, 1.0
    before, after = (corrected_value(rate or 0.0, calibration.table) for rate in (compared.before, compared.after))
    change, interval = corrected_change(compared.change, compared.interval, calibration.table)
    corrected = replace(compared, before=before, after=after, change=change, interval=interval)
    return corrected, calibration.table.discrimination or 1.0
