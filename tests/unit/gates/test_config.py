"""`[gates]` and `--gate`: what can be written, what wins, and what is refused."""

from __future__ import annotations

import math
import sys
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalwire.errors import UsageError
from evalwire.gates import DropPolicy, Gate, GateConfig, KnownNames, read_gates, resolve_gates, unapplied_gates
from evalwire.gates.schema import evaluation_schema, gates_schema

PLACE = "evalwire.toml: [gates]"
KNOWN = KnownNames(gated={"es_search": ("top_k", "exact_match"), "router": ("exact_match", "quality")})


def config(text: str) -> GateConfig:
    """The gates of a file's text."""
    document = tomllib.loads(text)
    return GateConfig(
        everywhere=read_gates(document.get("gates", {}), PLACE),
        experiments={
            name: read_gates(table["gates"], f"evalwire.toml: [experiments.{name}.gates]", is_of_experiment=True)
            for name, table in document.get("experiments", {}).items()
        },
    )


def gates(text: str, *flags: str, known: KnownNames = KNOWN) -> dict[tuple[str, str | None, str], Gate]:
    """The gates of a file's text and of `--gate`, by what they limit."""
    resolved = resolve_gates(config(text).with_flags(flags), known)
    return {(gate.experiment, gate.evaluation, gate.rule): gate for gate in resolved}


def limits(text: str, *flags: str, known: KnownNames = KNOWN) -> dict[tuple[str, str | None, str], float]:
    """The same, as numbers."""
    return {key: gate.threshold for key, gate in gates(text, *flags, known=known).items()}


def refusal(text: str, *flags: str, known: KnownNames = KNOWN) -> str:
    with pytest.raises(UsageError) as caught:
        gates(text, *flags, known=known)
    assert len(str(caught.value).splitlines()) <= 3
    return str(caught.value)


# --- the forms of the file -----------------------------------------------------------------------------


def test_a_limit_of_all_experiments_is_a_gate_of_each():
    assert limits("[gates]\nmax_error_rate = 0.1") == {
        ("es_search", None, "max_error_rate"): 0.1,
        ("router", None, "max_error_rate"): 0.1,
    }


def test_a_table_of_one_experiment_limits_that_one_and_its_evaluations():
    text = "[experiments.es_search.gates]\nmax_p95_seconds = 3\ntop_k = { min = 0.8, max_drop = 0.02 }\n"
    assert limits(text) == {
        ("es_search", None, "max_p95_seconds"): 3.0,
        ("es_search", "top_k", "min"): 0.8,
        ("es_search", "top_k", "max_drop"): 0.02,
    }


def test_an_evaluation_below_gates_is_limited_in_every_experiment_that_has_it():
    assert limits("[gates]\nexact_match = { min = 0.9 }\ntop_k = { max = 5 }") == {
        ("es_search", "exact_match", "min"): 0.9,
        ("router", "exact_match", "min"): 0.9,
        ("es_search", "top_k", "max"): 5.0,
    }


def test_each_rule_can_be_written():
    text = """
        [experiments.es_search.gates]
        max_error_rate = 0.1
        max_p95_seconds = 2.5
        max_total_tokens = 1000
        max_cost_usd = 0.5
        top_k = { min = -1, max = 5, max_drop = 0.1, min_examples = 20 }
        exact_match = { min_pass_rate = 0.2, max_pass_rate = 0.9 }
    """
    assert limits("[gates]\ntop_k = { max = -1 }") == {("es_search", "top_k", "max"): -1}
    assert {(name, rule): number for (_, name, rule), number in limits(text).items()} == {
        (None, "max_error_rate"): 0.1,
        (None, "max_p95_seconds"): 2.5,
        (None, "max_total_tokens"): 1000,
        (None, "max_cost_usd"): 0.5,
        ("top_k", "min"): -1,
        ("top_k", "max"): 5,
        ("top_k", "max_drop"): 0.1,
        ("top_k", "min_examples"): 20,
        ("exact_match", "min_pass_rate"): 0.2,
        ("exact_match", "max_pass_rate"): 0.9,
    }


@pytest.mark.parametrize(
    "text",
    ['[gates]\n"quality.fluency" = { min = 0.5 }', '[experiments.router.gates]\n"quality.fluency" = { min = 0.5 }'],
)
def test_a_score_of_an_evaluator_that_returns_a_list_is_named_after_the_evaluator(text):
    assert limits(text) == {("router", "fluency", "min"): 0.5}


def test_a_score_whose_own_name_has_a_dot_keeps_it():
    known = KnownNames(gated={"es.search": ("hit.rate",)})
    assert limits('[experiments."es.search".gates]\n"hit.rate" = { min = 0.5 }', known=known) == {
        ("es.search", "hit.rate", "min"): 0.5
    }


def test_no_table_asks_for_nothing():
    assert limits("") == {}
    assert GateConfig(everywhere=read_gates({}, PLACE)).is_empty
    assert GateConfig().is_empty


@pytest.mark.parametrize("text", ["max_error_rate = 0", 'mode = "strict"', "a = { min = 1 }", "a = {}"])
def test_a_table_with_anything_in_it_is_not_empty(text):
    assert not GateConfig(everywhere=read_gates(tomllib.loads(text), PLACE)).is_empty


def test_a_flag_alone_is_not_empty():
    assert not GateConfig().with_flags(["a >= 1"]).is_empty


# --- numbers -------------------------------------------------------------------------------------------


def test_a_drop_written_as_a_percentage_is_relative_and_one_written_as_a_number_is_not():
    for text, is_relative in (('"5%"', True), ("0.05", False), ('"0.05"', False), ('" 5 %"', True)):
        (gate,) = gates(f"[experiments.es_search.gates]\ntop_k = {{ max_drop = {text} }}").values()
        assert (gate.threshold, gate.is_relative) == (0.05, is_relative)


@pytest.mark.parametrize("rule", ["min_pass_rate", "max_pass_rate", "min", "max"])
def test_a_share_may_be_a_percentage(rule):
    (gate,) = gates(f'[experiments.es_search.gates]\nexact_match = {{ {rule} = "90%" }}').values()
    assert (gate.threshold, gate.is_relative) == (0.9, False)


def test_an_error_rate_may_be_a_percentage():
    (gate,) = gates('[experiments.es_search.gates]\nmax_error_rate = "5%"').values()
    assert (gate.threshold, gate.is_relative) == (0.05, False)


@pytest.mark.parametrize("rule", ["max_p95_seconds", "max_total_tokens", "max_cost_usd"])
def test_a_limit_that_is_no_share_is_no_percentage(rule):
    assert "not a percentage" in refusal(f'[gates]\n{rule} = "5%"')
    assert rule in refusal(f'[gates]\n{rule} = "5%"')


def test_a_number_of_examples_is_no_percentage():
    assert "not a percentage" in refusal('[experiments.es_search.gates]\ntop_k = { min_examples = "50%" }')


@pytest.mark.parametrize("share", ["1.01", "-0.01", '"101%"', "90"])
def test_a_share_is_from_0_to_1(share):
    assert "share from 0 to 1" in refusal(f"[gates]\nmax_error_rate = {share}")
    assert "share from 0 to 1" in refusal(f"[gates]\nexact_match = {{ min_pass_rate = {share} }}")
    assert "share from 0 to 1" in refusal(f"[gates]\nexact_match = {{ max_pass_rate = {share} }}")


@pytest.mark.parametrize("share", ["0", "1", '"0%"', '"100%"'])
def test_a_share_may_be_0_or_1(share):
    assert set(limits(f"[gates]\nmax_error_rate = {share}").values()) <= {0.0, 1.0}


@pytest.mark.parametrize("rule", ["max_drop", "min_examples"])
def test_what_is_counted_from_0_is_not_below_it(rule):
    assert "0 or greater" in refusal(f"[gates]\ntop_k = {{ {rule} = -1 }}")


@pytest.mark.parametrize("rule", ["max_p95_seconds", "max_total_tokens", "max_cost_usd"])
def test_what_an_experiment_uses_is_not_below_0(rule):
    assert "0 or greater" in refusal(f"[gates]\n{rule} = -1")


@pytest.mark.parametrize(
    "value",
    ["nan", "inf", "-inf", "true", "false", '"nan"', '"inf%"', '"much"', '""', '"%"', '"5%%"', "[1]", "1979-05-27"],
)
def test_what_is_no_finite_number_is_refused_with_its_place(value):
    assert refusal(f"[experiments.es_search.gates]\ntop_k = {{ min = {value} }}").startswith(
        "evalwire.toml: [experiments.es_search.gates.top_k] min ="
    )
    assert refusal(f"[gates]\nmax_error_rate = {value}").startswith("evalwire.toml: [gates] max_error_rate =")


def test_an_integer_that_no_float_holds_is_refused():
    assert "expected a number" in refusal("[gates]\nmax_total_tokens = 1" + "0" * 400)
    assert set(limits(f"[gates]\nmax_total_tokens = {sys.float_info.max}").values()) == {sys.float_info.max}


# --- the policy of a drop ------------------------------------------------------------------------------


def test_without_a_word_a_drop_is_judged_by_its_significance_at_5_percent():
    (gate,) = gates("[gates]\ntop_k = { max_drop = 0 }").values()
    assert gate.drop_policy == DropPolicy(significance=0.05, on_inconclusive="pass", mode="significance")


def test_a_policy_is_inherited_from_all_to_the_experiment_to_the_evaluation():
    text = """
        [gates]
        significance = 0.1
        on_inconclusive = "fail"
        mode = "strict"
        [experiments.es_search.gates]
        significance = 0.2
        on_inconclusive = "pass"
        top_k = { max_drop = 0, significance = 0.3 }
        exact_match = { max_drop = 0 }
        [experiments.router.gates]
        exact_match = { max_drop = 0 }
    """
    found = {key[:2]: gate.drop_policy for key, gate in gates(text).items()}
    assert found == {
        ("es_search", "top_k"): DropPolicy(significance=0.3, on_inconclusive="pass", mode="strict"),
        ("es_search", "exact_match"): DropPolicy(significance=0.2, on_inconclusive="pass", mode="strict"),
        ("router", "exact_match"): DropPolicy(significance=0.1, on_inconclusive="fail", mode="strict"),
    }


def test_a_flag_is_judged_in_the_policy_and_direction_of_the_file():
    text = '[gates]\nmode = "strict"\n[experiments.es_search.gates.top_k]\nsignificance = 0.2\ndirection = "minimize"'
    for flag in ("top_k drop <= 0.1", "es_search.top_k drop <= 0.1"):
        (gate,) = gates(text, flag).values()
        assert gate.drop_policy == DropPolicy(significance=0.2, mode="strict")
        assert gate.direction == "minimize"


def test_a_direction_is_of_an_evaluation_and_maximize_without_a_word():
    text = '[gates]\ntop_k = { max = 3, direction = "minimize" }\nexact_match = { min = 0.5 }'
    assert {key[1]: gate.direction for key, gate in gates(text).items()} == {
        "top_k": "minimize",
        "exact_match": "maximize",
    }


def test_the_direction_of_an_evaluation_holds_where_its_limit_is_written_elsewhere():
    text = '[gates]\ntop_k = { direction = "minimize" }\n[experiments.es_search.gates]\ntop_k = { max_drop = 0.1 }'
    assert gates(text)["es_search", "top_k", "max_drop"].direction == "minimize"


def test_the_direction_in_one_experiment_wins():
    text = (
        '[gates]\nexact_match = { max_drop = 0, direction = "minimize" }\n'
        '[experiments.router.gates]\nexact_match = { direction = "maximize" }'
    )
    assert {key[0]: gate.direction for key, gate in gates(text).items()} == {
        "es_search": "minimize",
        "router": "maximize",
    }


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "true", '"often"', "nan", '"100%"'])
def test_a_significance_is_between_0_and_1(value):
    assert "[gates] significance =" in refusal(f"[gates]\nsignificance = {value}")


@pytest.mark.parametrize(("value", "share"), [("0", 0), ("1", 1), ("0.5", 0.5), ('"80%"', 0.8)])
def test_the_least_share_of_unchanged_examples_is_a_share(value, share):
    (gate,) = gates(f"[gates]\ntop_k = {{ max_drop = 0, min_paired = {value} }}").values()
    assert gate.drop_policy == DropPolicy(min_paired=share)


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("-0.01", "a share from 0 to 1, or a percentage."),
        ("1.01", "a share from 0 to 1, or a percentage."),
        ('"101%"', "a share from 0 to 1, or a percentage."),
        ('"most"', "a number, or a percentage such as '5%'."),
        ("true", "a number."),
    ],
)
def test_a_least_share_of_unchanged_examples_that_is_none_is_refused_with_its_place(value, form):
    written = tomllib.loads(f"_ = {value}")["_"]
    assert refusal(f"[gates]\nmin_paired = {value}") == f"{PLACE} min_paired = {written!r}: expected {form}"


WORDS = {
    "on_inconclusive": ("pass", "fail"),
    "on_no_baseline": ("pass", "fail"),
    "on_evaluator_change": ("rescore", "fail"),
    "mode": ("significance", "strict"),
}


@pytest.mark.parametrize("key", WORDS)
def test_each_word_of_the_policy_can_be_written(key):
    for word in WORDS[key]:
        (gate,) = gates(f'[gates]\ntop_k = {{ max_drop = 0, {key} = "{word}" }}').values()
        assert gate.drop_policy == DropPolicy(**{key: word})


@pytest.mark.parametrize(
    ("key", "words"), [*WORDS.items(), ("missing", ("fail", "ignore")), ("direction", ("maximize", "minimize"))]
)
@pytest.mark.parametrize("value", ['"never"', "true", "0", "[]"])
def test_a_word_that_is_not_known_is_refused_with_those_that_are(key, words, value):
    written = tomllib.loads(f"_ = {value}")["_"]
    assert refusal(f"[experiments.es_search.gates.top_k]\n{key} = {value}") == (
        f"evalwire.toml: [experiments.es_search.gates.top_k] {key} = {written!r}: expected one of: {', '.join(words)}."
    )


# --- missing scores ------------------------------------------------------------------------------------


def test_missing_scores_fail_a_gate_unless_they_are_to_be_ignored():
    """Inherited as the policy of drops is."""
    text = """
        [gates]
        exact_match = { min = 0 }
        missing = "ignore"
        [experiments.es_search.gates]
        missing = "fail"
        top_k = { min = 0, missing = "ignore" }
    """
    assert {key[:2]: gate.missing for key, gate in gates(text, "router.quality >= 0").items()} == {
        ("es_search", "exact_match"): "fail",
        ("es_search", "top_k"): "ignore",
        ("router", "exact_match"): "ignore",
        ("router", "quality"): "ignore",
    }
    (gate,) = gates("", "top_k >= 0").values()
    assert gate.missing == "fail"


def test_an_evaluator_may_be_called_missing():
    known = KnownNames(gated={"a": ("missing",)})
    found = gates('[gates]\nmissing = { min = 0.5, missing = "ignore" }', known=known)
    assert found["a", "missing", "min"].missing == "ignore"


# --- shares of labels ----------------------------------------------------------------------------------


def shares(text: str, *flags: str) -> dict[tuple[str, str, str | None], float]:
    resolved = resolve_gates(config(text).with_flags(flags), KNOWN)
    return {(gate.experiment, gate.rule, gate.label): gate.threshold for gate in resolved}


@pytest.mark.parametrize("table", ["gates", "experiments.router.gates"])
def test_each_label_has_a_least_and_a_greatest_share(table):
    text = f'[{table}]\nquality = {{ label_share = {{ bad = {{ max = "10%" }}, "very good" = {{ min = 0.5, max = 1 }} }} }}'
    assert shares(text) == {
        ("router", "max_label_share", "bad"): 0.1,
        ("router", "min_label_share", "very good"): 0.5,
        ("router", "max_label_share", "very good"): 1.0,
    }
    place = f"evalwire.toml: [{table}.quality] label_share"
    assert {(gate.source, gate.is_relative) for gate in resolve_gates(config(text), KNOWN)} == {
        (f"{place}.bad.max", False),
        (f'{place}."very good".min', False),
        (f'{place}."very good".max', False),
    }


def test_the_share_of_a_label_is_limited_beside_other_limits():
    text = "[gates.quality]\nmin = 0.5\nlabel_share = { bad = { max = 0.1 } }\nmax = 0.9"
    assert limits(text) == {
        ("router", "quality", "min"): 0.5,
        ("router", "quality", "max_label_share"): 0.1,
        ("router", "quality", "max"): 0.9,
    }


def test_a_share_of_one_experiment_or_of_a_flag_wins_label_by_label():
    text = """
        [gates.exact_match]
        label_share = { bad = { max = 0.1 }, good = { min = 0.9 } }
        [experiments.router.gates.exact_match.label_share]
        bad = { max = 0.2 }
    """
    assert shares(text, "es_search.exact_match label_share.good >= 50%", "exact_match label_share.so so <= 0.3") == {
        ("es_search", "max_label_share", "bad"): 0.1,
        ("es_search", "min_label_share", "good"): 0.5,
        ("es_search", "max_label_share", "so so"): 0.3,
        ("router", "max_label_share", "bad"): 0.2,
        ("router", "min_label_share", "good"): 0.9,
        ("router", "max_label_share", "so so"): 0.3,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("label_share = 0.1", "[gates.top_k] label_share = 0.1: expected a table of labels"),
        ("label_share = {}", "[gates.top_k] label_share = {}: expected a table of labels"),
        ("label_share = { bad = 0.1 }", "[gates.top_k] label_share.bad = 0.1: expected `min`, `max` or both"),
        ("label_share = { bad = {} }", "[gates.top_k] label_share.bad = {}: expected `min`, `max` or both"),
        ('label_share = { "a b" = { most = 1 } }', '[gates.top_k] label_share."a b" = {'),
        ("label_share = { bad = { max = 10 } }", "[gates.top_k] label_share.bad.max = 10: expected a share"),
    ],
)
def test_a_share_that_is_none_is_refused_with_its_place(text, message):
    assert message in refusal(f"[gates.top_k]\n{text}")


def test_shares_of_labels_are_of_an_evaluation():
    assert "unexpected table" in refusal("[experiments.es_search.gates.top_k.other.label_share]")
    known = KnownNames(gated={"a": ("label_share",)})
    assert limits("[gates]\nlabel_share = { min = 0.8 }", known=known) == {("a", "label_share", "min"): 0.8}


# --- keys and tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("[gates]\nmax_eror_rate = 0", "'max_error_rate'"),
        ("[experiments.es_search.gates]\nmax_p95_second = 1", "'max_p95_seconds'"),
        ("[experiments.es_search.gates]\ntop_k = { maxdrop = 1 }", "'max_drop'"),
        ('[experiments.es_search.gates]\ntop_k = { directon = "minimize" }', "'direction'"),
        ("[gates]\nsignificanse = 0.1", "'significance'"),
    ],
)
def test_a_key_that_is_not_known_is_refused_with_a_suggestion(text, advice):
    assert f"Perhaps you meant {advice}." in refusal(text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[gates]\nmin = 0.5", "'min'"),
        ('[gates]\ndirection = "minimize"', "'direction'"),
        ("[experiments.es_search.gates.top_k]\nmax_error_rate = 0", "'max_error_rate'"),
        ("[experiments.es_search.gates]\ntop_k = 0.8", "'top_k'"),
    ],
)
def test_a_key_in_a_table_it_has_no_place_in_is_not_known(text, key):
    assert f"unknown key {key}" in refusal(text)


@pytest.mark.parametrize(
    ("table", "keys"), [("gates", gates_schema({})["properties"]), ("gates.top_k", evaluation_schema()["properties"])]
)
def test_a_key_like_no_other_is_refused_with_all_there_are(table, keys):
    known = ", ".join(sorted(keys))
    assert refusal(f"[{table}]\nzzz = 1") == f"evalwire.toml: [{table}]: unknown key 'zzz'. Known keys: {known}."


def test_a_table_below_an_evaluation_is_too_deep():
    assert "[experiments.es_search.gates.top_k] more: unexpected table" in refusal(
        "[experiments.es_search.gates.top_k.more]"
    )


@pytest.mark.parametrize(
    "text",
    [
        "max_error_rate = 0",
        "min = 0.5\nmax_error_rate = 0",
        "top_k = { min = 0.5 }",
        "top_k = {}",
        'direction = "minimize"\ntop_k = { min = 0.5 }',
    ],
)
@pytest.mark.parametrize("name", ["es_search", "top_k", "unknown"])
def test_gates_of_an_experiment_below_gates_are_refused_with_the_new_form(name, text):
    """Whatever is called so: limits on an experiment, and tables of evaluations, have no place there."""
    with pytest.raises(UsageError) as caught:
        gates(f"[gates.{name}]\n{text}")
    message, _, new = str(caught.value).partition("\n")
    assert message == (
        f"evalwire.toml: [gates.{name}] is for gates on an evaluation, not on an experiment. Write instead:"
    )
    assert tomllib.loads(new) == {"experiments": {name: {"gates": tomllib.loads(text)}}}


@pytest.mark.parametrize("text", ["min = 0.5", 'mode = "strict"', "", 'max_drop = "5%"'])
def test_a_table_below_gates_that_has_an_experiments_name_is_refused_with_the_new_form(text):
    with pytest.raises(UsageError) as caught:
        gates(f"[gates.router]\n{text}")
    new = str(caught.value).partition("\n")[2]
    assert tomllib.loads(new) == {"experiments": {"router": {"gates": tomllib.loads(text)}}}


def test_the_new_form_is_toml_whatever_is_in_it():
    text = (
        'max_cost_usd = 0.5\n"a b".min = 1\n"a b".mode = "strict"\n"q.f" = { max_drop = "5%", min_examples = 3 }\n'
        'max_p95_seconds = ["none", true, 0.5]\n"\U0001f600".mode = "\U0001f600"\n'
    )
    with pytest.raises(UsageError) as caught:
        gates(f'[gates."es search"]\n{text}')
    new = str(caught.value).partition("\n")[2]
    assert new.startswith('[experiments."es search".gates]\n')
    assert tomllib.loads(new) == {"experiments": {"es search": {"gates": tomllib.loads(text)}}}


# --- what wins -----------------------------------------------------------------------------------------


def test_what_is_said_of_one_experiment_wins_over_what_is_said_of_all():
    text = """
        [gates]
        max_error_rate = 0.1
        exact_match = { min = 0.1 }
        [experiments.router.gates]
        max_error_rate = 0.2
        exact_match = { min = 0.2 }
    """
    assert limits(text) == {
        ("es_search", None, "max_error_rate"): 0.1,
        ("es_search", "exact_match", "min"): 0.1,
        ("router", None, "max_error_rate"): 0.2,
        ("router", "exact_match", "min"): 0.2,
    }


def test_a_flag_of_all_wins_over_the_file_also_where_that_speaks_of_one():
    text = (
        "[gates]\nmax_error_rate = 0.1\n[experiments.router.gates]\nmax_error_rate = 0.2\nexact_match = { min = 0.2 }"
    )
    assert limits(text, "error_rate <= 0.3", "exact_match >= 0.3") == {
        ("es_search", None, "max_error_rate"): 0.3,
        ("es_search", "exact_match", "min"): 0.3,
        ("router", None, "max_error_rate"): 0.3,
        ("router", "exact_match", "min"): 0.3,
    }


@pytest.mark.parametrize("order", [1, -1])
def test_a_flag_of_one_wins_over_a_flag_of_all_in_whatever_order(order):
    flags = ["router.exact_match >= 0.2", "exact_match >= 0.1", "router.error_rate <= 0.2", "error_rate <= 0.1"][
        ::order
    ]
    found = limits("", *flags)
    assert found["router", "exact_match", "min"] == 0.2
    assert found["router", None, "max_error_rate"] == 0.2
    assert found["es_search", "exact_match", "min"] == 0.1
    assert found["es_search", None, "max_error_rate"] == 0.1


def test_of_two_flags_of_the_same_the_last_wins():
    assert limits("", "top_k >= 0.1", "top_k >= 0.2") == {("es_search", "top_k", "min"): 0.2}


def test_limits_of_another_rule_stay_beside_those_of_a_flag():
    found = limits("[experiments.es_search.gates]\ntop_k = { min = 0.5, max = 0.9 }", "top_k >= 0.6")
    assert found == {("es_search", "top_k", "min"): 0.6, ("es_search", "top_k", "max"): 0.9}


def test_a_gate_says_where_it_was_asked_for():
    found = gates("[experiments.es_search.gates]\ntop_k = { min = 0.5 }", "top_k <= 0.9")
    assert found["es_search", "top_k", "min"].source == "evalwire.toml: [experiments.es_search.gates.top_k] min"
    assert found["es_search", "top_k", "max"].source == "--gate 'top_k <= 0.9'"


@pytest.mark.parametrize(("name", "written"), [("Top_k-2", "Top_k-2"), ("\u00e9t\u00e9", '"\u00e9t\u00e9"')])
def test_a_place_names_a_table_as_it_is_written(name, written):
    (gate,) = gates(f"[gates.{written}]\nmin = 1", known=KnownNames(gated={"es_search": (name,)})).values()
    assert gate.source == f"evalwire.toml: [gates.{written}] min"


# --- --gate --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "key", "threshold", "is_relative"),
    [
        ("es_search.top_k >= 0.8", ("es_search", "top_k", "min"), 0.8, False),
        ("es_search.top_k>=0.8", ("es_search", "top_k", "min"), 0.8, False),
        ("  es_search.top_k   >=0.8 ", ("es_search", "top_k", "min"), 0.8, False),
        ("top_k <= 80%", ("es_search", "top_k", "max"), 0.8, False),
        ("top_k >= -1e-3", ("es_search", "top_k", "min"), -0.001, False),
        ("top_k mean >= 0.8", ("es_search", "top_k", "min"), 0.8, False),
        ("es_search.exact_match pass_rate >= 90%", ("es_search", "exact_match", "min_pass_rate"), 0.9, False),
        ("es_search.exact_match pass_rate<=0.9", ("es_search", "exact_match", "max_pass_rate"), 0.9, False),
        ("es_search.exact_match drop <= 0.02", ("es_search", "exact_match", "max_drop"), 0.02, False),
        ("top_k drop<=5%", ("es_search", "top_k", "max_drop"), 0.05, True),
        ("top_k examples >= 20", ("es_search", "top_k", "min_examples"), 20, False),
        ("es_search.error_rate <= 5%", ("es_search", None, "max_error_rate"), 0.05, False),
        ("es_search.error_rate <= 0.05", ("es_search", None, "max_error_rate"), 0.05, False),
        ("es_search.max_error_rate<=0.05", ("es_search", None, "max_error_rate"), 0.05, False),
        ("es_search.p95_seconds <= 2", ("es_search", None, "max_p95_seconds"), 2, False),
        ("es_search.total_tokens <= 1000", ("es_search", None, "max_total_tokens"), 1000, False),
        ("es_search.llm_calls >= 1", ("es_search", None, "min_llm_calls"), 1, False),
        ("es_search.min_llm_calls >= 1", ("es_search", None, "min_llm_calls"), 1, False),
        ("es_search.cost_usd <= 0.5", ("es_search", None, "max_cost_usd"), 0.5, False),
        ("router.quality.fluency >= 0.5", ("router", "fluency", "min"), 0.5, False),
        ("quality.fluency >= 0.5", ("router", "fluency", "min"), 0.5, False),
    ],
)
def test_a_flag_is_one_limit(flag, key, threshold, is_relative):
    ((found, gate),) = gates("", flag).items()
    assert found == key
    assert (gate.threshold, gate.is_relative) == (threshold, is_relative)


def test_a_flag_without_an_experiment_is_of_all_that_have_it():
    assert set(limits("", "exact_match >= 0.5")) == {
        ("es_search", "exact_match", "min"),
        ("router", "exact_match", "min"),
    }
    assert set(limits("", "error_rate <= 5%")) == {
        ("es_search", None, "max_error_rate"),
        ("router", None, "max_error_rate"),
    }


@pytest.mark.parametrize(
    ("flag", "key"),
    [
        ("with space.same >= 0.5", ("with space", "same", "min")),
        ("with  two.same >= 0.5", ("with  two", "same", "min")),
        ("with space.same mean >= 0.5", ("with space", "same", "min")),
        ("with space.same pass_rate>=50%", ("with space", "same", "min_pass_rate")),
        ("with space.same label_share.bad <= 10%", ("with space", "same", "max_label_share")),
        ("with space.same label_share.bad label_share.worse <= 10%", ("with space", "same", "max_label_share")),
        ("with space.error_rate <= 0", ("with space", None, "max_error_rate")),
        ("a drop.same drop <= 0", ("a drop", "same", "max_drop")),
        ("answer relevancy mean >= 0.5", ("with space", "answer relevancy", "min")),
        ("with space.answer relevancy mean >= 0.5", ("with space", "answer relevancy", "min")),
        ("v1.2 beta.same >= 0.5", ("v1.2 beta", "same", "min")),
        ("\u00e9t\u00e9 2.same >= 0.5", ("\u00e9t\u00e9 2", "same", "min")),
    ],
)
def test_a_name_may_have_spaces(flag, key):
    names = ("with space", "with  two", "a drop", "v1.2 beta", "\u00e9t\u00e9 2")
    known = KnownNames(gated=dict.fromkeys(names, ("same",)) | {"with space": ("same", "answer relevancy")})
    assert set(limits("", flag, known=known)) == {key}


def test_the_longest_experiment_that_fits_a_dotted_name_is_meant():
    known = KnownNames(gated={"es": ("search.hit", "hit"), "es.search": ("hit",)})
    assert set(limits("", "es.search.hit >= 0.5", known=known)) == {("es.search", "hit", "min")}
    assert set(limits("", "es.hit >= 0.5", known=known)) == {("es", "hit", "min")}
    assert set(limits("", "es.search.error_rate <= 0", known=known)) == {("es.search", None, "max_error_rate")}


@pytest.mark.parametrize(
    "flag",
    [
        "",
        "top_k",
        ">= 0.8",
        "top_k >=",
        "top_k > 0.8",
        "top_k < 0.8",
        "top_k = 0.8",
        "top_k == 0.8",
        "top_k => 0.8",
        "top_k=>0.8",
        "top_k >== 0.8",
        "top_k >= 0.8 0.9",
        "top_k >= much",
        "top_k >= nan",
        "top_k >= inf",
        "top_k median >= 0.8",
        "top_k drop >= 0.02",
        "top_k drop <= -0.02",
        "top_k examples <= 20",
        "top_k label_share <= 0.1",
        "top_k label_share. <= 0.1",
        "top_k label_share.bad <= 10",
        "p95_seconds label_share.bad <= 0.1",
        "top_k examples >= 50%",
        "exact_match pass_rate >= 90",
        "es_search.error_rate >= 0.05",
        "es_search.error_rate <= 5",
        "es_search.error_rate drop <= 0.05",
        "error_rate pass_rate <= 0.05",
        "es_search.p95_seconds <= 5%",
        "es_search.total_tokens <= -1",
        "es_search.llm_calls <= 1",
        "es_search.llm_calls >= 5%",
    ],
)
def test_what_is_no_gate_is_refused_and_shown(flag):
    with pytest.raises(ValueError, match=r"expected|Examples?: ") as caught:
        GateConfig().with_flags([flag])
    assert flag in str(caught.value)


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        (
            "top_k median >= 0.8",
            "unknown measure 'median'. Known measures: mean, pass_rate, label_share, drop, examples, kappa.",
        ),
        ("top_k drop >= 0.02", "drop does not accept >=."),
        ("es_search.error_rate >= 0.05", "error_rate does not accept >=."),
        ("es_search.error_rate drop <= 0.05", "error_rate does not take the measure 'drop'."),
    ],
)
def test_a_flag_that_asks_for_what_there_is_not_is_refused_with_the_reason_and_examples(flag, reason):
    with pytest.raises(ValueError, match="Examples: ") as caught:
        GateConfig().with_flags([flag])
    assert str(caught.value).startswith(f"{flag!r}: {reason} Examples: ")


PARTS = st.sampled_from(
    [
        "a",
        "es_search.top_k",
        "error_rate",
        ".",
        "%",
        " ",
        "drop",
        "pass_rate",
        "median",
        "0.8",
        "5%",
        "nan",
        "-1",
        "\n",
        "é",
    ]
)
SIGNS = st.sampled_from([">=", "<=", ">", "=", ""])
FLAGS = st.tuples(st.lists(PARTS, max_size=4).map(" ".join), SIGNS, st.lists(PARTS, max_size=1).map("".join)).map(
    "".join
)


@given(FLAGS | st.text(max_size=30))
def test_a_flag_is_read_or_refused_whatever_it_is(flag):
    try:
        (flagged,) = GateConfig().with_flags([flag]).flags
    except ValueError:
        return
    assert math.isfinite(flagged.limit.threshold)


KEYS = st.sampled_from(
    [
        "min",
        "max",
        "min_pass_rate",
        "max_drop",
        "min_examples",
        "max_error_rate",
        "max_p95_seconds",
        "max_total_tokens",
        "max_cost_usd",
        "min_llm_calls",
        "significance",
        "on_inconclusive",
        "missing",
        "label_share",
        "mode",
        "direction",
        "es_search",
        "top_k",
        "router",
        "a.b",
    ]
)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**400)
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["5%", "101%", "strict", "fail", "minimize", "nan%"])
    | st.lists(st.integers(), max_size=2)
    | st.dates()
)
EVALUATIONS = st.dictionaries(KEYS, VALUES, max_size=2)
EXPERIMENTS = st.dictionaries(KEYS, VALUES | EVALUATIONS, max_size=2)
TABLES = st.dictionaries(KEYS | st.text(max_size=5), VALUES | EXPERIMENTS, max_size=2)


@given(TABLES, TABLES)
def test_a_table_is_read_and_resolved_or_refused_whatever_is_in_it(table, own):
    try:
        everywhere = read_gates(table, PLACE)
        experiments = {
            "es_search": read_gates(own, "evalwire.toml: [experiments.es_search.gates]", is_of_experiment=True)
        }
        found = resolve_gates(GateConfig(everywhere=everywhere, experiments=experiments), KNOWN)
    except UsageError:
        return
    assert all(math.isfinite(gate.threshold) for gate in found)


# --- of what -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "flag", "advice"),
    [
        (
            "[experiments.es_serach.gates]\nmax_error_rate = 0",
            None,
            "there is no experiment 'es_serach'. Perhaps you meant 'es_search'.",
        ),
        ("[experiments.es_serach.gates]", None, "there is no experiment 'es_serach'. Perhaps you meant 'es_search'."),
        (
            "[experiments.es_search.gates]\ntop_q = { min = 1 }",
            None,
            "there is no evaluation 'top_q'. Perhaps you meant 'top_k'.",
        ),
        (
            "[experiments.router.gates]\ntop_k = { min = 1 }",
            None,
            "there is no evaluation 'top_k'. Available: exact_match, quality.",
        ),
        (
            "[gates]\nexact_mach = { min = 1 }",
            None,
            "there is no evaluation 'exact_mach'. Perhaps you meant 'exact_match'.",
        ),
        ('[gates]\n"qualty.fluency" = { min = 1 }', None, "there is no evaluation 'qualty.fluency'."),
        ("", "exact_mach >= 1", "there is no evaluation 'exact_mach'. Perhaps you meant 'exact_match'."),
        ("", "es_search.top_q >= 1", "there is no evaluation 'es_search.top_q'. Perhaps you meant 'es_search.top_k'."),
        ("", "es_serach.top_k >= 1", "there is no evaluation 'es_serach.top_k'. Perhaps you meant 'es_search.top_k'."),
        ("", "router.top_k >= 1", "there is no evaluation 'router.top_k'."),
        ("", "es_serach.error_rate <= 0", "there is no experiment 'es_serach'. Perhaps you meant 'es_search'."),
        ("", "zzz >= 0", "Available: "),
    ],
)
def test_a_name_that_does_not_exist_is_refused_with_its_place_and_a_suggestion(text, flag, advice):
    message = refusal(text, *([flag] if flag else []))
    assert advice in message
    assert message.startswith(
        f"--gate {flag!r}:" if flag else ("evalwire.toml: [gates", "evalwire.toml: [experiments.")
    )


def test_the_file_may_speak_of_experiments_that_are_not_selected():
    """And of evaluations that only those may have."""
    known = KnownNames(gated={"es_search": ("top_k",)}, others=("router",))
    text = "[experiments.router.gates]\nanything = { min = 1 }\n[experiments.es_search.gates]\ntop_k = { min = 0.5 }\n[gates.of_others]\nmin = 1"
    assert limits(text, known=known) == {("es_search", "top_k", "min"): 0.5}
    assert "Perhaps you meant 'router'" in refusal("[experiments.ruoter.gates]\nmax_error_rate = 1", known=known)


@pytest.mark.parametrize("flag", ["router.exact_match >= 1", "router.error_rate <= 0"])
def test_a_flag_of_an_experiment_that_is_not_selected_is_refused(flag):
    known = KnownNames(gated={"es_search": ("top_k",)}, others=("router",))
    assert "the experiment 'router' is not part of this job" in refusal("", flag, known=known)


def test_an_experiment_that_could_not_be_loaded_has_no_gates_on_evaluations_and_refuses_no_name():
    """It is red for that, and what it would have had cannot be known."""
    known = KnownNames(gated={"es_search": ("top_k",), "router": None})
    text = "[gates]\nelsewhere = { min = 1 }\n[experiments.router.gates]\nmax_error_rate = 0.5\nanything = { min = 1 }"
    assert limits(text, "some >= 1", "router.other >= 1", known=known) == {("router", None, "max_error_rate"): 0.5}
    assert "'es_search.top_q'" in refusal("", "es_search.top_q >= 1", known=known)


def test_a_lenient_reading_lets_the_file_name_what_is_not_there_but_not_a_flag():
    known = KnownNames(gated={"es_search": ("top_k",)}, is_lenient=True)
    text = "[experiments.another.gates]\nmax_error_rate = 1\n[experiments.es_search.gates]\ntop_k = { min = 0.5 }\n[gates.of_another]\nmin = 1"
    assert limits(text, known=known) == {("es_search", "top_k", "min"): 0.5}
    assert unapplied_gates(config(text), known) == ["of_another", "another"]
    assert "'another.top_k'" in refusal("", "another.top_k >= 1", known=known)
    assert "'top_q'" in refusal("", "top_q >= 1", known=known)


def test_a_lenient_reading_still_knows_the_evaluations_of_what_is_judged():
    known = KnownNames(gated={"es_search": ("top_k",)}, is_lenient=True)
    assert "there is no evaluation 'top_q'" in refusal(
        "[experiments.es_search.gates]\ntop_q = { min = 1 }", known=known
    )


@pytest.mark.parametrize(
    "known",
    [
        KnownNames(gated={"es_search": ("top_k", "router")}, others=("router",)),
        KnownNames(gated={"es_search": ("top_k", "router"), "router": ("router",)}),
    ],
)
def test_a_table_below_gates_is_of_an_evaluation_also_where_an_experiment_has_its_name(known):
    text = '[experiments.es_search.gates]\nrouter = { max_drop = 0 }\n[gates.router]\nmode = "strict"'
    assert gates(text, known=known)["es_search", "router", "max_drop"].drop_policy.mode == "strict"


def test_both_names_of_a_score_have_the_policy_that_is_said_of_it():
    """`length` is `style.length` where no other evaluator gives one; a further limit must not turn it round."""
    known = KnownNames(gated={"s": ("length", "style")})
    text = '[experiments.s.gates]\n"style.length" = { max_drop = "5%", direction = "minimize", mode = "strict" }'
    for flag in ("length <= 500", "length drop <= 6%", "style.length <= 500"):
        found = gates(text, flag, known=known)
        assert {(one.direction, one.drop_policy.mode) for one in found.values()} == {("minimize", "strict")}, found


def test_an_evaluations_limit_in_the_table_of_an_experiment_is_refused_whatever_is_selected():
    """It would limit nothing."""
    for known in (
        KnownNames(gated={"es_search": ("top_k",)}, others=("router",)),
        KnownNames(gated={"router": ("top_k",)}, others=("es_search",)),
        KnownNames(gated={"es_search": ("top_k",)}, is_lenient=True),
    ):
        with pytest.raises(UsageError, match=r"\n\[experiments.es_search.gates\]\nmin_pass_rate = 0.9$"):
            gates("[gates.es_search]\nmin_pass_rate = 0.9", known=known)
