"""Several jobs, one experiment: shards against a real Phoenix, killed, restarted, stopped, replaced, judged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import uuid
from collections import Counter
from datetime import UTC, datetime

import pytest
from processes import command_of

from evalwire.model.shard import deal_examples
from evalwire.phoenix.rest import Rest

pytestmark = pytest.mark.needs_phoenix

TASK = """
    import asyncio, os, pathlib

    async def task(example):
        with pathlib.Path("calls").open("a") as calls:
            calls.write(f"{os.environ.get('WHO')} {example.id}\\n")
        await asyncio.sleep(float(os.environ.get("SECONDS", "0")))
        while example.input["q"] in os.environ.get("LINGERS", "").split(",") and not pathlib.Path("released").exists():
            await asyncio.sleep(0.05)
        if example.input["q"] in os.environ.get("RAISES", "").split(","):
            raise ValueError("the model is gone")
        return f"{os.environ.get('WHO')} says {example.input['q']}"
"""
EXAMPLES = 8
SCORES = {
    "said": "def said(output):\n    return float('says' in output)\n",
    "even": "def even(output):\n    return 1.0\n",
}


class Shards:
    """A project whose jobs share a run key of their own."""

    def __init__(self, project, name: str, client) -> None:
        self.project, self.name, self.client = project, name, client
        self.environ = {"EVALWIRE_RUN_KEY": uuid.uuid4().hex, "EVALWIRE_TASK_CONCURRENCY": "2"}

    def start(self, shard: str, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        return self.project.start("run", "--shard", shard, *arguments, **{"WHO": shard, **self.environ, **environ})

    def run(self, shard: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.evalwire("run", "--shard", shard, *arguments, **{"WHO": shard, **environ})

    def evalwire(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.project.run(*arguments, **{**self.environ, **environ})

    def results(self, suffix: str = "") -> dict:
        return json.loads((self.project.directory / f"test-results/results{suffix}.json").read_text())

    @property
    def experiments(self) -> list:
        dataset = self.client.datasets.get_dataset(dataset=self.name)
        return self.client.experiments.list(dataset_id=dataset.id)

    @property
    def runs(self) -> list:
        """The runs of the one experiment."""
        (experiment,) = self.experiments
        return self.runs_of(experiment)

    def runs_of(self, experiment: dict) -> list:
        try:
            return self.client.experiments.get_experiment(experiment_id=experiment["id"])["task_runs"]
        except ValueError:  # one of those that shards delete again, since another was agreed on
            return []

    @property
    def calls(self) -> list[str]:
        path = self.project.directory / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def questions(self, shard: str) -> list[str]:
        """What the examples of a shard ask, in their order."""
        examples = self.client.datasets.get_dataset(dataset=self.name).examples
        number, total = map(int, shard.split("/"))
        dealt = deal_examples([example["id"] for example in examples], total, experiment=self.name)
        return [example["input"]["q"] for example, of in zip(examples, dealt, strict=True) if of == number]

    def wait_for_runs(self, number: int, process: subprocess.Popen[str], *, who: str) -> None:
        """Wait until Phoenix has so many runs of a shard."""
        deadline = time.monotonic() + 60
        while (
            sum(run["output"].startswith(f"{who} ") for one in self.experiments for run in self.runs_of(one)) < number
        ):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def wait_for_calls(self, number: int, process: subprocess.Popen[str], *, who: str) -> None:
        deadline = time.monotonic() + 60
        while sum(line.startswith(f"{who} ") for line in self.calls) < number:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def shards(phoenix_project, make_dataset, client):
    """A project with two evaluators."""
    name = make_dataset(EXAMPLES)
    phoenix_project.experiment(name, task=TASK, **SCORES)
    return Shards(phoenix_project, name, client)


# --- one experiment, one verdict -----------------------------------------------------------------------


def test_four_shards_of_which_one_is_killed_and_restarted_end_in_one_verdict(shards):
    """One experiment, every example once, nothing paid for twice but what was in flight; red until it is whole."""
    names = ("1/4", "2/4", "3/4", "4/4")
    lingers = shards.questions("2/4")[-1]
    processes = {name: shards.start(name, LINGERS=lingers) for name in names}
    shards.wait_for_runs(1, processes["2/4"], who="2/4")
    processes["2/4"].kill()
    for name, process in processes.items():
        out, err = process.communicate(timeout=60)
        assert process.returncode == (-9 if name == "2/4" else 0), (out, err)
    red = shards.evalwire("gate", "--shards", "4")
    assert red.returncode == 1
    assert "shard 2 of 4 is incomplete" in red.stdout, red.stdout
    (experiment,) = shards.results()["experiments"]
    lacking = {example["example_id"] for example in experiment["examples_not_run"]}
    assert lacking
    assert lacking < {line.split()[1] for line in shards.calls if line.startswith("2/4 ")} | lacking

    again = shards.run("2/4")
    assert again.returncode == 0, again.stderr
    assert "of this shard are already recorded" in again.stderr
    green = shards.evalwire("gate", "--shards", "4")
    assert green.returncode == 0, green.stdout
    assert green.stdout.startswith(f"PASSED: 1 experiment, {EXAMPLES} examples, none failed")
    assert sorted(Counter(run["dataset_example_id"] for run in shards.runs).values()) == [1] * EXAMPLES
    calls = Counter(line.split()[1] for line in shards.calls)
    assert len(calls) == EXAMPLES
    assert sum(calls.values()) <= EXAMPLES + 2  # no more than were in flight when it was killed


def test_a_shard_that_never_came_is_named(shards):
    """The gate waits for nothing: one of three shards is missing, and red for it; a fourth of four has nothing to say."""
    for name in ("1/3", "3/3"):
        assert shards.run(name).returncode == 0
    red = shards.evalwire("gate", "--shards", "3")
    assert red.returncode == 1
    assert f"shard 2 of 3 is missing, with {len(shards.questions('2/3'))} examples" in red.stdout
    other = shards.run("1/4")
    assert other.returncode == 1
    assert "was divided into 3 shards by another job of this pipeline run" in other.stdout
    assert shards.evalwire("gate", "--shards", "4").returncode == 2


def test_nothing_was_begun(shards):
    """The gate of a pipeline run whose shards never came is red, and creates nothing."""
    red = shards.evalwire("gate", "--shards", "2")
    assert red.returncode == 1
    assert "none of the 2 shards started this experiment" in red.stdout
    assert shards.experiments == []


def test_a_plan_says_where_shards_record_and_the_gate_judges_them_together(shards):
    """By a file or by EVALWIRE_PLAN; a shard is green where the whole breaks a gate; the whole may be a baseline."""
    shards.environ.pop("EVALWIRE_RUN_KEY")
    shards.project.write({"evalwire.toml": "[gates]\nsaid = { min = 0.9 }\neven = { min = 2, max_drop = 0.1 }\n"})
    planned = shards.evalwire("plan", "--shards", "2")
    assert planned.returncode == 0, planned.stderr
    plan = json.loads(planned.stdout)
    assert plan["matrix"] == {"shard": ["1/2", "2/2"]}
    assert [one["id"] for one in plan["experiments"]] == [one["id"] for one in shards.experiments]
    shards.project.write({"plan.json": planned.stdout})
    first = shards.run("1/2", "--plan", "plan.json")
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.startswith("PASSED (shard 1/2, gates are applied after the merge)")
    assert (shards.results("-1-of-2")["shard"], shards.results("-1-of-2")["gates"]) == ("1/2", [])
    assert shards.run("2/2", EVALWIRE_PLAN=planned.stdout).returncode == 0

    red = shards.evalwire("gate", "--plan", "plan.json")
    assert (red.returncode, shards.results()["outcome"]) == (1, "gate_failed")
    green = shards.evalwire("gate", "--plan", "plan.json", "--gate", "even >= 1")
    assert green.returncode == 0, green.stdout
    for name in ("results.json", "evalwire.xml", "summary.md", "report.html"):
        assert (shards.project.directory / "test-results" / name).exists()
    following = shards.evalwire("run", "--gate", "even >= 1")
    assert following.returncode == 0, following.stdout
    (baseline,) = shards.results()["baselines"]
    assert baseline["experiment_id"] == plan["experiments"][0]["id"]


# --- what was paid for ---------------------------------------------------------------------------------


def test_a_shard_that_runs_again_makes_up_for_what_failed(shards):
    """What Phoenix has is not run again; what failed is."""
    shards.environ["RAISES"] = "question 3"
    codes = {name: shards.run(name).returncode for name in ("1/2", "2/2")}
    (bad,) = [name for name, code in codes.items() if code == 1]
    assert shards.evalwire("gate", "--shards", "2").returncode == 1
    before = len(shards.calls)
    mended = shards.run(bad, RAISES="")
    assert mended.returncode == 0, mended.stdout
    assert len(shards.calls) == before + 1
    assert shards.evalwire("gate", "--shards", "2").returncode == 0
    idle = shards.run(bad)
    assert (idle.returncode, len(shards.calls)) == (0, before + 1)


def test_a_run_that_nobody_judged_is_not_there_yet(shards):
    """A shard was killed between a run and its evaluations: the gate names it; a restart judges it, and does not pay."""
    plan = shards.evalwire("plan", "--shards", "1").stdout
    (experiment,) = shards.experiments
    first, *_ = shards.client.datasets.get_dataset(dataset=shards.name).examples
    now = datetime.now(UTC).isoformat()
    run = {"dataset_example_id": first["node_id"], "output": "it says", "repetition_number": 1}
    answer = shards.client._client.post(
        f"v1/experiments/{experiment['id']}/runs", json={**run, "start_time": now, "end_time": now}
    )
    answer.raise_for_status()
    red = shards.evalwire("gate", EVALWIRE_PLAN=plan)
    assert red.returncode == 1
    assert f"shard 1 of 1 is incomplete: missing {EXAMPLES} examples" in red.stdout
    assert shards.run("1/1", EVALWIRE_PLAN=plan).returncode == 0
    assert len(shards.calls) == EXAMPLES - 1
    assert shards.evalwire("gate", EVALWIRE_PLAN=plan).returncode == 0


def test_a_shard_that_stood_still_and_was_replaced_records_nothing_twice(shards):
    """SIGSTOP, a replacement that does its work, SIGCONT: it is red, stops paying, and Phoenix has each run once."""
    first = shards.start("1/1", SECONDS="1", LINGERS=",".join(shards.questions("1/1")[2:4]), WHO="stopped")
    shards.wait_for_calls(4, first, who="stopped")  # the last two are what it does at once
    os.kill(command_of(first.pid), signal.SIGSTOP)
    replacement = shards.run("1/1", WHO="replacement")
    assert replacement.returncode == 0, replacement.stdout + replacement.stderr
    recorded = {run["dataset_example_id"]: run["output"] for run in shards.runs}
    paid = len(shards.calls)
    shards.project.write({"released": ""})
    first.send_signal(signal.SIGCONT)
    out, err = first.communicate(timeout=60)
    assert first.returncode == 1, (out, err)
    assert "already has a different output for example" in out
    assert len(shards.calls) <= paid + 4  # those in flight, and one that took the place of each
    assert {run["dataset_example_id"]: run["output"] for run in shards.runs} == recorded
    assert len(shards.runs) == len(recorded) == EXAMPLES
    assert any(output.startswith("replacement") for output in recorded.values())
    verdict = shards.evalwire("gate", "--shards", "1")
    assert verdict.returncode == 0, verdict.stdout


def test_the_journal_of_a_shard_is_gone_on_with_as_that_shard(shards):
    """`evalwire resume` runs what that shard lacks, and no other's."""
    process = shards.start("1/2", LINGERS=shards.questions("1/2")[-1])
    shards.wait_for_runs(1, process, who="1/2")
    process.kill()
    process.communicate()
    resumed = shards.evalwire("resume", WHO="1/2")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert "shard 1/2" in resumed.stdout
    assert len(shards.results("-1-of-2")["experiments"][0]["runs"]) == EXAMPLES // 2
    assert len(shards.runs) == EXAMPLES // 2
    assert shards.run("2/2").returncode == 0
    assert shards.evalwire("gate", "--shards", "2").returncode == 0


TASK_OF_15_TOKENS = """
    import os
    from opentelemetry import trace

    async def task(example):
        attributes = {"openinference.span.kind": "LLM", "llm.model_name": "m-1",
                      "llm.token_count.prompt": 10, "llm.token_count.completion": 5}
        with trace.get_tracer("mine").start_as_current_span("call", attributes=attributes):
            if os.environ.get("RAISES"):
                raise ValueError("no")
            return example.input["q"]
"""


def test_tokens_of_all_shards_are_judged_together(shards):
    """Each shard leaves what its runs used with their evaluations, and who of its evaluators said what."""
    several = "def several(output):\n    return [{'name': 'a', 'score': 1}, {'name': 'b', 'score': 0, 'metadata': {'k': 1}}]\n"
    shards.project.experiment(shards.name, task=TASK_OF_15_TOKENS, several=several)
    (shards.project.experiments / shards.name / "said.py").unlink()
    for name in ("1/2", "2/2"):
        assert shards.run(name).returncode == 0
    again = shards.run("2/2")
    assert again.returncode == 0
    red = shards.evalwire("gate", "--shards", "2", "--gate", f"total_tokens <= {15 * EXAMPLES - 1}")
    assert f"the experiment used {15 * EXAMPLES} tokens, above the limit of {15 * EXAMPLES - 1}" in red.stdout, (
        red.stdout
    )
    green = shards.evalwire("gate", "--shards", "2", "--gate", f"total_tokens <= {15 * EXAMPLES}")
    assert green.returncode == 0, green.stdout
    (experiment,) = shards.results()["experiments"]
    said = {one["name"]: (one["evaluator"], one["metadata"]) for one in experiment["runs"][0]["evaluations"]}
    assert said == {"even": ("even", {}), "a": ("several", {}), "b": ("several", {"k": 1})}


def test_an_earlier_gates_sum_is_not_that_of_all_shards(shards):
    """It was of the runs that there were; what a failed run used is not known, and a limit on it is red."""
    shards.project.experiment(shards.name, task=TASK_OF_15_TOKENS)
    limits = ("--gate", f"total_tokens <= {15 * EXAMPLES // 2}", "--gate", "error_rate <= 60%")
    assert shards.run("1/2").returncode == 0
    assert shards.evalwire("gate", "--shards", "2", *limits).returncode == 1, "the second shard is missing"
    assert shards.run("2/2", RAISES="1").returncode == 1
    red = shards.evalwire("gate", "--shards", "2", *limits)
    assert "the token count is unknown" in red.stdout, red.stdout
    assert red.returncode == 1


def test_the_gate_of_all_shards_finds_a_limit_on_what_does_not_exist(shards):
    """As a whole run does: a typing error must not leave a gate unjudged."""
    assert shards.run("1/1").returncode == 0
    for limit in ("[gates.evne]\nmin = 0.9\n", f"[experiments.{shards.name}.gates]\nevne = {{ min = 0.9 }}\n"):
        shards.project.write({"evalwire.toml": limit})
        done = shards.evalwire("gate", "--shards", "1")
        assert done.returncode == 2, done.stdout
        assert "evne" in done.stderr
    shards.project.write({"evalwire.toml": "[gates.even]\nmin = 0\n"})
    assert shards.evalwire("gate", "--shards", "1").returncode == 0


# --- who is who ----------------------------------------------------------------------------------------


def test_a_shard_without_an_example_passes(shards):
    """Eight examples for forty shards: some have nothing to do, say so, and are green."""
    ids = [example["id"] for example in shards.client.datasets.get_dataset(dataset=shards.name).examples]
    empty = min(set(range(1, 41)).difference(deal_examples(ids, 40, experiment=shards.name)))
    done = shards.run(f"{empty}/40")
    assert done.returncode == 0, done.stdout
    assert f"0 of {EXAMPLES} examples" in done.stderr
    assert done.stdout.startswith(f"PASSED (shard {empty}/40")
    assert shards.calls == []


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (("--shard", "0/5"), {}, "there is no shard 0 of 5"),
        (("--shard", "6/5"), {}, "there is no shard 6 of 5"),
        (("--shard", "3"), {}, "expected the form 2/5"),
        (("--shard", "auto"), {}, "variable of a known CI system"),
        (("--shard", "auto"), {"CIRCLECI": "1", "CIRCLE_NODE_INDEX": "1"}, "does not include the number of shards"),
        (("--shard", "auto"), {"GITLAB_CI": "1", "CI_NODE_TOTAL": "3"}, "variables for the shard are incomplete"),
        (("--shard", "auto/4"), {"GITLAB_CI": "1", "CI_NODE_INDEX": "1", "CI_NODE_TOTAL": "3"}, "expected 4 shards"),
        (("--shard", "auto"), {"JOB_COMPLETION_INDEX": "2"}, "does not include the number of shards"),
        (("--shard", "auto/2"), {"JOB_COMPLETION_INDEX": "2"}, "there is no shard 3 of 2"),
        (("--shard", "1/2"), {"EVALWIRE_RUN_KEY": ""}, "Set EVALWIRE_RUN_KEY"),
        (("--plan", "none.json", "--shard", "1/2"), {}, "cannot be read"),
        (("--fresh",), {}, "--fresh requires --shard"),
        (("--shard", "1/2", "--fresh"), {}, "set EVALWIRE_RUN_KEY to another value"),
        (("--shard", "1/2", "--local"), {}, "--local"),
    ],
)
def test_a_shard_that_is_none_is_wrong_use_and_runs_nothing(shards, arguments, environ, said):
    """An invalid or half-set pair never means "run everything"."""
    done = shards.evalwire("run", *arguments, **environ)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert shards.calls == []


def test_ci_tells_the_shard_and_the_run(shards):
    """`auto` by GitLab's variables; the pipeline's id is what the jobs agree by, and the job's name tells groups apart."""
    shards.environ.pop("EVALWIRE_RUN_KEY")
    pipeline = {"GITLAB_CI": "1", "CI_PIPELINE_ID": uuid.uuid4().hex, "CI_NODE_TOTAL": "2"}
    for index in ("1", "2"):
        job = {"CI_NODE_INDEX": index, "CI_JOB_NAME": f"evaluate {index}/2"}
        done = shards.evalwire("run", "--shard", "auto", **pipeline, **job)
        assert done.returncode == 0, done.stderr
    green = shards.evalwire("gate", "--shards", "2", **pipeline, CI_JOB_NAME="verdict")
    assert green.returncode == 0, green.stdout
    other = shards.evalwire("run", "--shard", "auto", **pipeline, CI_NODE_INDEX="1", CI_JOB_NAME="another 1/2")
    assert other.returncode == 1
    assert "is run by the shards of the job 'evaluate'" in other.stdout


def test_a_run_again_finds_what_was_begun_unless_it_is_to_be_fresh(shards):
    """GitHub's run id stays when jobs are run again; with --fresh, the attempt counts."""
    shards.environ.pop("EVALWIRE_RUN_KEY")
    github = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": uuid.uuid4().hex}
    for attempt in ("1", "2"):
        assert shards.run("1/1", **github, GITHUB_RUN_ATTEMPT=attempt).returncode == 0
    assert (len(shards.experiments), len(shards.calls)) == (1, EXAMPLES)
    assert shards.run("1/1", "--fresh", **github, GITHUB_RUN_ATTEMPT="3").returncode == 0
    assert (len(shards.experiments), len(shards.calls)) == (2, 2 * EXAMPLES)
    verdict = shards.evalwire("gate", "--shards", "1", "--fresh", **github, GITHUB_RUN_ATTEMPT="3")
    assert verdict.returncode == 0, verdict.stdout


def test_a_key_that_comes_again_does_not_bring_the_results_of_other_code(shards):
    """Jenkins counts anew in a job that was made anew: everything would be there already, of an earlier commit."""
    shards.environ.pop("EVALWIRE_RUN_KEY")
    jenkins = {"JENKINS_URL": "http://jenkins.example/", "BUILD_TAG": f"jenkins-eval-{uuid.uuid4().hex}"}
    assert shards.run("1/1", **jenkins, GIT_COMMIT="a" * 40).returncode == 0
    red = shards.run("1/1", **jenkins, GIT_COMMIT="b" * 40)
    assert red.returncode == 1
    assert f"was started at commit {'a' * 40}" in red.stdout
    assert shards.evalwire("gate", "--shards", "1", **jenkins, GIT_COMMIT="b" * 40).returncode == 2
    assert shards.evalwire("gate", "--shards", "1", **jenkins, GIT_COMMIT="a" * 40).returncode == 0
    assert len(shards.calls) == EXAMPLES
    change = {**jenkins, "BUILD_TAG": f"jenkins-eval-{uuid.uuid4().hex}", "CHANGE_ID": "7"}
    for shard, commit in (("1/2", "a" * 40), ("2/2", "b" * 40)):  # each agent merges by itself
        assert shards.run(shard, **change, GIT_COMMIT=commit).returncode == 0


def test_an_experiment_that_somebody_deleted_is_not_replaced_in_silence(shards):
    """The shards agreed on it, and half of its runs are gone with it."""
    assert shards.run("1/2").returncode == 0
    (experiment,) = shards.experiments
    shards.client.experiments.delete(experiment_id=experiment["id"])
    red = shards.run("2/2")
    assert red.returncode == 1
    assert "start new experiments with --fresh" in red.stdout
    assert shards.experiments == []


def test_an_experiment_that_a_plan_names_and_somebody_deleted(shards):
    """A shard by a plan does not create another one either."""
    plan = shards.evalwire("plan", "--shards", "1").stdout
    (experiment,) = shards.experiments
    shards.client.experiments.delete(experiment_id=experiment["id"])
    red = shards.run("1/1", EVALWIRE_PLAN=plan)
    assert red.returncode == 1
    assert "but it was deleted" in red.stdout
    assert shards.experiments == []
    assert shards.evalwire("gate", EVALWIRE_PLAN=plan).returncode == 2


def test_another_experiment_that_has_the_id_of_one_of_a_plan(shards):
    """SQLite gives the ids of what was deleted again; the other one is neither recorded to nor judged."""
    plan = json.loads(shards.evalwire("plan", "--shards", "1").stdout)
    shards.environ["EVALWIRE_RUN_KEY"] = uuid.uuid4().hex
    assert shards.run("1/1").returncode == 0
    (other,) = [one for one in shards.experiments if one["id"] != plan["experiments"][0]["id"]]
    for name in (other["name"], "of another second"):
        plan["experiments"][0] |= {"id": other["id"], "recorded_name": name}
        before = len(shards.calls)
        red = shards.run("1/1", EVALWIRE_PLAN=json.dumps(plan))
        assert red.returncode == 1
        assert "on this Phoenix server is now" in red.stdout
        assert len(shards.calls) == before
        refused = shards.evalwire("gate", EVALWIRE_PLAN=json.dumps(plan))
        assert refused.returncode == 2, refused.stdout
        assert "Either it was deleted" in refused.stderr


def test_another_experiment_that_has_the_id_of_one_that_was_agreed_on(shards):
    """The same where shards agree by a key: what another pipeline run recorded is not taken for theirs."""
    assert shards.run("1/1").returncode == 0
    (first,) = shards.experiments
    own = shards.environ["EVALWIRE_RUN_KEY"]
    shards.environ["EVALWIRE_RUN_KEY"] = uuid.uuid4().hex
    assert shards.run("1/1").returncode == 0
    (other,) = [one["id"] for one in shards.experiments if one["id"] != first["id"]]
    for project in shards.client.projects.list():
        if project["name"].startswith("evalwire-claim-") and project["description"] == first["id"]:
            shards.client.projects.update(project_id=project["id"], description=other)
    before = len(shards.calls)
    red = shards.run("1/1", EVALWIRE_RUN_KEY=own)
    assert red.returncode == 1
    assert "on this Phoenix server is now" in red.stdout
    assert len(shards.calls) == before
    refused = shards.evalwire("gate", "--shards", "1", EVALWIRE_RUN_KEY=own)
    assert refused.returncode == 2, refused.stdout
    assert "on this Phoenix server is now" in refused.stderr


def test_a_plan_without_a_shard_runs_nothing(shards):
    """A job whose shard was forgotten does not run everything."""
    plan = shards.evalwire("plan", "--shards", "2").stdout
    refused = shards.evalwire("run", EVALWIRE_PLAN=plan)
    assert refused.returncode == 2
    assert "but no shard" in refused.stderr
    assert shards.calls == []


def test_a_plan_without_experiments_runs_none(shards):
    """Not all that there are."""
    plan = json.loads(shards.evalwire("plan", "--shards", "1").stdout) | {"experiments": []}
    for red in (
        shards.run("1/1", EVALWIRE_PLAN=json.dumps(plan)),
        shards.evalwire("gate", EVALWIRE_PLAN=json.dumps(plan)),
    ):
        assert (red.returncode, red.stdout) == (1, "")
        assert "the plan has no experiment" in red.stderr


def test_what_contradicts_the_plan_is_wrong_use(shards):
    """Repetitions, split and version are the plan's, for all shards alike."""
    plan = shards.evalwire("plan", "--shards", "2").stdout
    for arguments, said in (
        (("--repetitions", "2"), "repetitions is 2"),
        (("--split", "dev"), "split is 'dev'"),
        (("--dataset-version", "V"), "the plan fixes the versions"),
        (("--name", "another"), "the plan has no experiment 'another'"),
        (("--fresh",), "--fresh and --plan cannot be used together"),
    ):
        refused = shards.run("1/2", *arguments, EVALWIRE_PLAN=plan)
        assert refused.returncode == 2, refused.stdout
        assert said in refused.stderr
    assert shards.calls == []


def test_a_plan_of_what_cannot_run_is_none(shards):
    """An experiment that is broken, or without a dataset: exit 1, nothing written, nothing created."""
    shards.project.experiment("broken_one", task="import nothing_of_this_name")
    red = shards.evalwire("plan", "--shards", "2", "--output", "plan.json")
    assert red.returncode == 1
    assert "nothing_of_this_name" in red.stderr
    assert "no plan was written" in red.stderr
    assert not (shards.project.directory / "plan.json").exists()
    assert shards.experiments == []


def test_a_dry_run_of_a_shard_needs_no_key(shards):
    """It shows the first example of that part, and records nothing."""
    shards.environ.pop("EVALWIRE_RUN_KEY")
    done = shards.run("1/2", "--dry-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("PASSED (dry run, nothing recorded; shard 1/2")
    assert (len(shards.calls), shards.experiments) == (1, [])


def test_other_evaluators_are_another_experiment(shards):
    """Jobs with other code do not share an experiment, whatever their key."""
    assert shards.run("1/2").returncode == 0
    (shards.project.experiments / shards.name / "even.py").write_text("def even(output):\n    return 0.5\n")
    assert shards.run("2/2").returncode == 0
    assert len(shards.experiments) == 2
    red = shards.evalwire("gate", "--shards", "2")
    assert red.returncode == 1
    assert "shard 1 of 2 is missing" in red.stdout


def test_a_gate_that_cannot_ask_phoenix_leaves_a_report_that_says_so(shards):
    """An outage is exit 1, and no file of an earlier gate is left to be taken for it."""
    shards.run("1/1")
    assert shards.evalwire("gate", "--shards", "1").returncode == 0
    away = {"PHOENIX_ENDPOINT": "http://127.0.0.1:9", "EVALWIRE_FETCH_ATTEMPTS": "1"}
    red = shards.evalwire("gate", "--shards", "1", **away)
    assert red.returncode == 1
    assert "could not be reached" in red.stderr
    assert (shards.results()["outcome"], shards.results()["experiments"]) == ("infrastructure", [])


def test_a_result_of_one_shard_is_not_taken_for_the_whole(shards):
    """`gate` refuses the file of a shard."""
    assert shards.run("1/2").returncode == 0
    refused = shards.evalwire("gate", "--results", "test-results/results-1-of-2.json")
    assert refused.returncode == 2
    assert "it contains only shard 1/2" in refused.stderr


def test_an_empty_dataset_is_no_empty_shard(shards):
    """Nobody has its examples, so every shard is red, and nothing is created."""
    dataset = shards.client.datasets.get_dataset(dataset=shards.name)
    store = Rest(shards.client._client, timeout_seconds=30)
    store.remove_examples(dataset.id, [example["node_id"] for example in dataset.examples])
    red = shards.run("1/2")
    assert red.returncode == 1
    assert "has no examples" in red.stdout
    assert shards.experiments == []
