"""Gates on evaluators that people calibrate: red unless the calibration is there, holds, and is good enough."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from applying import gate, ran, verdict

from evalwire.errors import UsageError
from evalwire.gates import KnownNames, resolve_gates
from evalwire.gates.apply import apply_gates
from evalwire.gates.calibrated import Calibrations
from evalwire.gates.calibration_policy import CalibrationPolicy
from evalwire.gates.config import GateConfig, read_gates
from evalwire.gates.stopping import ExperimentStopping
from evalwire.model import (
    FACTS_KEY,
    AgreementTable,
    Calibration,
    Inputs,
    Interval,
    ModelUsage,
    StoppingRules,
    Variant,
    corrected_rate,
)

DAY = date(2026, 11, 30)
TABLE = AgreementTable(true_passes=92, false_failures=8, false_passes=31, true_failures=69)
FILES = {"experiments/search/s.py": "a1", "prompts/judge.md": "b2"}
CALIBRATION = Calibration(
    experiment="search",
    evaluation="s",
    evaluator="s",
    date=date(2026, 10, 1),
    labels=200,
    annotators=1,
    kappa=TABLE.kappa,
    interval=Interval(low=0.5, high=0.71, method="bootstrap"),
    table=TABLE,
    files=FILES,
    models=("judge-1",),
)
CALLED = (ModelUsage(model="judge-1", calls=1),)


def judged(*scores, files=FILES, usage=CALLED, variant=None, evaluator="s", **changes):
    """A run whose evaluator reads these files and calls this model. The evaluator `s` is there in any case."""
    found = ran(*scores, **changes)
    facts = {"inputs": Inputs(evaluators={"s": files}).to_json()} if files is not None else {}
    facts |= {"variant": variant.to_json()} if variant else {}
    found.opened.metadata[FACTS_KEY] = facts
    runs = [
        replace(run, evaluations=tuple(replace(each, usage=usage, evaluator=evaluator) for each in run.evaluations))
        for run in found.runs
    ]
    return replace(found, runs=tuple(runs))


def known(*calibrations, **changes):
    found = {(each.experiment, each.evaluation): each for each in calibrations or (CALIBRATION,)}
    return Calibrations(**{"found": found, "day": DAY, **changes})


NONE = Calibrations(day=DAY)
PASSES = [True] * 80 + [False] * 20
KAPPA = gate("min_kappa", 0.5)
CORRECTED = gate("min_pass_rate", 0.7, calibration=CalibrationPolicy(corrected=True))
CORRECTED_DROP = gate("max_drop", 0.02, calibration=CORRECTED.calibration)


def test_the_lower_end_of_kappas_interval_decides():
    passed, failed = (verdict(judged(*PASSES), gate("min_kappa", least), calibrations=known()) for least in (0.5, 0.51))
    assert (passed.is_red, passed.value, passed.interval.low) == (False, TABLE.kappa, 0.5)
    assert passed.text == "s agrees with people by a kappa of 0.61 (0.50 to 0.71): the lower end is at least 0.5"
    assert failed.is_red
    assert failed.text.endswith("the lower end is below 0.51. More labels may raise it: `evalwire label s`")


def test_more_labels_do_not_help_an_evaluator_whose_kappa_is_below_the_limit():
    assert verdict(judged(*PASSES), gate("min_kappa", 0.8), calibrations=known()).text.endswith("below 0.8")
    its = verdict(judged(*PASSES), gate("min_kappa", TABLE.kappa), calibrations=known())
    assert its.text.endswith("More labels may raise it: `evalwire label s`"), "kappa is at the limit"


@pytest.mark.parametrize("asked", [KAPPA, CORRECTED, gate("max_drop", 0.02, calibration=CORRECTED.calibration)])
@pytest.mark.parametrize(
    ("calibrations", "changes", "said"),
    [
        (
            NONE,
            {},
            "s is not calibrated. Label its outputs with `evalwire label s`, run `evalwire judge s`, and commit the file that",
        ),
        (known(replace(CALIBRATION, experiment="other")), {}, "s is not calibrated"),
        (
            known(replace(CALIBRATION, experiment_id="EXP-0")),
            {"files": {**FILES, "prompts/judge.md": "changed"}},
            (
                "s was changed since it was calibrated: prompts/judge.md. "
                "Score the labeled outputs again with `evalwire score --experiment EXP-0`, then run `evalwire judge s`"
            ),
        ),
        (known(), {"files": {**FILES, "new.py": "c3"}}, "s was changed since it was calibrated: new.py."),
        (known(), {"files": None}, "s was changed since it was calibrated: the files that it reads are not recorded."),
        (
            known(),
            {"usage": (ModelUsage(model="judge-2", calls=1),)},
            "s was changed since it was calibrated: it called judge-2 instead of judge-1.",
        ),
        (
            known(),
            {"usage": (ModelUsage(model="judge-3", calls=1), ModelUsage(model="judge-2", calls=1))},
            "s was changed since it was calibrated: it called judge-2, judge-3 instead of judge-1.",
        ),
        (
            known(),
            {"files": {**FILES, **dict.fromkeys(("a.py", "b.py", "c.py"), "new")}},
            "s was changed since it was calibrated: a.py, b.py, c.py. Score",
        ),
        (
            known(),
            {"files": dict.fromkeys(("a.py", "b.py", "c.py", "d.py", "e.py"), "new")},
            "s was changed since it was calibrated: a.py, b.py, c.py and 2 more. Score",
        ),
        (known(), {"usage": ()}, "s was changed since it was calibrated: it called no model instead of judge-1."),
        (known(), {"usage": None}, "s was changed since it was calibrated: its models are not recorded."),
        (
            known(),
            {"evaluator": "other"},
            "s was changed since it was calibrated: it is returned by the evaluator other instead of s.",
        ),
    ],
)
def test_without_a_calibration_that_holds_the_gate_is_red(asked, calibrations, changes, said):
    found = judged(*PASSES, **changes)
    its = verdict(found, asked, before=judged(*PASSES), calibrations=calibrations)
    assert (its.status, its.is_red) == ("failed", True)
    assert its.text.startswith(said)


def test_every_other_evaluator_that_returns_the_evaluation_is_named():
    found = judged(*PASSES)
    runs = [
        replace(run, evaluations=tuple(replace(each, evaluator=name) for each in run.evaluations))
        for run, name in zip(found.runs, ["s", "z", "a", *["s"] * 97], strict=True)
    ]
    its = verdict(replace(found, runs=tuple(runs)), KAPPA, calibrations=known())
    assert "it is returned by the evaluator a, z instead of s." in its.text


def test_an_evaluator_without_a_model_needs_no_record_of_models():
    without = known(replace(CALIBRATION, models=()))
    assert not verdict(judged(*PASSES, usage=None), KAPPA, calibrations=without).is_red


def test_a_file_that_this_run_did_not_read_has_to_be_unchanged():
    """A run of fewer examples may read fewer files."""
    found = judged(*PASSES, files={"experiments/search/s.py": "a1"})
    for digest, is_red in (("b2", False), ("changed", True)):
        its = verdict(found, KAPPA, calibrations=known(today=lambda _, digest=digest: digest))
        assert its.is_red == is_red


@pytest.mark.parametrize(("most", "is_red"), [(None, False), (60, False), (59, True)])
def test_an_old_calibration_is_red(most, is_red):
    asked = replace(KAPPA, calibration=CalibrationPolicy(max_age_days=most))
    its = verdict(judged(*PASSES), asked, calibrations=known())
    assert its.is_red == is_red
    if is_red:
        assert its.text.startswith("the calibration of s is 60 days old, more than 59 days.")


@pytest.mark.parametrize(("days", "is_red"), [(1, False), (2, True), (9_999, True)])
def test_a_calibration_of_a_future_date_does_not_stay_young(days, is_red):
    """A date that is only a day ahead is from a machine whose clock is fast."""
    future = replace(CALIBRATION, date=DAY + timedelta(days=days))
    asked = replace(KAPPA, calibration=CalibrationPolicy(max_age_days=90))
    its = verdict(judged(*PASSES), asked, calibrations=known(future))
    assert its.is_red == is_red
    if is_red:
        assert its.text.startswith(f"the calibration of s has a date in the future, {future.date}. Calibrate it with")


def test_an_unknown_kappa_is_red():
    unknown = replace(CALIBRATION, kappa=None, interval=None)
    its = verdict(judged(*PASSES), KAPPA, calibrations=known(unknown))
    assert (its.is_red, its.text.split(":")[0]) == (True, "the kappa of s is unknown")


def test_a_variant_has_the_calibration_of_its_experiment():
    variant = Variant(name="worse", env={}, directory="search")
    found = judged(*PASSES, name="search@worse", variant=variant)
    (its,) = apply_gates(
        [found], [replace(KAPPA, experiment="search@worse")], baselines={}, prices={}, calibrations=known()
    )
    assert not its.is_red


def test_a_pass_rate_is_corrected():
    its = verdict(judged(*PASSES), CORRECTED, calibrations=known())
    expected = corrected_rate(0.8, 100, TABLE)
    assert its.value == pytest.approx(expected.value) == pytest.approx((0.8 + 0.69 - 1) / 0.61)
    assert (its.interval.low, its.interval.high) == pytest.approx((expected.interval.low, expected.interval.high))
    assert its.is_corrected
    assert "s corrected pass rate 80.3% is at least 70%" in its.text
    assert its.text.endswith("the evaluator's own is 80.0%, corrected with 200 labels (J = 0.61)")
    worse = verdict(judged(*[True] * 70, *[False] * 30), CORRECTED, calibrations=known())
    assert worse.is_red, "70% of passes by the evaluator are 64% of true passes"


def test_runs_without_a_score_are_not_corrected():
    """A failed task certainly did not pass."""
    found = judged(*PASSES, *[None] * 100)
    its = verdict(found, CORRECTED, calibrations=known())
    assert its.value == pytest.approx(corrected_rate(0.8, 100, TABLE).value / 2)
    most = replace(CORRECTED, rule="max_pass_rate")
    its = verdict(found, most, calibrations=known())
    assert its.value == pytest.approx(1 - (1 - corrected_rate(0.8, 100, TABLE).value) / 2)


def test_the_interval_counts_all_runs_too():
    """A rate and its interval are of the same runs."""
    found, asked = judged(*PASSES, *[None] * 100), replace(CORRECTED, rule="max_pass_rate")
    interval = corrected_rate(0.8, 100, TABLE).interval
    its = verdict(found, CORRECTED, calibrations=known())
    assert (its.interval.low, its.interval.high) == pytest.approx((interval.low / 2, interval.high / 2))
    its = verdict(found, asked, calibrations=known())
    assert (its.interval.low, its.interval.high) == pytest.approx(((1 + interval.low) / 2, (1 + interval.high) / 2))


@pytest.mark.parametrize(("passed", "rule"), [(False, "min_pass_rate"), (True, "max_pass_rate")])
def test_where_all_runs_fail_a_gate_its_interval_is_of_rates(passed, rule):
    perfect = AgreementTable(true_passes=100, true_failures=100)
    exact = known(replace(CALIBRATION, table=perfect))
    its = verdict(judged(*[passed] * 100), replace(CORRECTED, rule=rule), calibrations=exact)
    interval = corrected_rate(float(passed), 100, perfect).interval
    assert its.value == float(passed)
    assert interval.high - interval.low > 0.02
    assert (its.interval.low, its.interval.high) == pytest.approx((interval.low, interval.high))


def test_scores_of_another_evaluator_do_not_narrow_the_interval():
    found = judged(*PASSES, *[None] * 100)
    other = replace(found.runs[0].evaluations[0], name="t", evaluator="t")
    both = replace(found, runs=tuple(replace(run, evaluations=(*run.evaluations, other)) for run in found.runs))
    alone, beside = (verdict(each, CORRECTED, calibrations=known()).interval for each in (found, both))
    assert beside == alone


def test_a_drop_is_corrected_by_j():
    """Five points of the evaluator's rate are eight points of the true rate."""
    before, now = judged(*PASSES * 5), judged(*([True] * 75 + [False] * 25) * 5)
    raw = gate("max_drop", 0.06)
    assert not verdict(now, raw, before=before, calibrations=known()).is_red
    its = verdict(now, replace(raw, calibration=CORRECTED.calibration), before=before, calibrations=known())
    assert its.is_red
    assert its.value == pytest.approx(0.05 / 0.61)
    assert its.interval.low < -0.08 < its.interval.high
    assert "s fell by 8.2 points (80.3% to 72.1% over 500 pairs)" in its.text
    assert ", corrected by J = 0.61: a drop of at most 6 points is allowed" in its.text


def test_a_drop_to_nothing_is_to_nothing():
    its = verdict(judged(*[False] * 100), CORRECTED_DROP, before=judged(*PASSES), calibrations=known())
    assert "s fell by 100.0 points (80.3% to 0.0% over 100 pairs)" in its.text


def test_a_percentage_is_of_the_corrected_rate_of_the_baseline():
    """Eight points are 10.2% of a true rate of 80.3%, and 11.4% of the evaluator's 72%."""
    before, now = judged(*PASSES * 5), judged(*([True] * 75 + [False] * 25) * 5)
    reds = [
        verdict(
            now,
            gate("max_drop", limit, is_relative=True, calibration=CORRECTED.calibration),
            before=before,
            calibrations=known(),
        ).is_red
        for limit in (0.101, 0.103)
    ]
    assert reds == [True, False]


def test_the_smallest_drop_that_a_corrected_gate_finds_is_larger():
    before, now = judged(*PASSES * 3), judged(*PASSES[5:] * 3, *PASSES[:5] * 3)
    asked = gate("max_drop", 0.0)
    raw, corrected = (
        verdict(now, each, before=before, calibrations=known())
        for each in (asked, replace(asked, calibration=CORRECTED.calibration))
    )
    assert corrected.minimum_detectable == pytest.approx(raw.minimum_detectable / 0.61)


@pytest.mark.parametrize("asked", [CORRECTED, gate("max_drop", 0.02, calibration=CORRECTED.calibration)])
@pytest.mark.parametrize(
    ("calibration", "scores", "said"),
    [
        (
            replace(CALIBRATION, table=AgreementTable(true_passes=20, true_failures=20)),
            PASSES,
            "the pass rate of s cannot be corrected: 40 labels are too few (at least 60)",
        ),
        (
            replace(CALIBRATION, table=replace(TABLE, false_passes=95, true_failures=5)),
            PASSES,
            "the pass rate of s cannot be corrected: the evaluator hardly discriminates: J = -0.03",
        ),
        (replace(CALIBRATION, table=None), PASSES, "s returns numbers, and only pass rates can be corrected"),
    ],
)
def test_where_a_correction_would_not_hold_the_gate_is_red(asked, calibration, scores, said):
    its = verdict(judged(*scores), asked, before=judged(*scores), calibrations=known(calibration))
    assert its.is_red
    assert its.text.startswith(said)


def test_reports_know_every_evaluation_by_a_model():
    (state,) = known().of_llm_evaluators(judged(*PASSES))
    assert state.is_calibrated
    assert state.text == "calibrated on 2026-10-01 with 200 labels, kappa 0.61 (0.50 to 0.71)"
    (state,) = NONE.of_llm_evaluators(judged(*PASSES))
    assert (state.is_calibrated, state.text.split(" (")[0]) == (False, "not calibrated with labels of people")
    (state,) = known().of_llm_evaluators(judged(*PASSES, files={"other.py": "x"}))
    assert state.text.startswith("changed since its calibration of 2026-10-01: ")
    assert NONE.of_llm_evaluators(judged(*PASSES, usage=())) == [], "calls no model, and nobody calibrated it"
    (state,) = known().of_llm_evaluators(judged(*PASSES, usage=()))
    assert (state.experiment, state.evaluation, state.date) == ("search", "s", "2026-10-01"), "it is calibrated"
    found = judged(*PASSES, usage=())
    runs = [
        replace(run, evaluations=tuple(replace(each, annotator_kind="LLM") for each in run.evaluations))
        for run in found.runs
    ]
    (state,) = NONE.of_llm_evaluators(replace(found, runs=tuple(runs)))
    assert (state.experiment, state.evaluation, state.is_calibrated) == ("search", "s", False)


# --- the settings ---------------------------------------------------------------------------------------


def resolved(**table):
    config = GateConfig(everywhere=read_gates({"s": table}, "evalwire.toml: [gates]"))
    return resolve_gates(config, KnownNames(gated={"search": ["s"]}))


def test_the_rules_are_read_from_the_table_of_the_evaluation():
    pass_rate, kappa = resolved(min_pass_rate=0.9, corrected=True, min_kappa=0.6, max_calibration_age="12w")
    assert (pass_rate.rule, pass_rate.is_corrected) == ("min_pass_rate", True)
    assert (kappa.rule, kappa.threshold, kappa.is_corrected) == ("min_kappa", 0.6, False)
    assert {each.calibration.max_age_days for each in (pass_rate, kappa)} == {84}
    (kappa,) = resolved(min_kappa=0.6, max_calibration_age="30 days")
    assert kappa.calibration.max_age_days == 30


def test_a_flag_limits_kappa():
    config = GateConfig().with_flags(["s kappa >= 0.6"])
    (found,) = resolve_gates(config, KnownNames(gated={"search": ["s"]}))
    assert (found.rule, found.threshold) == ("min_kappa", 0.6)
    with pytest.raises(ValueError, match="kappa does not accept <="):
        GateConfig().with_flags(["s kappa <= 0.6"])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"min_kappa": 0}, "expected a number above 0 and up to 1, such as 0.6"),
        ({"min_kappa": 1.1}, "expected a number above 0 and up to 1, such as 0.6"),
        ({"min_pass_rate": 0.9, "corrected": "yes"}, "expected true or false"),
        ({"min_kappa": 0.6, "max_calibration_age": 90}, 'expected a number of days or weeks, such as "90d" or "12w"'),
        ({"min_kappa": 0.6, "max_calibration_age": "soon"}, "expected a number of days or weeks"),
        ({"min": 0.9, "corrected": True}, "corrected = true has no effect without min_pass_rate, max_pass_rate or"),
        (
            {"min": 0.9, "max_calibration_age": "90d"},
            "max_calibration_age has no effect without min_kappa or corrected",
        ),
    ],
)
def test_a_wrong_rule_is_an_error(table, said):
    with pytest.raises(UsageError) as caught:
        resolved(**table)
    assert said in str(caught.value)
    assert "evalwire.toml: [gates.s]" in str(caught.value)


def test_the_table_of_a_score_of_an_evaluator_is_checked_too():
    config = GateConfig(everywhere=read_gates({"s.fluency": {"min": 0.9, "corrected": True}}, "evalwire.toml: [gates]"))
    with pytest.raises(UsageError, match="corrected = true has no effect without min_pass_rate"):
        resolve_gates(config, KnownNames(gated={"search": ["s"]}))


@pytest.mark.parametrize(
    ("table", "flag", "said"),
    [
        ({"min": 0.9, "max_drop": 0.02}, None, "evalwire.toml: [gates.s] min: limits a mean, which corrected = true"),
        ({"max_drop": 0.02}, "s >= 0.9", "--gate 's >= 0.9': limits a mean, which corrected = true does not correct."),
    ],
)
def test_a_mean_beside_a_corrected_limit_is_an_error_instead_of_uncorrected(table, flag, said):
    """The mean of bools is the evaluator's own pass rate, which may be far above the true rate."""
    config = GateConfig(everywhere=read_gates({"s": {**table, "corrected": True}}, "evalwire.toml: [gates]"))
    with pytest.raises(UsageError) as caught:
        resolve_gates(config.with_flags([flag] if flag else []), KnownNames(gated={"search": ["s"]}))
    assert str(caught.value).startswith(said)
    assert "Limit the pass rate instead: min_pass_rate in evalwire.toml, or pass_rate in --gate." in str(caught.value)


def test_an_experiment_cannot_be_corrected_as_a_whole():
    with pytest.raises(UsageError, match="unknown key 'corrected'"):
        read_gates({"corrected": True}, "evalwire.toml: [gates]")


# --- early verdicts -------------------------------------------------------------------------------------


def stopping(*gates, examples):
    return ExperimentStopping(
        gates,
        examples,
        order=range(len(examples)),
        repetitions=1,
        rules=StoppingRules(min_examples=1, limits=1),
        before=None,
        changed=(),
        prices={},
    )


@pytest.mark.parametrize(
    ("gates", "is_over"), [([replace(CORRECTED, calibration=CalibrationPolicy())], True), ([CORRECTED], False)]
)
def test_a_corrected_limit_needs_the_whole_experiment(gates, is_over):
    found = judged(*[True] * 60)
    looks = stopping(*gates, KAPPA, examples=[run.example for run in found.runs])
    assert any(looks.add(run) for run in found.runs) == is_over
