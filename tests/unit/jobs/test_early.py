"""Runs that end when their gates are decided: through the commands' own code, on a Phoenix in memory."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from memory_project import MemoryProject

from evalwire.cli.commands.gate import gate
from evalwire.cli.commands.plan import plan
from evalwire.cli.commands.report import report
from evalwire.cli.commands.resume import resume
from evalwire.cli.commands.run import run
from evalwire.cli.commands.runs import runs
from evalwire.cli.commands.score import score
from evalwire.errors import PhoenixUnreachable
from evalwire.model import own_metadata

SIZE = 200
TASK = """
import asyncio
import os

async def task(example):
    await asyncio.sleep(0.002)
    with open(os.environ["CALLS"], "a") as file:
        file.write(example.id + "\\n")
    if example.id in os.environ.get("FAILING", "").split():
        raise ValueError("no answer")
    return "wrong" if example.id in os.environ.get("WRONG", "").split() else "right"
"""
LIMIT = "[gates]\nis_right = { min_pass_rate = 0.9 }\n"
DROP = "[gates]\nis_right = { max_drop = 0.02 }\n"
EARLY = {"stop_early": "true"}


class World(MemoryProject):
    """A project with an experiment on 200 examples, some of which have wrong outputs."""

    def __init__(self, folder, monkeypatch):
        right = "async def is_right(output):\n    return output == 'right'\n"
        super().__init__(folder, monkeypatch, size=SIZE, of_split=10, task=TASK, is_right=right)
        self.settings(LIMIT)

    def run(self, *, early=True, flags=None, **options):
        """Run on another branch than the base branch, whatever branch the tests run on."""
        own = {**(EARLY if early else {}), "base_branch": "another", **(flags or {})}
        return self.call(run, own, **options)

    def gate(self):
        return self.call(gate, {"base_branch": "another"}, experiment_ids=[self.newest["id"]])

    def resume(self, flags=None, **options):
        return self.call(resume, {"base_branch": "another", **(flags or {})}, **options)

    def wrong(self, share, *, seed=1):
        """Make the outputs of a share of the examples wrong, at random."""
        ids = random.Random(seed).sample([f"q{n}" for n in range(SIZE)], round(share * SIZE))
        self.set(WRONG=" ".join(ids))

    @property
    def called(self):
        return self.calls.read_text().split()

    @property
    def newest(self):
        return list(self.phoenix.experiments.records.values())[-1]

    @property
    def stopping(self):
        return self.results["experiments"][0]["stopping"]


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_a_run_ends_when_its_limit_is_decided_and_says_so_everywhere(world):
    world.wrong(0.02)
    code, text = world.run()
    seen = world.stopping["seen"]
    assert code == 0, text
    assert 30 <= seen < SIZE / 2
    assert text.startswith(f"PASSED (1 gate passed; decided after {seen} of 200 examples, risk 1%): 1 experiment, ")
    assert f"{SIZE - len(world.called)} runs not needed" in text.splitlines()[0]
    assert len(set(world.called)) == len(world.called) == seen + world.stopping["beyond"]
    found = world.results
    assert (found["outcome"], found["exit_code"], found["experiments"][0]["examples"]) == ("passed", 0, seen)
    assert len(found["experiments"][0]["runs"]) == seen
    (applied,) = found["gates"]
    assert (
        f"; decided after {seen} of 200 examples: the whole experiment would fail with a probability of at most 1%"
        in (applied["text"])
    )
    reports = world.folder / "reports"
    assert f"decided after {seen} of 200 examples" in (reports / "summary.md").read_text().splitlines()[0]
    assert 'name="task[not needed]"' in (reports / "evalwire.xml").read_text()
    assert f"decided after {seen} of 200 examples" in (reports / "report.html").read_text()
    facts = own_metadata(world.newest["metadata"])
    assert (facts["outcome"], facts["stopping"]["seen"], facts["stopping"]["risk"]) == ("passed", seen, 0.01)


def test_the_saved_results_show_the_same_report(world):
    world.wrong(0.02)
    _, text = world.run()
    code, again = world.call(report, path=None, format_="console")
    assert code == 0
    assert again.splitlines()[0].split(", 0.")[0] == text.splitlines()[0].split(", 0.")[0]


def test_the_list_of_runs_says_of_which_part_a_score_is(world):
    world.run()
    _, text = world.call(runs, limit=5)
    assert f"passed ({world.stopping['seen']} of 200 examples)" in text
    _, text = world.call(runs, limit=5, as_json=True)
    assert json.loads(text)[0]["part"] == f"{world.stopping['seen']} of 200 examples"


def test_a_run_ends_when_its_limit_cannot_be_met_any_more(world):
    world.wrong(0.4)
    code, text = world.run()
    assert (code, world.results["outcome"]) == (1, "gate_failed")
    assert text.startswith(f"FAILED (1 of 1 gate failed; decided after {world.stopping['seen']} of 200 examples")
    assert len(world.called) < SIZE / 2


def test_without_the_flag_every_example_runs_in_the_order_of_the_dataset(world):
    code, text = world.run(early=False, flags={"task_concurrency": "1"})
    assert (code, world.called) == (0, [f"q{n}" for n in range(SIZE)])
    assert world.stopping is None
    assert "decided" not in text


def test_the_order_is_random_and_differs_between_runs(world):
    orders = []
    for _ in range(2):
        world.run(flags={"task_concurrency": "1"})
        orders.append(world.called[:20])
    assert orders[0] != orders[1]
    assert orders[0] != [f"q{n}" for n in range(20)]


def test_a_failed_run_fails_the_job_and_ends_it(world):
    world.set(FAILING=" ".join(f"q{n}" for n in range(0, SIZE, 3)))
    code, text = world.run()
    assert (code, world.results["outcome"]) == (1, "errors")
    assert world.stopping["seen"] == 30, "no decision on fewer"
    assert "decided after 30 of 200 examples" in text


def test_with_errors_all_a_run_without_failures_needs_every_example(world):
    world.settings(LIMIT + "[stopping]\nerrors = 'all'\n")
    code, _ = world.run()
    assert (code, len(world.called), world.stopping["seen"]) == (0, SIZE, SIZE)


def test_with_errors_all_no_risk_is_taken_that_a_run_fails(world):
    world.settings(LIMIT + "[stopping]\nerrors = 'all'\nrisk = 0.5\n")
    code, _ = world.run(flags={"task_concurrency": "1"})
    assert (code, len(world.called)) == (0, SIZE)


def test_a_drop_ends_its_run_and_a_run_without_change_passes_early(world):
    world.settings(DROP)
    world.wrong(0.10, seed=1)
    assert world.run(early=False)[0] == 0
    world.wrong(0.10, seed=2)
    code, text = world.run()
    assert code == 0, text
    assert world.stopping["seen"] < SIZE
    assert "the whole experiment would fail with a probability of" in world.results["gates"][0]["text"]
    world.wrong(0.40, seed=3)
    code, text = world.run()
    assert code == 1
    assert world.stopping["seen"] <= SIZE / 2
    assert "look " in world.results["gates"][0]["text"]
    assert "(p" in text or "p =" in text


def test_a_run_that_ended_early_is_never_a_baseline(world):
    world.settings(DROP)
    assert world.run(early=False)[0] == 0
    whole = world.newest["id"]
    world.settings(LIMIT)
    world.wrong(0.01)
    world.run()
    early = world.newest["id"]
    assert world.stopping["seen"] < SIZE
    world.settings(DROP)
    world.run(early=False)
    assert world.results["baselines"][0]["experiment_id"] == whole
    saved = (world.folder / "early.json").as_posix()
    world.settings(LIMIT)
    world.run()
    (world.folder / "reports" / "results.json").rename(saved)
    world.settings("[gates]\nis_right = { max_drop = 0.02, min_paired = 0.01 }\n")
    for baseline in (early, f"file:{saved}"):
        code, text = world.run(early=False, flags={"baseline": baseline})
        assert code == 2, text
        assert "ended early, after" in text


def test_resume_of_a_run_that_ended_early_calls_nothing(world):
    world.wrong(0.02)
    world.run()
    seen = world.stopping["seen"]
    code, text = world.resume()
    assert (code, world.called) == (0, []), text
    assert world.stopping["seen"] == seen


def test_resume_records_all_that_was_paid_also_beyond_the_decision(world, monkeypatch):
    """Phoenix is gone after 15 runs, while many are in flight; nothing is called again."""
    record = world.phoenix.runs.record
    recorded = itertools.count(1)

    def until_gone(*arguments, **options):
        if next(recorded) > 15:
            raise PhoenixUnreachable("the server does not answer")
        return record(*arguments, **options)

    monkeypatch.setattr(world.phoenix.runs, "record", until_gone)
    assert world.run(flags={"task_concurrency": "100"})[0] == 1
    made = len(world.called)
    monkeypatch.setattr(world.phoenix.runs, "record", record)
    code, text = world.resume()
    assert (code, world.called) == (0, []), text
    stopping = world.stopping
    assert stopping["seen"] + stopping["beyond"] == made == len(world.phoenix.experiments.runs[world.newest["id"]])
    assert f"{SIZE - made} runs not needed" in text


def test_resume_whole_runs_the_rest_and_judges_all(world):
    world.wrong(0.12)
    world.settings("[gates]\nis_right = { min_pass_rate = 0.8 }\n")
    world.run()
    first = world.stopping["seen"] + world.stopping["beyond"]
    assert first < SIZE
    code, text = world.resume(whole=True)
    assert code == 0, text
    assert len(world.called) == SIZE - first
    assert world.stopping is None
    assert world.results["experiments"][0]["scores"][0]["pass_rate"] == pytest.approx(0.88)
    assert "stopping" not in own_metadata(world.newest["metadata"])
    world.settings(DROP)
    assert world.run(early=False)[0] == 0
    assert world.results["baselines"][0]["note"] == "", "the whole experiment is a baseline"


def test_a_whole_run_stays_whole_when_it_is_resumed_again(world):
    """Nothing is left to save, so that all runs count, and the run is still a baseline."""
    world.wrong(0.02)
    world.run()
    assert world.resume(whole=True)[0] == 0
    code, text = world.resume()
    assert (code, world.called, world.stopping) == (0, [], None), text
    assert "seen" not in own_metadata(world.newest["metadata"]).get("stopping", {})


def test_the_part_of_an_earlier_attempt_is_not_recorded_for_a_later_one(world):
    """The first attempt passed early. The second has a stricter gate, and fails before it is decided."""
    world.wrong(0.02)
    world.run(flags={"task_concurrency": "1"})
    world.settings("[gates]\nis_right = { min_pass_rate = 0.97 }\nmax_error_rate = 0.5\n")
    world.set(FAILING=" ".join(f"q{n}" for n in range(SIZE)))
    flags = {"max_failures": "1", "task_concurrency": "1"}
    code, text = world.resume(flags, experiment_id=world.newest["id"])
    assert code == 1, text
    assert world.stopping is None
    facts = own_metadata(world.newest["metadata"])["stopping"]
    assert "risk" in facts
    assert "seen" not in facts


def test_resume_whole_of_a_recorded_experiment(world):
    world.wrong(0.02)
    world.run()
    code, text = world.resume(experiment_id=world.newest["id"], whole=True)
    assert code == 0, text
    assert len(world.phoenix.experiments.runs[world.newest["id"]]) == SIZE


def test_gates_are_applied_again_to_the_part_that_decided_them(world):
    world.wrong(0.02)
    world.run()
    seen = world.stopping["seen"]
    code, text = world.gate()
    assert code == 0, text
    assert f"decided after {seen} of 200 examples" in text
    world.settings("[gates]\nis_right = { min_pass_rate = 0.95 }\n")
    code, text = world.gate()
    assert code == 2
    assert f"search ended early, after {seen} of 200 examples, which do not decide: is_right min_pass_rate" in text
    assert "evalwire resume --whole" in text


@pytest.mark.parametrize(
    ("flags", "settings", "reason"),
    [
        ({}, "", "no gates are configured"),
        ({"base_branch": "main"}, LIMIT, "experiments on the base branch run whole"),
    ],
)
def test_where_nothing_ends_early_the_run_says_why(world, flags, settings, reason):
    world.settings(settings)
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_REF_NAME": "main", "GITHUB_REF": "refs/heads/main"} if flags else {}
    code, text = world.call(run, {**EARLY, **flags}, environ=environ)
    assert code == 0
    assert f"--stop-early has no effect: {reason}" in text
    assert len(world.called) == SIZE


def test_a_shard_cannot_end_early(world):
    code, text = world.run(flags={"shard": "1/2", "run_key": "7"})
    assert code == 2
    assert "a shard cannot end early" in text
    assert world.called == []
    code, text = world.call(plan, EARLY, shards=2, output=None)
    assert code == 2, "so that no shard fails later"
    assert "a shard cannot end early" in text
    assert world.phoenix.experiments.records == {}


def test_repetitions_end_after_a_round(world):
    code, text = world.run(flags={"repetitions": "5"})
    assert code == 0, text
    assert (world.stopping["rounds"], world.stopping["of_rounds"]) == (2, 5)
    assert "decided after 2 of 5 repetitions" in text.splitlines()[0]
    assert len(world.called) < 3 * SIZE
    assert world.results["experiments"][0]["repetitions"] == 2


def test_the_looks_of_a_whole_run_count_in_its_p_value(world):
    """A drop that no early look found is tested with what the looks have spent."""
    world.settings(DROP)
    assert world.run(early=False)[0] == 0
    world.wrong(0.02, seed=4)
    world.run()
    assert world.stopping["seen"] == SIZE, "too few pairs changed for an early pass"
    p_value = world.stopping["decisions"][0]["p_value"]
    assert p_value == world.results["gates"][0]["p_value"] > 0.5**7 / 2
    assert json.loads((world.folder / "reports" / "results.json").read_text())["outcome"] == "passed"


def test_gates_that_did_not_look_are_not_applied_to_a_part(world):
    """Another limit, another baseline, or a failed gate that is gone: an exit code of 0 would be wrong."""
    world.settings("[gates]\nis_right = { max_drop = 0.02 }\n")
    world.wrong(0.4, seed=1)
    assert world.run(early=False)[0] == 0
    worse = world.newest["id"]
    world.wrong(0.0)
    assert world.run(early=False)[0] == 0
    better = world.newest["id"]
    world.wrong(0.4, seed=2)
    assert world.run(flags={"baseline": worse})[0] == 0
    early = world.newest["id"]
    assert world.stopping["seen"] < SIZE
    for baseline, expected in ((worse, 0), (better, 2)):
        for recorded in ({"experiment_ids": [early]}, {}):
            code, text = world.call(gate, {"base_branch": "another", "baseline": baseline}, **recorded)
            assert code == expected, text
    assert "use the gates and the baseline of the job that ended early" in text
    world.settings(LIMIT)
    assert world.run()[0] == 1
    world.settings("[gates]\nis_right = { min_pass_rate = 0.99 }\n")
    for recorded in ({"experiment_ids": [world.newest["id"]]}, {}):
        code, text = world.call(gate, {"base_branch": "another"}, **recorded)
        assert code == 2, text


def test_new_scores_of_outputs_have_no_looks_at_calls(world):
    """The limit on durations is not applied, so that it must not excuse the other gate."""
    world.wrong(0.4)
    world.run(early=False)
    world.settings("[gates]\nmax_p95_seconds = 0.0001\nis_right = { min_pass_rate = 0.7 }\n")
    code, text = world.call(score, {**EARLY, "base_branch": "another"})
    assert code == 1, text
    assert [each["rule"] for each in world.results["gates"]] == ["min_pass_rate"]
    assert world.results["gates"][0]["status"] == "failed"


def test_errors_of_all_examples_are_not_applied_to_a_part_with_another_limit(world):
    """With `errors = "all"`, the limit on errors is decided like other limits, so only that limit is."""

    def limited(errors):
        rules = '[stopping]\nerrors = "all"\n'
        world.settings(f"[gates]\nis_right = {{ min_pass_rate = 0.5 }}\n{errors}{rules}")

    limited("max_error_rate = 0.3\n")
    assert world.run()[0] == 0
    assert world.stopping["seen"] < SIZE
    assert world.gate()[0] == 0
    for errors in ("max_error_rate = 0.01\n", ""):
        limited(errors)
        for recorded in ({"experiment_ids": [world.newest["id"]]}, {}):
            code, text = world.call(gate, {"base_branch": "another"}, **recorded)
            assert (code, "which do not decide: max_error_rate" in text) == (2, True), text


@pytest.mark.parametrize("early", [EARLY, {}])
def test_new_scores_of_a_part_are_not_those_of_the_whole_run(world, early):
    """The outputs that an early verdict did not need are missing, until the advised command has made them."""
    assert world.run()[0] == 0
    code, text = world.call(score, {**early, "base_branch": "another"})
    assert (code, "Run it with `evalwire resume --whole`" in text) == (1, True), text
