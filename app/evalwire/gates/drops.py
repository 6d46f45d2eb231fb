"""Apply gates on drops below the baseline scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalwire.errors import UsageError
from evalwire.gates.calibrated import NO_CALIBRATIONS, Calibrations, corrected_comparison, correction_problem
from evalwire.gates.comparison import has_scores
from evalwire.gates.gate_results import SLACK, gate_result, hint, passed_or_failed, percent
from evalwire.gates.power import NOW, SampleSize, reach_of
from evalwire.model import ExperimentResult, change_text, mcnemar_midp, score_text

if TYPE_CHECKING:
    from evalwire.gates.resolve import Gate
    from evalwire.model import Baseline, Comparison, GateResult, Status

FEWEST_PAIRS = 10  # with fewer pairs, a drop that is not significant is inconclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """The values that decide a drop gate, in addition to the run and the gate.

    Attributes:
        baseline: baseline of the run; the note gives the reason if there is no baseline.
        p_value: p-value of the drop, corrected over all drop gates of the job; None without a comparison.
        drop_gates: number of drops that the job compares.
        error_rate: share of runs that may fail, from 0 to 1.
        is_base_branch: whether the run is on the base branch, which baselines come from.
        calibrations: the agreement of evaluators with people.
    """

    baseline: Baseline | None
    p_value: float | None
    drop_gates: int
    error_rate: float
    is_base_branch: bool
    calibrations: Calibrations = NO_CALIBRATIONS


def check_drop(gate: Gate, before: ExperimentResult | str | None) -> None:
    """Check that scores in the range of the baseline's can exceed a limit on a drop.

    Raises:
        UsageError: the baseline's scores are between 0 and 1, and the allowed drop is 1 or more.
    """
    if gate.rule != "max_drop" or not isinstance(before, ExperimentResult):
        return
    scores = [found.score for run in before.runs for found in run.evaluations if found.name == gate.evaluation]
    known = [score for score in scores if score is not None]
    if known and _is_vacuous(gate, known):
        raise UsageError(f"{gate.source}: {_vacuous(gate)}")


def _is_vacuous(gate: Gate, scores: list[float]) -> bool:
    return not gate.is_relative and gate.threshold >= 1 and all(0 <= score <= 1 for score in scores)


def _vacuous(gate: Gate) -> str:
    return (
        f"scores of {gate.evaluation} are between 0 and 1, so no drop can exceed {gate.threshold:g}. Write a "
        "number such as 0.02, or a percentage of the baseline mean such as '2%'."
    )


def apply_drop_gate(result: ExperimentResult, gate: Gate, comparing: Comparing) -> GateResult:
    """Apply a gate on the drop of a score below the baseline.

    Args:
        result: the run.
        gate: a `max_drop` gate.
        comparing: the baseline, and the values that decide the gate.
    """
    name, baseline = gate.evaluation or "", comparing.baseline
    if baseline is None or baseline.note:
        return _no_baseline(gate, comparing, baseline.note if baseline else "none was requested")
    recorded = baseline.recorded_name or baseline.asked
    evaluator = _evaluator_of(name, result)
    lost = baseline.changed_evaluators.get(evaluator)
    if lost is not None and gate.refuses_change and baseline.changed_task:
        task = ", ".join(baseline.changed_task)
        text = f"{name} cannot be compared: its evaluator ({lost}) and the task (changed: {task}) both changed"
        advice = 'on_evaluator_change = "fail" requires separate changes'
        return passed_or_failed(gate, None, f"{text}; {advice}", failed=True)
    if not has_scores(result, name):
        return passed_or_failed(gate, None, f"{name} has no score{hint(result)}", failed=True)
    if baseline.paired < gate.drop_policy.min_paired * baseline.examples - SLACK:
        paired = f"{baseline.paired} of {baseline.examples} examples are unchanged since {recorded}"
        least = percent(gate.drop_policy.min_paired)
        return _no_baseline(gate, comparing, f"only {paired}, and min_paired requires {least}")
    if lost is not None:
        reason = f"its evaluator differs from the baseline's ({lost}) and did not score the baseline's outputs again"
        return _no_baseline(gate, comparing, reason)
    if failed := _failed_rescoring(gate, baseline, comparing.error_rate):
        return passed_or_failed(gate, None, failed, failed=True)
    compared = baseline.comparison(name)
    if compared is None:
        return _no_baseline(gate, comparing, f"{recorded} has no score with this name")
    if not gate.is_corrected:
        return _apply_to_change(gate, compared, comparing, size=_whole(result))
    if problem := correction_problem(result, gate, comparing.calibrations, is_rate=compared.is_bool):
        return passed_or_failed(gate, None, problem, failed=True)
    corrected, slope = corrected_comparison(result, gate, compared, comparing.calibrations)
    return _apply_to_change(gate, corrected, comparing, size=_whole(result), slope=slope)


def _evaluator_of(name: str, result: ExperimentResult) -> str:
    evaluators = (found.evaluator for run in result.runs for found in run.evaluations if found.name == name)
    return next(evaluators, name)


def _no_baseline(gate: Gate, comparing: Comparing, reason: str) -> GateResult:
    is_red = gate.drop_policy.on_no_baseline == "fail" and not comparing.is_base_branch
    text = f"{gate.evaluation}: {reason}"
    if is_red:
        text += '; on_no_baseline = "fail" requires a baseline'
    return gate_result(gate, "no baseline", is_red=is_red, text=text)


def _failed_rescoring(gate: Gate, baseline: Baseline, error_rate: float) -> str:
    """Return a sentence if the evaluator failed on too many of the baseline's outputs, else an empty text."""
    rescored = next((found for found in baseline.rescored if found.evaluation == gate.evaluation), None)
    if rescored is None or not rescored.failed:
        return ""
    outputs = rescored.failed + rescored.outputs
    if rescored.failed <= error_rate * outputs + SLACK:
        return ""
    return (
        f"{gate.evaluation} cannot be compared: its evaluator ({rescored.reason}) failed on {rescored.failed} of the "
        f"baseline's {outputs} outputs; the limit is {percent(error_rate)}"
    )


def _whole(result: ExperimentResult) -> SampleSize:
    """Return the size of the whole experiment, whose drops an early verdict finds too."""
    stopping = result.stopping
    if stopping is None or not stopping.seen or not stopping.rounds:
        return NOW
    return SampleSize(examples=stopping.of / stopping.seen, repetitions=stopping.of_rounds / stopping.rounds)


def _apply_to_change(
    gate: Gate, compared: Comparison, comparing: Comparing, *, size: SampleSize, slope: float = 1.0
) -> GateResult:
    policy, p_value = gate.drop_policy, comparing.p_value
    fails = policy.on_inconclusive == "fail"
    reach = reach_of(compared, gate, drop_gates=comparing.drop_gates, size=size, slope=slope)
    if compared.change is None or compared.before is None or compared.after is None:
        text = f"{gate.evaluation}: no unchanged example has a score in both experiments"
        if reach.is_blind:
            return passed_or_failed(gate, None, f"{reach.blind_text}. {text}", failed=True)
        return gate_result(gate, "inconclusive", is_red=fails, text=text)
    if _is_vacuous(gate, [score for pair in compared.pairs for score in (pair.before, pair.after)]):
        return passed_or_failed(gate, None, _vacuous(gate), failed=True)
    drop = compared.change if compared.direction == "minimize" else -compared.change
    tolerance = gate.threshold * (abs(compared.before) if gate.is_relative else 1.0)
    is_beyond = drop > tolerance + SLACK
    is_significant = p_value is not None and p_value <= policy.significance
    unreachable = _unreachable(gate, compared, comparing.drop_gates)
    status: Status = "passed"
    if is_beyond and (is_significant or policy.mode == "strict"):
        status = "failed"
    elif policy.mode != "strict" and (unreachable or len(compared.pairs) < FEWEST_PAIRS):
        status = "inconclusive"
    smallest = change_text(reach.smallest, is_rate=compared.is_bool, is_signed=False) if reach.smallest else ""
    text = f"{gate.evaluation} {_movement(compared, drop)}"
    text += f", corrected by J = {slope:.2f}" if gate.is_corrected else ""
    if status != "failed" and reach.is_blind:
        status, text = "failed", f"{reach.blind_text}. {text}"
    elif status == "inconclusive":
        possible = f"only a drop of {smallest} or more could be detected" if smallest else "too few pairs"
        text += f": {unreachable or possible}"
    else:
        text += f": {_reason(status, _allowed(gate, compared), is_beyond=is_beyond)}"
        text += f"; the gate finds drops of {smallest} or more" if smallest else ""
    if compared.unscored:
        text += f"; {compared.unscored} unchanged examples have no score in this run or in the baseline"
    return gate_result(
        gate,
        status,
        is_red=status == "failed" or (status == "inconclusive" and fails),
        text=text,
        value=drop,
        interval=compared.interval,
        p_value=p_value,
        is_rate=compared.is_bool,
        minimum_detectable=reach.smallest,
    )


def _allowed(gate: Gate, compared: Comparison) -> str:
    if gate.is_relative:
        return f"{percent(gate.threshold)} of the baseline"
    return f"{gate.threshold * 100:g} points" if compared.is_bool else f"{gate.threshold:g}"


def _unreachable(gate: Gate, compared: Comparison, drop_gates: int) -> str:
    """Return a clause if even a drop on every example would not be significant, else an empty text."""
    pairs = len(compared.pairs)
    least = mcnemar_midp(pairs, 0) if compared.test.startswith("McNemar") else 0.5**pairs
    if least * max(drop_gates, 1) <= gate.drop_policy.significance:
        return ""
    among = f" (corrected over {drop_gates} drop gates)" if drop_gates > 1 else ""
    return f"{_pairs(pairs)} cannot reach significance {gate.drop_policy.significance:g}{among}"


def _movement(compared: Comparison, drop: float) -> str:
    word = "fell" if (compared.change or 0) < 0 else "rose"
    if abs(drop) <= SLACK:
        word, by = "did not change", ""
    else:
        by = f" by {change_text(abs(drop), is_rate=compared.is_bool, is_signed=False)}"
    before, after = (score_text(value, is_rate=compared.is_bool) for value in (compared.before, compared.after))
    return f"{word}{by} ({before} to {after} over {_pairs(len(compared.pairs))})"


def _pairs(number: int) -> str:
    return "1 pair" if number == 1 else f"{number} pairs"


def _reason(status: Status, allowed: str, *, is_beyond: bool) -> str:
    if status == "failed":
        return f"a drop of at most {allowed} is allowed"
    if is_beyond:
        return f"more than the allowed {allowed}, but this may be chance"
    return f"within the allowed {allowed}"
