"""Results and their baselines -> gate results (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from evalwire.gates.drops import Comparing, judge_drop
from evalwire.gates.gate_results import SLACK, hint, passed_or_failed, percent
from evalwire.gates.measures import measure_evaluation, missing_in_drop
from evalwire.model import GateResult, holm, percentile, token_count, usage_cost_usd, written

if TYPE_CHECKING:
    from evalwire.gates.resolve import Gate
    from evalwire.model import Baseline, Comparison, ExperimentResult, Interval, Price, ScoreSummary, Usage


def judge_gates(
    results: Sequence[ExperimentResult],
    gates: Sequence[Gate],
    *,
    baselines: Mapping[str, Baseline],
    prices: Mapping[str, Price],
    is_base_branch: bool = False,
) -> tuple[GateResult, ...]:
    """Evaluate each gate, experiment by experiment.

    An experiment without a limit on its errors has one of 0, which is told when it is broken. The p-values of all
    drops are corrected together (Holm), so that a job with many gates is not red more often by chance.

    Args:
        results: of the experiments.
        gates: what is asked of them.
        baselines: of those that have drop gates, by experiment; the note in one says why there is none.
        prices: of models whose spans tell no cost.
        is_base_branch: whether the run is on the branch that baselines are of.
    """
    p_values = _corrected(results, gates, baselines)
    found: list[GateResult] = []
    for result in results:
        own = [gate for gate in gates if gate.experiment == result.name]
        if not any(gate.rule == "max_error_rate" for gate in own):
            found += _default_error_rate(result)
        if not result.runs:
            continue  # it is red for why nothing ran
        scores = {score.name: score for score in result.scores}
        for gate in own:
            score = scores.get(gate.evaluation or "")
            if gate.rule == "max_drop":
                comparing = Comparing(
                    baseline=baselines.get(result.name),
                    p_value=p_values.get((gate.experiment, gate.evaluation)),
                    drop_gates=len(p_values),
                    error_rate=max((one.threshold for one in own if one.rule == "max_error_rate"), default=0.0),
                    is_base_branch=is_base_branch,
                )
                verdict = judge_drop(result, gate, comparing)
                found.append(_over_missing(result, gate, comparing.baseline, verdict, score))
            elif gate.evaluation is None:
                found.append(_of_experiment(result, gate, prices))
            else:
                found.append(_of_evaluation(result, gate, score))
    return tuple(found)


def _corrected(
    results: Sequence[ExperimentResult], gates: Sequence[Gate], baselines: Mapping[str, Baseline]
) -> dict[tuple[str, str | None], float]:
    names = {result.name for result in results}
    raw: dict[tuple[str, str | None], float] = {}
    for gate in gates:
        if gate.rule == "max_drop" and gate.experiment in names:
            compared = _comparison(gate, baselines.get(gate.experiment))
            if compared is not None and compared.p_value is not None:
                raw[gate.experiment, gate.evaluation] = compared.p_value
    return dict(zip(raw, holm(list(raw.values())), strict=True))


def _comparison(gate: Gate, baseline: Baseline | None) -> Comparison | None:
    return baseline.comparison(gate.evaluation or "") if baseline else None


def _default_error_rate(result: ExperimentResult) -> Iterator[GateResult]:
    rate = result.error_rate
    if rate > 0 and result.runs:
        yield GateResult(
            experiment=result.name,
            rule="max_error_rate",
            threshold=0.0,
            value=rate,
            status="failed",
            is_red=True,
            text=_errors(result),
            source="default",
        )


def _of_evaluation(result: ExperimentResult, gate: Gate, score: ScoreSummary | None) -> GateResult:
    measure = measure_evaluation(result, gate, score) if score is not None else None
    if measure is None:
        return passed_or_failed(gate, None, f"{gate.evaluation} has no score{hint(result)}", failed=True)
    value = measure.value
    if value is None:
        return passed_or_failed(gate, None, measure.what, failed=True)
    is_floor = gate.rule.startswith("min")
    is_beyond = value < gate.threshold - SLACK if is_floor else value > gate.threshold + SLACK
    if gate.rule == "min_examples":
        text = f"{measure.what}, {'fewer than' if is_beyond else 'at least'} {gate.threshold:g}"
    else:
        words = {(True, True): "below", (True, False): "above", (False, True): "at least", (False, False): "at most"}
        word = words[is_beyond, is_floor]
        text = f"{measure.what} {written(value)} is {word} {gate.threshold:g}{_in_words(measure.interval)}"
    if measure.notes:
        text += f"{', but ' if measure.lacks_scores and not is_beyond else '; '}{'; '.join(measure.notes)}"
    return passed_or_failed(gate, value, text, failed=is_beyond or measure.lacks_scores, interval=measure.interval)


def _over_missing(
    result: ExperimentResult,
    gate: Gate,
    baseline: Baseline | None,
    found: GateResult,
    score: ScoreSummary | None,
) -> GateResult:
    """Return what a drop gate came to; it fails over missing scores, whatever the scores there are came to."""
    reason = "" if found.is_red else missing_in_drop(result, gate, score, _comparison(gate, baseline))
    return replace(found, status="failed", is_red=True, text=f"{found.text}; but {reason}") if reason else found


def _in_words(interval: Interval | None) -> str:
    return f" ({interval.confidence:.0%} interval {interval.low:.3f} to {interval.high:.3f})" if interval else ""


def _of_experiment(result: ExperimentResult, gate: Gate, prices: Mapping[str, Price]) -> GateResult:
    match gate.rule:
        case "max_error_rate":
            rate = result.error_rate
            failed = rate > gate.threshold + SLACK
            return passed_or_failed(
                gate, rate, f"{_errors(result)}; up to {percent(gate.threshold)} may", failed=failed
            )
        case "max_p95_seconds":
            value = percentile([run.seconds for run in result.runs], 0.95)
            return _held(gate, value, f"the task's 95th percentile is {value:.3f} s")
        case "max_total_tokens":
            usage = result.usage
            if not usage:
                return passed_or_failed(
                    gate, None, f"how many tokens it used is not known: {_unseen(usage)}", failed=True
                )
            if uncounted := sum(one.uncounted for one in usage):
                what = f"{uncounted} LLM spans tell no tokens, so how many it used is not known"
                return passed_or_failed(gate, None, what, failed=True)
            return _held(gate, token_count(usage), f"it used {token_count(usage):,} tokens")
    usage = result.usage
    if not usage:
        return passed_or_failed(gate, None, f"what it cost is not known: {_unseen(usage)}", failed=True)
    cost, unknown = usage_cost_usd(usage, prices)
    if lacking := [model or "its model" for model in unknown if model not in prices]:
        what = f"what it cost is not known: no price of {', '.join(lacking)}; give one under [prices]"
        return passed_or_failed(gate, cost, what, failed=True)
    if unknown:
        what = f"what it cost is not known: LLM spans of {', '.join(unknown)} tell no tokens"
        return passed_or_failed(gate, cost, what, failed=True)
    return _held(gate, cost, f"it cost {cost:.4f} USD")


def _unseen(usage: Usage | None) -> str:
    if usage is None:
        return "the usage of some runs was not recorded"
    return "no span of kind LLM was seen; instrument your client (OpenInference), or drop this gate"


def _errors(result: ExperimentResult) -> str:
    failed = len(result.failed_runs)
    parts = [f"{failed} of {result.expected_runs} runs failed"] if failed or not result.not_run else []
    parts += [f"{result.not_run} of {result.expected_runs} were not run"] if result.not_run else []
    return ", ".join(parts)


def _held(gate: Gate, value: float, what: str) -> GateResult:
    failed = value > gate.threshold + SLACK
    return passed_or_failed(
        gate, value, f"{what}, {'more than' if failed else 'at most'} {gate.threshold:g}", failed=failed
    )
