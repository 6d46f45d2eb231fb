"""Variants of an experiment beside each other: pairs, two-sided tests, one correction, and gates of their experiment."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reporting import boolean, evaluation, result, run

from evalwire.errors import UsageError
from evalwire.gates import GateConfig, KnownNames, compare_variants, resolve_gates, unapplied_gates
from evalwire.gates.config import read_gates
from evalwire.model import FACTS_KEY, Variant, holm
from evalwire.model.permutation import sign_flip
from evalwire.model.stats import mcnemar_midp


def variant(name, scores, *, directory="answer"):
    """An experiment with the scores of its examples; of the variant, if it has a name."""
    runs = [
        run(n, evaluations=(boolean("s", passed=score) if isinstance(score, bool) else evaluation("s", score),))
        for n, score in enumerate(scores)
    ]
    own = Variant(name=name, directory=directory, env={"A": name}) if name else None
    made = result(own.experiment if own else directory, runs, evaluators=("s",))
    metadata = {FACTS_KEY: {"variant": own.to_json()}} if own else {}
    return replace(made, opened=replace(made.opened, metadata=metadata))


def test_each_two_variants_are_compared_with_two_sided_tests_that_are_corrected_together():
    before, good, same = [False] * 9 + [True], [True] * 10, [False] * 9 + [True]
    results = [variant("", before), variant("good", good), variant("same", same)]

    found = compare_variants(results, {})

    assert [(each.first, each.second, each.examples) for each in found] == [
        ("answer", "answer@good", 10),
        ("answer", "answer@same", 10),
        ("answer@good", "answer@same", 10),
    ]
    (better,), (equal,), (worse,) = (each.scores for each in found)
    raw = 2 * mcnemar_midp(0, 9) if mcnemar_midp(0, 9) < mcnemar_midp(9, 0) else 2 * mcnemar_midp(9, 0)
    assert [better.p_value, equal.p_value, worse.p_value] == pytest.approx(holm([raw, 1.0, raw]))
    assert (better.is_gain, equal.is_gain, worse.is_gain) == (True, False, False)
    assert (better.better, better.worse, better.pairs) == (9, 0, 10)
    assert {each.experiment for each in found} == {"answer"}
    assert (better.name, better.is_bool, better.direction, better.test) == ("s", True, "maximize", "McNemar mid-p")
    assert better.interval is not None
    assert equal.p_value == 1.0, "no larger p-value"
    assert (better.first, better.second, better.change) == pytest.approx((0.1, 1.0, 0.9))


def test_a_difference_has_the_same_p_value_in_both_directions():
    low, high = [0.1, 0.3, 0.2, 0.4, 0.2], [0.5, 0.4, 0.6, 0.1, 0.9]
    up = compare_variants([variant("", low), variant("b", high)], {})[0].scores[0]
    down = compare_variants([variant("", high), variant("b", low)], {})[0].scores[0]
    assert up.p_value == pytest.approx(down.p_value)
    gains = [after - before for before, after in zip(low, high, strict=True)]
    assert up.p_value == pytest.approx(2 * min(sign_flip(gains), sign_flip([-gain for gain in gains])))
    lower_is_better = compare_variants([variant("", low), variant("b", high)], {"answer@b": {"s": "minimize"}})
    assert (up.is_gain, lower_is_better[0].scores[0].is_gain) == (True, False)


def test_a_p_value_is_at_most_1():
    (found,) = compare_variants([variant("", [0.1, 0.2]), variant("b", [0.2, 0.1])], {})
    assert found.scores[0].p_value == 1.0


def test_only_variants_of_the_same_experiment_that_ran_are_compared():
    other = variant("b", [True], directory="search")
    nothing = replace(variant("c", []), runs=())
    assert compare_variants([variant("", [True]), other, nothing], {}) == ()


def test_examples_of_only_one_variant_are_not_compared():
    (found,) = compare_variants([variant("", [True, True, False]), variant("b", [True])], {})
    assert (found.examples, found.scores[0].pairs) == (1, 1)


# --- gates of an experiment and its variants -----------------------------------------------------------


def known(*names, **more):
    variants = {name: name.partition("@")[0] for name in names if "@" in name}
    return KnownNames(gated={name: ["s"] for name in names}, variants=variants, **more)


def of_file(**tables):
    return GateConfig(
        experiments={
            name: read_gates(table, f"[experiments.{name}.gates]", is_of_experiment=True)
            for name, table in tables.items()
        }
    )


def test_gates_of_an_experiment_apply_to_its_variants():
    config = of_file(answer={"s": {"min": 0.5}}).with_flags(["answer.s drop <= 0.1", "answer@b.s >= 0.9"])
    gates = resolve_gates(config, known("answer", "answer@b", "search"))
    assert {(gate.experiment, gate.rule, gate.threshold) for gate in gates} == {
        ("answer", "min", 0.5),
        ("answer", "max_drop", 0.1),
        ("answer@b", "min", 0.9),
        ("answer@b", "max_drop", 0.1),
    }


def test_gates_of_an_experiment_apply_if_only_its_variant_runs():
    config = of_file(answer={"s": {"min": 0.5}}).with_flags(["answer.s drop <= 0.1"])
    names = known("answer@b", others=["answer"])
    assert [gate.experiment for gate in resolve_gates(config, names)] == ["answer@b", "answer@b"]
    assert unapplied_gates(config, names) == []
    with pytest.raises(UsageError, match="no evaluation 'x'"):
        resolve_gates(of_file(answer={"x": {"min": 0.5}}), names)
    with pytest.raises(UsageError, match=r"no evaluation 'answer\.x'"):
        resolve_gates(GateConfig().with_flags(["answer.x >= 1"]), names)


def test_a_score_with_dots_belongs_to_the_evaluator_before_the_first_dot():
    names = KnownNames(gated={"a": ["style"]})
    gates = resolve_gates(of_file(a={"style.b.c": {"min": 0.5}}), names)
    assert [(gate.experiment, gate.evaluation) for gate in gates] == [("a", "b.c")]


def test_every_name_in_the_gates_of_all_experiments_is_checked():
    known_one = KnownNames(gated={"a": ["s"]})
    both = GateConfig(everywhere=read_gates({"s": {"min": 0.5}, "x": {"min": 0.5}}, "file: [gates]"))
    with pytest.raises(UsageError, match=r"^file: \[gates\.x\]: there is no evaluation 'x'"):
        resolve_gates(both, known_one)
    assert unapplied_gates(both, KnownNames(gated={"a": ["s"]}, others=["b"])) == ["x"]
    moved = GateConfig(everywhere=read_gates({"a": {"min": 0.5}}, "file: [gates]"))
    with pytest.raises(UsageError, match=r"^file: \[gates\.a\]"):
        resolve_gates(moved, known_one)
    with pytest.raises(UsageError, match="Available: none"):
        resolve_gates(of_file(a={"s": {"min": 0.5}}), KnownNames(gated={"a": []}))


def test_a_directory_with_the_sign_of_variants_is_an_experiment_of_its_own():
    names = KnownNames(gated={"a@b": ["s"], "a": ["s"]})
    gates = resolve_gates(of_file(a={"s": {"min": 0.5}}), names)
    assert [gate.experiment for gate in gates] == ["a"]
