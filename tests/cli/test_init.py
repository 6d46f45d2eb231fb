"""`evalwire init`: the project it writes works as it is, and what is there already stays as it is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from conftest import Project, quiet_environment
from evalwire.cli.project_templates import Template
from evalwire.settings import load_settings

PROJECT = [
    "evalwire.toml",
    "experiments/ticket_router/exact_match.py",
    "experiments/ticket_router/known_team.py",
    "experiments/ticket_router/task.py",
    "testset.csv",
]
WORKFLOWS = {"github": ".github/workflows/evalwire.yml", "gitlab": ".gitlab-ci.yml"}
SCHEMAS = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}


@pytest.fixture
def empty(tmp_path) -> Project:
    """An empty folder, without any address in its environment."""
    (tmp_path / "empty").mkdir()
    return Project(tmp_path / "empty", quiet_environment())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([Path(sys.executable).with_name(name), *map(str, arguments)], capture_output=True, text=True)


def test_it_writes_a_project_and_says_what_to_do_next(empty):
    done = empty.run("init")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(contents(empty.directory)) == [".gitignore", *PROJECT]
    *wrote, following, command = done.stdout.splitlines()
    assert sorted(wrote) == [f"wrote {name}" for name in [".gitignore", *PROJECT]]
    assert "pip install 'evalwire[local]'" in following
    assert command == "  evalwire run --local"
    assert (empty.directory / ".gitignore").read_text() == "test-results/\n.evalwire/\n"


def test_a_named_folder_is_made(empty):
    done = empty.run("init", "my evals/first")
    assert done.returncode == 0
    assert "wrote my evals/first/evalwire.toml\n" in done.stdout
    assert done.stdout.endswith("  cd 'my evals/first'\n  evalwire run --local\n")
    assert sorted(contents(empty.directory / "my evals/first")) == [".gitignore", *PROJECT]


def test_the_commands_find_nothing_wrong_with_it(empty):
    assert empty.run("init").returncode == 0
    listed = empty.run("list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert listed.stdout == (
        "ticket_router\n  dataset     ticket_router\n  task        async\n  evaluators  exact_match, known_team\n"
    )
    validated = empty.run("validate")
    assert validated.returncode == 0, validated.stdout
    assert "ticket_router 10" in validated.stdout


@pytest.mark.needs_phoenix
@pytest.mark.timeout(400)
@pytest.mark.slow
def test_it_runs_as_it_is(empty):
    assert empty.run("init").returncode == 0
    process = empty.start("run", "--local")
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, (out, err)
    assert out.startswith("PASSED (2 gates passed): 1 experiment, 10 examples, none failed")
    results = json.loads((empty.directory / "test-results/results.json").read_text())
    assert [result["name"] for result in results["experiments"]] == ["ticket_router"]
    kept = {name.split("/")[0] for name in contents(empty.directory)}
    ignored = set((empty.directory / ".gitignore").read_text().replace("/", "").split())
    assert kept - ignored == {".gitignore", "evalwire.toml", "experiments", "testset.csv"}


# --- templates -----------------------------------------------------------------------------------------


MODELS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "litellm": "OPENAI_API_KEY",
    "rag": "OPENAI_API_KEY",
}
MODELS |= dict.fromkeys(("langchain", "pydantic-ai"), "OPENAI_API_KEY")


def test_the_basic_template_is_the_default(empty):
    assert empty.run("init", "--template", "basic").returncode == 0
    assert sorted(contents(empty.directory)) == [".gitignore", *PROJECT]
    assert set(get_args(Template)) == {"basic", *MODELS}


@pytest.mark.parametrize("template", MODELS)
def test_a_template_says_which_packages_and_which_key_it_needs(empty, template):
    done = empty.run("init", "--template", template, "--ci", "github", "evals")
    assert done.returncode == 0
    written = contents(empty.directory / "evals")
    assert {f"wrote evals/{name}" for name in written} <= set(done.stdout.splitlines())
    commands = ["cd evals", "pip install -r requirements.txt", f"export {MODELS[template]}=...", "evalwire run --local"]
    assert done.stdout.endswith("".join(f"  {command}\n" for command in commands))
    assert MODELS[template] in written["evalwire.toml"].decode()
    assert MODELS[template] in written["experiments/support_answers/task.py"].decode()
    assert ".env" in written[".gitignore"].decode().split()


@pytest.mark.parametrize("template", MODELS)
def test_nothing_is_wrong_with_the_files_of_a_template(empty, template):
    """Without the client of its model: the settings, the testset, and the syntax of each module."""
    assert empty.run("init", "--template", template).returncode == 0
    validated = empty.run("validate")
    assert validated.returncode == 0, validated.stdout
    assert "support_answers 5" in validated.stdout
    shown = load_settings({}, {}, config=empty.directory / "evalwire.toml")
    assert (shown.task_concurrency, shown.retries) == ("auto", 3)
    experiment = empty.directory / "experiments/support_answers"
    for path in experiment.glob("*.py"):
        compile(path.read_text(), str(path), "exec")
    evaluators = {path.stem for path in experiment.glob("[!_]*.py")} - {"task"}
    gates = tomllib.loads((empty.directory / "evalwire.toml").read_text())["experiments"]["support_answers"]["gates"]
    assert {name for name, gate in gates.items() if isinstance(gate, dict)} == evaluators


def test_a_template_has_the_same_model_everywhere(empty):
    """In the task and in the judge."""
    for template in MODELS:
        assert empty.run("init", "--template", template, template).returncode == 0
        texts = [text.decode() for text in contents(empty.directory / template).values()]
        assert len({name for text in texts for name in re.findall(r"(?:gpt|claude)-[\w.-]+", text)}) == 1, template


@pytest.mark.parametrize("template", ["anthropic"])
@pytest.mark.parametrize("ci", WORKFLOWS)
def test_the_workflow_of_a_template_installs_its_packages_and_has_its_key(empty, template, ci):
    done = empty.run("init", "--template", template, "--ci", ci, "--server")
    assert done.returncode == 0
    assert f"PHOENIX_API_KEY, {MODELS[template]}\n" in done.stdout
    file = empty.directory / WORKFLOWS[ci]
    checked = tool("check-jsonschema", "--builtin-schema", SCHEMAS[ci], file)
    assert checked.returncode == 0, checked.stdout
    assert re.search(r"pip install .* -r requirements.txt$", file.read_text(), re.MULTILINE)
    secret = f"{MODELS[template]}: ${{{{ secrets.{MODELS[template]} }}}}"
    assert (secret in file.read_text()) is (ci == "github")
    if ci == "github":
        checked = tool("zizmor", "--offline", "--quiet", empty.directory / ".github")
        assert checked.returncode == 0, checked.stdout


def test_another_template_is_wrong_use(empty):
    done = empty.run("init", "--template", "cohere")
    assert done.returncode == 2
    assert "'pydantic-ai'" in done.stderr
    assert not contents(empty.directory)


# --- the workflow --------------------------------------------------------------------------------------


@pytest.mark.parametrize("ci", WORKFLOWS)
def test_a_workflow_is_written_where_it_is_asked_for(empty, ci):
    done = empty.run("init", "--ci", ci)
    assert done.returncode == 0
    assert sorted(contents(empty.directory)) == sorted([".gitignore", WORKFLOWS[ci], *PROJECT])
    assert f"wrote {WORKFLOWS[ci]}\n" in done.stdout
    file = empty.directory / WORKFLOWS[ci]
    checked = tool("check-jsonschema", "--builtin-schema", SCHEMAS[ci], file)
    assert checked.returncode == 0, checked.stdout
    assert "evalwire run --local" in file.read_text()
    assert "for the pipeline, set the variables of the repository: INSTALL_EVALWIRE_FROM\n" in done.stdout


@pytest.mark.parametrize("ci", WORKFLOWS)
def test_a_workflow_for_a_server_has_its_address_and_keeps_no_baseline(empty, ci):
    done = empty.run("init", "--ci", ci, "--server")
    assert done.returncode == 0
    variables = "for the pipeline, set the variables of the repository: INSTALL_EVALWIRE_FROM, PHOENIX_ENDPOINT"
    secret = "\nalso set the secrets of the repository: PHOENIX_API_KEY\n" if ci == "github" else ", PHOENIX_API_KEY\n"
    assert f"{variables}{secret}" in done.stdout
    text = (empty.directory / WORKFLOWS[ci]).read_text()
    assert "PHOENIX_ENDPOINT" in text
    assert not [word for word in ("--local", "[local]", "baseline", "serve") if word in text]


def test_a_server_without_a_pipeline_is_wrong_use(empty):
    done = empty.run("init", "--server")
    assert (done.returncode, done.stderr.splitlines()[0][:31]) == (2, "evalwire: --server needs --ci. ")
    assert not contents(empty.directory)


@pytest.mark.parametrize("server", [(), ("--server",)], ids=["local", "server"])
def test_the_workflow_of_github_is_a_safe_one(empty, server):
    assert empty.run("init", "--ci", "github", *server).returncode == 0
    checked = tool("zizmor", "--offline", "--quiet", empty.directory / ".github")
    assert checked.returncode == 0, checked.stdout


def test_the_actions_are_those_of_evalwires_own_workflow(empty):
    """One place to keep up to date; the one that keeps the baseline is the project's alone."""
    assert empty.run("init", "--ci", "github").returncode == 0
    workflows = (Path(__file__).parents[2] / ".github/workflows").glob("*.yml")
    own, written = (
        [line.strip(" -") for file in files for line in file.read_text().splitlines() if "uses:" in line]
        for files in (workflows, [empty.directory / WORKFLOWS["github"]])
    )
    others = [line.partition("@")[0] for line in written if line not in own]
    assert others == ["uses: actions/cache/restore", "uses: actions/cache/save"]


@pytest.mark.parametrize(
    ("folder", "repositories", "told"),
    [(".", ["."], False), ("evals", ["."], True), ("evals", [".", "evals"], False), ("evals", [], False)],
)
def test_a_workflow_that_would_not_be_read_is_told(empty, folder, repositories, told):
    """CI systems read theirs at the repository's root alone."""
    for repository in repositories:
        (empty.directory / repository / ".git").mkdir(parents=True)
    done = empty.run("init", folder, "--ci", "github")
    assert done.returncode == 0
    assert (
        f"move .github/workflows/evalwire.yml to {empty.directory}, and set its working directory" in done.stdout
    ) is told


def test_another_ci_system_is_wrong_use(empty):
    done = empty.run("init", "--ci", "jenkins")
    assert done.returncode == 2
    assert "'github'" in done.stderr
    assert not contents(empty.directory)


# --- what is there already -----------------------------------------------------------------------------


def test_a_second_time_it_changes_nothing(empty):
    assert empty.run("init", "--ci", "github").returncode == 0
    before = contents(empty.directory)
    done = empty.run("init", "--ci", "github")
    assert (done.returncode, done.stdout) == (2, "")
    assert "nothing was written" in done.stderr
    assert f"these files exist: {WORKFLOWS['github']}.\nMove {WORKFLOWS['github']} away" in done.stderr
    done = empty.run("init")
    assert all(name in done.stderr for name in PROJECT)
    assert contents(empty.directory) == before
    assert empty.run("init", "--ci", "gitlab").returncode == 0
    assert empty.run("init", "--ci", "gitlab").returncode == 2  # not once more in a second file


@pytest.mark.parametrize("ci", WORKFLOWS)
def test_an_existing_project_gets_its_pipeline_and_nothing_else(empty, ci):
    files = {
        "evalwire.toml": "# mine\n",
        "experiments/mine/task.py": "",
        "requirements.txt": "",
        ".gitignore": ".env\n",
    }
    empty.write(files)
    done = empty.run("init", "--ci", ci)
    assert done.returncode == 0, done.stderr
    assert contents(empty.directory).keys() == {*files, WORKFLOWS[ci]}
    assert (empty.directory / "evalwire.toml").read_text() == "# mine\n"
    assert done.stdout.startswith(f"kept evalwire.toml\nkept experiments\nwrote {WORKFLOWS[ci]}\n.gitignore was not")
    assert "evalwire run --local" not in done.stdout
    text = (empty.directory / WORKFLOWS[ci]).read_text()
    assert "-r requirements.txt\n" in text
    if ci == "github":
        assert "# Add the API keys that your experiments need" in text


def test_a_pipeline_that_exists_includes_ours(empty):
    empty.write({"evalwire.toml": "", ".gitlab-ci.yml": "test: {script: [make test]}\n"})
    done = empty.run("init", "--ci", "gitlab")
    assert done.returncode == 0
    assert "kept .gitlab-ci.yml; add to it:\n  include:\n    - local: .gitlab/evalwire.yml\n" in done.stdout
    assert "evalwire run --local" in (empty.directory / ".gitlab/evalwire.yml").read_text()
    assert (empty.directory / ".gitlab-ci.yml").read_text() == "test: {script: [make test]}\n"
    assert empty.run("init", "--ci", "gitlab").returncode == 2


@pytest.mark.parametrize("name", PROJECT)
def test_one_file_of_the_users_is_enough_to_write_none(empty, name):
    empty.write({name: "# the user's own"})
    done = empty.run("init")
    assert done.returncode == 2
    assert f"these files exist: {name}.\n" in done.stderr
    assert contents(empty.directory) == {name: b"# the user's own"}


def test_a_link_that_leads_nowhere_is_there_as_well(empty):
    (empty.directory / "testset.csv").symlink_to("../outside.csv")
    done = empty.run("init")
    assert done.returncode == 2
    assert "these files exist: testset.csv.\n" in done.stderr
    assert not (empty.directory.parent / "outside.csv").exists()


def test_a_gitignore_is_left_as_it_is(empty):
    empty.write({".gitignore": "mine/\n", "README.md": "mine\n"})
    done = empty.run("init")
    assert done.returncode == 0
    assert ".gitignore was not changed; add these lines: test-results/, .evalwire/\n" in done.stdout
    assert contents(empty.directory).keys() == {".gitignore", "README.md", *PROJECT}
    assert (empty.directory / ".gitignore").read_text() == "mine/\n"


# --- what cannot be written ----------------------------------------------------------------------------


def test_a_file_is_no_folder(empty):
    empty.write({"taken": "a file"})
    done = empty.run("init", "taken")
    assert (done.returncode, done.stderr) == (2, "evalwire: taken is not a directory.\n")


def test_what_cannot_be_finished_is_undone(empty):
    empty.write({"experiments": "a file"})
    done = empty.run("init")
    assert done.returncode == 2
    assert "nothing was written" in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(empty.directory) == {"experiments": b"a file"}


def test_a_folder_that_nobody_may_make_is_told(empty):
    done = empty.run("init", "/proc/evalwire")
    assert done.returncode == 2
    assert done.stderr.startswith("evalwire: nothing was written, because /proc/evalwire is not writable: ")
