"""Results and their baselines -> verdicts (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from evalwire.gates.comparison import scores_of
from evalwire.gates.drops import Comparing, judge_drop
from evalwire.gates.verdicts import SLACK, hint, percent, told
from evalwire.model import (
    GateResult,
    Interval,
    holm,
    mean_interval,
    percentile,
    token_count,
    usage_cost_usd,
    wilson_interval,
)

if TYPE_CHECKING:
    from evalwire.gates.resolve import Gate
    from evalwire.model import Baseline, Comparison, ExperimentResult, Price, ScoreSummary, Usage


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
        for gate in own:
            if gate.rule == "max_drop":
                comparing = Comparing(
                    baseline=baselines.get(result.name),
                    p_value=p_values.get((gate.experiment, gate.evaluation)),
                    drop_gates=len(p_values),
                    error_rate=max((one.threshold for one in own if one.rule == "max_error_rate"), default=0.0),
                    is_base_branch=is_base_branch,
                )
                found.append(judge_drop(result, gate, comparing))
            else:
                found.append(_verdict(result, gate, prices))
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


def _verdict(result: ExperimentResult, gate: Gate, prices: Mapping[str, Price]) -> GateResult:
    if gate.evaluation is None:
        return _of_experiment(result, gate, prices)
    score = next((one for one in result.scores if one.name == gate.evaluation), None)
    return _of_evaluation(result, gate, score)


def _of_evaluation(result: ExperimentResult, gate: Gate, score: ScoreSummary | None) -> GateResult:
    is_floor = gate.rule.startswith("min")
    given = scores_of(result, gate.evaluation or "", direction="maximize" if is_floor else "minimize")
    name = gate.evaluation
    if score is None or (score.mean is None and gate.rule != "min_examples"):
        return told(gate, None, f"{name} has no score{hint(result)}", failed=True)
    values = list(given.by_example.values())
    lacking = f"; {score.missing + result.not_run} of {result.expected_runs} runs have none"
    lacking = lacking if score.missing + result.not_run else ""
    if gate.rule == "min_examples":
        said = {
            run.example.id for run in result.runs for one in run.evaluations if one.name == name and not one.failure
        }
        count = len(said)
        word = "at least" if count >= gate.threshold else "fewer than"
        text = f"{name} was given for {count} examples, {word} {gate.threshold:g}{lacking}"
        return told(gate, count, text, failed=count < gate.threshold)
    is_rate = given.is_bool
    if gate.rule in ("min_pass_rate", "max_pass_rate") and not is_rate:
        return told(gate, None, f"{name} gives no bools, so it has no pass rate; limit its mean", failed=True)
    value = score.pass_rate if is_rate else score.mean
    if value is None:
        return told(gate, None, f"{name} has no score{hint(result)}", failed=True)
    lost = 0 if is_floor or not is_rate else score.missing + result.not_run  # each counts as what is limited
    value += lost / result.expected_runs
    interval = _interval(result, values, score, lost=lost)
    failed = value < gate.threshold - SLACK if is_floor else value > gate.threshold + SLACK
    word = {(True, True): "below", (True, False): "above", (False, True): "at least"}.get((failed, is_floor), "at most")
    if lacking:
        passed = "not passed" if is_floor else "passed"
        lacking += f", which count as {passed}" if is_rate else ", and no place in the mean"
    what = "pass rate" if is_rate else "mean"
    text = f"{name} {what} {value:.3f} is {word} {gate.threshold:g}{_in_words(interval)}{lacking}"
    return told(gate, value, text, failed=failed, interval=interval)


def _interval(result: ExperimentResult, values: Sequence[float], score: ScoreSummary, *, lost: int) -> Interval | None:
    """Wilson's for the rate of examples that ran once each; else of the mean over examples."""
    if score.pass_rate is not None and result.repetitions == 1:
        passes = round(score.pass_rate * result.expected_runs) + lost
        low, high = wilson_interval(passes, result.expected_runs)
        return Interval(low=low, high=high, method="Wilson")
    if len(set(values)) < 2:  # noqa: PLR2004 - equal values have an interval of no width, which says nothing
        return None
    low, high = mean_interval(values)
    return Interval(low=low, high=high, method="t")


def _in_words(interval: Interval | None) -> str:
    return f" ({interval.confidence:.0%} interval {interval.low:.3f} to {interval.high:.3f})" if interval else ""


def _of_experiment(result: ExperimentResult, gate: Gate, prices: Mapping[str, Price]) -> GateResult:
    match gate.rule:
        case "max_error_rate":
            rate = result.error_rate
            failed = rate > gate.threshold + SLACK
            return told(gate, rate, f"{_errors(result)}; up to {percent(gate.threshold)} may", failed=failed)
        case "max_p95_seconds":
            value = percentile([run.seconds for run in result.runs], 0.95)
            return _held(gate, value, f"the task's 95th percentile is {value:.3f} s")
        case "max_total_tokens":
            usage = result.usage
            if not usage:
                return told(gate, None, f"how many tokens it used is not known: {_unseen(usage)}", failed=True)
            if uncounted := sum(one.uncounted for one in usage):
                what = f"{uncounted} LLM spans tell no tokens, so how many it used is not known"
                return told(gate, None, what, failed=True)
            return _held(gate, token_count(usage), f"it used {token_count(usage):,} tokens")
    usage = result.usage
    if not usage:
        return told(gate, None, f"what it cost is not known: {_unseen(usage)}", failed=True)
    cost, unknown = usage_cost_usd(usage, prices)
    if lacking := [model or "its model" for model in unknown if model not in prices]:
        what = f"what it cost is not known: no price of {', '.join(lacking)}; give one under [prices]"
        return told(gate, cost, what, failed=True)
    if unknown:
        what = f"what it cost is not known: LLM spans of {', '.join(unknown)} tell no tokens"
        return told(gate, cost, what, failed=True)
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
    return told(gate, value, f"{what}, {'more than' if failed else 'at most'} {gate.threshold:g}", failed=failed)
