"""Variants of experiments with a real Phoenix: processes, environments, baselines, failures, stops and shards."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from terminal import in_terminal, screen

pytestmark = pytest.mark.needs_phoenix

TASK = """
    import os
    import time
    from pathlib import Path

    MODEL = os.environ.get("MODEL", "plain")

    def task(example):
        q = example.input["q"]
        with open("calls.txt", "a") as file:
            file.write(f"{MODEL} {q}\\n")
        if Path(f"crash-{MODEL}").exists() and q == "question 2":
            os.kill(os.getpid(), 9)
        if Path("slow").exists():
            time.sleep(0.2 if q == "question 0" else 60)
        number = q.split()[1]
        answer = f"answer {number}" if MODEL != "bad" or number == "0" else "no idea"
        return {"answer": answer, "model": MODEL, "process": os.getpid(), "other": os.environ.get("OTHER")}
"""
SAME = """
    def same(output, expected):
        return output["answer"] == expected["expected_output"]
"""
VARIANTS = """
    [experiments]
    task_concurrency = 1
    [experiments.{name}.variants.good]
    env = {{ MODEL = "good", OTHER = "of good" }}
    [experiments.{name}.variants.bad]
    env = {{ MODEL = "bad" }}
"""


@pytest.fixture
def variants(phoenix_project, make_dataset):
    """A project with an experiment of two variants, and the name of the experiment."""
    name = make_dataset(8)
    project = phoenix_project.experiment(name, task=TASK, same=SAME)
    project.write({"evalwire.toml": VARIANTS.format(name=name)})
    return project, name


def results_of(project: Any) -> dict[str, dict[str, Any]]:
    document = json.loads((project.directory / "test-results/results.json").read_text())
    return {each["name"].partition("@")[2] or "default": each for each in document["experiments"]}


def calls_of(project: Any) -> list[str]:
    path: Path = project.directory / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []


def test_each_variant_has_a_process_an_experiment_and_a_baseline(variants, client):
    project, name = variants
    first = project.run_process("run")
    assert first.returncode == 0, first.stdout + first.stderr
    found = results_of(project)
    assert list(found) == ["default", "good", "bad"]
    outputs = {variant: [run["output"] for run in each["runs"]] for variant, each in found.items()}
    assert {variant: {output["model"] for output in own} for variant, own in outputs.items()} == {
        "default": {"plain"},
        "good": {"good"},
        "bad": {"bad"},
    }
    assert len({output["process"] for own in outputs.values() for output in own}) == 3
    assert [{output["other"] for output in outputs[variant]} for variant in outputs] == [{None}, {"of good"}, {None}]
    recorded = client.experiments.get_experiment(experiment_id=found["good"]["experiment_id"])
    assert len(recorded["task_runs"]) == 8
    facts = recorded["experiment_metadata"]["evalwire"]
    assert (facts["experiment"], facts["outcome"]) == (f"{name}@good", "passed")
    assert facts["variant"]["env"] == {"MODEL": "good", "OTHER": "of good"}
    assert f"{name}@good_" in found["good"]["recorded_name"]
    assert "bad is worse than default: same 12.5% instead of 100.0%" in first.stdout
    assert "bad is worse than good: same 12.5% instead of 100.0%" in first.stdout
    assert "no significant difference between default and good" in first.stdout

    gated = project.run_process("run", "--gate", f"{name}.same drop <= 0", "--gate", "same >= 0.9")

    assert gated.returncode == 1
    document = json.loads((project.directory / "test-results/results.json").read_text())
    compared = {each["experiment"]: each["experiment_id"] for each in document["baselines"]}
    assert compared == {each["name"]: each["experiment_id"] for each in found.values()}
    red = {gate["experiment"] for gate in document["gates"] if gate["is_red"]}
    assert red == {f"{name}@bad"}
    assert len(document["gates"]) == 6

    only = project.run_process("run", f"{name}@good", "--gate", f"{name}@good.same >= 0.9")
    assert (only.returncode, list(results_of(project))) == (0, ["good"])
    runs = project.run("runs", "--variant", "good")
    assert f"{name}@good: 3 recorded experiments" in runs.stdout


def test_a_variant_whose_process_is_killed_fails_alone_and_is_resumed(variants):
    project, _ = variants
    project.write({"crash-good": ""})

    crashed = project.run_process("run")

    assert crashed.returncode == 1
    assert "the process of the variant good was ended by SIGKILL" in crashed.stdout
    found = results_of(project)
    assert [len(found[variant]["runs"]) for variant in ("default", "bad")] == [8, 8]
    assert 1 <= len(found["good"]["runs"]) <= 2
    (project.directory / "crash-good").unlink()
    before = len(calls_of(project))

    resumed = project.run_process("resume")

    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert [len(each["runs"]) for each in results_of(project).values()] == [8, 8, 8]
    again = calls_of(project)[before:]
    assert {line.partition(" ")[0] for line in again} == {"good"}
    assert len(again) <= 7
    assert "variants of" in resumed.stdout


def test_a_stop_ends_the_process_of_a_variant_and_a_resumed_job_makes_no_call_twice(variants):
    project, name = variants
    project.write({"evalwire.toml": VARIANTS.format(name=name) + "[reports]\ndir = 'out'\n", "slow": ""})
    process = project.start("run", "--variant", "good", "--variant", "bad", EVALWIRE_GRACE_SECONDS="0.5")
    while "good question 1" not in calls_of(project):
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == 143
    assert "INTERRUPTED" in out
    assert len(children) == 3  # the job, and a process for each variant
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert [line for line in calls_of(project) if line.startswith("bad")] == []

    (project.directory / "slow").unlink()
    resumed = project.run_process("resume")

    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    calls = calls_of(project)
    assert sorted(set(calls)) == sorted(f"{model} question {n}" for model in ("good", "bad") for n in range(8))
    assert calls.count("good question 0") == 1


def test_a_resumed_job_refuses_other_variables(variants):
    project, name = variants
    project.write({"crash-good": ""})
    project.run_process("run", "--variant", "good")
    changed = VARIANTS.format(name=name).replace('OTHER = "of good"', 'OTHER = "another"')
    project.write({"evalwire.toml": changed})

    resumed = project.run("resume")

    assert resumed.returncode == 2
    assert f"{name}@good started with another version of the variables of its variant" in resumed.stderr


def test_the_limit_on_failures_holds_for_all_processes(variants):
    project, name = variants
    project.experiment(name, task="def task(example):\n    raise ValueError(example.input['q'])\n", same=SAME)

    stopped = project.run_process("run", "--max-failures", "3")

    assert stopped.returncode == 1
    found = results_of(project)
    assert [len(each["runs"]) for each in found.values()] == [3, 0, 0]
    assert "stopped after 3 failures" in found["bad"]["failure"]["message"]


def test_secrets_that_a_variant_loads_are_masked_in_all_reports(variants):
    project, name = variants
    task = """
        import os
        os.environ["OPENAI_API_KEY"] = f"sk-secret-of-{os.environ['MODEL']}-0123456789"

        def task(example):
            print(os.environ["OPENAI_API_KEY"])
            return {"answer": os.environ["OPENAI_API_KEY"]}
    """
    project.experiment(name, task=task, same="def same(output): return True\n")

    done = project.run_process("run", "--variant", "good")

    assert done.returncode == 0, done.stderr
    texts = [path.read_text() for path in (project.directory / "test-results").glob("*") if path.suffix != ".jsonl"]
    assert all("sk-secret" not in text for text in [*texts, done.stdout, done.stderr])
    assert "***" in done.stdout + done.stderr


def test_shards_of_variants_are_merged_and_compared(variants):
    project, name = variants
    planned = project.run("plan", "--shards", "2", "--output", "plan.json")
    assert planned.returncode == 0, planned.stderr
    for shard in ("1/2", "2/2"):
        done = project.run_process("run", "--plan", "plan.json", "--shard", shard)
        assert done.returncode == 0, done.stdout + done.stderr

    merged = project.run("gate", "--plan", "plan.json", "--gate", f"{name}.same >= 0.9")

    assert merged.returncode == 1
    document = json.loads((project.directory / "test-results/results.json").read_text())
    assert [len(each["runs"]) for each in document["experiments"]] == [8, 8, 8]
    assert {gate["experiment"] for gate in document["gates"] if gate["is_red"]} == {f"{name}@bad"}
    assert len(document["variants"]) == 3
    assert sorted(calls_of(project)) == sorted(f"{m} question {n}" for m in ("plain", "good", "bad") for n in range(8))


def test_the_evaluators_of_a_variant_score_its_outputs_in_its_environment(variants):
    project, name = variants
    project.run_process("run", "--variant", "good")
    scored_by = "import os\ndef same(output): return {'score': 1.0, 'label': os.environ['MODEL']}\n"
    project.experiment(name, task="def task(example):\n    raise AssertionError\n", same=scored_by)

    scored = project.run_process("score")

    assert scored.returncode == 0, scored.stdout + scored.stderr
    (result,) = results_of(project).values()
    assert [run["evaluations"][0]["label"] for run in result["runs"]] == ["good"] * 8
    assert [run["output"]["model"] for run in result["runs"]] == ["good"] * 8


def test_what_a_variant_prints_at_a_terminal_is_above_the_bars(variants):
    project, name = variants
    task = "import os\ndef task(example):\n    print('said by', os.environ['MODEL'])\n    return {'answer': 1}\n"
    project.experiment(name, task=task, same="def same(output): return True\n")

    code, shown = in_terminal("run", "--variant", "good", cwd=project.directory, environ=project.environ)

    lines = screen(shown).splitlines()
    assert code == 0, shown
    assert lines.count("said by good") == 8
    assert sum("━" in line for line in lines) == 1, "the bar was drawn more than once"
