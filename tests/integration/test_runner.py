"""The Python API against a real Phoenix: the contract that users' scripts rely on."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import time

import httpx
import pytest

from conftest import script_command
from evalwire import ExperimentRunner, ExperimentsFailed
from evalwire.errors import NothingToRunError, PhoenixError, UsageError

pytestmark = pytest.mark.needs_phoenix

MATCH = "def match(output, expected):\n    return output == expected['expected_output']\n"


def test_every_run_and_evaluation_is_in_phoenix(phoenix_project, client, make_dataset):
    name = make_dataset(4)
    phoenix_project.experiment(name, match=MATCH, always="async def always(output):\n    return 0.5, 'half', 'why'\n")
    (result,) = ExperimentRunner(phoenix_project.experiments, client).run(metadata={"team": "search"})
    recorded = client.experiments.get_experiment(experiment_id=result.experiment_id)
    assert sorted(run["output"] for run in recorded["task_runs"]) == [f"question {n}" for n in range(4)]
    said = sorted((one.name, one.result["score"], one.result["label"]) for one in recorded["evaluation_runs"])
    assert said == [("always", 0.5, "half")] * 4 + [("match", 0.0, "False")] * 4
    assert {one.result.get("explanation") for one in recorded["evaluation_runs"]} == {"why", None}
    entry = client.experiments.get(experiment_id=result.experiment_id)
    assert re.fullmatch(rf"eval_{name}_\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ", result.opened.recorded_name)
    key = entry["metadata"].pop("evalwire_key")
    assert re.fullmatch(r"[0-9a-f]{32}", key), "which creation it came from"
    facts = entry["metadata"].pop("evalwire")
    assert (facts["experiment"], facts["outcome"], set(facts["evaluators"])) == (name, "passed", {"match", "always"})
    from_git = {"branch", "base_branch", "commit", "dirty"}
    own = {key: value for key, value in entry["metadata"].items() if key not in from_git}
    assert own == {"dataset": name, "run_by": "evalwire", "team": "search"}
    assert (entry["successful_run_count"], entry["failed_run_count"], entry["missing_run_count"]) == (4, 0, 0)


def test_without_a_client_the_environment_names_the_phoenix(
    phoenix_project, phoenix_url, client, make_dataset, monkeypatch
):
    monkeypatch.setenv("PHOENIX_ENDPOINT", phoenix_url)
    phoenix_project.experiment(make_dataset(1))
    (result,) = ExperimentRunner(phoenix_project.experiments).run()
    assert client.experiments.get(experiment_id=result.experiment_id)["successful_run_count"] == 1


def test_a_result_is_a_mapping_like_phoenixs_own_and_has_attributes(phoenix_project, client, make_dataset):
    name = make_dataset(2)
    phoenix_project.experiment(name)
    (result,) = ExperimentRunner(phoenix_project.experiments, client).run()
    assert set(result) == {
        "experiment_id",
        "dataset_id",
        "dataset_version_id",
        "task_runs",
        "evaluation_runs",
        "experiment_metadata",
        "project_name",
    }
    assert result["experiment_id"] == result.experiment_id
    assert [run["output"] for run in result["task_runs"]] == ["question 0", "question 1"]
    assert all(run["error"] is None and run["id"] and run["trace_id"] for run in result["task_runs"])
    assert [(one.name, one.result, one.error) for one in result["evaluation_runs"]] == [
        ("always", {"score": 1.0}, None)
    ] * 2


def test_results_of_all_are_on_the_exception(phoenix_project, client, make_dataset):
    """Any failure is a SystemExit with code 1, after all have finished, with the good results as well."""
    good, bad = sorted([make_dataset(2), make_dataset(2)])
    phoenix_project.experiment(good).experiment(bad, task="async def task(example):\n    raise ValueError('broken')\n")
    with pytest.raises(SystemExit) as caught:
        ExperimentRunner(phoenix_project.experiments, client).run()
    assert isinstance(caught.value, ExperimentsFailed)
    assert caught.value.code == 1
    assert [(result.name, result.passed) for result in caught.value.results] == [(good, True), (bad, False)]
    recorded = client.experiments.get_experiment(experiment_id=caught.value.results[1].experiment_id)
    assert all("ValueError: broken" in run["error"] for run in recorded["task_runs"])
    assert not recorded["evaluation_runs"]


def test_gates_are_applied_as_by_the_command(phoenix_project, client, make_dataset):
    """Texts as of `--gate`: a failed gate is in the exception, a passed gate in the list."""
    name = make_dataset(3)
    phoenix_project.experiment(name, match=MATCH)
    results = ExperimentRunner(phoenix_project.experiments, client, gates=[f"{name}.match <= 0.5"]).run()
    assert [(gate.name, gate.status) for gate in results.gates if gate.source != "default"] == [("match max", "passed")]
    assert "0 of 1 gate failed" in results._repr_html_()
    with pytest.raises(ExperimentsFailed, match=r"1 of 1 gate failed\n.*match") as caught:
        ExperimentRunner(phoenix_project.experiments, client, gates=["match pass_rate >= 90%"]).run()
    assert caught.value.code == 1
    assert [gate.status for gate in caught.value.gates if gate.is_red] == ["failed"]
    assert caught.value.results[0].passed
    recorded = client.experiments.get(experiment_id=caught.value.results[0].experiment_id)
    assert recorded["metadata"]["evalwire"]["outcome"] == "gate_failed"


def test_gates_of_a_table_compare_with_a_baseline(phoenix_project, client, make_dataset):
    """The keys of `[gates]`, with the baseline among them."""
    name = make_dataset(8)
    good = "def grade(output, expected):\n    return 1.0\n"
    phoenix_project.experiment(name, grade=good)
    [before] = ExperimentRunner(phoenix_project.experiments, client).run()
    phoenix_project.experiment(name, grade=good, task="async def task(example):\n    return 'worse'\n")
    gates = {"grade": {"max_drop": 0.1, "mode": "strict"}, "baseline": before.experiment_id}
    results = ExperimentRunner(phoenix_project.experiments, client, gates=gates).run()
    [gate] = [gate for gate in results.gates if gate.rule == "max_drop"]
    assert (gate.status, gate.value) == ("passed", 0.0)


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        (["match == 1"], "is not a gate"),
        (["match >= 0.5", 3], "expected a list of texts"),
        ("", "not an empty string"),
        ({"match": {"mni": 1}}, "Perhaps you meant 'min'"),
        ({"match": {"min": "x"}}, r"gates: \[gates.match\] min = 'x': expected a number"),
        ({"baseline": ""}, r"\[gates\] baseline"),
    ],
)
def test_an_invalid_gate_is_found_before_anything_runs(phoenix_project, client, gates, said):
    with pytest.raises(UsageError, match=said):
        ExperimentRunner(phoenix_project.experiments, client, gates=gates)


def test_a_gate_on_an_unknown_evaluator_is_found_before_anything_runs(phoenix_project, client, make_dataset):
    name = make_dataset(1)
    phoenix_project.experiment(name, match=MATCH)
    with pytest.raises(UsageError, match="Perhaps you meant 'match'"):
        ExperimentRunner(phoenix_project.experiments, client, gates=["mtch >= 0.5"]).run()
    assert client.experiments.list(dataset_id=client.datasets.get_dataset(dataset=name).id) == []


def test_a_dry_run_says_that_gates_are_not_applied(phoenix_project, client, make_dataset, caplog):
    phoenix_project.experiment(make_dataset(1), match=MATCH)
    results = ExperimentRunner(phoenix_project.experiments, client, gates=["match >= 1"], dry_run=True).run()
    assert not results.gates
    assert "the gates are not applied" in caplog.text


def test_a_script_ends_red_and_says_why(phoenix_project, phoenix_url, make_dataset):
    name = make_dataset(1)
    phoenix_project.experiment(name, task="async def task(example):\n    return example.input['nope']\n")
    script = (
        "from phoenix.client import Client; from evalwire.runner import ExperimentRunner;"
        f"ExperimentRunner('experiments', Client(base_url={phoenix_url!r})).run()"
    )
    phoenix_project.write({"script.py": script})
    done = subprocess.run(
        script_command("script.py"), cwd=phoenix_project.directory, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "KeyError: 'nope'" in done.stderr
    assert f"experiments/{name}/task.py:2" in done.stderr


def test_a_notebooks_running_loop_does_not_matter(phoenix_project, client, make_dataset):
    name = make_dataset(2)
    phoenix_project.experiment(name)

    async def cell():
        return ExperimentRunner(phoenix_project.experiments, client).run()

    (result,) = asyncio.run(cell())
    assert result.passed


def test_a_dry_run_runs_the_first_examples_and_writes_nothing(phoenix_project, client, make_dataset):
    name = make_dataset(5)
    phoenix_project.experiment(name)
    (one,) = ExperimentRunner(phoenix_project.experiments, client, dry_run=True).run()
    (two,) = ExperimentRunner(phoenix_project.experiments, client, dry_run=2).run()
    assert [run.output for run in one.runs] == ["question 0"]
    assert [run.output for run in two.runs] == ["question 0", "question 1"]
    assert one.passed
    assert two["experiment_id"] == "DRY_RUN"
    dataset = client.datasets.get_dataset(dataset=name)
    assert client.experiments.list(dataset_id=dataset.id) == []


@pytest.mark.parametrize("count", [0, -1])
def test_a_dry_run_of_nothing_is_an_error_not_a_full_run(phoenix_project, client, count):
    with pytest.raises(UsageError):
        ExperimentRunner(phoenix_project.experiments, client, dry_run=count)


@pytest.mark.parametrize(
    "limit",
    [
        {"concurrency": 0},
        {"task_concurrency": 0},
        {"record_connections": 0},
        {"timeout_seconds": 0},
        {"grace_seconds": -1},
    ],
)
def test_a_limit_that_would_hang_is_wrong_use(phoenix_project, client, limit):
    with pytest.raises(UsageError, match=next(iter(limit))):
        ExperimentRunner(phoenix_project.experiments, client, **limit)


def test_a_missing_or_empty_folder_has_no_results(phoenix_project, client):
    assert ExperimentRunner(phoenix_project.directory / "nowhere", client).run() == []
    phoenix_project.write({"experiments/readme.txt": "", "experiments/notes/x.py": ""})
    assert ExperimentRunner(str(phoenix_project.experiments), client).run() == []


def test_names_select_and_an_unknown_one_is_an_error(phoenix_project, client, make_dataset):
    first, second = make_dataset(1), make_dataset(1)
    phoenix_project.experiment(first).experiment(second, task="raise RuntimeError('not selected, not imported')")
    (result,) = ExperimentRunner(phoenix_project.experiments, client).run(names=[first])
    assert result.name == first
    with pytest.raises(NothingToRunError, match="nope"):
        ExperimentRunner(phoenix_project.experiments, client).run(names=[first, "nope"])


def test_the_prefix_names_the_experiment(phoenix_project, client, make_dataset):
    name = make_dataset(1)
    phoenix_project.experiment(name)
    (result,) = ExperimentRunner(phoenix_project.experiments, client).run(experiment_name_prefix="nightly")
    assert result.opened.recorded_name.startswith(f"nightly_{name}_")


def test_every_kind_of_import_works(phoenix_project, client, make_dataset):
    first, second = make_dataset(1), make_dataset(1)
    for name in (first, second):
        phoenix_project.experiment(
            name,
            task=f"""
                from agent.graph import retrieve
                from experiments.{name}.helpers import mine
                from .helpers import mine as also_mine

                async def task(example):
                    from agent.late import late
                    return [retrieve(), mine(), also_mine(), late()]
            """,
            always="def always(output):\n    return 1\n",
        )
        phoenix_project.write({f"experiments/{name}/helpers.py": f"def mine():\n    return {name!r}\n"})
    phoenix_project.write(
        {"agent/graph.py": "def retrieve():\n    return 'found'\n", "agent/late.py": "def late():\n    return 'late'\n"}
    )
    before = sorted(phoenix_project.directory.rglob("*"))
    path = list(sys.path)
    results = ExperimentRunner(phoenix_project.experiments, client).run()
    assert {result.name: result.runs[0].output for result in results} == {
        name: ["found", name, name, "late"] for name in (first, second)
    }
    assert sys.path == path
    assert sorted(phoenix_project.directory.rglob("*")) == before


def test_the_clients_own_settings_are_used(phoenix_project, phoenix_url, make_dataset):
    """A client with its own HTTP client (a proxy, a private CA, headers) is used for everything, spans too."""
    from phoenix.client import Client

    name = make_dataset(2)
    phoenix_project.experiment(name)
    paths = []

    def note(request: httpx.Request) -> None:
        paths.append(request.url.path)

    with httpx.Client(base_url=phoenix_url, event_hooks={"request": [note]}) as http_client:
        (result,) = ExperimentRunner(phoenix_project.experiments, Client(http_client=http_client)).run()
    assert result.passed
    assert sum(path.endswith("/runs") for path in paths) == 2
    assert sum(path.endswith("/experiment_evaluations") for path in paths) == 2
    assert any(path.endswith("/v1/traces") for path in paths)


def test_two_evaluators_from_one_factory_are_two(phoenix_project, client, make_dataset):
    """The file's name is the evaluation's name: `top_1.py` and `top_10.py` do not overwrite each other."""
    name = make_dataset(1)
    factory = "def make(k):\n    def top_k(output):\n        return k / 10\n    return top_k\n"
    phoenix_project.write({"shared.py": factory})
    phoenix_project.experiment(
        name,
        top_1="from shared import make\ntop_1 = make(1)\n",
        top_10="from shared import make\ntop_10 = make(10)\n",
    )
    (result,) = ExperimentRunner(phoenix_project.experiments, client).run()
    recorded = client.experiments.get_experiment(experiment_id=result.experiment_id)
    assert sorted((one.name, one.result["score"]) for one in recorded["evaluation_runs"]) == [
        ("top_1", 0.1),
        ("top_10", 1.0),
    ]


def test_a_secret_in_an_error_is_not_recorded_or_logged(phoenix_project, client, make_dataset, monkeypatch, caplog):
    """The environment's secrets are masked for scripts too, in Phoenix and in what is logged."""
    monkeypatch.setenv("MY_API_KEY", "sk-0123456789")
    name = make_dataset(1)
    task = "import os\n\nasync def task(e):\n    raise ValueError('x' * 490 + os.environ['MY_API_KEY'])\n"
    phoenix_project.experiment(name, task=task)
    with pytest.raises(ExperimentsFailed) as failed:
        ExperimentRunner(phoenix_project.experiments, client).run()
    recorded = client.experiments.get_experiment(experiment_id=failed.value.results[0].experiment_id)
    shown = recorded["task_runs"][0]["error"] + caplog.text + str(failed.value)
    assert "***" in shown
    assert "sk-0123" not in shown


def test_what_ci_says_is_in_the_metadata(phoenix_project, client, make_dataset, monkeypatch):
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("CI_COMMIT_SHA", "abc123")
    phoenix_project.experiment(make_dataset(1))
    (result,) = ExperimentRunner(phoenix_project.experiments, client).run()
    assert result.experiment_metadata["commit"] == "abc123"


def test_a_client_without_a_connection_is_refused_before_anything_runs(phoenix_project):
    """A fake of the client's calls is an error that says what a test can pass in its place."""

    class Client:
        datasets = experiments = object()

    phoenix_project.experiment("any", e="def e(expected): return expected == 0")
    with pytest.raises(PhoenixError, match=r"type Client: it has no HTTP connection.\n.*MockTransport"):
        ExperimentRunner(phoenix_project.experiments, Client()).run()


@pytest.mark.parametrize("dry_run", [False, True])
def test_no_thread_is_left_behind(phoenix_project, client, make_dataset, dry_run):
    """A notebook runs experiments again and again."""
    before = set(threading.enumerate())  # other tests leave functions behind on purpose
    runner = ExperimentRunner(phoenix_project.experiment(make_dataset(2)).experiments, client, dry_run=dry_run)
    runner.run()
    deadline = time.monotonic() + 20
    while left := [thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("evalwire")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
