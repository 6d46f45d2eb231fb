"""What the result of a gate says, and which gates of a job are applied at all."""

from __future__ import annotations

from dataclasses import replace

import pytest
from applying import gate, ran, said, verdict
from reporting import boolean, evaluation, failure, result, run

from evalwire.gates.apply import apply_gates
from evalwire.gates.comparison import compare_results
from evalwire.model import FACTS_KEY, ModelUsage, holm
from evalwire.model.result import ExperimentResult

BEFORE = ran(*[True] * 10)
WORSE = ran(*[True] * 4, *[False] * 6)


def of_all(rule, threshold):
    return gate(rule, threshold, evaluation=None)


def scored(found: ExperimentResult) -> ExperimentResult:
    """An experiment with new scores of recorded outputs."""
    metadata = {FACTS_KEY: {"source": {"experiment": "E1"}}}
    return replace(found, opened=replace(found.opened, metadata=metadata))


def test_an_experiment_without_runs_does_not_end_the_others():
    empty = ran(name="empty")
    asked = [gate("min", 0.5, experiment="empty"), gate("min", 0.5)]
    found = apply_gates([empty, ran(0.9)], asked, baselines={}, prices={})
    assert [(each.experiment, each.status) for each in found] == [("search", "passed")]


def test_only_limits_on_calls_are_left_out_for_new_scores():
    asked = [of_all("max_p95_seconds", 0), of_all("min_llm_calls", 1e9), gate("min", 0.5), of_all("max_error_rate", 0)]
    again = apply_gates([scored(ran(0.9))], asked, baselines={}, prices={})
    assert [each.rule for each in again] == ["min", "max_error_rate"]
    first = apply_gates([ran(0.9)], asked, baselines={}, prices={})
    assert [each.rule for each in first] == ["max_p95_seconds", "min_llm_calls", "min", "max_error_rate"]


def test_only_drops_are_corrected_together():
    """A limit on another score has a comparison, too, but no test."""

    def both(passes):
        runs = [
            run(n, evaluations=(boolean("s", passed=n < passes), boolean("t", passed=n < passes))) for n in range(10)
        ]
        return result("search", runs, evaluators=("s", "t"))

    now = both(4)
    baselines = {"search": compare_results(now, both(10), asked="auto")}
    asked = [gate("min", 0.1, evaluation="t"), gate("max_drop", 0.0)]
    _, drop = apply_gates([now], asked, baselines=baselines, prices={})
    raw = baselines["search"].comparison("s").p_value
    assert drop.p_value == pytest.approx(holm([raw])[0])
    elsewhere = [*asked, gate("max_drop", 0.0, experiment="another job")]
    _, drop = apply_gates([now], elsewhere, baselines=baselines, prices={})
    assert drop.p_value == pytest.approx(holm([raw])[0])


def test_the_default_gate_on_errors_is_a_rate_of_at_most_0():
    (found,) = apply_gates([ran(0.9, None)], [], baselines={}, prices={})
    assert (found.rule, found.threshold, found.value) == ("max_error_rate", 0.0, 0.5)
    assert (found.status, found.is_red, found.is_rate, found.source) == ("failed", True, True, "default")
    assert found.text == "1 of 2 runs failed"


def test_runs_that_failed_and_runs_that_were_not_made_are_both_named():
    found = replace(ran(0.9, None), example_count=4)
    assert verdict(found, of_all("max_error_rate", 0.1)).text == (
        "1 of 4 runs failed, 2 of 4 were not run; the limit is 10%"
    )
    unmade = replace(ran(0.9), example_count=2)
    assert verdict(unmade, of_all("max_error_rate", 0.5)).text.startswith("1 of 2 were not run; the limit")


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (gate("min_examples", 2), "s has scores for 10 examples, at least 2"),
        (gate("max_pass_rate", 0.5), "s pass rate 40.0% is at most 50% (95% interval 16.8% to 68.7%)"),
        (of_all("max_p95_seconds", 1), "the 95th percentile of task durations is 0.290 s, within the limit of 1 s"),
    ],
)
def test_a_gate_that_passes_says_what_it_measured(asked, text):
    found = verdict(WORSE, asked)
    assert (found.text, found.is_red) == (text, False)


def test_shares_are_rates_and_means_are_not():
    assert verdict(WORSE, gate("min_pass_rate", 0.9)).is_rate
    assert verdict(WORSE, of_all("max_error_rate", 0.9)).is_rate
    assert not verdict(ran(0.2, 0.4), gate("min", 0.1)).is_rate


def test_a_drop_that_is_red_already_does_not_also_name_missing_scores():
    labels = [run(n, evaluations=(boolean("s", passed=n < 4),)) for n in range(10)]
    labels.append(run(10, evaluations=(evaluation("s", None, label="odd"),)))
    found = result("search", labels, evaluators=("s",))
    before = ran(*[True] * 10, True)
    its = verdict(found, gate("max_drop", 0.0), before=before)
    assert its.is_red
    assert ", but" not in its.text


# --- usage ---------------------------------------------------------------------------------------------


def used(*usages: ModelUsage) -> ExperimentResult:
    runs = [run(n, usage=(each,), evaluations=(evaluation("s", 0.5, usage=()),)) for n, each in enumerate(usages)]
    return result("search", runs, evaluators=("s",))


@pytest.mark.parametrize("rule", ["max_total_tokens", "max_cost_usd"])
def test_usage_that_is_unknown_says_why(rule):
    what = "token count" if rule == "max_total_tokens" else "cost"
    unknown = result("search", [run(0, usage=None, **said(0.5))], evaluators=("s",))
    assert verdict(unknown, of_all(rule, 1)).text == (f"the {what} is unknown: the usage of some runs was not recorded")
    silent = result("search", [run(0, usage=(), evaluations=(evaluation("s", 0.5, usage=()),))], evaluators=("s",))
    assert verdict(silent, of_all(rule, 1)).text == (
        f"the {what} is unknown: no LLM spans were recorded; instrument your client with OpenInference, or remove this "
        "gate"
    )


def test_models_without_a_price_are_named_with_the_line_to_add():
    both = used(
        ModelUsage(model="mine", calls=1, unpriced=1, unpriced_prompt_tokens=5, cost_usd=0.25),
        ModelUsage(model="", calls=1, unpriced=1, unpriced_prompt_tokens=5),
    )
    found = verdict(both, of_all("max_cost_usd", 1))
    assert (found.is_red, found.value) == (True, 0.25)
    assert found.text.startswith("the cost is unknown: no price for a model without a name, mine; add ")
    assert "} and " in found.text


def test_calls_without_token_counts_are_named_by_their_models():
    both = used(
        *(
            ModelUsage(model=name, calls=1, uncounted=1, unpriced=1, unpriced_prompt_tokens=5)
            for name in ("gpt-4o", "gpt-4o-mini")
        )
    )
    found = verdict(both, of_all("max_cost_usd", 1))
    assert (found.is_red, found.value is not None) == (True, True)
    assert found.text == "the cost is unknown: LLM spans of gpt-4o, gpt-4o-mini have no token counts"


def test_a_failure_of_an_evaluator_is_an_error_of_its_run():
    broken = run(1, evaluations=(evaluation("s", None, failure=failure(stage="evaluator")),))
    found = result("search", [run(0, **said(0.5)), broken], evaluators=("s",))
    assert verdict(found, of_all("max_error_rate", 0)).value == 0.5
