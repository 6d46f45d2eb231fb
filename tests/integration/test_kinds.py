"""What an evaluator returned comes back from a real Phoenix as itself: bools, what does not apply, labels."""

from __future__ import annotations

import json

import pytest

from evalwire.results import ResultCollector

TASK = """
    import os

    async def task(example):
        if os.environ.get("RAISES") and example.input["q"] == "question 4":
            raise ValueError("the model is gone")
        return example.input["q"]
"""
JUDGE = """
    def judge(output):
        return {"score": output != "question 3", "label": "checked", "reason": f"it is {output}", "metadata": {"k": 1}}
"""
CITES = """
    from evalwire import NOT_APPLICABLE

    def cites(output):
        n = int(output.split()[-1])
        if n >= 8:
            return {"score": NOT_APPLICABLE, "comment": "no sources were asked for"}
        return n / 10
"""
TONE = """
    def tone(output):
        return "curt" if output in ("question 1", "question 2") else "polite"
"""
NAMES = {"judge": JUDGE, "cites": CITES, "tone": TONE}
TOML = """
[experiments.{name}.gates]
judge = {{ min_pass_rate = 0.9 }}
cites = {{ min = 0.35, min_examples = 8 }}
tone = {{ label_share = {{ curt = {{ max = 0.2 }} }} }}
"""
TEXTS = [
    "judge pass rate 90.0% is at least 90% (95% interval 59.6% to 98.2%)",
    "cites mean 0.350 is at least 0.35 (95% interval 0.145 to 0.555); it does not apply to 2 of 10 runs",
    "cites has scores for 8 examples, at least 8; it does not apply to 2 of 10 runs",
    "tone share of 'curt' 20.0% is at most 20% (95% interval 5.7% to 51.0%)",
]

pytestmark = pytest.mark.needs_phoenix


@pytest.fixture
def judged(phoenix_project, make_dataset):
    """A project whose evaluators return a bool, a number or nothing to judge, and a label, on ten examples."""
    name = make_dataset(10)
    phoenix_project.experiment(name, task=TASK, **NAMES)
    phoenix_project.write({"evalwire.toml": TOML.format(name=name)})
    return phoenix_project


def results_of(project) -> dict:
    return json.loads((project.directory / "test-results" / "results.json").read_text())


def texts_of(project) -> list[str]:
    return [gate["text"] for gate in results_of(project)["gates"] if gate["source"] != "default"]


def kinds_of(project) -> dict[str, list[str]]:
    [experiment] = results_of(project)["experiments"]
    runs = [{one["name"]: one["kind"] for one in run["evaluations"]} for run in experiment["runs"]]
    return {name: [kinds[name] for kinds in runs] for name in NAMES}


KINDS = {"judge": ["bool"] * 10, "cites": ["number"] * 8 + ["not_applicable"] * 2, "tone": ["label"] * 10}


def test_gate_judges_what_is_recorded_as_the_run_did(judged, client, tmp_path):
    done = judged.run("run")
    assert (done.returncode, texts_of(judged)) == (0, TEXTS), done.stdout
    assert kinds_of(judged) == KINDS
    [experiment] = results_of(judged)["experiments"]
    clean = type(judged)(tmp_path / "clean", judged.environ)
    clean.write({"evalwire.toml": (judged.directory / "evalwire.toml").read_text()})
    gated = clean.run("gate", "--experiment", experiment["experiment_id"], "--report-dir", "test-results")
    assert (gated.returncode, texts_of(clean)) == (0, TEXTS), gated.stdout
    assert kinds_of(clean) == KINDS

    runs = ResultCollector(client).get(experiment["experiment_id"]).runs
    [judge] = [one for one in runs[0].evaluations if one.name == "judge"]
    assert (judge.score, judge.label, judge.explanation) == (1.0, "checked", "it is question 0")
    assert judge.metadata == {"k": 1}, "what evalwire records of it is not the user's"
    [cites] = [one for one in runs[9].evaluations if one.name == "cites"]
    assert (cites.score, cites.label, cites.explanation) == (None, "not applicable", "no sources were asked for")


def test_phoenix_is_sent_no_more_of_a_kind_than_its_record_does_not_tell(judged, client, phoenix_url):
    import httpx

    assert judged.run("run").returncode == 0
    [experiment] = results_of(judged)["experiments"]
    document = httpx.get(f"{phoenix_url}/v1/experiments/{experiment['experiment_id']}/json", timeout=30).json()
    said = {
        (one["name"], json.dumps(one["metadata"], sort_keys=True)) for run in document for one in run["annotations"]
    }
    assert said == {
        ("judge", '{"evalwire": {"kind": "bool"}, "k": 1}'),
        ("cites", "{}"),
        ("cites", '{"evalwire": {"kind": "not_applicable"}}'),
        ("tone", "{}"),
    }


def test_a_resumed_job_reads_them_back(judged):
    failed = judged.run("run", "--task-concurrency", "1", RAISES="1")
    assert failed.returncode == 1
    done = judged.run("resume", "--retry-failed")
    assert (done.returncode, texts_of(judged)) == (0, TEXTS), done.stdout + done.stderr
    assert kinds_of(judged) == KINDS


def test_shards_share_them(judged):
    for part in ("1/2", "2/2"):
        done = judged.run("run", "--shard", part, EVALWIRE_RUN_KEY="kinds")
        assert done.returncode == 0, done.stdout + done.stderr
    gated = judged.run("gate", "--shards", "2", EVALWIRE_RUN_KEY="kinds")
    assert (gated.returncode, texts_of(judged)) == (0, TEXTS), gated.stdout + gated.stderr
    assert kinds_of(judged) == KINDS
