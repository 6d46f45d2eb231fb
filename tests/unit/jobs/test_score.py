"""New scores of recorded outputs: no task is called, and the job ends as a run with today's evaluators would."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from memory_phoenix import edited
from memory_project import MemoryProject

from evalwire.cli.commands.baseline import pin
from evalwire.cli.commands.compare import compare
from evalwire.cli.commands.gate import gate
from evalwire.cli.commands.resume import resume
from evalwire.cli.commands.run import run
from evalwire.cli.commands.runs import runs
from evalwire.cli.commands.score import score
from evalwire.clocks import now
from evalwire.errors import PhoenixUnreachable
from evalwire.jobs import ExampleRequest
from evalwire.jobs.durations import with_earlier_time
from evalwire.model import own_metadata
from evalwire.reports import load_results

SIZE = 4
TASK = """
import os

async def task(example):
    with open(os.environ["CALLS"], "a") as file:
        file.write(example.id + "\\n")
    if example.id in os.environ.get("FAILING", "").split():
        raise KeyError("no answer")
    return {"text": " right ", "of": os.environ.get("TEXT", "task")}
"""
REFUSES = "async def task(example):\n    raise AssertionError('the task was called')\n"
STRICT = "def is_right(output):\n    return output['text'] == 'right'\n"
FIXED = "def is_right(output):\n    return output['text'].strip() == 'right'\n"


class World(MemoryProject):
    """A project with an experiment whose evaluator is too strict, and whose outputs are recorded."""

    def __init__(self, folder, monkeypatch):
        super().__init__(folder, monkeypatch, size=SIZE, of_split=2, task=TASK, is_right=STRICT)

    def run(self, flags=None, *, environ=None, **selected):
        return self.call(run, flags, environ=environ, examples=ExampleRequest(**selected))

    def score(self, *experiments, flags=None, environ=None, **options):
        return self.call(score, flags, environ=environ, experiments=experiments, **options)

    @property
    def journal(self):
        return max((self.folder / "reports").glob("journal_*.jsonl"), key=lambda path: path.stat().st_mtime_ns)

    def facts(self, experiment):
        return own_metadata(self.phoenix.experiments.records[experiment]["metadata"])

    def outputs(self, experiment):
        return {key: (run["output"], run["error"]) for key, run in self.phoenix.experiments.runs[experiment].items()}


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


@pytest.fixture
def recorded(world):
    """A world after a run whose scores are wrong; the evaluator is fixed, and a call of the task fails."""
    world.run()
    world.write(task=REFUSES, is_right=FIXED)
    return world


def test_a_fixed_evaluator_scores_the_last_run_without_a_call_of_the_task(recorded):
    code, text = recorded.score()
    assert code == 0, text
    assert recorded.calls.read_text() == ""
    assert "search: scoring 4 outputs of eval_search_" in text
    assert "The task is not called" in text
    (experiment,) = recorded.results["experiments"]
    assert [each["mean"] for each in experiment["scores"]] == [1.0]
    assert experiment["experiment_id"] == "E2"
    assert experiment["recorded_name"].startswith("eval_search_")
    assert recorded.outputs("E2") == recorded.outputs("E1")


def test_the_new_experiment_names_its_source_in_metadata_and_in_every_headline(recorded):
    _, text = recorded.score()
    source = recorded.facts("E2")["source"]
    record = recorded.phoenix.experiments.records["E1"]
    assert source == {
        "experiment": "E1",
        "name": record["name"],
        "commit": record["metadata"]["commit"],
        "begun": recorded.facts("E1")["begun"],
    }
    assert text.startswith(f"PASSED (new scores of the outputs of {source['name']} (E1)): 1 experiment, "), text
    summary = (recorded.folder / "reports" / "summary.md").read_text()
    assert "new scores of the outputs of" in summary
    page = (recorded.folder / "reports" / "report.html").read_text()
    assert "No task was called: these are new scores of the outputs of" in page
    assert "source" not in recorded.facts("E1")


def test_new_scores_of_new_scores_name_the_run_that_called_the_task(recorded):
    recorded.score()
    recorded.write(is_right=STRICT)
    recorded.score()
    assert recorded.facts("E3")["source"]["experiment"] == "E1"


def test_latency_tokens_and_cost_are_not_limited_and_this_is_said_once(recorded):
    recorded.settings(
        "[experiments.search.gates]\nmax_p95_seconds = 0.0\nmax_total_tokens = 1\nmax_cost_usd = 0.1\n"
        "is_right = { min_pass_rate = 1.0 }\n"
    )
    code, text = recorded.score()
    assert code == 0, text
    said = "no task is called: max_p95_seconds and max_total_tokens and max_cost_usd are not applied"
    assert text.count(said) == 1
    assert [each["rule"] for each in recorded.results["gates"]] == ["min_pass_rate"]
    code, text = recorded.call(gate, results=recorded.folder / "reports" / "results.json", flags={"baseline": "none"})
    assert code == 0, text


def test_other_gates_decide_the_exit_code_as_in_a_run(recorded):
    recorded.write(is_right=STRICT)
    recorded.settings("[experiments.search.gates]\nis_right = { min_pass_rate = 0.5 }\n")
    code, text = recorded.score()
    assert code == 1
    assert recorded.results["outcome"] == "gate_failed"
    assert "below 50%" in text


def test_new_scores_are_never_a_baseline(recorded):
    recorded.score(environ={})
    reason = "has new scores of outputs of an earlier run"
    file = recorded.folder / "scored.json"
    file.write_text((recorded.folder / "reports" / "results.json").read_text())
    recorded.write(task=TASK)
    for baseline in ("E2", f"file:{file}"):
        code, text = recorded.run({"baseline": baseline})
        assert code == 2
        assert reason in text
    code, text = recorded.call(pin, name="E2", tag="release")
    assert code == 2
    assert reason in text
    recorded.run({"baseline": "auto"})
    (baseline,) = recorded.results["baselines"]
    assert baseline["experiment_id"] == "E1"


def test_the_list_of_runs_marks_new_scores(recorded):
    recorded.score()
    _, text = recorded.call(runs, limit=5, as_json=False)
    lines = [line for line in text.splitlines() if " E" in line]
    assert ["(new scores)" in line for line in lines] == [True, False]


def test_a_baseline_is_older_than_the_run_that_called_the_task(world):
    world.run()
    world.run()
    world.write(task=REFUSES, is_right=FIXED)
    code, text = world.score("E2", flags={"baseline": "auto"})
    assert code == 0, text
    assert world.results["baselines"][0]["experiment_id"] == "E1"
    _, text = world.score("E1", flags={"baseline": "auto"})
    assert "none recorded" in world.results["baselines"][0]["note"]


@pytest.mark.parametrize("command", ["score", "gate"])
def test_the_source_is_not_the_baseline_of_its_new_scores(recorded, command):
    """Phoenix cuts off the fraction of a second from the time of a creation."""
    record = recorded.phoenix.experiments.records["E1"]
    record["created_at"] = record["created_at"].partition(".")[0] + "+00:00"
    recorded.settings("[experiments.search.gates]\nis_right = { max_drop = 0.1 }\n")
    _, text = recorded.score()
    if command == "gate":
        _, text = recorded.call(gate, experiment_ids=["E2"])
    assert "none recorded" in text
    assert "history of" not in text


def test_a_task_that_failed_stays_failed_and_its_evaluators_are_not_called(world, monkeypatch):
    monkeypatch.setenv("FAILING", "q2")
    world.run()
    world.write(task=REFUSES, is_right=FIXED)
    code, _ = world.score()
    assert code == 1
    (experiment,) = world.results["experiments"]
    failed = [run for run in experiment["runs"] if run["failure"]]
    assert [(run["example_id"], run["failure"]["type"], run["evaluations"]) for run in failed] == [
        ("q2", "KeyError", [])
    ]
    assert world.outputs("E2") == world.outputs("E1")


@pytest.mark.parametrize("kind", ["journal", "results.json"])
def test_the_outputs_of_a_file_are_scored(recorded, kind):
    path = recorded.journal if kind == "journal" else recorded.folder / "reports" / "results.json"
    code, text = recorded.score(path=path)
    assert code == 0, text
    assert recorded.outputs("E2") == recorded.outputs("E1")
    assert recorded.facts("E2")["source"]["experiment"] == "E1"


def test_an_output_with_a_masked_secret_is_refused_with_another_place(world, monkeypatch):
    monkeypatch.setenv("TEXT", "a *** b")
    world.run()
    path = world.folder / "reports" / "results.json"
    code, text = world.score(path=path)
    assert code == 2
    assert "masks secrets as *** in the outputs of examples q0, q1, q2, q3" in text
    assert "--from" in text
    assert ".jsonl" in text
    assert "--experiment E1" in text
    assert world.score()[0] == 0  # from Phoenix


def test_results_of_another_server_are_scored_on_the_newest_version_with_the_same_examples(recorded):
    path = recorded.folder / "reports" / "results.json"
    document = json.loads(path.read_text())
    document["experiments"][0]["dataset"] |= {"id": "D9", "version_id": "V1"}
    document["experiments"][0]["metadata"] |= {"evalwire_key": "of another server"}
    document["experiments"][0]["metadata"]["evalwire"]["data"] = "of another server"
    for run_ in document["experiments"][0]["runs"]:
        run_["example_node_id"] = f"other {run_['example_node_id']}"
    other = recorded.folder / "other.json"
    other.write_text(json.dumps(document))
    code, text = recorded.score(path=other)
    assert code == 0, text
    assert recorded.outputs("E2") == recorded.outputs("E1")
    assert "experiment" not in recorded.facts("E2")["source"]  # this ID is of another experiment here


def test_examples_that_the_dataset_no_longer_has_are_named(recorded):
    path = recorded.folder / "reports" / "results.json"
    document = json.loads(path.read_text())
    document["experiments"][0]["metadata"]["evalwire"]["data"] = "of another server"
    path.write_text(json.dumps(document))
    newest = recorded.phoenix.datasets.newest
    recorded.phoenix.datasets.add([edited(newest[0], "new"), *newest[1:]])
    code, text = recorded.score(path=path)
    assert code == 2
    assert (
        "cannot score the outputs of example q0: version V2 of the dataset 'search' does not have this example" in text
    )


def test_an_example_that_left_the_split_is_named(world):
    world.run({"split": "smoke"})
    world.phoenix.datasets.of_split.discard("q1")
    code, text = world.score()
    assert code == 2
    assert "the outputs of example q1" in text
    assert "split 'smoke'" in text


def test_the_version_the_split_and_the_repetitions_are_those_of_the_source(world):
    world.run({"split": "smoke", "repetitions": "2"})
    world.write(task=REFUSES, is_right=FIXED)
    world.phoenix.datasets.add([edited(each, "new") for each in world.phoenix.datasets.newest])
    code, text = world.score()
    assert code == 0, text
    record = world.phoenix.experiments.records["E2"]
    assert (record["dataset_version_id"], record["repetitions"], world.facts("E2")["split"]) == ("V1", 2, "smoke")
    assert world.outputs("E2") == world.outputs("E1")
    assert len(world.outputs("E2")) == 4


def test_the_scores_of_a_partial_run_are_partial(world):
    world.settings("[experiments.search.gates]\nis_right = { min_pass_rate = 1.0 }\n")
    world.run(ids=["q1"])
    world.write(task=REFUSES)
    code, text = world.score(environ={"CI": "true"})
    assert code == 1, text
    assert "PARTIAL: search has only the examples of --example q1" in text
    assert world.results["partial"]["examples"] == 1
    assert list(world.outputs("E2")) == [("N1", 1)]
    assert world.score(environ={"CI": "true"}, allow_partial=True)[0] == 0


def test_a_run_without_an_output_is_a_failure_that_names_the_reason(world):
    world.run({"max_failures": "1"})
    del world.phoenix.experiments.runs["E1"]["N3", 1]
    world.write(task=REFUSES, is_right=FIXED)
    code, text = world.score()
    assert code == 1
    assert "the scored run has no output of this example and repetition" in text
    assert world.results["experiments"][0]["failed"] == 1


@pytest.mark.parametrize("kept", [1, 2, 3, 6])  # lines after the outputs: none, creation, ID, evaluations
def test_resume_completes_interrupted_scores_without_a_call_of_the_task(recorded, kept):
    recorded.score()
    journal = recorded.journal
    text = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(text[: 4 + kept]))
    recorded.phoenix.experiments.runs["E2"] = {}
    code, said = recorded.call(resume)
    assert code == 0, said
    assert recorded.calls.read_text() == ""
    newest = list(recorded.phoenix.experiments.records)[-1]
    assert recorded.outputs(newest) == recorded.outputs("E1")
    assert recorded.facts(newest)["source"]["experiment"] == "E1"
    assert recorded.results["experiments"][0]["scores"][0]["mean"] == 1.0


def test_a_journal_that_lacks_outputs_is_refused(recorded):
    recorded.score()
    lines = recorded.journal.read_text().splitlines(keepends=True)
    recorded.journal.write_text("".join(lines[:3]))
    code, text = recorded.call(resume)
    assert code == 2
    assert "does not have all 4 outputs of search" in text
    assert "evalwire score" in text


def test_new_scores_cannot_be_resumed_from_phoenix_where_outputs_may_be_missing(recorded):
    recorded.score()
    code, text = recorded.call(resume, experiment_id="E2")
    assert code == 2
    assert "only its journal can complete it" in text


def test_retry_failed_calls_failed_evaluators_again_and_no_task(world, monkeypatch):
    monkeypatch.setenv("FAILING", "q2")
    world.run()
    world.write(task=REFUSES, is_right="def is_right(output):\n    raise ValueError('broken')\n")
    assert world.score()[0] == 1
    world.write(is_right=FIXED)
    code, text = world.call(resume, retry_failed=True, accept_changes=True)
    assert code == 1, text  # of the failed task
    (experiment,) = world.results["experiments"]
    assert experiment["failed"] == 1
    assert experiment["scores"][0]["count"] == 3


def test_a_changed_task_does_not_keep_new_scores_from_being_resumed(recorded):
    recorded.score()
    recorded.write(task=REFUSES + "# changed\nNUMBER = 2\n")
    code, text = recorded.call(resume)
    assert code == 0, text


def test_the_files_of_the_task_are_those_that_returned_the_outputs(recorded):
    recorded.score()
    then, now_ = (recorded.facts(each)["inputs"]["files"] for each in ("E1", "E2"))
    assert now_["experiments/search/task.py"] == then["experiments/search/task.py"]
    assert now_["experiments/search/is_right.py"] != then["experiments/search/is_right.py"]


def test_the_duration_of_the_source_does_not_count(recorded):
    recorded.score()
    (result,) = load_results(recorded.folder / "reports" / "results.json").results
    long_ago = now() - timedelta(days=2)
    runs_ = [replace(run_, start_time=long_ago, end_time=long_ago + timedelta(hours=1)) for run_ in result.runs]
    (timed,) = with_earlier_time([replace(result, runs=tuple(runs_))], now() - timedelta(days=1))
    assert timed.seconds == result.seconds


@pytest.mark.parametrize("setting", [{"shard": "1/2"}, {"plan": "plan.json"}])
def test_shards_are_refused(recorded, setting):
    code, text = recorded.score(flags=setting)
    assert code == 2
    assert "score cannot be divided into shards" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shard": "1/2"}, "it has the outputs of a single shard"),
        ({"dry_run": True}, "it is from a dry run"),
        ({"experiments": []}, "the recorded run has no experiment"),
    ],
)
def test_a_file_without_all_outputs_of_a_run_is_refused(recorded, change, message):
    path = recorded.folder / "reports" / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    code, text = recorded.score(path=path)
    assert code in (1, 2)
    assert message in text


def test_a_name_that_stands_for_nothing_is_wrong_use(world):
    code, text = world.score()
    assert code == 2
    assert "no recorded experiment matches last" in text
    world.run()
    code, text = world.score(path=world.journal, flags={"names": ["other"]})
    assert code == 2
    assert "the recorded run has no experiment 'other'" in text


def test_outputs_that_another_tool_recorded_are_scored(recorded):
    record = recorded.phoenix.experiments.records["E1"]
    record |= {"metadata": {}, "name": "from a script"}
    code, text = recorded.score("E1")
    assert code == 0, text
    assert recorded.facts("E2")["source"] == {"experiment": "E1", "name": "from a script"}
    assert next(iter(recorded.facts("E2")["inputs"]["files"])) == "(not known)"


def test_an_experiment_without_a_recorded_run_is_named(recorded):
    (recorded.folder / "experiments" / "other").mkdir()
    (recorded.folder / "experiments" / "other" / "task.py").write_text(REFUSES)
    code, text = recorded.score()
    assert code == 0, text
    assert "not scored, because they have no recorded run: other" in text


def test_a_run_that_was_interrupted_before_its_first_output_is_wrong_use(recorded):
    recorded.phoenix.experiments.runs["E1"] = {}
    code, text = recorded.score()
    assert code == 2
    assert "has no output of search, which did not start or was interrupted" in text


def test_the_scores_before_and_after_a_fix_can_be_compared(recorded):
    recorded.score()
    code, text = recorded.call(compare, before="last~1", after="last")
    assert code == 0, text
    assert " 0.0%" in text
    assert "100.0%" in text


def test_an_outage_keeps_new_scores_in_the_journal_and_resume_sends_them(recorded, monkeypatch):
    record = recorded.phoenix.runs.record_evaluation

    def fail(*args, **options):
        raise PhoenixUnreachable("Phoenix does not answer")

    monkeypatch.setattr(recorded.phoenix.runs, "record_evaluation", fail)
    assert recorded.score()[0] == 1
    assert recorded.results["outcome"] == "infrastructure"
    monkeypatch.setattr(recorded.phoenix.runs, "record_evaluation", record)
    code, text = recorded.call(resume)
    assert code == 0, text
    assert recorded.outputs("E2") == recorded.outputs("E1")
