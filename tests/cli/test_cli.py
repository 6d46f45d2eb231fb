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
from evalwire.cli.process import _connector
from evalwire.errors import UsageError
from evalwire.settings import load_settings

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
    assert not re.search(r"[<{]|x>=|(?<!\.)\.\.(?!\.)", done.stdout)


@pytest.mark.parametrize(
    "gate", ["nonsense", "a mode >= 1", "a drop >= 1", "a label_share >= 1", "a >= x", "a.cost_usd mean <= 1"]
)
def test_the_error_of_a_gate_ends_with_a_single_stop(project, gate):
    done = project.run("run", "--gate", gate)
    assert done.returncode == 2
    assert done.stderr.endswith(".\n")
    assert not done.stderr.endswith("..\n")


def test_the_version_is_told():
    done = subprocess.run([*EVALWIRE, "--version"], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"evalwire \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--no-such-flag"], "--no-such-flag"),
        (["no-such-verb"], "no-such-verb"),
        (["run", "--dry-run", "0"], "must be at least 1"),
        (["run", "--dry-run", "-3"], "must be at least 1"),
        (["run", "--experiments", "nowhere"], "nowhere does not exist"),
        (["run", "--config", "nowhere.toml"], "nowhere.toml does not exist"),
        (["run", "--env-file", "nowhere.env"], "nowhere.env does not exist"),
        (["run", "--concurrency", "0"], "--concurrency"),
        (["run", "--timeout", "-1"], "--timeout"),
        (["check", "--experiments", "nowhere"], "nowhere does not exist"),
        (["list", "--experiments", "nowhere"], "nowhere does not exist"),
        (["upload"], "no testset was given"),
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
    assert 'ok      split: the table of this directory in evalwire.toml is [experiments."./split"]\n' in done.stdout
    assert done.stdout.count("the table of this directory") == 1


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
    for command in ("run", "check", "plan --shards=2", "resume --experiment=E"):
        done = project.experiment("any").run(*command.split(), PHOENIX_ENDPOINT="localhost:6006")
        assert done.returncode == 2
        assert done.stderr.startswith("evalwire: PHOENIX_ENDPOINT is not an http:// or https:// address")
    report = json.loads((project.directory / "test-results/results.json").read_text())
    assert (report["outcome"], report["exit_code"]) == ("infrastructure", 2), "no earlier report may pass for this one"


def test_a_port_that_is_none_is_told_as_such(project):
    """Kubernetes sets such a value for a service named phoenix."""
    project.environ.pop("PHOENIX_ENDPOINT")
    done = project.experiment("any").run("run", PHOENIX_PORT="tcp://10.0.0.1:6006")
    assert done.returncode == 2
    assert "tcp://10.0.0.1:6006" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_project_with_results_in_its_local_phoenix_is_told_how_to_reach_them(project, monkeypatch):
    """Only if no server is configured: without --local, the command looks at the usual address."""
    monkeypatch.setattr("evalwire.phoenix.access._USUAL_PORT", "9")
    hint = "This project has results in a local Phoenix. To use them, add --local.\n"
    project.experiment("any").write({".evalwire/phoenix.db": ""})
    configured = project.run("runs")
    project.environ.pop("PHOENIX_ENDPOINT")
    usual = project.run("runs")
    (project.directory / ".evalwire/phoenix.db").unlink()
    empty = project.run("runs")
    assert [done.returncode for done in (configured, usual, empty)] == [2, 2, 2]
    assert [done.stderr.endswith(hint) for done in (configured, usual, empty)] == [False, True, False]


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
    assert "cannot write to the report directory" in done.stderr


def test_without_a_writable_report_folder_the_run_says_so_and_goes_on(project):
    project.write({"test-results": "a file"})
    done = project.experiment("any").run("run")
    assert "No report and no journal will be written" in done.stderr
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


USER_CODE = """
    import os
    from pathlib import Path
    Path("imported").write_text("")
    for name in ("PHOENIX_ENDPOINT", "PHOENIX_COLLECTOR_ENDPOINT", "HTTP_PROXY", "ALL_PROXY"):
        os.environ[name] = "http://evil.example"
    os.environ.update(PHOENIX_API_KEY="of-user-code", SSL_CERT_FILE="/nowhere", NO_PROXY="", GITHUB_SHA="evil")
    async def task(example):
        return 1
"""


def test_user_code_cannot_choose_the_server(project):
    """As `load_dotenv(override=True)` would; `check` tests what `run` uses, and shows what was in force."""
    project.experiment("any", task=USER_CODE)
    for command in ("run", "check", "check --show-settings"):
        done = project.run(*command.split(), EVALWIRE_FETCH_ATTEMPTS="1")
        assert "Phoenix at http://127.0.0.1:9 could not be reached" in done.stdout
        assert "evil" not in done.stdout + done.stderr
    assert (project.directory / "imported").exists()


def test_variables_of_the_way_to_phoenix_are_told_by_name_before_user_code_is_imported(project):
    project.experiment("any", task=USER_CODE)
    wrong = [
        ({"SSL_CERT_FILE": "/nowhere/corp.pem"}, "SSL_CERT_FILE: cannot read certificates from /nowhere/corp.pem"),
        ({"HTTP_PROXY": "http://user:p@ss:proxy:3128"}, "HTTP_PROXY is not the address of a proxy"),
        ({"PHOENIX_CLIENT_HEADERS": "Authorization: Bearer sk-verysecret"}, "PHOENIX_CLIENT_HEADERS: part 1 of 1"),
        ({"PHOENIX_CLIENT_HEADERS": "x-team=verysecret b"}, "PHOENIX_CLIENT_HEADERS: 'x-team' has a value"),
        ({"PHOENIX_API_KEY": "\ufeffverysecret"}, "PHOENIX_API_KEY: the key contains a byte order mark"),
        ({"EVALWIRE_ENDPOINT": "phoenix", "PHOENIX_ENDPOINT": ""}, "`endpoint` under [phoenix] (EVALWIRE_ENDPOINT)"),
    ]
    for environ, says in wrong:
        for command in ("run", "check"):
            done = project.run(command, **environ)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith(f"evalwire: {says}"), done.stderr
            assert "verysecret" not in done.stderr
            assert "Traceback" not in done.stderr
    assert not (project.directory / "imported").exists()


def test_a_way_that_leads_nowhere_is_told_without_a_traceback(project):
    project.experiment("any")
    for environ in (
        {"ALL_PROXY": "socks5://127.0.0.1:9"},
        {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "localhost,::1,[::1],fd07:b51a:cc66:f0::/64"},
    ):
        done = project.run("run", EVALWIRE_FETCH_ATTEMPTS="1", **environ)
        assert done.returncode == 1
        assert f"could not be reached through the proxy in {next(iter(environ))}" in done.stdout
        assert "Traceback" not in done.stdout + done.stderr
        assert (project.directory / "test-results/results.json").exists()


def test_a_file_chooses_neither_proxy_nor_certificates(project):
    """User code has them; `.env.phoenix` has no part in what the process says."""
    project.write(
        {
            ".env": "HTTP_PROXY=http://127.0.0.1:8\nSSL_CERT_FILE=/nowhere\nall_proxy=http://127.0.0.1:8\n",
            ".env.phoenix": "PHOENIX_ENDPOINT=http://127.0.0.1:8\nPHOENIX_API_KEY=px-of-the-file\n",
            "experiments/any/task.py": "import os\nprint(os.environ['HTTP_PROXY'])\ndef task(input): ...\n",
            "experiments/any/always.py": "def always(output): ...\n",
        }
    )
    (project.directory / ".env.phoenix").chmod(0o600)
    project.environ.pop("PHOENIX_ENDPOINT")
    for name in ("PHOENIX_BASE_URL", "PHOENIX_COLLECTOR_ENDPOINT", "EVALWIRE_ENDPOINT"):
        done = project.run("check", **{name: "http://127.0.0.1:9"})
        assert "Phoenix at http://127.0.0.1:9 could not be reached to list the datasets" in done.stdout
        assert "http://127.0.0.1:8\n" in done.stdout, "user code's own"
    done = project.run("check")
    assert "Phoenix at http://127.0.0.1:8 could not be reached" in done.stdout, "nothing else names one"


def test_the_local_phoenix_is_reached_without_a_proxy_and_without_a_key(monkeypatch):
    variables = {
        "HTTP_PROXY": "http://127.0.0.1:8",
        "ALL_PROXY": "socks5://127.0.0.1:8",
        "SSL_CERT_FILE": "/nowhere",
        "PHOENIX_API_KEY": "of-the-server",
        "PHOENIX_CLIENT_HEADERS": "of no form",
        "PHOENIX_ENDPOINT": "no address",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    connect = _connector(load_settings({}, {}), variables, variables, "of-a-file")
    http = connect("http://127.0.0.1:9")._connection._http
    assert (str(http.base_url), http.trust_env, http._mounts) == ("http://127.0.0.1:9", False, {})
    assert "authorization" not in http.headers
    assert os.environ["PHOENIX_ENDPOINT"] == "http://127.0.0.1:9", "user code's traces go there"
    assert "PHOENIX_API_KEY" not in os.environ
    with pytest.raises(UsageError):
        connect(None)


def test_both_a_key_and_a_key_file_are_wrong_use(project):
    project.write({"key": KEY})
    done = project.experiment("any").run("run", PHOENIX_API_KEY=KEY, PHOENIX_API_KEY_FILE="key")
    assert done.returncode == 2
    assert "PHOENIX_API_KEY and PHOENIX_API_KEY_FILE are both set" in done.stderr


LEAKS = """
    import base64, os
    os.environ["LATE_API_KEY"] = "late-secret-123456"
    print("late-secret-123456", os.environ["DEMO_API_KEY"], os.environ["TEAM"])
    names = ["OPENAI_API_KEYS", "OPENAI_API_KEY_2", "DB_PASS", "GITHUB_PAT", "MYSQL_PWD", "SLACK_WEBHOOK_URL"]
    encoded = base64.b64encode(b"user:" + os.environ["MY_API_KEY"].encode()).decode()
    raise RuntimeError(" ".join([*(os.environ[name] for name in names), encoded, "late-secret-123456"]))
"""


def test_secrets_are_in_nothing_that_is_shown(project):
    """By other names, in base64, and loaded by the code itself; settings say what else is one, and what is none."""
    secrets = {
        "OPENAI_API_KEYS": "sk-1111aaaa2222",
        "OPENAI_API_KEY_2": "sk-3333bbbb4444",
        "DB_PASS": "pw-5555cccc6666",
        "GITHUB_PAT": "ghp_7777dddd8888",
        "MYSQL_PWD": "pw-9999eeee0000",
        "SLACK_WEBHOOK_URL": "https://hooks.example/services/T0/ffff1111",
        "MY_API_KEY": "sk-abcdefgh12345678",
        "TEAM": "heronry",
    }
    project.write({"evalwire.toml": "[masking]\nsecrets = ['TEAM']\nnot_secrets = ['DEMO_API_KEY']\n"})
    project.experiment("any", task=LEAKS)
    done = project.run("run", DEMO_API_KEY="demo-0123456789", **secrets)
    files = [path for path in (project.directory / "test-results").iterdir() if not path.name.startswith("journal")]
    shown = done.stdout + done.stderr + "".join(path.read_text() for path in files)
    for secret in [*secrets.values(), "late-secret-123456", "YWJjZGVmZ2gxMjM0NTY3", "FiY2RlZmdoMTIzNDU2Nz"]:
        assert secret not in shown, secret
    assert "*** demo-0123456789 ***" in done.stdout
    assert project.directory.name in shown, "no path is masked"


HOSTILE = "skip\x1b[31m\r::error::by a folder's name\n##[error]\u202eb"


def test_names_of_folders_and_messages_about_the_settings_are_plain_text(project):
    """A terminal, and a CI system, obey nothing in them."""
    (project.experiments / HOSTILE).mkdir(parents=True)
    project.experiment("d", task="import os\nraise RuntimeError('\\x1b[31m red')")
    escaped = HOSTILE.encode("unicode_escape").decode()
    hostile = json.dumps(HOSTILE)
    files = {
        "list": "",
        "run": "",
        "check": f"[gates]\n{hostile} = {{ min = 1 }}\n",
        "run --dry-run": f"{hostile} = 1\n",
        "check --json": f"[experiments]\n{hostile} = 1\n",
        "list --name=d": f"[experiments.{hostile}]\ndataset = 'x'\n",
        "validate": f"[dataset]\ncsv_path = {hostile}\n",
        "upload": f"[dataset]\ncsv_path = {hostile}\non_exist = {hostile}\n",
    }
    said = ""
    for command, text in files.items():
        project.write({"evalwire.toml": text})
        done = project.run(*command.split(), GITHUB_ACTIONS="true", EVALWIRE_FETCH_ATTEMPTS="1")
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", done.stdout + done.stderr), command
        lines = (done.stdout + done.stderr).splitlines()
        found = [line for line in lines if "##[" in line or line.lstrip().startswith("::")]
        assert all("RuntimeError" in line for line in found), command
        said += done.stdout + done.stderr
    assert f"skipped experiments/{escaped}/: it has no task.py".replace("##[", "#\u200b#[") in said


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
    phoenix_project.write({"testset.csv": f"user_query,expected_output,tags\n007,a|b?,{tag}\nx,None,{tag}|{tag}\n"})
    done = phoenix_project.run("upload", "--csv", "testset.csv")
    assert done.stdout == f"{tag}: created, 2 examples\n"
    assert phoenix_project.run("upload", "--csv", "testset.csv").stdout == f"{tag}: unchanged, 2 examples\n"
    rows = client.datasets.get_dataset(dataset=tag).examples
    assert [(row["input"]["user_query"], row["output"]["expected_output"]) for row in rows] == [
        ("007", "a|b?"),
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
