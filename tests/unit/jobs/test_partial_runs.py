"""Runs of selected examples: never a baseline, never passed by gates that they did not apply."""

from __future__ import annotations

import pytest
from memory_project import MemoryProject

from evalwire.cli.commands.baseline import pin
from evalwire.cli.commands.gate import gate
from evalwire.cli.commands.report import report
from evalwire.cli.commands.resume import resume
from evalwire.cli.commands.run import run
from evalwire.cli.commands.watch import watch
from evalwire.errors import PhoenixUnreachable
from evalwire.jobs import ExampleRequest
from evalwire.model import Example, own_metadata
from evalwire.reports import load_results, outputs

SIZE = 20
TASK = """
import os

async def task(example):
    with open(os.environ["CALLS"], "a") as file:
        file.write(example.id + "\\n")
    if example.id in os.environ.get("FAILING", "").split():
        raise ValueError("no answer")
    return "wrong" if example.id in ("q3", "q4") else "right"
"""
GATES = "[experiments.search.gates]\nis_right = { min_pass_rate = 0.8, max_drop = 0.1 }\n"


class World(MemoryProject):
    """A project with an experiment on 20 examples, of which two are scored False."""

    def __init__(self, folder, monkeypatch):
        right = "def is_right(output):\n    return output == 'right'\n"
        super().__init__(folder, monkeypatch, size=SIZE, of_split=10, task=TASK, is_right=right)
        self.settings(GATES)

    def run(self, *, flags=None, environ=None, options=None, **asked):
        return self.call(run, flags, environ=environ, examples=ExampleRequest(**asked), **(options or {}))

    @property
    def called(self):
        return sorted(self.calls.read_text().split())

    @property
    def newest(self):
        return list(self.phoenix.experiments.records.values())[-1]


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_selected_examples_run_and_the_run_is_recorded_as_partial(world):
    code, text = world.run(text="QUESTION 1")
    assert code == 0, text
    assert text.startswith("PARTIAL (11 of 20 examples, -k 'QUESTION 1'; 2 gates not applied): 1 experiment, 11 ex")
    assert "2 gates were not applied: limits are for all examples" in text
    assert "PARTIAL: 11 of 20 examples, -k 'QUESTION 1'\n" in text
    assert world.called == sorted(f"q{n}" for n in (1, *range(10, 20)))
    found = world.results
    assert (found["outcome"], found["exit_code"], found["gates"]) == ("partial", 0, [])
    assert found["partial"] == {"selection": "-k 'QUESTION 1'", "examples": 11, "of": 20, "gates": 2}
    facts = own_metadata(world.newest["metadata"])
    assert facts["partial"] == {"text": "QUESTION 1", "examples": 11, "of": 20}
    assert facts["outcome"] == "partial"


def test_a_failure_in_a_partial_run_is_an_error(world):
    world.set(FAILING="q1")
    code, text = world.run(ids=["q1", "q2"])
    assert code == 1
    assert text.startswith("FAILED (PARTIAL: 2 of 20 examples, --example q1 --example q2; 2 gates not applied): ")
    assert world.results["outcome"] == "errors"
    assert own_metadata(world.newest["metadata"])["outcome"] == "errors"


def test_the_same_sample_runs_again_and_its_seed_is_recorded(world):
    code, text = world.run(sample=5)
    assert code == 0
    assert text.startswith("PARTIAL (5 of 20 examples, --sample 5 --seed 0;")
    first = world.called
    assert own_metadata(world.newest["metadata"])["partial"] == {"sample": 5, "seed": 0, "examples": 5, "of": 20}
    world.run(sample=5)
    assert world.called == first
    world.run(sample=5, seed=3)
    assert world.called != first


@pytest.mark.parametrize(
    ("environ", "options", "code"),
    [
        ({"CI": "true"}, {}, 1),
        ({"GITHUB_ACTIONS": "true"}, {}, 1),
        ({"CI": "true"}, {"allow_partial": True}, 0),
        ({"CI": "false"}, {}, 0),
        ({"CI": "true"}, {"dry_run": 2}, 0),
    ],
)
def test_a_partial_run_passes_in_ci_only_if_that_is_allowed_or_nothing_is_recorded(world, environ, options, code):
    found, text = world.run(text="question", environ=environ, options=options)
    assert found == code, text
    assert ("add --allow-partial" in text) == bool(code)


def test_without_gates_a_partial_run_passes_in_ci(world):
    (world.folder / "evalwire.toml").write_text("")
    code, text = world.run(ids=["q1"], environ={"CI": "true"})
    assert code == 0
    assert "gates not applied" not in text


def test_every_report_of_a_refused_partial_run_says_why(world):
    world.run(ids=["q1"], environ={"CI": "1"})
    reports = {
        name: (world.folder / "reports" / name).read_text() for name in ("summary.md", "report.html", "evalwire.xml")
    }
    assert reports["summary.md"].startswith("## ❌ evalwire PARTIAL (1 of 20 examples, --example q1; 2 gates not ")
    assert "limits are for all examples. In CI, such a run fails without --allow-partial" in reports["summary.md"]
    assert "1 of 20 examples, --example q1; 2 gates not applied" in reports["report.html"]
    assert "2 gates were not applied: limits are for all examples. In CI, such a run fails" in reports["report.html"]
    assert 'errors="1"' in reports["evalwire.xml"]
    assert "a partial run does not pass in CI while gates are configured" in reports["evalwire.xml"]
    code, text = world.call(report, path=None, format_="console", output=None)
    assert "2 gates were not applied: limits are for all examples. In CI, such a run fails" in text
    code, text = world.call(report, path=None, format_="annotations", output=None)
    assert code == 0
    assert "::error title=evalwire::a partial run does not pass in CI" in text
    assert "::warning title=evalwire::PARTIAL: 1 of 20 examples" in text


def test_the_output_of_the_action_is_not_passed(world):
    assert world.run(ids=["q1"])[0] == 0
    report_ = load_results(world.folder / "reports" / "results.json")
    assert {"outcome=partial", "passed=false"} <= set(outputs.lines(report_, {}))


def test_text_of_the_user_is_inert_in_every_report(world):
    hostile = "question 1\x1b[31m<img src=x>`[a](http://b)`|"
    world.phoenix.datasets.add([Example(id="h", node_id="NH", input={"q": hostile}, output={}, metadata={})])
    code, text = world.run(text=hostile)
    assert code == 0
    assert "\x1b" not in text
    assert "<img" not in (world.folder / "reports" / "report.html").read_text()
    first = (world.folder / "reports" / "summary.md").read_text().splitlines()[0]
    assert "\x1b" not in first
    assert "`" in first  # a code span


def test_a_partial_run_is_never_a_baseline(world):
    main = {"GITHUB_ACTIONS": "true", "GITHUB_REF_NAME": "main"}
    pull_request = {"GITHUB_ACTIONS": "true", "GITHUB_HEAD_REF": "topic", "GITHUB_BASE_REF": "main"}
    world.run(text="question", environ=main, options={"allow_partial": True})  # all 20 examples
    assert world.results["outcome"] == "partial"
    part = world.newest["id"]
    code, text = world.call(run, environ=pull_request)
    assert code == 0
    assert "is from a partial run" in text
    world.call(run, environ=main)
    world.run(ids=["q1"], environ=main, options={"allow_partial": True})
    file = world.folder / "reports" / "results.json"
    for baseline, reason in ((part, "from a partial run"), (f"file:{file}", "it is from a partial run")):
        code, text = world.call(run, {"baseline": baseline}, environ=pull_request)
        assert code == 2
        assert reason in text
    code, text = world.call(run, environ=pull_request)
    assert code == 0, text
    assert "is from a partial run" not in text


def test_a_partial_run_is_compared_only_with_a_requested_baseline(world):
    world.call(run, environ={"GITHUB_ACTIONS": "true", "GITHUB_REF_NAME": "main"})
    topic = {"GITHUB_ACTIONS": "true", "GITHUB_REF_NAME": "topic"}
    world.run(ids=["q3", "q5"], environ=topic)
    assert world.results["baselines"] == []
    world.run(ids=["q3", "q5"], environ=topic, flags={"baseline": "branch:main"})
    (baseline,) = world.results["baselines"]
    assert (baseline["paired"], baseline["removed"], baseline["added"]) == (2, [], [])


def test_gates_are_not_applied_to_recorded_partial_runs_and_they_are_not_pinned(world):
    world.run(ids=["q1"])
    for flags in ({}, {"experiment_ids": [world.newest["id"]]}):
        code, text = world.call(gate, **flags)
        assert code == 2
        assert "it is from a partial run, and the limits are for all examples" in text
    code, text = world.call(pin, name=world.newest["id"], tag="release")
    assert code == 2
    assert "is from a partial run, so it is never a baseline" in text


def test_failing_examples_run_until_they_pass_and_others_are_not_forgotten(world):
    world.set(FAILING="q7 q9")
    assert world.call(run)[0] == 1
    assert world.results["failing"] == {"search": ["q3", "q4", "q7", "q9"]}
    world.set(FAILING="q9")
    assert world.run(ids=["q7", "q8"])[0] == 0
    assert world.called == ["q7", "q8"]
    assert world.results["failing"] == {"search": ["q3", "q4", "q9"]}
    code, text = world.run(failing=True)
    assert code == 1
    assert text.startswith("FAILED (PARTIAL: 3 of 20 examples, --failing; 2 gates not applied)")
    assert world.called == ["q3", "q4", "q9"]
    world.set(FAILING="")
    assert world.run(failing=True, ids=["q9"])[0] == 0
    assert world.results["failing"] == {"search": ["q3", "q4"]}


def test_a_partial_run_shows_its_examples_that_did_not_pass_and_their_outputs(world):
    """No gate and no baseline shows them. A failed call is among the failures only."""
    world.set(FAILING="q9")
    assert world.call(run)[0] == 1
    code, text = world.run(failing=True)
    assert code == 1
    shown = text.partition("  2 examples did not pass\n")[2].splitlines()
    lines = [line.strip() for line in shown if "/traces/" not in line]
    assert lines[:4] == ["question 3?  (q3)", "is_right False", "output    wrong", "question 4?  (q4)"]
    code, text = world.run(ids=["q3", "q5"])
    assert code == 0
    assert "search: partial run\n  1 example did not pass\n    question 3?  (q3)\n" in text, text
    code, text = world.run(ids=["q5"])
    assert "partial run\n" not in text
    code, text = world.call(run)
    assert "did not pass" not in text, "a complete run has gates"


def test_a_score_of_false_does_not_fail_an_example_if_lower_is_better(world):
    """Also in a partial run, to which the gate that says so is not applied. Otherwise, --failing would never end."""
    world.settings("[experiments.search.gates]\nis_right = { max_pass_rate = 0.5 }\n")
    assert world.call(run)[0] == 1
    assert "q3" not in world.results["failing"]["search"]
    code, text = world.run(ids=["q3", "q5"])
    assert code == 0
    assert "q3" not in world.results["failing"]["search"]
    assert "search: partial run\n  1 example did not pass\n    question 5?  (q5)\n      is_right True\n" in text, text


def test_failing_examples_survive_an_outage(world):
    world.call(run)
    fetch = world.phoenix.datasets.fetch
    world.phoenix.datasets.fetch = lambda *_, **__: (_ for _ in ()).throw(PhoenixUnreachable("no response"))
    assert world.run(failing=True)[0] == 1
    assert world.results["outcome"] == "infrastructure"
    world.phoenix.datasets.fetch = fetch
    assert world.results["failing"] == {"search": None}  # it could not start
    assert world.run(failing=True)[0] == 0
    assert len(world.called) == SIZE
    assert world.results["failing"] == {"search": ["q3", "q4"]}


def test_failing_without_results_or_failures_is_wrong_use(world):
    code, text = world.run(failing=True)
    assert code == 2
    assert "Run all examples first with `evalwire run`" in text
    world.phoenix.datasets.add(world.phoenix.datasets.newest[:3])
    world.call(run)
    code, text = world.run(failing=True)
    assert code == 2
    assert "nothing failed or became worse in" in text


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"ids": ["q1", "q111"]},
            "no example of the selected experiments has the ID 'q111'. Did you mean 'q11' or 'q1'?",
        ),
        (
            {"text": "kuestion"},
            "no example of search matches -k kuestion, so there is nothing to run.\nClose matches: question.",
        ),
        ({"ids": ["q1"], "text": "question 2"}, "no example of search matches -k 'question 2' --example q1"),
        ({"text": " "}, "-k needs a text that is not empty"),
        ({"ids": [""]}, "--example needs a text that is not empty"),
        ({"seed": 3}, "--seed requires --sample"),
    ],
)
def test_a_selection_without_examples_is_wrong_use_before_anything_runs(world, asked, said):
    code, text = world.run(**asked)
    assert code == 2
    assert said in text
    assert world.called == []
    assert world.phoenix.experiments.records == {}


def test_experiments_without_a_selected_example_are_left_out(world):
    other = world.folder / "experiments" / "absent"
    other.mkdir()
    for file in ("task.py", "is_right.py"):
        (other / file).write_text((world.folder / "experiments" / "search" / file).read_text())
    (world.folder / "evalwire.toml").write_text('[experiments.absent]\ndataset = "search"\n')
    world.set(FAILING="q7")
    world.call(run, {"names": ["search"]})
    code, text = world.run(failing=True)
    assert code == 1
    assert "no example is selected in: absent" in text
    assert [each["name"] for each in world.results["experiments"]] == ["search"]


def test_a_split_repetitions_and_a_dry_run_apply_to_the_selection(world):
    code, text = world.run(text="question", flags={"split": "smoke", "repetitions": 2})
    assert code == 0
    assert text.startswith("PARTIAL (10 of 10 examples, -k question;")
    assert world.called == sorted([f"q{n}" for n in range(10)] * 2)
    code, text = world.run(ids=["q5", "q6", "q7"], options={"dry_run": 2})
    assert code == 0
    assert text.startswith("PARTIAL (dry run, nothing recorded; 2 of 20 examples, --example q5 ")
    assert world.called == ["q5", "q6"]


def test_shards_cannot_select_examples(world):
    code, text = world.run(ids=["q1"], flags={"shard": "1/2"}, environ={"EVALWIRE_RUN_KEY": "k"})
    assert code == 2
    assert "--example q1 cannot be used with shards" in text


@pytest.mark.parametrize("by", ["journal", "experiment"])
def test_a_resumed_partial_run_runs_the_rest_of_the_selection(world, by):
    world.set(FAILING="q12")
    assert world.run(ids=["q11", "q12", "q13"])[0] == 1
    world.set(FAILING="")
    options = {} if by == "journal" else {"experiment_id": world.newest["id"]}
    code, text = world.call(resume, retry_failed=True, **options)
    assert "PARTIAL (3 of 20 examples, --example q11 --example q12 --example q13; 2 gates not applied)" in text
    assert world.results["outcome"] == "partial", text
    assert code == 0
    assert world.called == ["q12"]
    code, text = world.call(resume, environ={"CI": "1"}, **options)
    assert code == 1
    assert "add --allow-partial" in text
    assert world.call(resume, environ={"CI": "1"}, allow_partial=True, **options)[0] == 0


def test_names_select_whole_experiments_which_are_not_partial(world):
    code, text = world.call(run, {"names": ["search"]})
    assert code == 0
    assert text.startswith("PASSED (1 gate passed)")
    assert world.results["partial"] is None


@pytest.mark.parametrize(
    ("environ", "flags", "said"),
    [
        ({"CI": "true"}, {}, "--watch cannot be used in CI, where it would never end"),
        ({}, {"shard": "1/2"}, "--watch cannot be used with shards"),
        ({}, {}, "--watch needs a terminal"),
    ],
)
def test_a_watched_run_needs_a_person_at_a_terminal(world, environ, flags, said):
    options = {"arguments": ["run"], "settings_files": [], "uploads": False, "is_dry_run": False}
    code, text = world.call(watch, flags, environ=environ, **options)
    assert code == 2
    assert said in text
