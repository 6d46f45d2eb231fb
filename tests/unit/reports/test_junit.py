"""`evalwire.xml`: what a CI system's test tab makes of a report."""

from __future__ import annotations

import re
import tracemalloc
from collections import Counter
from dataclasses import replace
from itertools import chain
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hostile import CORPUS
from hypothesis import given
from random_reports import few, hostile, random_reports
from reporting import boolean, evaluation, example, failure, red_report, result, run

from evalwire.model.gates import GateResult
from evalwire.model.report import Report
from evalwire.reports import junit

# What Jenkins' schema (JUnit 10) lets an element have, and must it have; `file` is GitLab's and CircleCI's.
ATTRIBUTES = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set()),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        {"name", "tests", "failures", "errors"},
    ),
    "testcase": ({"name", "classname", "time", "file"}, {"name"}),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "properties": (set(), set()),
    "property": ({"name", "value"}, {"name", "value"}),
    "system-out": (set(), set()),
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "testcase": {"failure", "error", "skipped", "system-out"},
    "properties": {"property"},
}
TIME = re.compile(r"[0-9]+\.[0-9]{3}")
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")


def parsed(report: Report) -> ET.Element:
    """The document, after it was held to the schema, and to what it says of itself."""
    text = "".join(junit.pieces(report))
    assert not CONTROL.search(text)
    root = ET.fromstring(text.encode())
    for element in root.iter():
        allowed, required = ATTRIBUTES[element.tag]
        assert required <= element.attrib.keys() <= allowed, element.tag
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set()), element.tag
        assert TIME.fullmatch(element.get("time", "0.000"))
        if element.tag in CHILDREN:  # nothing but white space between elements
            assert not (element.text or "").strip()
        assert not (element.tail or "").strip()
        assert all(name == " ".join(name.split()) and name for name in (element.get("name", "x"),))
    suites = root.findall("testsuite")
    for suite in suites:
        assert count(suite) == told(suite)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
    assert {key: sum(told(suite)[key] for suite in suites) for key in ("tests", "failures", "errors")} == {
        key: int(root.attrib[key]) for key in ("tests", "failures", "errors")
    }
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(names) == len(set(names))
    return root


def told(suite: ET.Element) -> dict[str, int]:
    return {key: int(suite.attrib[key]) for key in ("tests", "failures", "errors", "skipped")}


def count(suite: ET.Element) -> dict[str, int]:
    cases = suite.findall("testcase")
    kinds = Counter(kind(case) for case in cases)
    return {
        "tests": len(cases),
        "failures": kinds["failure"],
        "errors": kinds["error"],
        "skipped": kinds["skipped"],
    }


def kind(case: ET.Element) -> str:
    found = [child.tag for child in case if child.tag != "system-out"]
    assert len(found) <= 1
    return found[0] if found else "passed"


def is_red(root: ET.Element) -> bool:
    return any(kind(case) in ("failure", "error") for case in root.iter("testcase"))


def cases(report: Report) -> dict[str, ET.Element]:
    """The cases by their name, of the first experiment's suite."""
    suite = parsed(report).find("testsuite")
    assert suite is not None
    return {case.attrib["name"]: case for case in suite.findall("testcase")}


def kinds(report: Report) -> dict[str, str]:
    return {name: kind(case) for name, case in cases(report).items()}


def one(*runs: Any, gates: tuple[GateResult, ...] = (), exit_code: int = 1, **fields: Any) -> Report:
    """A report of one experiment with the evaluator `e`."""
    made = result("a", list(runs), **{"evaluators": ("e",), **fields})
    return red_report(results=(made,), gates=gates, baselines=(), exit_code=exit_code)


def gate(**fields: Any) -> GateResult:
    given = {"experiment": "a", "rule": "max_error_rate", "threshold": 0.5, "status": "passed", "is_red": False}
    return GateResult(**{**given, "text": "1 of 2 runs failed; the limit is 50%", **fields})


def judged(number: int, score: float = 1.0, **fields: Any) -> Any:
    return run(number, evaluations=(evaluation("e", score),), **fields)


HARMLESS = len(list(parsed(hostile("x")).iter("testcase")))

# --- the whole -----------------------------------------------------------------------------------------


def test_it_has_a_suite_for_each_experiment():
    """The gates first, then a case for each evaluation of each run, and for the task that failed."""
    root = parsed(red_report())
    search, router = root.findall("testsuite")
    assert (search.get("name"), router.get("name")) == ("doc_search", "support_router")
    assert told(search) == {"tests": 2 + 12 * 2, "failures": 1 + 5, "errors": 0, "skipped": 0}
    # 6 runs of 2 evaluators; where the task failed it has a case, and its evaluators' are skipped
    assert told(router) == {"tests": 1 + 1 + 12, "failures": 1, "errors": 2, "skipped": 2}
    assert (root.get("tests"), root.get("time"), search.get("time")) == ("40", "31.250", "12.500")


def test_names_are_fit_for_the_tabs_of_ci_systems():
    """Jenkins files a case under `experiment` and `evaluation`, GitLab shows class and name, both lead to the file."""
    search, router = parsed(red_report()).findall("testsuite")
    case = search.findall("testcase")[2]
    assert case.attrib == {
        "classname": "doc_search.exact_match",
        "name": "exact_match[q0]",
        "file": "experiments/doc_search/exact_match.py",
        "time": "0.203",
    }
    named = {case.attrib["name"]: case for case in router.findall("testcase")}
    assert named["task[q21] #1"].get("file") == "experiments/support_router/task.py"
    assert {"routed[q20] #1", "routed[q20] #2", "max_error_rate"} <= named.keys()


def test_times_add_up():
    """The first evaluation's case has the task's time too; evaluations of one call share its time."""
    both = (evaluation("one", 1.0, evaluator="e"), evaluation("two", 1.0, evaluator="e"), evaluation("f", 1.0))
    found = cases(one(run(1, seconds=2.0, evaluations=both), run(2, seconds=1.0, failure=failure())))
    times = {name: case.get("time") for name, case in found.items()}
    assert (times["one[q1]"], times["two[q1]"]) == ("2.003", "0.000")
    assert (times["f[q1]"], times["task[q2]"], times["e[q2]"]) == ("0.003", "1.000", "0.000")
    assert sum(map(float, filter(None, times.values()))) == pytest.approx(3.006)


@few
@given(random_reports())
def test_a_red_job_has_a_failure_and_a_green_one_has_none(made):
    """Of whatever it was that the job failed."""
    assert is_red(parsed(made)) == (made.exit_code != 0)


def test_it_is_xml_whatever_was_said():
    """Nothing that a model says is markup, is lost as a case, or keeps a parser from reading it."""
    for name, text in CORPUS:
        assert len(list(parsed(hostile(text, keep=())).iter("testcase"))) == HARMLESS, name


def test_what_xml_cannot_hold_is_replaced():
    """Half of a surrogate pair as in results.json, so that both tell the same."""
    [name] = cases(one(judged(1, example=example(1, id="a\ud800b\x1bc\ufffed\u202ee")), exit_code=0))
    assert name == "e[a?b\ufffdc\ufffdd\ufffde]"


@pytest.mark.parametrize("outcome", ["nothing_to_run", "infrastructure", "interrupted", "errors"])
def test_a_job_without_experiments_says_why_it_failed(outcome):
    """Nothing ran, so nothing could fail; the file is not empty, since empty ones are green."""
    root = parsed(red_report(results=(), gates=(), baselines=(), outcome=outcome))
    [case] = root.iter("testcase")
    assert kind(case) == "error"
    assert case[0].get("type") == outcome


def test_an_interrupted_job_is_red_though_all_experiments_held():
    assert is_red(parsed(replace(one(judged(1)), outcome="interrupted", exit_code=130)))


@pytest.mark.slow
def test_a_large_job_is_not_held_as_text():
    """1,500 examples, three times each: of the megabytes that are written only the names are held."""
    examples = [example(number) for number in range(1_500)]
    said = (evaluation("e", 0.5, explanation="because of this and that" * 4),)
    runs = [
        run(number, "out" * 300, example=its, repetition=repetition, evaluations=said)
        for number, its in enumerate(examples)
        for repetition in (1, 2, 3)
    ]
    made = one(*runs, repetitions=3, exit_code=0)
    pieces = junit.pieces(made)
    first = next(pieces)  # the totals are known before the first suite
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece in chain([first], pieces))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 1_200_000 < size < 2_500_000
    assert peak < 1_200_000


def test_a_file_stays_below_what_gitlab_takes():
    """However much each example says: 30 MB; the first ones are told in full."""
    wordy = failure(traceback="word " * 4_000, message="word " * 400)
    runs = [
        run(number, failure=wordy, example=example(number, input={"q": "word " * 1_000})) for number in range(2_000)
    ]
    texts = list(junit.pieces(one(*runs)))
    assert sum(len(text.encode()) for text in texts) < 20_000_000
    assert "word word" in next(text for text in texts if "task[q0]" in text).partition("message=")[2]
    assert "See results.json for details." in next(text for text in texts if "task[q1999]" in text)


# --- what is red ---------------------------------------------------------------------------------------


def test_a_low_score_is_no_failure():
    """Gates judge scores; a green job with failed tests would be unstable in Jenkins."""
    said = (boolean("e", passed=False, explanation="it is wrong"),)
    found = cases(one(run(1, evaluations=said), exit_code=0))
    assert kind(found["e[q1]"]) == "passed"
    assert (found["e[q1]"].findtext("system-out") or "").splitlines()[:2] == ["score 0, label False", "it is wrong"]


def test_what_became_worse_fails_where_the_drop_is_red():
    """Of the two evaluations with a baseline, the one whose drop is too large has its examples failed."""
    found = kinds(red_report())
    assert [name for name, its in found.items() if its == "failure"] == [
        "exact_match max_drop",
        *(f"exact_match[q{number}]" for number in range(5)),
    ]
    text = cases(red_report())["exact_match[q1]"].findtext("failure") or ""
    for part in (
        "exact_match is 0.000, but was 1.000 in the baseline",
        "eval_doc_search_2026-11-19T09:30:00Z (main at 0123456789)",
        "input: How do I get refund number 1?",
        "expected: refund 1",
        'output: {"documents": ["doc 1", "doc 0"]}',
        "explanation: the first document is another",
        "https://phoenix.example.com/redirects/traces/00000000000000000000000000000001",
    ):
        assert part in text


def test_nothing_fails_of_a_drop_that_is_not_red():
    made = red_report()
    made = replace(made, gates=tuple(replace(its, is_red=False, status="passed") for its in made.gates))
    assert "failure" not in kinds(made).values()


@pytest.mark.parametrize(("direction", "after", "worse"), [("maximize", (0.0, 1.0), 1), ("minimize", (1.0, 0.0), 1)])
def test_the_repetitions_that_became_worse_fail(direction, after, worse):
    """Not those that are as good as the example was; for scores that are better when lower, the higher ones."""
    made = red_report()
    [baseline] = made.baselines
    compared = replace(baseline.comparisons[0], direction=direction, name="e")
    before = 1.0 - after[0]
    pair = replace(compared.pairs[0], example_id="q1", before=before, after=sum(after) / 2)
    baseline = replace(baseline, experiment="a", comparisons=(replace(compared, pairs=(pair,)),))
    runs = [judged(1, score, repetition=number + 1, trace_id=f"t{number}") for number, score in enumerate(after)]
    drop = gate(rule="max_drop", evaluation="e", status="failed", is_red=True)
    found = kinds(replace(one(*runs, gates=(drop,), repetitions=2), baselines=(baseline,)))
    assert (found["e[q1] #1"], found["e[q1] #2"]) == ("failure", "passed")
    assert sum(its == "failure" for its in found.values()) == 1 + worse


def test_a_red_gate_has_its_numbers():
    case = cases(red_report())["exact_match max_drop"]
    [told] = case.findall("failure")
    assert told.attrib == {
        "type": "max_drop",
        "message": "exact_match fell by 45.5 points (100.0% to 54.5% over 11 pairs): a drop of at most 2 points is allowed",
    }
    for line in (
        "value: 0.454545",
        "threshold: 0.02",
        "p (one-sided, corrected): 0.03125",
        "95% interval, two-sided (paired t): -0.805 to -0.104",
        "source: evalwire.toml [gates.doc_search] exact_match",
    ):
        assert line in (told.text or "").splitlines()
    assert case.get("file") == "experiments/doc_search/exact_match.py"


@pytest.mark.parametrize(
    ("status", "red", "expected"),
    [
        ("passed", False, "passed"),
        ("failed", True, "failure"),
        ("inconclusive", False, "skipped"),
        ("inconclusive", True, "failure"),
        ("no baseline", False, "skipped"),
    ],
)
def test_a_gate_that_did_not_judge_is_skipped(status, red, expected):
    """Neither passed nor failed, it is shown as neither; unless it is to fail then."""
    drop = gate(rule="max_drop", evaluation="e", status=status, is_red=red)
    found = cases(one(judged(1), gates=(drop,), exit_code=int(red)))
    assert kind(found["e max_drop"]) == expected


def test_a_gate_of_an_experiment_that_is_not_there_is_not_lost():
    root = parsed(red_report(gates=(*red_report().gates, gate(experiment="gone", is_red=True, status="failed"))))
    suite = root.findall("testsuite")[-1]
    assert [case.get("name") for case in suite.findall("testcase")] == ["gone max_error_rate"]


def test_a_failed_task_has_its_traceback():
    """One error for it, and its evaluators are skipped: one cause is one error."""
    found = cases(one(judged(1), run(2, None, failure=failure())))
    assert {name: kind(case) for name, case in found.items()} == {
        "e[q1]": "passed",
        "task[q2]": "error",
        "e[q2]": "skipped",
    }
    [told] = found["task[q2]"].findall("error")
    assert told.attrib == {
        "type": "KeyError",
        "message": "KeyError: 'answer' (/work/experiments/support_router/task.py:12)",
    }
    assert 'return reply["answer"]' in (told.text or "")
    assert "input: How do I get refund number 2?" in (told.text or "")


def test_a_failed_evaluator_is_an_error():
    broken = evaluation("e", None, failure=failure(stage="evaluator", type="ValueError", message="no tone"))
    found = cases(one(run(1, evaluations=(broken,))))
    assert [(name, kind(case), case[0].get("type")) for name, case in found.items()] == [
        ("e[q1]", "error", "ValueError")
    ]


def test_tolerated_errors_are_skipped():
    """Below the rate that a gate allows, the job is green; what failed is told all the same."""
    broken = evaluation("e", None, failure=failure(stage="evaluator"))
    runs = (run(1, None, failure=failure()), run(2, evaluations=(broken,)), judged(3))
    found = cases(one(*runs, gates=(gate(),), exit_code=0))
    assert {name: kind(case) for name, case in found.items()} == {
        "max_error_rate": "passed",
        "task[q1]": "skipped",
        "e[q1]": "skipped",
        "e[q2]": "skipped",
        "e[q3]": "passed",
    }
    assert (found["task[q1]"][0].get("message") or "").startswith("tolerated: KeyError")
    assert 'return reply["answer"]' in (found["task[q1]"].findtext("system-out") or "")


def test_lost_records_are_never_tolerated():
    lost = failure(stage="record", type="PhoenixUnreachable", message="gone", where=None)
    found = kinds(one(judged(1, record_failure=lost), gates=(gate(),)))
    assert (found["e[q1]"], found["record[q1]"]) == ("passed", "error")


@pytest.mark.parametrize(
    ("fields", "name", "file"),
    [
        ({"problems": (failure(stage="import"),)}, "experiment[import]", "experiments/support_router/task.py"),
        ({"failure": failure(stage="open", where=None)}, "experiment[open]", "experiments/a/task.py"),
    ],
    ids=["problem", "failure"],
)
def test_an_experiment_that_failed_as_a_whole_has_an_error(fields, name, file):
    """With the traceback, and at the file where it is from."""
    [(found, case)] = cases(one(**fields, opened=None, example_count=0)).items()
    assert (found, kind(case), case.get("file")) == (name, "error", file)
    assert 'return reply["answer"]' in (case.findtext("error") or "")


def test_runs_that_were_not_made_are_skipped_by_name():
    """Each is counted; the experiment's error says that they lack."""
    made = one(judged(1), example_count=3)
    [its] = made.results
    dataset = replace(its.opened.dataset, examples=tuple(example(number) for number in (0, 1, 2)))
    made = replace(made, results=(replace(its, opened=replace(its.opened, dataset=dataset)),))
    assert kinds(made) == {
        "e[q1]": "passed",
        "task[q0]": "skipped",
        "task[q2]": "skipped",
        "experiment[complete]": "error",
    }


def test_runs_of_unknown_examples_that_were_not_made_are_counted():
    found = cases(one(judged(1), example_count=3))
    assert found["task[others]"][0].get("message") == "2 runs were not made"


def test_what_no_evaluator_said_is_an_error():
    """A run without an evaluator's word, a word that says nothing, and a name that others have: none passes."""
    silent = run(1, evaluations=())
    empty = run(2, evaluations=(evaluation("e", None),))
    assert kinds(one(silent)) == {"e[q1]": "error"}
    assert kinds(one(empty)) == {"e[q2]": "error"}
    uneven = (
        run(3, evaluations=(evaluation("x", 1.0, evaluator="e"), evaluation("y", 1.0, evaluator="e"))),
        run(4, evaluations=(evaluation("x", 1.0, evaluator="e"),)),
    )
    assert kinds(one(*uneven)) == {"x[q3]": "passed", "y[q3]": "passed", "x[q4]": "passed", "y[q4]": "error"}


def test_names_are_made_unique():
    """GitLab takes the first case of a name and drops the others."""
    same = [judged(number, example=example(number, id=name)) for number, name in enumerate(["a", "a", "a (2)", "a"])]
    assert list(kinds(one(*same))) == ["e[a]", "e[a] (2)", "e[a (2)]", "e[a] (3)"]
    long = [judged(number, example=example(number, id="x" * 1_000 + str(number))) for number in range(3)]
    assert len(kinds(one(*long))) == 3


def test_a_suite_has_its_facts():
    suite = parsed(red_report()).find("testsuite")
    assert suite is not None
    facts = {its.attrib["name"]: its.attrib["value"] for its in suite.iter("property")}
    assert facts["dataset"] == "doc_search"
    assert facts["experiment"].endswith("experimentId=EXP-doc_search")
    assert facts["baseline"].endswith("experimentId=EXP-main")
    assert facts["mean exact_match"] == "0.583"
