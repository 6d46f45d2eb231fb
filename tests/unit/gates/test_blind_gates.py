"""`max_minimum_detectable`: a drop gate that cannot find the drop that it is there for is red, and says what to do."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from applying import gate, ran, verdict

from evalwire.errors import UsageError
from evalwire.gates import DropPolicy, KnownNames, read_gates, resolve_gates
from evalwire.gates.config import GateConfig
from evalwire.model import Stopping


def flips(n: int, changed: int) -> tuple[list[bool], list[bool]]:
    """Twice the bools of a system of which some examples change, as many to the better as to the worse."""
    before = [True] * n
    after = [True] * n
    for number, place in enumerate(random.Random(n).sample(range(n), changed)):
        before[place] = number % 2 == 0
        after[place] = not before[place]
    return before, after


def drop(n: int, changed: int, required: float | None = 0.05, *, allowed: float = 0.02, **policy):
    before, after = flips(n, changed)
    asked = gate("max_drop", allowed, drop_policy=DropPolicy(max_minimum_detectable=required, **policy))
    return verdict(ran(*after), asked, before=ran(*before))


def test_a_gate_that_cannot_find_the_drop_is_red_and_says_how_to_mend_it():
    its = drop(100, 10)
    assert (its.status, its.is_red) == ("failed", True)
    assert 0.08 < its.minimum_detectable < 0.12
    assert its.text == (
        "the gate on s cannot find a drop of 5 points: only of 11.4 points or more (max_minimum_detectable). Use 372 "
        "examples, or set repetitions = 4 here and in the baseline. s did not change (95.0% to 95.0% over 100 pairs)"
    )


def test_the_number_of_examples_that_it_names_is_enough():
    examples = int(drop(100, 10).text.partition("Use ")[2].partition(" ")[0].replace(",", ""))
    assert not drop(examples + 20, examples // 10).is_red
    assert drop(examples - 60, examples // 10).is_red


def test_a_gate_that_finds_the_drop_says_from_where_on():
    its = drop(600, 60)
    assert (its.status, its.is_red) == ("passed", False)
    assert its.text.endswith("the gate finds drops of 3.8 points or more")


def test_without_the_setting_no_gate_is_red_for_its_size():
    its = drop(100, 10, None)
    assert not its.is_red
    assert its.minimum_detectable > 0.08


def test_a_drop_that_the_gate_allows_is_not_found_with_any_number_of_examples():
    assert "Set max_drop below 5 points, because smaller drops are allowed" in drop(600, 60, allowed=0.05).text


def test_too_few_pairs_are_red_although_they_are_inconclusive():
    its = drop(3, 0)
    assert (its.status, its.is_red) == ("failed", True)
    assert "the gate on s cannot find a drop of 5 points or any other drop (max_minimum_detectable). Use " in its.text


def test_numbers_that_never_change_are_not_red():
    """How far they vary is not known."""
    asked = gate("max_drop", 0.02, drop_policy=DropPolicy(max_minimum_detectable=0.05))
    assert not verdict(ran(*[0.5] * 40), asked, before=ran(*[0.5] * 40)).is_red


def test_a_found_drop_is_told_as_a_drop():
    before, after = [True] * 60, [False] * 20 + [True] * 40
    asked = gate("max_drop", 0.02, drop_policy=DropPolicy(max_minimum_detectable=0.01))
    text = verdict(ran(*after), asked, before=ran(*before)).text
    assert "a drop of at most 2 points is allowed; the gate finds drops of" in text


def test_a_part_that_was_enough_counts_as_the_whole_experiment():
    before, after = flips(100, 10)
    whole = replace(ran(*after), stopping=Stopping(seen=100, of=600))
    asked = gate("max_drop", 0.02)
    found = verdict(whole, asked, before=ran(*before)).minimum_detectable
    assert found < verdict(ran(*after), asked, before=ran(*before)).minimum_detectable / 2


@pytest.mark.parametrize("written", [0.05, "5%"])
def test_the_setting_is_a_drop(written):
    table = read_gates({"max_minimum_detectable": written, "s": {"max_drop": 0.02}}, "evalwire.toml: [gates]")
    (found,) = resolve_gates(GateConfig(everywhere=table), KnownNames(gated={"search": ["s"]}))
    assert found.drop_policy.max_minimum_detectable == 0.05


def test_a_drop_of_nothing_cannot_be_required():
    with pytest.raises(UsageError, match=r"expected a drop above 0, such as 0\.05 or '5%'"):
        read_gates({"max_minimum_detectable": 0}, "evalwire.toml: [gates]")


@pytest.mark.parametrize("required", [None, 0.05])
def test_without_a_pair_of_scores_a_gate_is_blind(required):
    """All evaluations of the baseline had labels but no scores."""
    asked = gate("max_drop", 0.02, drop_policy=DropPolicy(max_minimum_detectable=required))
    its = verdict(ran(*[True] * 100), asked, before=ran(*["unsure"] * 100))
    assert its.status == ("inconclusive" if required is None else "failed")
    assert its.is_red == (required is not None)
    assert its.text.endswith("s: no unchanged example has a score in both experiments")
    assert ("cannot find a drop of 0.050 or any other drop (max_minimum_detectable)" in its.text) == its.is_red
