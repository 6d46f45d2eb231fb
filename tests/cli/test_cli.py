"""The command line: flags, exit codes, help, secrets, and what goes to which stream."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import uuid

import pytest
from typer.main import get_command

from conftest import EVALWIRE, Project
from evalwire.cli import main
from evalwire.cli.app import app
from evalwire.cli.entry import prepare

VERBS = tuple(sorted(get_command(app).commands))
KEY = "sk-very-secret-0123456789"


@pytest.mark.parametrize(
    ("given", "prepared"),
    [
        (["run", "--dry-run"], ["run", "--dry-run=1"]),
        (["run", "--dry-run", "5"], ["run", "--dry-run", "5"]),
        (["run", "--dry-run=5"], ["run", "--dry-run=5"]),
        (["run", "--dry-run", "0"], ["run", "--dry-run", "0"]),
        (["run", "--dry-run", "-1"], ["run", "--dry-run", "-1"]),
        (["run", "--dry-run", "--name", "a"], ["run", "--dry-run=1", "--name", "a"]),
        (["run", "--name", "a", "--dry-run"], ["run", "--name", "a", "--dry-run=1"]),
        (["--dry-run"], ["run", "--dry-run=1"]),
        (["--name", "a"], ["run", "--name", "a"]),
        (["--version"], ["--version"]),
        (["--help"], ["--help"]),
        (["--install-completion"], ["--install-completion"]),
        (["--show-completion"], ["--show-completion"]),
        ([], []),
        (["run", "--", "--dry-run"], ["run", "--", "--dry-run"]),
    ],
)
def test_dry_run_takes_a_number_or_none_and_flags_alone_mean_run(given, prepared):
    assert prepare(given) == prepared


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_reads_well_at_80_columns(project, verb):
    """No line is longer, no description is cut, no word is broken over a border, and a switch has no type."""
    run = project.run if verb else project.run_process
    done = run(*([verb] if verb else []), "--help", COLUMNS="80", NO_COLOR="1")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "…" not in done.stdout
    assert "<" not in done.stdout


def test_the_version_is_told():
    done = subprocess.run([*EVALWIRE, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"evalwire \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--no-such-flag"], "--no-such-flag"),
        (["no-such-verb"], "no-such-verb"),
        (["run", "--dry-run", "0"], "at least 1 example"),
        (["run", "--dry-run", "-3"], "at least 1 example"),
        (["run", "--experiments", "nowhere"], "nowhere does not exist"),
        (["run", "--config", "nowhere.toml"], "nowhere.toml does not exist"),
        (["run", "--env-file", "nowhere.env"], "nowhere.env does not exist"),
        (["run", "--concurrency", "0"], "--concurrency"),
        (["run", "--timeout", "-1"], "--timeout"),
        (["check", "--experiments", "nowhere"], "nowhere does not exist"),
        (["list", "--experiments", "nowhere"], "nowhere does not exist"),
        (["upload"], "no testset is named"),
        (["upload", "--csv", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_wrong_use_is_exit_2_and_says_what_is_wrong(project, arguments, said):
    done = project.run(*arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[experiments]\nconcurency = 2\n", "Perhaps you meant 'concurrency'"),
        ("[experimens]\n", "Perhaps you meant 'experiments'"),
        ("not toml", "is not valid TOML"),
        ("[experiments]\nconcurrency = 'many'\n", "expected a whole number"),
        ("[experiments.nope]\ndataset = 'x'\n", "has no experiment 'nope'"),
    ],
)
def test_a_wrong_evalwire_toml_is_exit_2(project, toml, said):
    done = project.experiment("any").write({"evalwire.toml": toml}).run("run")
    assert done.returncode == 2
    assert said in done.stderr


def test_check_says_how_a_folder_with_the_name_of_a_setting_is_configured(project):
    project.experiment("split").experiment("other").write(
        {"evalwire.toml": '[experiments."./split".gates]\nmax_cost_usd = 1\n'}
    )
    done = project.run("check", "--fetch-attempts", "1")
    assert 'ok      split: in evalwire.toml, the table of this folder is [experiments."./split"]\n' in done.stdout
    assert done.stdout.count("the table of this folder") == 1


def test_gates_of_an_experiment_in_their_old_place_are_exit_2_with_the_new_form(project):
    project.experiment("any").write({"evalwire.toml": "[gates.any]\nmax_cost_usd = 1\n"})
    done = project.run("list")
    assert done.returncode == 2
    assert done.stderr.endswith("Write instead:\n[experiments.any.gates]\nmax_cost_usd = 1\n")


def test_a_misspelt_variable_is_exit_2(project):
    done = project.experiment("any").run("run", EVALWIRE_TASK_CONCURENCY="5")
    assert done.returncode == 2
    assert "Perhaps you meant EVALWIRE_TASK_CONCURRENCY" in done.stderr


def test_a_bad_endpoint_is_told_as_such(project):
    done = project.experiment("any").run("run", PHOENIX_ENDPOINT="localhost:6006")
    assert done.returncode == 1
    assert "endpoint is not an http:// or https:// address" in done.stderr


def test_a_port_that_is_none_is_told_as_such(project):
    """Kubernetes sets such a value for a service named phoenix."""
    project.environ.pop("PHOENIX_ENDPOINT")
    done = project.experiment("any").run("run", PHOENIX_PORT="tcp://10.0.0.1:6006")
    assert done.returncode == 1
    assert "tcp://10.0.0.1:6006" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_of_evalwires_own_beats_an_inferred_one(project):
    """A collector for other telemetry is no reason to look for Phoenix there."""
    project.environ.pop("PHOENIX_ENDPOINT")
    done = project.experiment("any").run(
        "run", EVALWIRE_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:8"
    )
    assert "http://127.0.0.1:9 could not be reached" in done.stdout


def test_a_report_folder_that_was_asked_for_must_be_writable(project):
    project.write({"taken": "a file"})
    done = project.experiment("any").run("run", "--report-dir", "taken/reports")
    assert done.returncode == 2
    assert "cannot be written" in done.stderr


def test_without_a_writable_report_folder_the_run_says_so_and_goes_on(project):
    project.write({"test-results": "a file"})
    done = project.experiment("any").run("run")
    assert "no report and no journal are written" in done.stderr
    assert done.returncode == 1
    assert "PhoenixUnreachable" in done.stdout


def test_list_shows_what_was_discovered_without_phoenix(project):
    project.experiment("search", top_k="def top_k(output): return 1", judge="async def judge(output): return 1")
    project.experiment("broken", task="def task(a, b): return 1")
    done = project.write({"experiments/notes/x.txt": ""}).run("list")
    assert done.returncode == 1
    assert "search\n  dataset     search\n  task        async\n  evaluators  judge (async), top_k\n" in done.stdout
    assert "cannot bind `a`, `b`" in done.stdout
    assert "notes/  skipped: no task.py" in done.stdout


def test_list_of_a_sound_project_is_exit_0(project):
    assert project.experiment("search").run("list").returncode == 0


# --- secrets -------------------------------------------------------------------------------------------


def test_secrets_are_masked_wherever_they_would_be_shown(project):
    """Also in an exception of the user's code, in what it prints, in a report, and from a `.env`."""
    project.write({".env": "MY_SERVICE_TOKEN=tok-from-the-file-99\n"})
    project.experiment(
        "leaky",
        task=(
            "import os\nprint('printed', os.environ['OPENAI_API_KEY'])\n"
            "raise RuntimeError('key ' + os.environ['OPENAI_API_KEY'] + ' ' + os.environ['MY_SERVICE_TOKEN'])\n"
        ),
    )
    done = project.run("run", "--verbose", OPENAI_API_KEY=KEY)
    shown = done.stdout + done.stderr + (project.directory / "test-results/results.json").read_text()
    assert done.returncode == 1
    assert "key *** ***" in shown
    assert "printed ***" in shown
    assert KEY not in shown
    assert "tok-from-the-file-99" not in shown


def test_check_shows_settings_and_their_sources_with_secrets_masked(project):
    project.write({"evalwire.toml": "[experiments]\nprefix = 'nightly'\n", ".env": "EVALWIRE_CONCURRENCY=3\n"})
    done = project.experiment("any").run(
        "check", "--show-settings", "--name", "any", PHOENIX_API_KEY=KEY, EVALWIRE_TASK_CONCURRENCY="7"
    )
    assert done.returncode == 1
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert "nightly" in lines["prefix"]
    assert "evalwire.toml" in lines["prefix"]
    assert re.search(r"\b7\b.*EVALWIRE_TASK_CONCURRENCY", lines["task_concurrency"])
    assert re.search(r"\b3\b.*EVALWIRE_CONCURRENCY", lines["concurrency"])
    assert "(flag)" in lines["names"]
    assert "(default)" in lines["timeout_seconds"]
    assert "***" in lines["PHOENIX_API_KEY"]
    assert KEY not in done.stdout


def test_an_endpoint_in_the_environment_beats_every_endpoint_of_a_file(project):
    """By whatever name: a `.env` cannot pull the key elsewhere."""
    project.write(
        {".env": "PHOENIX_ENDPOINT=http://evil.example\n", "evalwire.toml": "[phoenix]\nendpoint='http://c'\n"}
    )
    project.environ.pop("PHOENIX_ENDPOINT")
    done = project.experiment("any").run("check", PHOENIX_COLLECTOR_ENDPOINT="http://127.0.0.1:9/v1/traces")
    assert "http://127.0.0.1:9" in done.stdout
    assert "evil.example" not in done.stdout


def test_both_a_key_and_a_key_file_are_wrong_use(project):
    project.write({"key": KEY})
    done = project.experiment("any").run("run", PHOENIX_API_KEY=KEY, PHOENIX_API_KEY_FILE="key")
    assert done.returncode == 2
    assert "PHOENIX_API_KEY and PHOENIX_API_KEY_FILE are both set" in done.stderr


# --- with a Phoenix ------------------------------------------------------------------------------------


@pytest.mark.needs_phoenix
def test_check_says_what_is_there(phoenix_project: Project, make_dataset):
    name = make_dataset(4)
    done = phoenix_project.experiment(name).run("check", "--json")
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout
    assert document["ok"] is True
    details = {finding["what"]: finding["detail"] for finding in document["findings"]}
    assert re.search(r"version \d+\.\d+\.\d+, credentials accepted", details["Phoenix"])
    assert details[name] == "async task, evaluators always"
    assert details[f"{name}: dataset '{name}'"] == "4 examples"


@pytest.mark.needs_phoenix
def test_check_runs_no_task(phoenix_project: Project, make_dataset):
    name = make_dataset(1)
    task = "async def task(example):\n    open('ran', 'w')\n"
    assert phoenix_project.experiment(name, task=task).run("check").returncode == 0
    assert not (phoenix_project.directory / "ran").exists()


@pytest.mark.needs_phoenix
def test_check_is_red_for_a_missing_dataset_and_a_broken_evaluator(phoenix_project: Project):
    done = phoenix_project.experiment("no_such_set", judge="raise OSError('x')").run("check")
    assert done.returncode == 1
    assert "has no dataset 'no_such_set'" in done.stdout
    assert "OSError: x" in done.stdout


@pytest.mark.needs_phoenix
def test_stdout_has_the_result_and_stderr_the_progress(phoenix_project: Project, make_dataset):
    name = make_dataset(2)
    loud = phoenix_project.experiment(name).run("run")
    quiet = phoenix_project.run("run", "--quiet")
    assert loud.stdout.startswith("PASSED")
    assert f"{name}: 2 examples" in loud.stderr
    assert quiet.stdout.startswith("PASSED")
    assert quiet.stderr == ""
    assert "\x1b" not in loud.stdout + loud.stderr


def on_a_terminal(project: Project, *arguments: str, columns: int = 80, **environ: str) -> tuple[int, str]:
    """Run evalwire on a terminal of its own: its exit code, and all that the terminal was sent."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [*EVALWIRE, *arguments],
        cwd=project.directory,
        env={**project.environ, "TERM": "xterm", **environ},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    sent = b""
    with contextlib.suppress(OSError):  # how a terminal says that nobody writes to it any more
        while more := os.read(ours, 65536):
            sent += more
    os.close(ours)
    return process.wait(60), sent.decode()


@pytest.mark.needs_phoenix
def test_a_terminal_has_a_bar_and_colours_and_what_user_code_prints_above_it(phoenix_project: Project, make_dataset):
    """A secret that the terminal's width would cut in two is masked before that."""
    name = make_dataset(3)
    task = "import os\n\nasync def task(example):\n    print('x' * 70 + os.environ['MY_API_KEY'])\n    return 1\n"
    code, sent = on_a_terminal(phoenix_project.experiment(name, task=task), "run", MY_API_KEY=KEY)
    assert code == 0, sent
    assert re.search(rf"{name} (\x1b\[\d+m)?━", sent)
    assert "3/3" in sent
    assert "\x1b[1;32mPASSED: 1 experiment, 3 examples" in sent
    assert "x" * 70 + "***" in sent
    assert KEY[:10] not in sent


@pytest.mark.needs_phoenix
def test_no_color_and_a_terminal_without_a_size_are_respected(phoenix_project: Project, make_dataset):
    code, sent = on_a_terminal(phoenix_project.experiment(make_dataset(1)), "run", columns=0, NO_COLOR="1")
    assert code == 0
    assert "PASSED: 1 experiment, 1 example" in sent
    assert "\x1b[1;32m" not in sent


@pytest.mark.needs_phoenix
def test_an_upload_has_a_bar_on_a_terminal(phoenix_project: Project):
    tag = f"set-{uuid.uuid4().hex[:8]}"
    phoenix_project.write({"testset.csv": f"user_query,expected_output,tags\nq,a,{tag}\nr,b,{tag}\n"})
    code, sent = on_a_terminal(phoenix_project, "upload", "--csv", "testset.csv")
    assert code == 0, sent
    assert re.search(rf"{tag} (\x1b\[\d+m)?━", sent)
    assert "2/2" in sent
    assert f"{tag}: created, 2 examples" in sent


@pytest.mark.needs_phoenix
def test_a_dry_run_says_that_nothing_was_recorded(phoenix_project: Project, make_dataset):
    done = phoenix_project.experiment(make_dataset(3)).run("--dry-run", "2")
    assert done.returncode == 0
    assert done.stdout.startswith("PASSED (dry run, nothing recorded): 1 experiment, 2 examples")


@pytest.mark.needs_phoenix
def test_upload_then_run(phoenix_project: Project, client):
    tag = f"set-{uuid.uuid4().hex[:8]}"
    phoenix_project.write({"testset.csv": f"user_query,expected_output,tags\n007,a | b?,{tag}\nx,None,{tag}|{tag}\n"})
    done = phoenix_project.run("upload", "--csv", "testset.csv")
    assert done.stdout == f"{tag}: created, 2 examples\n"
    assert phoenix_project.run("upload", "--csv", "testset.csv").stdout == f"{tag}: skipped, 2 examples\n"
    rows = client.datasets.get_dataset(dataset=tag).examples
    assert [(row["input"]["user_query"], row["output"]["expected_output"]) for row in rows] == [
        ("007", ["a", "b?"]),
        ("x", "None"),
    ]
    phoenix_project.experiment(tag, task="def task(user_query): return user_query['user_query']")
    assert phoenix_project.run("run").returncode == 0


def test_the_command_can_be_called_as_one_of_clicks():
    """As tests of 0.6 did: by `main.main`, which a runner of Click's calls, and by name."""
    assert main.name == "evalwire"
    assert main.main(["--version"], standalone_mode=False) == 0
    with pytest.raises(SystemExit) as ended:
        main.main(args=["--version"], prog_name="evalwire")
    assert ended.value.code == 0


def test_an_import_of_the_package_reaches_its_modules():
    code = (
        "import evalwire; evalwire.runner.ExperimentRunner, evalwire.evaluators.make_top_k_evaluator, evalwire.cli.main"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
