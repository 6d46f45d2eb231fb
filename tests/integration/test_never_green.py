"""Promise 1: each way to be falsely green ends in exit 1 and a message of its own, from the user's seat."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from faults import Fault, FaultyPhoenix
from nightly import mostly_nightly

pytestmark = pytest.mark.needs_phoenix

TASK = "async def task(example):\n    return example.input['q']\n"


def test_exit_0_means_that_everything_held(phoenix_project, make_dataset):
    name = make_dataset(3)
    done = phoenix_project.experiment(name).run("run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("PASSED: 1 experiment, 3 examples, none failed")
    assert "compare?experimentId=" in done.stdout


@pytest.mark.parametrize(
    ("files", "said"),
    mostly_nightly(
        [
            ({"task.py": TASK}, "has no evaluator"),
            ({"task.py": "import nowhere\n", "e.py": "def e(output): return 1"}, "No module named 'nowhere'"),
            ({"task.py": "x = 1\n", "e.py": "def e(output): return 1"}, "task.py does not define `task`"),
            ({"task.py": "def task(:\n", "e.py": "def e(output): return 1"}, "SyntaxError"),
            ({"task.py": "import sys\nsys.exit(0)\n", "e.py": "def e(output): return 1"}, "SystemExit: 0"),
            ({"task.py": TASK, "e.py": "def misspelt(output): return 1"}, "e.py does not define `e`"),
            ({"task.py": TASK, "e.py": "raise OSError('at import')"}, "OSError: at import"),
            ({"task.py": TASK, "e.py": "e = 3"}, "`e` is an int, not a function"),
            ({"task.py": TASK, "e.py": "def e(a, b): return 1"}, "cannot bind `a`, `b`"),
            ({"task.py": "def task(a, b): return 1", "e.py": "def e(output): return 1"}, "cannot bind `a`, `b`"),
            (
                {"task.py": "async def task(example): raise KeyError('k')", "e.py": "def e(output): return 1"},
                "KeyError: 'k'",
            ),
            (
                {"task.py": "import sys\nasync def task(e): sys.exit(0)", "e.py": "def e(output): return 1"},
                "SystemExit: 0",
            ),
            (
                {"task.py": "async def task(e): return object()", "e.py": "def e(output): return 1"},
                "output is an object, which JSON cannot represent",
            ),
            (
                {"task.py": "async def task(e): return float('nan')", "e.py": "def e(o): return 1"},
                "output is nan, which JSON cannot represent",
            ),
            (
                {"task.py": "async def task(e): return 2**64", "e.py": "def e(o): return 1"},
                "an integer of more than 64 bits, which Phoenix does not store; convert it to text",
            ),
            (
                {"task.py": "async def task(e): return 'a\\0b'", "e.py": "def e(o): return 1"},
                "text with a NUL character, which Phoenix does not store on PostgreSQL; remove it",
            ),
            (
                {
                    "task.py": "async def task(e):\n    deep = 1\n    for _ in range(251):\n        deep = [deep]\n    return deep\n",
                    "e.py": "def e(o): return 1",
                },
                "more than 250 levels of lists and dicts, which Phoenix does not store; flatten it",
            ),
            ({"task.py": TASK, "e.py": "def e(output): raise ValueError('judge')"}, "ValueError: judge"),
            ({"task.py": TASK, "e.py": "def e(output): return None"}, "returned None"),
            ({"task.py": TASK, "e.py": "def e(output): return float('nan')"}, "the score is nan"),
            ({"task.py": TASK, "e.py": "def e(output): return []"}, "empty list"),
            ({"task.py": TASK, "e.py": "def e(output): return {'accuracy': 1}"}, "neither `score` nor `label`"),
            ({"task.py": TASK, "e.py": "import sys\nasync def e(output): sys.exit(0)"}, "SystemExit: 0"),
        ],
        kept=(0, 1, 5, 10, 12, 15, 17, 18, 22),
    ),
)
def test_a_broken_experiment_is_red_and_says_what_is_wrong(phoenix_project, make_dataset, files, said):
    """The good experiment beside it runs all the same, and does not make the job green."""
    broken, good = make_dataset(2), make_dataset(2)
    phoenix_project.write({f"experiments/{broken}/{file}": text for file, text in files.items()})
    done = phoenix_project.experiment(good).run("run")
    assert done.returncode == 1, done.stdout
    assert done.stdout.startswith("FAILED: 2 experiments")
    assert said in done.stdout
    assert f"experiments/{broken}" in done.stdout
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert {entry["name"]: entry["passed"] for entry in report["experiments"]} == {broken: False, good: True}
    assert (report["outcome"], report["exit_code"]) == ("errors", 1)


def test_a_failure_names_example_exception_and_line(phoenix_project, make_dataset):
    name = make_dataset(3)
    task = "async def task(example):\n    if example.input['q'] == 'question 1':\n        raise KeyError('k')\n    return 1\n"
    done = phoenix_project.experiment(name, task=task).run("run")
    assert done.returncode == 1
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    failed = report["experiments"][0]["runs"][1]
    assert f"{name}: 1 of 3 examples failed" in done.stdout
    assert f"example {failed['example_id']}" in done.stdout
    assert f"KeyError: 'k'  (experiments/{name}/task.py:3)" in done.stdout
    assert "always" in done.stdout
    assert "1.000  (1 missing)" in done.stdout


def test_an_error_that_is_only_named_like_phoenixs_is_no_outage(phoenix_project, make_dataset):
    """A pipeline that tries an outage again must not do so for a defect of the task."""
    task = "class PhoenixError(Exception): ...\n\nasync def task(example):\n    raise PhoenixError('mine')\n"
    done = phoenix_project.experiment(make_dataset(2), task=task).run("run")
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert (done.returncode, report["outcome"]) == (1, "errors")
    [failure] = {run["failure"]["kind"] for run in report["experiments"][0]["runs"]}
    assert failure == "user"


def test_nothing_to_run_is_red(phoenix_project):
    done = phoenix_project.run("run")
    assert done.returncode == 1
    assert f"no experiment in {phoenix_project.experiments}/" in done.stderr
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert (report["outcome"], report["exit_code"]) == ("nothing_to_run", 1)


def test_a_folder_without_experiments_is_red_and_says_what_it_skipped(phoenix_project):
    done = phoenix_project.write({"experiments/typo/tasks.py": TASK}).run("run")
    assert done.returncode == 1
    assert "typo" in done.stderr


def test_an_unknown_name_is_red_and_runs_nothing(phoenix_project, make_dataset):
    name = make_dataset(1)
    phoenix_project.experiment(name, task="async def task(e):\n    open('ran', 'w')\n    return 1\n")
    done = phoenix_project.run("run", "--name", name, "--name", name[:-1])
    assert done.returncode == 1
    assert f"Did you mean '{name}'?" in done.stderr
    assert not (phoenix_project.directory / "ran").exists()


def test_a_missing_dataset_is_red(phoenix_project, make_dataset):
    done = phoenix_project.experiment(make_dataset(1)).experiment("no_such_set").run("run")
    assert done.returncode == 1
    assert "has no dataset 'no_such_set'" in done.stdout


def test_an_empty_dataset_is_red(phoenix_project, client, make_dataset):
    """Phoenix refuses to make one, so a real dataset is shown empty by the proxy in between."""
    name = make_dataset(1)
    empty = b'{"data": {"dataset_id": "x", "version_id": "v", "filtered_splits": [], "examples": []}}'
    headers = {"content-type": "application/json"}
    rule = lambda _m, path: Fault(status=200, headers=headers, body=empty) if path.endswith("/examples") else None  # noqa: E731
    with FaultyPhoenix(phoenix_project.environ["PHOENIX_ENDPOINT"], rule).serving() as proxy:
        done = phoenix_project.experiment(name).run("run", PHOENIX_ENDPOINT=proxy.url)
    assert done.returncode == 1
    assert "has no examples" in done.stdout


@pytest.mark.parametrize("part", ["/runs", "/experiment_evaluations"])
def test_a_record_that_phoenix_refuses_is_red(phoenix_project, make_dataset, part):
    name = make_dataset(3)
    rule = lambda method, path: Fault(status=422) if method == "POST" and path.endswith(part) else None  # noqa: E731
    with FaultyPhoenix(phoenix_project.environ["PHOENIX_ENDPOINT"], rule).serving() as proxy:
        done = phoenix_project.experiment(name).run("run", PHOENIX_ENDPOINT=proxy.url)
    assert done.returncode == 1
    assert "not recorded: PhoenixError" in done.stdout
    assert f"{name}: 3 of 3 examples failed" in done.stdout


def test_phoenix_not_there_is_red_and_called_infrastructure(project):
    done = project.experiment("any").run("run")
    assert done.returncode == 1
    assert "PhoenixUnreachable" in done.stdout
    assert "http://127.0.0.1:9" in done.stdout
    report = json.loads((project.directory / "test-results/results.json").read_text())
    assert report["outcome"] == "infrastructure"


def test_phoenix_that_goes_away_ends_the_job_soon_and_red(phoenix_project, make_dataset):
    """No task is paid for when its result cannot be recorded."""
    name = make_dataset(150)
    task = "async def task(example):\n    print('called')\n    return 1\n"
    rule = lambda method, path: Fault(status=503) if method == "POST" and path.endswith("/runs") else None  # noqa: E731
    with FaultyPhoenix(phoenix_project.environ["PHOENIX_ENDPOINT"], rule).serving() as proxy:
        done = phoenix_project.experiment(name, task=task).run(
            "run", "--task-concurrency", "2", PHOENIX_ENDPOINT=proxy.url, EVALWIRE_RECORD_TIMEOUT_SECONDS="1"
        )
    assert done.returncode == 1
    assert done.stdout.count("called") < 120, "100 may wait for Phoenix"
    assert "not run" in done.stdout
    assert (
        json.loads((phoenix_project.directory / "test-results/results.json").read_text())["outcome"] == "infrastructure"
    )


def test_a_process_that_user_code_ends_is_red(phoenix_project, make_dataset):
    """`os._exit(0)` ends it at once; the pipeline must not take that for a success."""
    task = "import os\n\nasync def task(example):\n    os._exit(0)\n"
    done = phoenix_project.experiment(make_dataset(1), task=task).run_process("run")
    assert done.returncode == 1
    assert "os._exit(0)" in done.stderr


@pytest.mark.parametrize("how", mostly_nightly(["> /dev/full", ">&-", "| true"]))
def test_a_result_that_nobody_can_see_is_no_success_and_its_report_is_written(phoenix_project, make_dataset, how):
    """The file comes before the screen."""
    phoenix_project.experiment(make_dataset(1))
    command = f"set -o pipefail; {sys.executable} -m evalwire run -q {how}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=phoenix_project.directory,
        env=phoenix_project.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    report = json.loads((phoenix_project.directory / "test-results/results.json").read_text())
    assert report["outcome"] == ("errors" if how == "> /dev/full" else "passed")
    assert "Traceback" not in done.stderr
    if how == "> /dev/full":
        assert done.returncode == 1
        assert done.stderr == "evalwire: cannot show the result: No space left on device\n"


def test_an_old_report_does_not_outlive_a_red_run(phoenix_project, make_dataset):
    """A pipeline that reads results.json after a failure does not find yesterday's success."""
    file = phoenix_project.directory / "test-results/results.json"
    phoenix_project.experiment(make_dataset(1))
    assert phoenix_project.run("run").returncode == 0
    assert json.loads(file.read_text())["outcome"] == "passed"
    assert phoenix_project.run("run", PHOENIX_ENDPOINT="no-scheme:1").returncode == 2
    assert json.loads(file.read_text())["outcome"] == "infrastructure"


def test_user_code_that_changes_directory_does_not_move_the_report(phoenix_project, make_dataset, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    task = f"import os\n\nasync def task(example):\n    os.chdir({str(elsewhere)!r})\n    return 1\n"
    assert phoenix_project.experiment(make_dataset(1), task=task).run("run").returncode == 0
    assert (phoenix_project.directory / "test-results/results.json").exists()
    assert list(elsewhere.iterdir()) == []


def test_text_that_cannot_be_encoded_is_recorded_all_the_same(phoenix_project, client, make_dataset):
    """Half a surrogate pair or a NUL in an error or an explanation costs neither the run nor the evaluation."""
    name = make_dataset(2)
    task = "async def task(example):\n    if '0' in example.input['q']:\n        raise ValueError('bad \\ud800 \\x00')\n    return 1\n"
    done = phoenix_project.experiment(name, task=task, e="def e(output): return 1.0, 'ok', 'why \\ud800'").run("run")
    assert done.returncode == 1
    assert "not recorded" not in done.stdout
    (entry,) = client.experiments.list(dataset_id=client.datasets.get_dataset(dataset=name).id)
    assert (entry["successful_run_count"], entry["failed_run_count"]) == (1, 1)


@pytest.mark.parametrize("arguments", [["run", "--name", ""], ["upload", "--csv", "t.csv", "--input-keys", ""]])
def test_an_empty_selection_is_wrong_use_and_not_everything(phoenix_project, make_dataset, arguments):
    phoenix_project.write({"t.csv": "user_query,expected_output,tags\na,b,c\n"})
    done = phoenix_project.experiment(make_dataset(1)).run(*arguments)
    assert done.returncode == 2
    assert "expected at least 1" in done.stderr


NEIGHBOURS = [
    "anyio",
    "certifi",
    "click",
    "csv",
    "email",
    "encodings",
    "h11",
    "h2",
    "hpack",
    "html",
    "http",
    "httpcore",
    "httpx",
    "idna",
    "jinja2",
    "json",
    "markupsafe",
    "msgspec",
    "opentelemetry",
    "phoenix",
    "queue",
    "random",
    "rich",
    "secrets",
    "statistics",
    "stringprep",
    "tenacity",
    "typer",
    "xml",
    "zlib",
]


def test_neighbours_of_the_names_of_libraries_cost_nothing(phoenix_project, make_dataset):
    """Modules beside the experiments that are called html.py, rich.py or json.py are not what evalwire imports."""
    text = "raise RuntimeError('the neighbour is imported')\n"
    phoenix_project.write({f"{name}.py": text for name in NEIGHBOURS}).experiment(make_dataset(2))
    python = [sys.executable, "-P", "-X", "importtime"]  # as the console script, which lies elsewhere
    done = subprocess.run(
        [*python, "-m", "evalwire", "run"],
        cwd=phoenix_project.directory,
        env=phoenix_project.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "neighbour" in done.stderr) == (0, False), done.stderr
    assert "phoenix.server" not in done.stderr, "which takes ten seconds to import"
    assert {"results.json", "evalwire.xml", "summary.md", "report.html"} <= {
        path.name for path in (phoenix_project.directory / "test-results").iterdir()
    }
