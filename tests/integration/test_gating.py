"""Gates and baselines from the user's seat: whole runs against a real Phoenix."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest
from splits import make_split

MAIN = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": "a" * 40, "GITHUB_REF_NAME": "main"}
PULL = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_SHA": "b" * 40,
    "GITHUB_REF_NAME": "7/merge",
    "GITHUB_HEAD_REF": "change",
    "GITHUB_BASE_REF": "main",
}
TASK = """
    import os

    async def task(example):
        n = int(example.input["q"].split()[-1])
        wrong = os.environ.get("WRONG", "").split(",")
        if os.environ.get("RAISES"):
            raise ValueError("the model is gone")
        return "nonsense" if str(n) in wrong else f"answer {n}"
"""
EXACT = "def exact(output, expected):\n    return output == expected['expected_output']\n"
LENGTH = "def length(output):\n    return len(output) / 10\n"

pytestmark = pytest.mark.needs_phoenix


EXAMPLES = 12  # each is five requests to Phoenix; a drop of 8 is no chance
thirty_examples = pytest.mark.parametrize("searching", [30], indirect=True, ids=["30"])


@pytest.fixture
def searching(request, phoenix_project, make_dataset):
    """A project with one experiment, whose drops are gated."""
    name = make_dataset(getattr(request, "param", EXAMPLES))
    phoenix_project.experiment(name, task=TASK, exact=EXACT, length=LENGTH)
    phoenix_project.write({"evalwire.toml": f"[experiments.{name}.gates]\nexact = {{ max_drop = 0.02 }}\n"})
    phoenix_project.name = name
    return phoenix_project


def results_of(project) -> dict:
    return json.loads((project.directory / "test-results" / "results.json").read_text())


def id_of(project) -> str:
    return results_of(project)["experiments"][0]["experiment_id"]


def wrong(*numbers: int) -> dict[str, str]:
    return {"WRONG": ",".join(map(str, numbers))}


def test_a_change_for_the_worse_is_red_and_its_examples_are_named_in_every_report(searching):
    """The five reports and the annotations name what got worse; the same run again is green."""
    assert searching.run("run", **MAIN).returncode == 0
    baseline = id_of(searching)
    assert searching.run("run", **PULL).returncode == 0, "the same task again"

    red = searching.run("run", **PULL, **wrong(*range(10)))
    assert red.returncode == 1
    found = results_of(searching)
    assert found["outcome"] == "gate_failed"
    assert found["baselines"][0]["experiment_id"] == baseline
    folder = searching.directory / "test-results"
    reports = [red.stdout, *((folder / name).read_text() for name in ("summary.md", "evalwire.xml", "report.html"))]
    for report in reports:
        assert "nonsense" in report or "evalwire.xml" in report or "question 3" in report
        assert "fell by" in report
    assert red.stdout.startswith("FAILED (1 of 1 gate failed)")
    assert f"::error file=evalwire.toml,line=2,title={searching.name}%3A exact max_drop::" in red.stdout
    quality = json.loads((folder / "gl-code-quality-report.json").read_text())
    assert [entry["location"] for entry in quality] == [{"path": "evalwire.toml", "lines": {"begin": 2}}]
    worse = [run["example_id"] for run in found["experiments"][0]["runs"] if run["output"] == "nonsense"]
    assert len(worse) == 10
    junit = (folder / "evalwire.xml").read_text()
    assert all(example in junit for example in worse)


@pytest.mark.slow
@thirty_examples
def test_noise_between_identical_systems_is_not_red(searching):
    """As many examples went one way as the other: not a regression, though some got worse."""
    rng = random.Random(4)
    assert searching.run("run", **MAIN, **wrong(*rng.sample(range(30), 6))).returncode == 0
    done = searching.run("run", "-v", **PULL, **wrong(*rng.sample(range(30), 7)))
    assert done.returncode == 0, done.stdout
    [gate] = [gate for gate in results_of(searching)["gates"] if gate["rule"] == "max_drop"]
    assert (gate["is_red"], gate["p_value"] > 0.05) == (False, True), gate["text"]


def test_auto_takes_the_right_one_among_many(searching, client, make_dataset, phoenix_url):
    """On main beside it: a red one, a partial one, one of another split, one of another folder, one of a branch."""
    name = searching.name
    assert searching.run("run", **MAIN).returncode == 0
    right = id_of(searching)
    assert searching.run("run", **PULL).returncode == 0, "of the branch"
    assert searching.run("run", "--gate", "exact >= 0.9", **MAIN, **wrong(*range(15))).returncode == 1, "a red one"
    partial = searching.run("run", "--fail-fast", **MAIN, RAISES="1")
    assert partial.returncode == 1
    searching.experiment("other_folder", task=TASK, exact=EXACT, length=LENGTH)
    toml = (searching.directory / "evalwire.toml").read_text()
    searching.write({"evalwire.toml": f'{toml}\n[experiments.other_folder]\ndataset = "{name}"\n'})
    assert searching.run("run", "--name", "other_folder", **MAIN).returncode == 0
    split = f"first of {name}"
    make_split(client, phoenix_url, name, split)
    assert searching.run("run", "--name", name, "--split", split, "--baseline", "none", **MAIN).returncode == 0
    [found] = results_of(searching)["experiments"]
    assert [run["example_splits"] for run in found["runs"]] == [[split]] * 5

    red = searching.run("run", "--name", name, **PULL, **wrong(*range(10)))
    assert results_of(searching)["baselines"][0]["experiment_id"] == right, red.stdout
    assert red.returncode == 1


@pytest.mark.parametrize("by_id", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_resume_keeps_the_split_that_was_asked_for(searching, client, phoenix_url, by_id):
    """Of an experiment that never began, too; and the baseline is one of that split, or a drop would go unseen."""
    name, split = searching.name, f"first of {searching.name}"
    make_split(client, phoenix_url, name, split)
    toml = (searching.directory / "evalwire.toml").read_text()
    searching.write({"evalwire.toml": f'{toml}\n[experiments.zz_later]\ndataset = "{name}"\n'})
    searching.experiment("zz_later", task=TASK, exact=EXACT, length=LENGTH)
    first = ("--name", name, "--split", split, "--baseline", "none")
    assert searching.run("run", *first, **MAIN).returncode == 0
    baseline = id_of(searching)

    begun = ("--split", split, "--concurrency", "1", "--task-concurrency", "1", "--fail-fast")
    assert searching.run("run", *begun, **PULL, RAISES="1").returncode == 1
    which = ("--experiment", id_of(searching), "--name", name) if by_id else ()
    searching.run("resume", *which, "--retry-failed", **PULL, **wrong(*range(5)))
    found = results_of(searching)
    assert [one["examples"] for one in found["experiments"]] == ([5] if by_id else [5, 5])
    assert found["baselines"][0]["experiment_id"] == baseline
    assert found["outcome"] == "gate_failed"
    assert [run["example_splits"] for run in found["experiments"][0]["runs"]] == [[split]] * 5


@pytest.mark.slow
@thirty_examples
def test_resume_keeps_the_version_that_was_asked_for(searching, client):
    """Of an experiment that never began, too."""
    name = searching.name
    version = client.datasets.get_dataset(dataset=name, timeout=60).version_id
    client.datasets.add_examples_to_dataset(
        dataset=name, examples=[{"input": {"q": "question 30"}, "output": {}}], timeout=60
    )
    (searching.directory / "evalwire.toml").write_text(f'[experiments.zz_later]\ndataset = "{name}"\n')
    searching.experiment("zz_later", task=TASK, exact=EXACT)
    begun = ("--dataset-version", version, "--concurrency", "1", "--task-concurrency", "1", "--fail-fast")
    assert searching.run("run", *begun, RAISES="1").returncode == 1
    done = searching.run("resume", "--retry-failed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one["examples"] for one in results_of(searching)["experiments"]] == [30, 30]


def test_gate_comes_to_the_same_verdict_from_a_clean_directory(searching, tmp_path, phoenix_url):
    """By the experiment's id or by the file; from a folder with evalwire.toml and nothing else."""
    searching.run("run", **MAIN)
    run = searching.run("run", **PULL, **wrong(*range(8)))
    experiment = id_of(searching)
    told = [gate["text"] for gate in results_of(searching)["gates"]]
    assert run.returncode == 1
    clean = type(searching)(tmp_path / "clean", searching.environ)
    clean.write({"evalwire.toml": (searching.directory / "evalwire.toml").read_text()})
    by_id = clean.run("gate", "--experiment", experiment, "--report-dir", "out")
    assert by_id.returncode == 1, by_id.stderr
    assert [gate["text"] for gate in json.loads((clean.directory / "out/results.json").read_text())["gates"]] == told
    by_file = clean.run("gate", "--results", str(searching.directory / "test-results" / "results.json"))
    assert by_file.returncode == 1
    assert told[0] in by_file.stdout
    loose = clean.run("gate", "--experiment", experiment, "--gate", f"{searching.name}.exact drop <= 0.8")
    assert loose.returncode == 0, loose.stdout
    assert sorted(path.name for path in clean.directory.iterdir()) == ["evalwire.toml", "out"]


def test_tokens_are_judged_by_the_run_and_by_what_it_left(phoenix_project, make_dataset):
    """LLM spans of any OpenTelemetry tracer count, without a word of the user's to evalwire."""
    task = """
        from opentelemetry import trace

        async def task(example):
            attributes = {"openinference.span.kind": "LLM", "llm.model_name": "m-1",
                          "llm.token_count.prompt": 10, "llm.token_count.completion": 5}
            with trace.get_tracer("mine").start_as_current_span("call", attributes=attributes):
                return example.input["q"]
    """
    phoenix_project.experiment(make_dataset(4), task=task)
    toml = '[gates]\nmax_total_tokens = 59\nmax_cost_usd = 0.01\n[prices."m-1"]\ninput = 2.0\noutput = 8.0\n'
    phoenix_project.write({"evalwire.toml": toml})
    run = phoenix_project.run("run", "-v")
    assert run.returncode == 1
    assert "the experiment used 60 tokens, above the limit of 59" in run.stdout
    assert "the experiment cost 0.00024 USD, within the limit of 0.01 USD" in run.stdout
    again = phoenix_project.run("gate", "-v", "--experiment", id_of(phoenix_project), "--gate", "total_tokens <= 60")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "the experiment used 60 tokens, within the limit of 60" in again.stdout


@pytest.mark.slow
@thirty_examples
def test_without_a_baseline_it_is_said_and_the_run_becomes_one(searching):
    """The first run passes; the second has it."""
    first = searching.run("run", **MAIN)
    assert first.returncode == 0
    assert "no baseline" in first.stdout
    assert searching.run("run", **PULL).returncode == 0
    assert results_of(searching)["baselines"][0]["note"] == ""


@pytest.mark.slow
@thirty_examples
def test_a_pinned_experiment_is_found_by_its_tag(searching):
    """However many runs came later; and a tag that nobody has is wrong use."""
    searching.run("run", **MAIN)
    pinned = id_of(searching)
    assert searching.run("baseline", "pin", pinned, "--tag", "release").returncode == 0
    searching.run("run", **MAIN)
    red = searching.run("run", "--baseline", "tag:release", **PULL, **wrong(*range(9)))
    assert red.returncode == 1
    assert results_of(searching)["baselines"][0]["experiment_id"] == pinned
    for missing in ("tag:relaese", "branch:nobody", "RXhwZXJpbWVudDo5OTk5OTk=", "file:nothing.json"):
        done = searching.run("run", "--baseline", missing)
        assert done.returncode == 2, (missing, done.stderr)
        assert missing.partition(":")[2] in done.stderr
        assert "cannot find the baseline" in done.stderr or "there is no file" in done.stderr


@pytest.mark.slow
@thirty_examples
def test_a_fork_compares_with_a_file(searching):
    """A results.json in the repository needs no Phoenix that holds the baseline."""
    searching.run("run", **MAIN)
    Path(searching.directory / "test-results" / "results.json").rename(searching.directory / "main.json")
    red = searching.run("run", "--baseline", "file:main.json", **wrong(*range(9)))
    assert red.returncode == 1
    assert results_of(searching)["baselines"][0]["asked"] == "file:main.json"


def test_a_baseline_in_the_report_folder_is_read_before_it_is_replaced(searching):
    """And one that cannot be a baseline is wrong use, which leaves it as it is and calls nothing."""
    file = searching.directory / "test-results/results.json"
    assert searching.run("run", **MAIN).returncode == 0
    red = searching.run("run", "--baseline", "file:test-results/results.json", **wrong(*range(9)))
    assert red.returncode == 1
    assert results_of(searching)["baselines"][0]["asked"] == "file:test-results/results.json"
    before = file.read_bytes()
    again = searching.run("run", "--baseline", "file:test-results/results.json")
    assert again.returncode == 2
    assert (
        f"cannot be a baseline: {searching.name} failed or did not finish. Use results of a passed run." in again.stderr
    )
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dry_run": True}, "is from a dry run"),
        ({"shard": "1/2"}, "is from shard 1/2 alone"),
        ({"experiments": []}, "cannot be a baseline: it has no experiment."),
    ],
)
def test_a_file_that_cannot_be_a_baseline_is_wrong_use(searching, change, said):
    assert searching.run("run", **MAIN).returncode == 0
    found = json.loads((searching.directory / "test-results/results.json").read_text())
    searching.write({"old.json": json.dumps({**found, **change})})
    done = searching.run("gate", "--results", "test-results/results.json", "--baseline", "file:old.json")
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_file_without_the_experiment_of_the_job_is_no_baseline_and_no_error(searching):
    """A pull request that renames an experiment is compared with a results.json that has the old name."""
    assert searching.run("run", **MAIN).returncode == 0
    found = json.loads((searching.directory / "test-results/results.json").read_text())
    found["experiments"][0]["name"] = "renamed"
    searching.write({"old.json": json.dumps(found)})
    done = searching.run("gate", "--results", "test-results/results.json", "--baseline", "file:old.json")
    assert done.returncode == 0, done.stderr
    assert f"old.json has no experiment '{searching.name}'" in done.stdout


@pytest.mark.slow
@thirty_examples
def test_changed_examples_are_counted_and_not_paired(searching, client):
    """An example whose content changed, one that came, one that went."""
    searching.run("run", **MAIN)
    dataset = client.datasets.get_dataset(dataset=searching.name, timeout=60)
    examples = [
        {"input": dict(one["input"]), "output": dict(one["output"]), "id": one["id"]} for one in dataset.examples
    ]
    examples[0]["output"] = {"expected_output": "another answer"}
    examples = [*examples[:-1], {"input": {"q": "question 99"}, "output": {"expected_output": "answer 99"}}]
    client.datasets.create_dataset(name=searching.name, examples=examples, timeout=60)
    searching.run("run", "--baseline", "auto", **PULL)
    baseline = results_of(searching)["baselines"][0]
    assert len(baseline["added"]) + len(baseline["changed"]) == 2
    assert len(baseline["removed"]) >= 1
    assert baseline["paired"] == 28


@pytest.mark.parametrize("gate", ["nobody.exact >= 1", "exakt >= 1"])
def test_a_gate_on_what_does_not_exist_is_wrong_use_before_anything_runs(searching, client, gate):
    """Exit 2, a suggestion, and no experiment in Phoenix."""
    done = searching.run("run", "--gate", gate)
    assert done.returncode == 2
    assert "there is no" in done.stderr
    dataset = client.datasets.get_dataset(dataset=searching.name, timeout=60)
    assert client.experiments.list(dataset_id=dataset.id) == []


def test_tolerated_errors_are_named_in_the_first_line(phoenix_project, make_dataset):
    """And the exit code is 0 only within the tolerance."""
    task = "async def task(example):\n    return 1 / (int(example.input['q'][-1]) - 3)\n"
    phoenix_project.experiment(make_dataset(5), task=task)
    green = phoenix_project.run("run", "--gate", "error_rate <= 20%")
    assert green.returncode == 0, green.stdout
    assert "tolerated" in green.stdout.splitlines()[0]
    assert phoenix_project.run("run", "--gate", "error_rate <= 19%").returncode == 1
    assert phoenix_project.run("run").returncode == 1


@pytest.mark.slow
@thirty_examples
def test_compare_shows_which_examples_went_which_way(searching):
    """By ids and by branches; as text, as Markdown and as JSON."""
    searching.run("run", **MAIN, **wrong(1, 2))
    before = id_of(searching)
    searching.run("run", "--baseline", "none", **PULL, **wrong(2, 3, 4))
    after = id_of(searching)
    text = searching.run("compare", before, after)
    assert text.returncode == 0, text.stderr
    assert re.search(r"exact +93\.3% +90\.0% +-3\.3 points .* 2 +1\n", text.stdout), text.stdout
    found = json.loads(searching.run("compare", "branch:main", "branch:change", "--json").stdout)
    (exact,) = [one for one in found[0]["comparisons"] if one["name"] == "exact"]
    assert (len(exact["worse"]), len(exact["better"])) == (2, 1)
    assert "`exact` | 93.3% | 90.0% |" in searching.run("compare", before, after, "--markdown").stdout
    assert searching.run("compare", before, "RXhwZXJpbWVudDo5OTk5OTk=").returncode == 2


@pytest.mark.slow
@thirty_examples
def test_resume_remembers_the_gates_that_the_run_was_told(searching):
    """A run that was cut off ends, resumed, as it would have: red by its own --gate."""
    searching.run("run", "--gate", "exact >= 1", "--fail-fast", **MAIN, RAISES="1")
    resumed = searching.run("resume", "--retry-failed", **MAIN, **wrong(1))
    assert resumed.returncode == 1
    assert "exact pass rate 96.7% is below 100%" in resumed.stdout
    assert results_of(searching)["outcome"] == "gate_failed"


def test_check_finds_a_gate_on_what_does_not_exist(searching):
    """Before a pipeline runs, and pays."""
    assert searching.run("check", "--json").returncode == 0
    done = searching.run("check", EVALWIRE_GATE="exakt >= 0.5")
    assert done.returncode == 1
    assert "Perhaps you meant" in done.stdout
    assert searching.run("run", "--dry-run", "--gate", "exakt >= 1").returncode == 2
    assert "gates are not applied" in searching.run("run", "--dry-run").stderr


def test_every_report_is_there_when_nothing_could_run(phoenix_project):
    """An empty folder, too, leaves what CI collects."""
    (phoenix_project.directory / "experiments").mkdir()
    assert phoenix_project.run("run").returncode == 1
    folder = phoenix_project.directory / "test-results"
    assert {path.name for path in folder.iterdir()} == {
        "results.json",
        "evalwire.xml",
        "summary.md",
        "report.html",
        "metrics.txt",
        "gl-code-quality-report.json",
    }
    assert "nothing_to_run" in (folder / "results.json").read_text()
    assert "<error" in (folder / "evalwire.xml").read_text()


@thirty_examples
def test_an_experiment_whose_first_runs_all_fail_is_stopped_unless_errors_are_tolerated(searching):
    """By the command: a script's ExperimentRunner runs all."""

    def runs(*arguments):
        done = searching.run("run", "--task-concurrency", "2", *arguments, RAISES="1")
        assert done.returncode == 1
        report = json.loads((searching.directory / "test-results/results.json").read_text())
        return len(report["experiments"][0]["runs"]), done.stdout + done.stderr

    count, said = runs()
    assert 10 <= count < 20
    assert "the first 10 runs all failed with ValueError at " in said
    (searching.directory / "evalwire.toml").write_text("[gates]\nmax_error_rate = 0.5\n")
    assert runs()[0] == 30


def test_gate_keeps_the_durations_of_the_run(phoenix_project, make_dataset):
    """And so the verdict of a limit on seconds, by the file and by what Phoenix has."""
    task = "import asyncio\n\nasync def task(example):\n    await asyncio.sleep(0.2)\n    return 1\n"
    phoenix_project.experiment(make_dataset(2), task=task)
    assert phoenix_project.run("run").returncode == 0
    (ran,) = json.loads((phoenix_project.directory / "test-results/results.json").read_text())["experiments"]
    assert ran["seconds"] > 0.2
    for number, chosen in enumerate(
        [("--results", "test-results/results.json"), ("--experiment", ran["experiment_id"])]
    ):
        folder = f"judged-{number}"
        assert phoenix_project.run("gate", *chosen, "--report-dir", folder).returncode == 0
        (judged,) = json.loads((phoenix_project.directory / folder / "results.json").read_text())["experiments"]
        durations = [run["seconds"] for run in ran["runs"]]
        assert [run["seconds"] for run in judged["runs"]] == pytest.approx(durations, abs=0.001)
        assert judged["seconds"] >= max(durations) - 0.001, "not what the gate took"
        assert number or judged["seconds"] == ran["seconds"]
