"""`results.json`: valid by its schema, laid out as one text, and read back without a loss."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import hypothesis
import jsonschema
import pytest
from hostile import CORPUS
from hypothesis import given
from random_reports import few, hostile, random_reports
from reporting import evaluation, example, failure, red_report, result, run

from evalwire.errors import UsageError
from evalwire.masking import masked
from evalwire.model.baseline import Direction
from evalwire.model.example import Example
from evalwire.model.failure import FailureStage
from evalwire.model.gates import Rule, Status
from evalwire.model.report import Outcome, Report
from evalwire.model.result import ExperimentResult
from evalwire.model.run import AnnotatorKind, EvaluationKind
from evalwire.reports import annotations as workflow
from evalwire.reports import console, html, junit, markdown, results_json, write
from evalwire.reports.results_json import SCHEMA_VERSION, load_results
from evalwire.reports.results_json import read_results as read_text
from evalwire.reports.results_json.schema import schema

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/results.schema.json").read_text())
GOLDEN = Path(__file__).with_name("results_schema_2.json")
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
BARE = red_report(results=(), gates=(), baselines=(), outcome="nothing_to_run", endpoint=None)


def strict(text: str) -> Any:
    """Parse JSON, refusing what only Python takes for it."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def read_results(found: Any) -> Report:
    return read_text(json.dumps(found))


def text_of(report: Report) -> str:
    return "".join(results_json.pieces(report))


def document(report: Report) -> Any:
    return strict(text_of(report))


def reports_of(report: Report) -> dict[str, str]:
    """Every report there is, as its file has it."""
    texts = {
        "console": console.render(report, verbose=True),
        "results.json": text_of(report),
        "JUnit": "".join(junit.pieces(report)),
        "Markdown": markdown.render(report),
        "HTML": "".join(html.pieces(report)),
        "annotations": "\n".join(workflow.lines(report)),
    }
    return {name: text.encode(errors="replace").decode() for name, text in texts.items()}


def only(report: Report) -> Report:
    """What stands in the file of a report, without what it does not hold: functions, and what was not asked."""
    kept = []
    for one in report.results:
        runs = tuple(replace(its, example=_hashed(its.example)) for its in one.runs)
        opened = one.opened
        if opened:
            experiment = replace(opened.experiment, task=None)
            ran = {its.example.node_id for its in one.runs}
            examples = tuple(_hashed(its, bare=its.node_id not in ran) for its in opened.dataset.examples)
            opened = replace(opened, experiment=experiment, dataset=replace(opened.dataset, examples=examples))
        used = one.used if replace(one, used=None).usage is None else None  # else the runs tell it
        kept.append(replace(one, runs=runs, opened=opened, used=used))
    return replace(report, results=tuple(kept))


def of_one_run(one: ExperimentResult) -> ExperimentResult:
    return replace(one, runs=one.runs[2:3], failure=failure(), problems=(failure(),))


def small_report() -> Report:
    """A report with everything in it, as little of each as there can be."""
    first, second = red_report().results
    [baseline] = red_report().baselines
    texts = (
        "exact_match fell by 0.455 (1.000 to 0.545 over 11 pairs, p = 0.031), more than 0.02 is allowed",
        "top_k mean 0.675 is at least 0.6",
        "2 of 6 runs failed (33.3 %), more than 0 % is allowed",
    )
    gates = tuple(replace(gate, text=text, is_rate=False) for gate, text in zip(red_report().gates, texts, strict=True))
    fewer = replace(
        baseline, runs=(), comparisons=(replace(baseline.comparisons[0], pairs=baseline.comparisons[0].pairs[:1]),)
    )
    return red_report(results=(of_one_run(first), of_one_run(second)), baselines=(fewer,), gates=gates)


def _hashed(one: Example, *, bare: bool = False) -> Example:
    content = {"input": {}, "output": {}, "metadata": {}} if bare else {}
    return replace(one, recorded_hash=one.content_hash, **content)


# --- the schema ----------------------------------------------------------------------------------------


def test_the_schema_is_one():
    VALIDATOR.check_schema(SCHEMA)


def test_the_schema_is_that_of_the_declaration():
    """`make schema` writes it."""
    assert schema() == SCHEMA


def test_the_schema_is_strict_and_tells_of_every_field():
    """Every object of evalwire's has its fields named, described and required."""
    loose = []

    def walk(at: Any, place: str) -> None:
        if isinstance(at, list):
            for number, item in enumerate(at):
                walk(item, f"{place}/{number}")
        elif isinstance(at, dict):
            if "properties" in at:
                sound = at.get("additionalProperties") is False and set(at["required"]) == set(at["properties"])
                described = all("description" in one for one in at["properties"].values())
                loose.extend([place] * (not (sound and described)))
            for key, item in at.items():
                walk(item, f"{place}/{key}")

    walk(SCHEMA, "")
    assert loose == []


def test_the_schema_names_the_values_that_the_program_knows():
    definitions = SCHEMA["$defs"]
    assert SCHEMA["properties"]["schema_version"]["enum"] == [results_json.SCHEMA_VERSION]
    for listed, known in (
        (SCHEMA["properties"]["outcome"], Outcome),
        (definitions["Failure"]["properties"]["stage"], FailureStage),
        (definitions["Evaluation"]["properties"]["annotator_kind"], AnnotatorKind),
        (definitions["Evaluation"]["properties"]["kind"]["anyOf"][0], EvaluationKind),
        (definitions["GateResult"]["properties"]["rule"], Rule),
        (definitions["GateResult"]["properties"]["status"], Status),
        (definitions["Comparison"]["properties"]["direction"], Direction),
    ):
        assert listed["enum"] == sorted(get_args(known))


@pytest.mark.parametrize("made", [red_report(), BARE], ids=["red", "bare"])
def test_what_is_written_is_valid(made):
    VALIDATOR.validate(document(made))


def kept(found: Any, before: Any) -> Any:
    """Return what a document has of the fields of an earlier one."""
    if isinstance(before, dict):
        return {key: kept(found[key], item) for key, item in before.items()}
    if isinstance(before, list):
        return [kept(*pair) for pair in zip(found, before, strict=True)]
    return found


@pytest.mark.parametrize(("name", "made"), [("red", small_report()), ("bare", BARE)], ids=["red", "bare"])
def test_a_file_of_an_earlier_evalwire_is_written_and_read_as_it_was(name, made):
    """Within a version fields are only added: the golden file is of the first code that wrote this version."""
    before = json.loads(GOLDEN.read_text())[name]
    assert kept(document(made), before) == before
    assert kept(document(read_results(before)), before) == before
    assert reports_of(read_results(before)) == reports_of(made)


# --- read back -----------------------------------------------------------------------------------------


@few
@given(random_reports())
def test_nothing_is_lost(made):
    """Any report is valid by the schema, and read back it is itself and renders into the same reports."""
    found = document(made)
    VALIDATOR.validate(found)
    read = read_results(found)
    assert only(read) == only(made)
    assert reports_of(read) == reports_of(made)


@pytest.mark.parametrize("start", range(0, len(CORPUS), 12))
def test_nothing_is_lost_of_what_is_hostile(tmp_path, start):
    """Whatever a model says, the file is JSON in UTF-8, and gives the reports that were given without it."""
    made = hostile("".join(text[:200] for _, text in CORPUS[start : start + 12]))
    write(tmp_path / "results.json", results_json.pieces(made))
    assert strict((tmp_path / "results.json").read_bytes().decode())
    assert reports_of(load_results(tmp_path / "results.json")) == reports_of(made)


def test_the_kind_of_an_evaluation_is_kept_and_worked_out_where_a_file_has_none():
    said = (
        evaluation("judge", 1.0, label="because", kind="bool"),
        evaluation("cites", None, label="not applicable", kind="not_applicable"),
        evaluation("plain", 1.0, label="True"),
    )
    found = document(red_report(results=(result("a", [run(1, evaluations=said)], evaluators=("judge",)),)))
    assert [one.kind for one in read_results(found).results[0].runs[0].evaluations] == [
        "bool",
        "not_applicable",
        "bool",
    ]
    for one in found["experiments"][0]["runs"][0]["evaluations"]:
        del one["kind"]
    assert [one.kind for one in read_results(found).results[0].runs[0].evaluations] == ["number", "label", "bool"]


def test_numbers_are_whole():
    """No number is rounded."""
    third = 1 / 3
    made = red_report(seconds=third)
    [first, *_] = made.results
    judged = replace(first.runs[0], evaluations=(evaluation("top_k", third),))
    made = replace(made, results=(replace(first, runs=(judged, *first.runs[1:]), seconds=third),))
    read = read_results(document(made))
    assert (read.seconds, read.results[0].seconds) == (third, third)
    assert read.results[0].runs[0].evaluations[0].score == third


def test_the_hash_of_an_example_outlives_the_masking_of_its_text():
    """What was read keeps the hash in the file, though its text is another."""
    secret = example(1, input={"q": "hunter22"})
    masked = replace(secret, input={"q": "***"}, recorded_hash=secret.content_hash)
    read = read_results(document(red_report(results=(result("a", [run(1, example=masked)], evaluators=("e",)),))))
    [found] = read.results[0].runs
    assert found.example.input == {"q": "***"}
    assert found.example.content_hash == secret.content_hash
    assert "recorded_hash" not in dict(found.example)


def test_examples_that_were_not_run_are_there():
    """The dataset is read back in its order, with those that no run has."""
    examples = tuple(example(number) for number in range(4))
    one = result("a", [run(1), run(3)], evaluators=("e",), example_count=4)
    one = replace(one, opened=replace(one.opened, dataset=replace(one.opened.dataset, examples=examples)))
    found = document(red_report(results=(one,)))
    assert [item["position"] for item in found["experiments"][0]["examples_not_run"]] == [0, 2]
    [read] = read_results(found).results
    assert [item.id for item in read.opened.dataset.examples] == ["q0", "q1", "q2", "q3"]


def test_no_secret_of_an_example_that_was_not_run_is_shown():
    """Masking leaves a dataset's examples as they are, so nothing of what they ask may be in any report."""
    secret = example(7, input={"q": "hunter22"}, output={"a": "hunter22"}, metadata={"m": "hunter22"})
    one = result("a", [run(1), run(2, example=replace(secret, id="q2", node_id="n2"))], evaluators=(), example_count=3)
    one = replace(one, opened=replace(one.opened, dataset=replace(one.opened.dataset, examples=(secret, example(1)))))
    made = masked(red_report(results=(one,)), lambda text: text.replace("hunter22", "***"))
    reports = reports_of(made)
    assert "task[q7]" in reports["JUnit"]
    assert [name for name, text in reports.items() if "hunter22" in text] == []
    [read] = read_results(strict(reports["results.json"])).results
    assert [its.content_hash for its in read.opened.dataset.examples] == [
        secret.content_hash,
        example(1).content_hash,
        secret.content_hash,
    ]


def test_repetitions_share_their_example():
    """An example is held once, however often it was run."""
    read = read_results(document(red_report()))
    first, second = read.results[1].runs[:2]
    assert first.example is second.example


def test_what_a_whole_experiment_used_is_kept_where_no_run_tells():
    usage = red_report().results[0].runs[0].usage
    quiet = result("a", [run(1, usage=None)], evaluators=("e",), used=usage)
    [read] = read_results(document(red_report(results=(quiet,)))).results
    assert read.usage == usage


# --- what is no such file ------------------------------------------------------------------------------


def changed(**fields: Any) -> str:
    return json.dumps({**document(BARE), **fields})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a results.json: it is not JSON"),
        ("{", "is not a results.json: it is not JSON"),
        ("[" * 100_000, "is not a results.json: it is not JSON"),
        ("[]", "is not an evalwire results.json"),
        ("{}", "is not an evalwire results.json"),
        ('{"schema_version": 2, "results": []}', "is not an evalwire results.json"),
        (changed(schema_version="2"), "has no schema_version"),
        (changed(schema_version=True), "has no schema_version"),
        (
            changed(schema_version=1),
            "schema_version 1, written by evalwire 1.0.0, but this version of evalwire reads 2: run evalwire",
        ),
        (changed(schema_version=3), "schema_version 3, .*: use that version or a newer version"),
        (changed(outcome="splendid"), "is damaged: outcome: Invalid enum value 'splendid'$"),
        (
            changed(started_at="2026-11-20T09:30:00"),
            "is damaged: started_at: Expected `datetime` with a timezone component$",
        ),
        (changed(experiments=[{}]), r"is damaged: experiments\[0\]\.\w+ is missing$"),
        (changed(started_at="yesterday"), "is damaged: started_at: Invalid RFC3339 encoded datetime$"),
        (changed(seconds="1"), r"is damaged: seconds: Expected `int \| float`, got `str`$"),
        (changed(seconds=float("nan")), "is not a results.json: it is not JSON"),
    ],
)
def test_another_file_is_refused(tmp_path, text, message):
    """A file that is none of evalwire's, or of another version, is wrong use, with the reason and the file's name."""
    path = tmp_path / "it.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_results(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"there is no file .*missing\.json\. `evalwire run` writes a results\.json"):
        load_results(tmp_path / "missing.json")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load_results(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(UsageError, match="it is not JSON"):
        load_results(tmp_path / "latin.json")


def places(at: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every field of a document."""
    items = at.items() if isinstance(at, dict) else enumerate(at) if isinstance(at, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def damages() -> Iterator[tuple[tuple[Any, ...], dict[Any, Any] | list[Any], Any]]:
    """Each place of a file, with the object or list that it is in; what is done to it is undone behind."""
    whole = document(small_report())
    for path in list(places(whole)):
        at = whole
        for key in path[:-1]:
            at = at[key]
        before = at[path[-1]]
        yield path, at, whole
        at[path[-1]] = before


def test_a_damaged_file_is_told_or_makes_a_report():
    """Whatever stands in a field, there is a report or a clear refusal, nothing else."""
    refused = 0
    for path, at, whole in damages():
        for wrong in (None, "x", -1, True, [None], {"x": None}):
            at[path[-1]] = wrong
            try:
                read = read_results(whole)
            except UsageError:
                refused += 1
            else:
                assert isinstance(read, Report)
    assert refused > 1_000


def test_a_missing_field_is_named():
    """All but what is worked out, and what is any object, has to be there."""
    missed = set()
    for path, at, whole in damages():
        if isinstance(at, dict) and isinstance(path[-1], str):
            del at[path[-1]]
            try:
                read_results(whole)
            except UsageError as error:
                missed.add(path[-1])
                told = str(error)
                assert path[-1] in told or path[-1] == "evalwire_version", told
    assert {"outcome", "gates", "pairs", "prices", "evaluators", "content_hash", "end_time", "traceback"} <= missed


def test_a_field_of_a_later_evalwire_is_passed_over():
    """Within a version fields are added; who reads an older or a newer file minds only those that are known."""
    later = document(red_report())
    later["moon"] = "full"
    later["experiments"][0]["runs"][0]["mood"] = {"good": True}
    assert read_results(later) == read_results(document(red_report()))


def test_reader_and_writer_are_of_one_version():
    assert SCHEMA_VERSION == results_json.SCHEMA_VERSION == 2


# --- the text ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "made",
    [
        BARE,
        red_report(),
        red_report(results=(result("a", [], evaluators=(), opened=None), result("b", [run(1)], evaluators=("e",)))),
        red_report(results=(result("a", [run(1, {"a": [], "b": {}, "c": [[1, {"d": "x\ny"}]]})], evaluators=()),)),
    ],
    ids=["no experiment", "red", "no run", "nested"],
)
def test_it_is_laid_out_as_one_text(made):
    """Though it comes in pieces, the document is what `json.dumps` would make of the whole; a run or pair is a line."""
    text = text_of(made)
    found, lines = strict(text), []
    before = [(entry, "runs") for entry in found["baselines"]]
    before += [(entry, "pairs") for baseline in found["baselines"] for entry in baseline["comparisons"]]
    now = [(entry, name) for entry in found["experiments"] for name in ("examples_not_run", "runs")]
    now += [(entry, "per_example") for experiment in found["experiments"] for entry in experiment["scores"]]
    for entry, name in before + now:
        lines += [json.dumps(item, ensure_ascii=False, separators=(",", ":")) for item in entry[name]]
        entry[name] = []
    short = [line for line in text.splitlines() if not re.fullmatch(r" *\{.+\},?", line)]
    assert re.sub(r"\[\s*\]", "[]", "\n".join(short)) == json.dumps(found, ensure_ascii=False, indent=2)
    assert sorted(line.strip(" ,") for line in text.splitlines() if re.fullmatch(r" *\{.+\},?", line)) == sorted(lines)


def test_it_comes_run_by_run():
    """Each run is one piece, so that no more than one is held as text."""
    made = red_report()
    pieces = list(results_json.pieces(made))
    for one in made.results[0].runs:
        [piece] = [piece for piece in pieces if f'"example_node_id":"{one.example.node_id}"' in piece]
        assert piece.count("example_node_id") == piece.count("record_failure") == piece.count('"evaluations"') == 1
    assert len([piece for piece in pieces if '"before":1.0' in piece]) == 11  # each pair


def layouts(report: Report) -> dict[str, str]:
    text = text_of(report)
    return {
        "as written": text,
        "of earlier versions": json.dumps(json.loads(text), indent=2),
        "compact": json.dumps(json.loads(text), separators=(",", ":")),
        "with the line ends of Windows": text.replace("\n", "\r\n"),
        "without its last line end": text.rstrip("\n"),
    }


@few
@given(made=random_reports())
@hypothesis.example(made=BARE)
@hypothesis.example(made=red_report())
def test_a_file_is_read_in_any_layout(tmp_path_factory, made):
    """The reader goes through the runs line by line where it can."""
    path = tmp_path_factory.getbasetemp() / "layouts.json"
    expected = read_results(document(made))
    for layout, text in layouts(made).items():
        path.write_text(text, encoding="utf-8", newline="")
        assert load_results(path) == expected, layout


def test_a_line_that_only_looks_like_a_list_of_runs_is_none(tmp_path):
    path = tmp_path / "results.json"
    found = {"x": {"runs": [{"a": 1}, {"b": 2}]}, "runs": []}
    made = red_report(ci=found, results=(result("a", [run(1, {"runs": [{"a": 1}]})], evaluators=()),))
    path.write_text(text_of(made), encoding="utf-8")
    assert load_results(path).ci == found
    assert load_results(path) == read_results(document(made))


def test_a_run_is_read_without_the_others(tmp_path):
    """A large file is never in memory as a whole."""
    text = "x" * 100_000
    made = red_report(baselines=(), results=(result("a", [run(n, f"{n}{text}") for n in range(50)], evaluators=()),))
    path = tmp_path / "results.json"
    path.write_text(text_of(made), encoding="utf-8")
    tracemalloc.start()
    found = load_results(path)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.results[0].runs) == 50
    assert peak - held < 20 * len(text)


def test_half_of_a_surrogate_pair_is_a_question_mark():
    """Its escape would be JSON that not every parser takes; each piece can be written as UTF-8."""
    text = text_of(red_report(journal="a\ud800b\udfff"))
    assert '"journal": "a?b?"' in text
    assert text.encode()


def test_a_number_that_is_none_becomes_text():
    """A dataset's author may have written NaN, which JSON has not; the file is JSON all the same."""
    odd = example(1, input={"q": [float("nan"), float("-inf"), 1.5]}, metadata={"at": float("inf")})
    [found] = document(red_report(results=(result("a", [run(1, example=odd)], evaluators=()),)))["experiments"][0][
        "runs"
    ]
    assert (found["input"], found["example_metadata"]) == ({"q": ["nan", "-inf", 1.5]}, {"at": "inf"})


# --- what is in it -------------------------------------------------------------------------------------


def test_it_has_the_facts():
    """What the console says, and the exit code, are there for programs."""
    found = document(red_report())
    assert {key: found[key] for key in ("outcome", "exit_code", "dry_run", "endpoint", "directory", "undelivered")} == {
        "outcome": "errors",
        "exit_code": 1,
        "dry_run": False,
        "endpoint": "https://phoenix.example.com",
        "directory": "/work",
        "undelivered": 0,
    }
    assert found["prices"] == {"gpt-4o": {"input": 2.5, "output": 10.0, "max_prompt_tokens": None, "as_of": ""}}
    search, router = found["experiments"]
    assert (search["passed"], search["failed"], search["not_run"], search["examples"]) == (False, 0, 0, 12)
    assert (router["failed"], router["error_rate"], router["repetitions"]) == (2, 2 / 6, 2)
    assert search["dataset"] == {"name": "doc_search", "id": "RDS1", "version_id": "RDV3"}
    assert (search["path"], search["evaluators"]) == ("/work/experiments/doc_search", ["exact_match", "top_k"])
    assert search["project_name"] == "Experiment-doc_search"
    assert search["metadata"] == {"dataset": "doc_search", "run_by": "evalwire"}


def test_it_has_what_was_used():
    """Of the whole experiment too, with its cost, and the models that have no price."""
    told, other = (run(n, evaluations=(evaluation("e", 1.0, usage=()),)) for n in (1, 2))
    unpriced = replace(other.usage[0], model="mystery", unpriced=1)
    one = result("a", [told, replace(other, usage=(unpriced,))], evaluators=("e",))
    [found] = document(red_report(results=(one,)))["experiments"]
    assert [(used["model"], used["total_tokens"]) for used in found["usage"]] == [("gpt-4o", 121), ("mystery", 122)]
    assert (found["cost_usd"], found["unpriced_models"]) == (0.002, ["mystery"])
    unknown = document(red_report())["experiments"][0]
    assert (unknown["usage"], unknown["cost_usd"], unknown["unpriced_models"]) == (None, None, [])


def test_it_has_gates_and_baselines():
    found = document(red_report())
    assert [(gate["experiment"], gate["evaluation"], gate["rule"], gate["is_red"]) for gate in found["gates"]] == [
        ("doc_search", "exact_match", "max_drop", True),
        ("doc_search", "top_k", "min", False),
        ("support_router", None, "max_error_rate", True),
    ]
    assert found["gates"][0]["interval"] == {"low": -0.805, "high": -0.104, "method": "paired t", "confidence": 0.95}
    [baseline] = found["baselines"]
    assert (baseline["asked"], baseline["branch"], baseline["added"], baseline["paired"]) == (
        "auto",
        "main",
        ["q11"],
        11,
    )
    exact, graded = baseline["comparisons"]
    assert (exact["test"], exact["p_value"], graded["direction"]) == ("McNemar mid-p", 0.015625, "maximize")
    assert exact["pairs"][0] == {"example_id": "q0", "before": 1.0, "after": 0.0}


def test_an_experiment_with_a_red_gate_did_not_pass():
    """All of its runs are sound; `passed` is the gate's word too."""
    found = document(red_report())["experiments"][0]
    assert (found["failed"], found["not_run"], found["passed"]) == (0, 0, False)


def test_it_has_the_scores():
    exact, graded = document(red_report())["experiments"][0]["scores"]
    assert exact == {
        "name": "exact_match",
        "mean": 7 / 12,
        "count": 12,
        "missing": 0,
        "labels": {"False": 5, "True": 7},
        "pass_rate": 7 / 12,
        "spread": None,
        "pass_at": {},
        "pass_hat": {},
        "unscored": 0,
        "not_applicable": 0,
        "per_example": [],
    }
    assert graded["pass_rate"] is None


def test_it_has_what_repetitions_tell():
    """Each evaluator's spread, its examples, and pass@k and pass^k by k as text."""
    routed = document(red_report())["experiments"][1]["scores"][0]
    assert routed["per_example"][1] == {"example_id": "q21", "mean": 1.0, "spread": None, "count": 1, "missing": 1}
    assert routed["spread"] == pytest.approx((0.5**0.5 + 0) / 2)
    assert routed["pass_at"] == {"1": pytest.approx(2 / 3), "2": 1.0}
    assert routed["pass_hat"] == {"1": pytest.approx(2 / 3), "2": pytest.approx(1 / 3)}


def test_it_has_every_run():
    """Each run is there with its example, output, times, usage, evaluations and failure."""
    judge = evaluation("judge", 0.5, label="good", explanation="because", metadata={"k": [1]}, attempts=3)
    broken = evaluation("bad", None, failure=failure(stage="evaluator"), annotator_kind="LLM")
    its = run(3, {"said": ["x"]}, evaluations=(judge, broken), attempts=2)
    [found] = document(red_report(results=(result("a", [its], evaluators=("judge", "bad")),)))["experiments"][0]["runs"]
    assert (found["example_id"], found["id"], found["output"]) == ("q3", "R3", {"said": ["x"]})
    assert found["input"] == {"user_query": "How do I get refund number 3?"}
    assert (found["expected"], found["example_metadata"]) == ({"expected_output": "refund 3"}, {"topic": "refunds"})
    assert found["content_hash"] == its.example.content_hash
    assert (found["start_time"], found["end_time"]) == ("2026-11-20T09:30:03+00:00", "2026-11-20T09:30:03.230000+00:00")
    assert (found["seconds"], found["attempts"], found["usage"][0]["total_tokens"]) == (0.23, 2, 123)
    said, failed = found["evaluations"]
    assert (said["name"], said["score"], said["label"], said["metadata"]) == ("judge", 0.5, "good", {"k": [1]})
    assert (said["attempts"], said["annotator_kind"], failed["annotator_kind"]) == (3, "CODE", "LLM")
    assert failed["failure"] == {
        "kind": "user",
        "stage": "evaluator",
        "type": "KeyError",
        "message": "'answer'",
        "cause": None,
        "where": "/work/experiments/support_router/task.py:12",
        "traceback": failure().traceback,
    }


def test_an_experiment_that_did_not_open():
    """Ids that there are not are null, and the problems are there."""
    unopened = result("a", [], evaluators=(), opened=None, problems=(failure(stage="import"),))
    [found] = document(red_report(results=(unopened,)))["experiments"]
    assert (found["experiment_id"], found["recorded_name"], found["url"], found["dataset"]["id"]) == (None,) * 4
    assert [problem["type"] for problem in found["problems"]] == ["KeyError"]


def test_mappings_of_any_kind_are_objects():
    """Metadata, input and expected output that there are not are empty objects, whatever mapping holds them."""
    nothing = MappingProxyType({})
    bare = example(1, input=nothing, output=nothing, metadata=nothing)
    said = (evaluation("a", 1.0), evaluation("b", 1.0, metadata=nothing))
    one = result("a", [run(1, example=bare, evaluations=said)], evaluators=("a", "b"))
    [found] = document(red_report(results=(one,)))["experiments"][0]["runs"]
    assert (found["input"], found["expected"], found["example_metadata"]) == ({}, {}, {})
    assert [item["metadata"] for item in found["evaluations"]] == [{}, {}]
