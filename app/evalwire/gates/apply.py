"""Apply gates to results and their baselines (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.gates.calibrated import NO_CALIBRATIONS, Calibrations, apply_kappa_gate, corrected_measure
from evalwire.gates.drops import Comparing, apply_drop_gate
from evalwire.gates.early_results import EarlyDecisions, identity, identity_of
from evalwire.gates.gate_results import SLACK, apart, hint, passed_or_failed, percent
from evalwire.gates.measures import measure_evaluation, missing_in_drop
from evalwire.gates.undecided import decide_without_runs
from evalwire.model import (
    GateResult,
    cost_text,
    holm,
    percentile,
    price_line,
    score_text,
    source_facts,
    token_count,
    usage_cost,
)

if TYPE_CHECKING:
    from evalwire.gates.measures import Measure
    from evalwire.gates.resolve import Gate
    from evalwire.model import Baseline, Comparison, ExperimentResult, ModelUsage, Price, Rule, ScoreSummary, Usage


RULES_OF_CALLS: tuple[Rule, ...] = ("max_p95_seconds", "max_total_tokens", "max_cost_usd", "min_llm_calls")
"""The limits on calls of the task, which are not applied to new scores of recorded outputs."""


def apply_gates(
    results: Sequence[ExperimentResult],
    gates: Sequence[Gate],
    *,
    baselines: Mapping[str, Baseline],
    prices: Mapping[str, Price],
    is_base_branch: bool = False,
    calibrations: Calibrations = NO_CALIBRATIONS,
) -> tuple[GateResult, ...]:
    """Apply all gates, experiment by experiment.

    An experiment without a limit on its error rate has the limit 0. This default gate is reported only if it fails.
    The p-values of all drops are corrected together (Holm), so a job with many gates does not fail more often by
    chance.

    Args:
        results: results of the experiments.
        gates: gates to apply.
        baselines: baselines of the experiments that have drop gates, by experiment name. The note of a baseline gives
            the reason if there is no baseline.
        prices: prices by model, for spans without a cost.
        is_base_branch: whether the run is on the base branch, which baselines come from.
        calibrations: the agreement of evaluators with people.
    """
    early = {result.name: _early_decisions(result, gates, baselines.get(result.name)) for result in results}
    p_values = _corrected(early, baselines)
    found: list[GateResult] = []
    for result in results:
        own = early[result.name].gates
        if not any(gate.rule == "max_error_rate" for gate in own):
            found += _default_error_rate(result)
        if not result.runs:
            continue  # the reason why nothing ran fails the job
        scores = {score.name: score for score in result.scores}
        for gate in own:
            score = scores.get(gate.evaluation or "")
            if gate.rule == "max_drop":
                comparing = Comparing(
                    baseline=baselines.get(result.name),
                    p_value=p_values.get((gate.experiment, gate.evaluation)),
                    drop_gates=len(p_values),
                    error_rate=max((limit.threshold for limit in own if limit.rule == "max_error_rate"), default=0.0),
                    is_base_branch=is_base_branch,
                    calibrations=calibrations,
                )
                applied = apply_drop_gate(result, gate, comparing)
                applied = _over_missing(result, gate, comparing.baseline, applied, score)
            elif gate.evaluation is None:
                applied = _of_experiment(result, gate, prices)
            elif gate.rule == "min_kappa":
                applied = apply_kappa_gate(result, gate, calibrations)
            else:
                applied = _of_evaluation(result, gate, score, calibrations)
            applied = early[result.name].apply(gate, applied)
            if result.is_out_of_budget and result.not_run:
                applied = decide_without_runs(result, applied, ignores_unscored=gate.missing == "ignore")
            found.append(applied)
    return tuple(found)


def gates_of(result: ExperimentResult, gates: Sequence[Gate]) -> list[Gate]:
    """Return the gates that apply to an experiment; limits on calls do not apply to new scores of recorded outputs."""
    is_scored = source_facts(result.experiment_metadata) is not None
    own = (gate for gate in gates if gate.experiment == result.name)
    return [gate for gate in own if not (is_scored and gate.rule in RULES_OF_CALLS)]


def undecided_gates(result: ExperimentResult, gates: Sequence[Gate], before: ExperimentResult | None) -> list[Gate]:
    """Return the gates that need the whole experiment of an experiment that ended early.

    Args:
        result: the experiment.
        gates: the gates of all experiments.
        before: the baseline; None without a baseline.
    """
    own = gates_of(result, gates)
    return EarlyDecisions(stopping=result.stopping, gates=own, baseline=identity_of(before)).missing


def _early_decisions(result: ExperimentResult, gates: Sequence[Gate], baseline: Baseline | None) -> EarlyDecisions:
    known = identity(baseline.recorded_name, baseline.experiment_id) if baseline is not None else ""
    return EarlyDecisions(stopping=result.stopping, gates=gates_of(result, gates), baseline=known)


def _corrected(
    early: Mapping[str, EarlyDecisions], baselines: Mapping[str, Baseline]
) -> dict[tuple[str, str | None], float]:
    raw: dict[tuple[str, str | None], float] = {}
    for experiment, decisions in early.items():
        for gate in decisions.gates:
            compared = _comparison(gate, baselines.get(experiment)) if gate.rule == "max_drop" else None
            if compared is None or compared.p_value is None:
                continue
            looked = decisions.of(gate)
            p_value = looked.p_value if looked is not None else None
            if decisions.is_undecided(gate):
                p_value = 1.0  # a test of a part that other gates ended is not valid
            raw[experiment, gate.evaluation] = compared.p_value if p_value is None else p_value
    return dict(zip(raw, holm(list(raw.values())), strict=True))


def _comparison(gate: Gate, baseline: Baseline | None) -> Comparison | None:
    return baseline.comparison(gate.evaluation or "") if baseline else None


def _default_error_rate(result: ExperimentResult) -> Iterator[GateResult]:
    rate = result.error_rate
    rate -= result.not_run / result.expected_runs if result.is_out_of_budget and result.expected_runs else 0.0
    if rate > SLACK and result.runs:
        yield GateResult(
            experiment=result.name,
            rule="max_error_rate",
            threshold=0.0,
            value=rate,
            status="failed",
            is_red=True,
            text=_errors(result),
            source="default",
            is_rate=True,
        )


def _of_evaluation(
    result: ExperimentResult, gate: Gate, score: ScoreSummary | None, calibrations: Calibrations
) -> GateResult:
    measure = measure_evaluation(result, gate, score) if score is not None else None
    if measure is None:
        return passed_or_failed(gate, None, f"{gate.evaluation} has no score{hint(result)}", failed=True)
    if score is not None and gate.is_corrected and measure.value is not None:
        measure = corrected_measure(result, gate, score, measure, calibrations)
    value = measure.value
    if value is None:
        return passed_or_failed(gate, None, measure.subject, failed=True)
    is_floor = gate.rule.startswith("min")
    is_beyond = value < gate.threshold - SLACK if is_floor else value > gate.threshold + SLACK
    if gate.rule == "min_examples":
        text = f"{measure.subject}, {'fewer than' if is_beyond else 'at least'} {gate.threshold:g}"
    else:
        words = {(True, True): "below", (True, False): "above", (False, True): "at least", (False, False): "at most"}
        word = words[is_beyond, is_floor]
        limit = percent(gate.threshold) if measure.is_rate else f"{gate.threshold:g}"
        shown = apart(value, gate.threshold, is_rate=measure.is_rate)
        text = f"{measure.subject} {shown} is {word} {limit}{_in_words(measure)}"
    if measure.notes:
        text += f"{', but ' if measure.misses_scores and not is_beyond else '; '}{'; '.join(measure.notes)}"
    return passed_or_failed(
        gate,
        value,
        text,
        failed=is_beyond or measure.misses_scores,
        interval=measure.interval,
        is_rate=measure.is_rate,
    )


def _over_missing(
    result: ExperimentResult,
    gate: Gate,
    baseline: Baseline | None,
    found: GateResult,
    score: ScoreSummary | None,
) -> GateResult:
    """Return the result of a drop gate, which fails if scores are missing."""
    reason = "" if found.is_red else missing_in_drop(result, gate, score, _comparison(gate, baseline))
    return replace(found, status="failed", is_red=True, text=f"{found.text}, but {reason}") if reason else found


def _in_words(measure: Measure) -> str:
    interval = measure.interval
    if interval is None:
        return ""
    low, high = (score_text(end, is_rate=measure.is_rate) for end in (interval.low, interval.high))
    return f" ({interval.confidence:.0%} interval {low} to {high})"


def _of_experiment(result: ExperimentResult, gate: Gate, prices: Mapping[str, Price]) -> GateResult:
    match gate.rule:
        case "max_error_rate":
            rate = result.error_rate
            failed = rate > gate.threshold + SLACK
            text = f"{_errors(result)}; the limit is {percent(gate.threshold)}"
            return passed_or_failed(gate, rate, text, failed=failed, is_rate=True)
        case "max_p95_seconds":
            value = percentile([run.seconds for run in result.runs], 0.95)
            return _limited(gate, value, f"the 95th percentile of task durations is {value:.3f} s", " s")
        case "min_llm_calls":
            return _calls(result, gate)
        case "max_total_tokens":
            usage = result.usage
            if not usage:
                return passed_or_failed(gate, None, f"the token count is unknown: {_unseen(usage)}", failed=True)
            if uncounted := sum(used.uncounted for used in usage):
                text = f"the token count is unknown: {uncounted} LLM spans have no token counts"
                return passed_or_failed(gate, None, text, failed=True)
            return _limited(gate, token_count(usage), f"the experiment used {token_count(usage):,} tokens")
    usage = result.usage
    if not usage:
        return passed_or_failed(gate, None, f"the cost is unknown: {_unseen(usage)}", failed=True)
    cost = usage_cost(usage, prices)
    if cost.unpriced:
        names = ", ".join(model or "a model without a name" for model in cost.unpriced)
        lines = " and ".join(map(price_line, cost.unpriced))
        text = f"the cost is unknown: no price for {names}; add {lines} below [prices], in USD per million tokens"
        return passed_or_failed(gate, cost.usd, text, failed=True)
    if cost.unknown:
        text = f"the cost is unknown: LLM spans of {', '.join(cost.unknown)} have no token counts"
        return passed_or_failed(gate, cost.usd, text, failed=True)
    return _limited(gate, cost.usd, f"the experiment cost {cost_text(cost.usd)}", " USD")


def _calls(result: ExperimentResult, gate: Gate) -> GateResult:
    """Apply a gate on the number of model calls, without which every output may be a constant text."""
    calls = sum(used.calls for used in (_known(result) if result.usage is None else result.usage))
    if result.usage is None and calls < gate.threshold:
        text = "the number of model calls is unknown: the usage of some runs was not recorded"
        return passed_or_failed(gate, None, text, failed=True)
    seen = "1 call of a model was" if calls == 1 else f"{calls:,} calls of models were"
    text = f"{seen if calls else 'no model was called: no LLM spans were'} recorded"
    if calls >= gate.threshold:
        return passed_or_failed(gate, float(calls), text, failed=False)
    advice = "Check the key that the task uses, and instrument your client with OpenInference"
    return passed_or_failed(gate, float(calls), f"{text}, fewer than {gate.threshold:,g}. {advice}", failed=True)


def _known(result: ExperimentResult) -> Iterator[ModelUsage]:
    """Yield the usage of the calls that is known, although the usage of other calls is not."""
    for run in result.runs:
        for usage in (run.usage, *(found.usage for found in run.evaluations)):
            yield from usage or ()


def _unseen(usage: Usage | None) -> str:
    if usage is None:
        return "the usage of some runs was not recorded"
    return "no LLM spans were recorded; instrument your client with OpenInference, or remove this gate"


def _errors(result: ExperimentResult) -> str:
    failed = len(result.failed_runs)
    parts = [f"{failed} of {result.expected_runs} runs failed"] if failed or not result.not_run else []
    parts += [f"{result.not_run} of {result.expected_runs} were not run"] if result.not_run else []
    return ", ".join(parts)


def _limited(gate: Gate, value: float, text: str, unit: str = "") -> GateResult:
    failed = value > gate.threshold + SLACK
    limit = f"the limit of {gate.threshold:,.10g}{unit}"
    return passed_or_failed(gate, value, f"{text}, {'above' if failed else 'within'} {limit}", failed=failed)
