"""The documentation: every block of its pages runs or is checked, and the site is built whole, without a network."""

from __future__ import annotations

import html.parser
import json
import math
import os
import re
import shlex
import subprocess
import sys
import textwrap
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
import yaml
from _in_memory import client_with
from browser import browser, find
from dotenv import dotenv_values
from markdown_it import MarkdownIt
from messages import all_messages
from typer.main import get_command

import evalwire
from conftest import quiet_environment, script_command
from evalwire.cli.app import app
from evalwire.cli.entry import prepare
from evalwire.datasets.rows import Columns
from evalwire.datasets.testset import inspect_testset, read_rows
from evalwire.experiments.discovery import importable, load_experiments
from evalwire.model import to_json
from evalwire.phoenix import CREDENTIAL_VARIABLES, ENDPOINT_VARIABLES
from evalwire.phoenix.local import LocalServer
from evalwire.runner import ExperimentRunner
from evalwire.settings import OPTIONS, load_settings
from evalwire.settings.environment import merge_env_file

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
PAGES = sorted(DOCS.glob("*.md"))
IN_THE_NETWORK = re.compile(r"(?:https?:)?//")


@dataclass(frozen=True)
class Block:
    """A block of code of a page; `title` is the file that it is, `note` what is said of it behind a comma."""

    page: Path
    line: int
    language: str
    title: str
    note: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line} ({self.language or 'no language'})"


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in its order."""
    found = []
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "fence":
            language, _, rest = token.info.strip().partition(" ")
            title, _, note = rest.removeprefix('title="').removesuffix('"').partition(", ")
            found.append(Block(page, token.map[0] + 1, language, title, note, token.content))
    return found


def indented(page: Path) -> list[str]:
    """The lines of the indented blocks of a page, those that go on put together."""
    text = "".join(token.content for token in MarkdownIt().parse(page.read_text()) if token.type == "code_block")
    return text.replace("\\\n", " ").splitlines()


def spans(page: Path) -> Iterator[str]:
    """The code within the sentences of a page."""
    for token in MarkdownIt().enable("table").parse(page.read_text()):
        yield from (one.content for one in token.children or () if one.type == "code_inline")


# --- every block, in the page's order --------------------------------------------------------------------


STEPS = "jobs:\n  evaluate:\n    runs-on: ubuntu-latest\n    steps:\n"
TASK = "def task(input):\n    return ['refunds', 'billing']\n"
ALWAYS = "def always(output):\n    return 1.0\n"
EXAMPLE = {"input": {"user_query": "How do I get a refund?"}, "output": {"expected_output": "refunds"}, "metadata": {}}


@dataclass
class Walk:
    """Goes through a page as its reader would: files are written, commands are run where the last `cd` led."""

    root: Path
    environ: Mapping[str, str]
    folder: Path = field(init=False)
    written: dict[Path, str] = field(default_factory=dict)
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    exit_code: int = 0

    def __post_init__(self) -> None:
        self.folder = self.root

    def file(self, block: Block) -> Path:
        """Write a block that is a file. One that a command wrote has to hold what the page says."""
        path = self.folder / block.title
        if path.exists() and path not in self.written:
            assert path.read_text() == block.text, f"{block}: {block.title} holds something else"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)
        self.written[path] = block.text
        return path

    def python(self, block: Block) -> None:
        """A file of a project, which is run with its experiment at the end; else a script, which is run now."""
        compile(block.text, str(block), "exec")
        if block.title:
            self.file(block)
            return
        if not (self.folder / "experiments").exists():
            self.run("evalwire init .")
        script = self.folder / "script.py"
        script.write_text(block.text)
        ended = self.run(shlex.join(script_command("script.py")))
        assert self.exit_code == 0, f"{block}:\n{ended}"
        assert "experiments failed" not in ended, f"{block}:\n{ended}"

    def toml(self, block: Block) -> None:
        """A configuration that evalwire reads."""
        path = self.file(block) if block.title else self.root / "untitled.toml"
        path.write_text(block.text)
        load_settings({}, {}, config=path)

    def testset(self, block: Block) -> None:
        """A testset in which nothing is wrong, unless its note says so."""
        inspection = inspect_testset(path := self.file(block), Columns())
        assert bool(inspection.issues) == (block.note == "with issues"), f"{block}: {list(map(str, inspection.issues))}"
        assert inspection.sizes, block
        for tag in inspection.sizes:
            self.examples[tag] = [
                {"input": dict(row.input), "output": dict(row.output), "metadata": dict(row.metadata)}
                for row in read_rows(path, Columns(), tag)
            ]

    def yaml(self, block: Block) -> None:
        """Check a workflow, or jobs or steps of GitHub without a title, by its CI system's schema and its commands."""
        if block.title == ".pre-commit-config.yaml":
            hooks = {hook["id"] for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
            [used] = yaml.safe_load(block.text)["repos"]
            assert {hook["id"] for hook in used["hooks"]} <= hooks
            return
        if block.title:
            path = self.file(block)
        else:
            path = self.root / "evalwire.yml"
            steps = f"{STEPS}{textwrap.indent(block.text, ' ' * 6)}"
            path.write_text(f"on: push\n{block.text if block.text.startswith('jobs:') else steps}")
        schema = {"evalwire.yml": "vendor.github-workflows", ".gitlab-ci.yml": "vendor.gitlab-ci"}[path.name]
        checked = subprocess.run(
            [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, path], capture_output=True, text=True
        )
        assert checked.returncode == 0, f"{block}:\n{checked.stdout}{checked.stderr}"
        for command in _commands_of(yaml.load(block.text, Loader=yaml.BaseLoader)):
            check_command(command)

    def sh(self, block: Block) -> None:
        """Commands that exist, with flags that exist; or a `.env` that evalwire reads."""
        if block.title != ".env":
            for line in block.text.replace("\\\n", " ").splitlines():
                check_command(line)
            return
        path = self.file(block)
        added = merge_env_file({}, path)
        assert added == dotenv_values(path)
        load_settings({}, added)
        path.unlink()  # else the commands of the page would follow it

    def console(self, block: Block) -> None:
        """Commands, and what they print; in it, … stands for what differs from run to run."""
        command, expected = None, []
        for line in [*block.text.splitlines(), "$ "]:
            if not line.startswith("$ "):
                expected.append(line)
                continue
            if command is not None:
                printed = self.run(command)
                assert re.fullmatch(_pattern(expected), printed), f"{block}: {command} printed:\n{printed}"
            command, expected = line.removeprefix("$ "), []

    def run(self, command: str) -> str:
        """What a command prints, on both streams."""
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ")
            return ""
        if command == "echo $?":
            return f"{self.exit_code}\n"
        check_command(command)
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        self.exit_code = ended.returncode
        return ended.stdout

    def text(self, block: Block) -> None:
        """A folder, drawn: what is called an evaluator in it is found as one, and nothing else is."""
        folder = self.root / f"tree {block.line}"
        evaluators = _grow(folder, block.text)
        with importable(folder / "experiments"):
            found = load_experiments(folder / "experiments")
        assert not [one.problems for one in found.experiments if one.problems], block
        assert {one.name: {said.name for said in one.evaluators} for one in found.experiments} == evaluators, block

    def finish(self) -> None:
        """Run the first examples of the experiments that the page has, without a Phoenix; and its tests."""
        experiments = self.folder / "experiments"
        if not any(path.is_relative_to(experiments) for path in self.written):
            return
        for folder in filter(Path.is_dir, experiments.iterdir()):
            names = {path.name for path in folder.glob("*.py") if not path.name.startswith(("_", "test_"))}
            if "task.py" not in names:
                (folder / "task.py").write_text(TASK)
            if not names - {"task.py"}:
                (folder / "always.py").write_text(ALWAYS)
        results = ExperimentRunner(experiments, self._client(), dry_run=3).run()
        assert results
        assert all(result.passed for result in results)
        for test in sorted(experiments.glob("*/test_*.py")):
            name = test.relative_to(self.folder)
            tested = self.run(f"{shlex.quote(sys.executable)} -m pytest -q -p no:phoenix {name}")
            assert self.exit_code == 0, tested

    def _client(self) -> Any:
        """A Phoenix client that talks to nobody, and has the page's examples as its datasets."""

        def examples_of(name: str) -> list[dict[str, Any]]:
            return [{"id": f"example {n}", **row} for n, row in enumerate(self.examples.get(name, [EXAMPLE]))]

        return client_with(examples_of)


def _pattern(expected: Sequence[str]) -> str:
    """What the lines of a console stand for: a line of … alone is any number of lines; columns may be wider."""

    def one(line: str) -> str:
        return re.sub(r"(?:\\ ){2,}", " +", re.escape(line)).replace("…", ".*?") + r" *\n"

    return "".join(r"(?:.*\n)*?" if line == "…" else one(line) for line in expected)


def _commands_of(node: Any) -> Iterator[str]:
    """The commands of a workflow's steps and scripts."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        if key in ("run", "script"):
            yield from [value] if isinstance(value, str) else value
        else:
            yield from _commands_of(value)


def _grow(folder: Path, drawing: str) -> dict[str, set[str]]:
    """Make the files of a drawn folder; the evaluators that it promises, by experiment."""
    evaluators: dict[str, set[str]] = {}
    above: list[tuple[int, Path]] = [(-1, folder)]
    for line in drawing.splitlines():
        name, _, said = line.strip().partition(" ")
        depth = len(line) - len(line.lstrip())
        while above[-1][0] >= depth:
            above.pop()
        path = above[-1][1] / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            above.append((depth, path))
            continue
        path.write_text(
            f"def {path.stem}(output): return 1\n" if said.strip().startswith(("an eval", "the task")) else ""
        )
        if name == "task.py":
            evaluators.setdefault(path.parent.name, set())
        elif said.strip().startswith("an evaluator"):
            evaluators[path.parent.name].add(path.stem)
    return evaluators


KINDS: dict[str, Callable[[Walk, Block], None]] = {
    "console": Walk.console,
    "csv": Walk.testset,
    "jsonl": Walk.testset,
    "python": Walk.python,
    "sh": Walk.sh,
    "text": Walk.text,
    "toml": Walk.toml,
    "yaml": Walk.yaml,
}
ELSEWHERE = {
    ("troubleshooting.md", "text"),  # messages: below
    ("evaluators.md", "python"),  # tests/docs/test_docs_evaluators.py
    ("real-models.md", "python"),  # tests/docs/test_docs_real_models.py
    ("dependencies.md", "dockerfile"),  # tests/image/test_dependencies.py
}


IN_EVERY_RUN = {"README", "quickstart", "configuration", "tasks", "github", "ci"}  # the others run each night


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, local_server: LocalServer) -> Mapping[str, str]:
    """The environment of a reader whose local Phoenix runs already."""
    programs = tmp_path_factory.mktemp("bin")
    program = programs / "evalwire"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m evalwire "$@"\n')
    program.chmod(0o755)
    return quiet_environment(
        PATH=f"{programs}{os.pathsep}{os.environ['PATH']}",
        PHOENIX_ENDPOINT=local_server.url,
        EVALWIRE_LOCAL_DIR=str(local_server.directory),
        PYTHONUNBUFFERED="1",
    )


@pytest.mark.needs_phoenix
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[] if page.stem in IN_EVERY_RUN else pytest.mark.slow)
        for page in [*PAGES, README]
    ],
)
def test_every_block_of_a_page_runs_or_is_checked(page, tmp_path, served):
    walk = Walk(tmp_path, served)
    for block in blocks(page):
        if (page.name, block.language) in ELSEWHERE:
            continue
        assert block.language in KINDS, f"{block}: there is no test for blocks of this kind"
        KINDS[block.language](walk, block)
    walk.finish()


# --- commands --------------------------------------------------------------------------------------------


OF_PHOENIX = {*ENDPOINT_VARIABLES, *CREDENTIAL_VARIABLES}
OF_MODELS = {"OPENAI_API_KEY"}
VARIABLES = {option.variable for option in OPTIONS} | OF_PHOENIX | OF_MODELS
OF_THE_IMAGE = {"EVALWIRE_REQUIREMENTS"}  # read by image/overlay.py
OF_A_REPOSITORY = {"EVALWIRE_IMAGE", "EVALWIRE_REPOSITORY"}  # variables of GitHub in the workflows of docs/github.md
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def check_command(line: str) -> None:
    """A command line names a program, commands, flags, extras and variables that exist."""
    words = shlex.split(line, comments=True)
    words = words[words[:1] == ["export"] :]
    while words and re.match(r"[A-Z_]+=", words[0]):
        assert (name := words.pop(0).partition("=")[0]) in VARIABLES, f"{line}: {name}"
    if words:
        assert words[0] in PROGRAMS, line
        PROGRAMS[words[0]](words[1:])


def check_make(words: Sequence[str]) -> None:
    """Its target exists."""
    assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), words


def check_pip(words: Sequence[str]) -> None:
    """evalwire is installed, with extras that it has."""
    assert words[0] == "install"
    if words[1:] == ["-r", "requirements.txt"]:
        return
    for package in words[1:]:
        named = re.fullmatch(
            r"(?:evalwire|\.|DIR)(?:\[([\w,-]+)\])?(?:>=\d+| @ \$\{INSTALL_EVALWIRE_FROM:.*\})?", package
        )
        assert named, words
        assert set((named[1] or "local").split(",")) <= set(EXTRAS), words


def check_docker(words: Sequence[str]) -> None:
    """What the image, or a service, is told to do."""
    match words:
        case ["run", *rest]:
            image = next(index for index, word in enumerate(rest) if word in IMAGES)
            check_evalwire(rest[image + 1 :] or ["run"])
        case ["compose", "run", "--rm", service, *_]:
            assert service in yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"], words
        case _:
            assert words[:1] == ["build"] or words == ["compose", "down", "-v"], words


def check_evalwire(words: Sequence[str]) -> None:
    """The program's own command line takes these words."""
    words = prepare(words)
    if words in (["--help"], ["--version"]):
        return
    path = next((path for path in COMMANDS if tuple(words[: len(path)]) == path), None)
    assert path is not None, words
    COMMANDS[path].make_context("evalwire", list(words[len(path) :]))


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the program that does something, with the words that it is called by."""
    if not hasattr(command, "commands"):
        yield path, command
    else:
        for name, child in command.commands.items():
            yield from leaves(child, (*path, name))


PROGRAMS: dict[str, Callable[[Sequence[str]], object]] = {
    "evalwire": check_evalwire,
    "make": check_make,
    "pip": check_pip,
    "docker": check_docker,
    **dict.fromkeys(("cat", "cd", "mkdir", "pytest", "python3", sys.executable), len),
}
COMMANDS = dict(leaves(get_command(app)))
FLAGS = {
    flag
    for leaf in COMMANDS.values()
    for one in leaf.params
    for flag in [*one.opts, *one.secondary_opts]
    if flag.startswith("-")
}
OF_ALL = {"--help", "--version"}
IMAGES = {"evalwire", "my-evals"}  # evalwire's, and the one that a page makes of it
OF_DOCKER = {"--network", "--user", "--read-only", "--tmpfs"}
OF_BENCH = {"--quick", "--only", "--no-peers"}


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.stem)
def test_commands_and_flags_in_sentences_exist(page):
    for span in spans(page):
        if span.startswith("--"):
            assert span.split()[0].partition("=")[0] in FLAGS | OF_ALL | OF_DOCKER | OF_BENCH, span
        elif verb := re.fullmatch(r"evalwire ([a-z]+)", span):  # only named, without what it needs
            assert verb[1] in {path[0] for path in COMMANDS}, span
        elif re.match(r"(evalwire|make|pip install) [a-z.'\[]", span) and not span.endswith(("A B", "[FILE]")):
            check_command(span.replace(" ID", " RXhw").replace(" N", " 1"))
        elif re.fullmatch(r"EVALWIRE_[A-Z_]+", span) and page != README:
            assert span in VARIABLES | OF_THE_IMAGE | OF_A_REPOSITORY, span


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.stem)
def test_commands_in_indented_blocks_exist(page):
    for line in indented(page):
        if line.startswith(("evalwire ", "make ", "pip ", "docker ")):
            check_command(line)


# --- messages --------------------------------------------------------------------------------------------


def explained() -> list[str]:
    page = DOCS / "troubleshooting.md"
    return [line for block in blocks(page) if block.language == "text" for line in block.text.splitlines()]


def test_every_message_that_is_explained_is_one_of_the_programs():
    """The fixed parts of a message are in one message of the list, in this order; else it is provoked below."""
    texts = [message.text for message in all_messages()]
    unknown = []
    for message in explained():
        fixed = [re.escape(part) for part in message.replace("Phoenix at …", "…").split("…") if part.strip(" .:,;")]
        assert sum(map(len, fixed)) > 12, f"too little of it is fixed: {message}"
        pattern = re.compile(r"[\s\S]*?".join(fixed))
        if message not in IS_PROVOKED and not any(map(pattern.search, texts)):
            unknown.append(message)
    assert not unknown


PROVOKED = {
    "report": ["there is no file …. `evalwire run` writes a results.json to its report directory"],
    "upload --csv testset.csv": ["Phoenix at … could not be reached to …"],
    "check PHOENIX_ENDPOINT=phoenix:6006": ["… is not an http:// or https:// address…"],
    "check PHOENIX_API_KEY_FILE=/dev/null": ["PHOENIX_API_KEY_FILE: … is empty."],
    "run --experiments empty": ["no experiment in …, so there is nothing to run."],
    "run --concurrency 0": ["… = …: expected a whole number, 1 or more."],
    "run --name good --gate top_k": [
        (
            "… is not a gate. Examples: 'es_search.top_k >= 0.8', 'exact_match pass_rate >= 90%', "
            "'exact_match drop <= 0.02', 'es_search.error_rate <= 5%'."
        )
    ],
    "run --name good --gate goood.error_rate<=5%": ["…: there is no experiment …"],
    "run --name good --gate good.alway>=1": ["…: there is no evaluation …"],
    "list --experiments nowhere": ["the experiments directory … does not exist (from: …)."],
    "list --name goood": ["no experiment … in … (a directory with a task.py)."],
    "list --config nowhere.toml": ["the configuration file … does not exist."],
    "list --config misspelled.toml": ["…: unknown …: …. Perhaps you meant …"],
    "list EVALWIRE_PREFFIX=x": ["unknown variable …. Perhaps you meant …"],
    "list": [
        "… has no evaluator, so its runs would have no scores; add a file such as exact_match.py that defines `exact_match`",
        "cannot bind …: the names of several parameters must be among: …",
        "it takes no parameters; add at least one of: …",
        (
            "… does not define `…`. An evaluator is a callable named like its file; a helper is named _…, or listed in "
            'evalwire.toml: [experiments] helpers = ["…"]'
        ),
    ],
    "validate": ["no testset was given. Use --csv FILE, or set csv_path under [dataset] in evalwire.toml."],
    "validate --csv odd.jsonl": ["unknown key …; known: …"],
    "upload --csv ragged.csv": ["… is not uploaded:", "… cells, the header has …"],
    "resume": [
        (
            "cannot find a journal in …. Name a journal, name an experiment with --experiment ID, or start a "
            "new run with `evalwire run`."
        ),
    ],
}


async def _stream():
    yield "part"


def _nested(levels: int) -> list[Any]:
    return [_nested(levels - 1)] if levels else []


# of outputs, and what is said of each
UNFIT = [
    (
        {"team": threading.Lock()},
        "output… is a …, which JSON cannot represent; return JSON values, a dataclass, or a pydantic model",
    ),
    ([math.nan], "output… is …, which JSON cannot represent; return None or a number"),
    (
        _stream(),
        'output is an async_generator, which JSON cannot represent; collect it: "".join([part async for part in stream])',
    ),
    ([2**64], "output… is an integer of more than 64 bits, which Phoenix does not store; convert it to text"),
    (["a\0"], "output… is text with a NUL character, which Phoenix does not store on PostgreSQL; remove it"),
    (_nested(300), "output… has more than … levels of lists and dicts, which Phoenix does not store; flatten it"),
    ({1.5: 1}, "output has a … as a key, which JSON does not allow; use text"),
]
IS_PROVOKED = {message for quoted in PROVOKED.values() for message in quoted} | {message for _, message in UNFIT}


@pytest.mark.parametrize(("output", "message"), UNFIT)
def test_what_an_output_has_that_json_has_not_is_said_as_it_is_quoted(output, message):
    with pytest.raises((TypeError, ValueError)) as caught:
        to_json(output)
    assert re.fullmatch(re.escape(message).replace("…", ".*"), str(caught.value))


# one process for all commands: what takes time is to import what they need
IN_ONE_PROCESS = """
import contextlib, io, json, os, sys
from evalwire import cli
said = {}
for command in json.load(sys.stdin):
    words = command.split()
    environ = dict(word.split("=") for word in words if word.partition("=")[0].isupper())
    before = {**os.environ}
    os.environ.update(environ)
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        try:
            cli.main([word for word in words if word.partition("=")[0] not in environ])
        except SystemExit as ended:
            code = ended.code
    said[command] = [code, out.getvalue()]
    os.environ.clear()
    os.environ.update(before)
json.dump(said, sys.stdout)
"""


def test_messages_are_printed_as_they_are_quoted(project):
    """A sample of the page's messages, provoked from the command line."""
    project.experiment("good").experiment("odd", two="def two(a, b): ...", none="def none(): ...", other="")
    project.write(
        {
            "experiments/bare/task.py": "def task(input): ...",
            "empty/x": "",
            "testset.csv": "user_query,expected_output,tags\na,b,c\n",
            "ragged.csv": "user_query,expected_output,tags\na,b\n",
            "odd.jsonl": '{"zzz": 1}\n',
            "misspelled.toml": "[experiments]\nconcurency = 1\n",
        }
    )
    ended = subprocess.run(
        [sys.executable, "-c", IN_ONE_PROCESS],
        cwd=project.directory,
        env=project.environ,
        input=json.dumps(list(PROVOKED)),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr
    for command, (code, printed) in json.loads(ended.stdout).items():
        assert code in (1, 2), command
        for message in PROVOKED[command]:
            assert re.search(re.escape(message).replace("…", ".*?"), printed), f"{command} printed:\n{printed}"


# --- the site --------------------------------------------------------------------------------------------


NO_NETWORK = """
import socket
def refuse(*arguments, **keywords):
    raise AssertionError("the documentation is built without a network")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly, by a program that cannot connect to anything."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "walls").mkdir()
    (folder / "walls" / "sitecustomize.py").write_text(NO_NETWORK)
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder / "site"],
        cwd=ROOT,
        env=quiet_environment(PYTHONPATH=str(folder / "walls"), NO_MKDOCS_2_WARNING="1", PYTHONDONTWRITEBYTECODE="1"),
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return folder / "site"


class Html(html.parser.HTMLParser):
    """What a page loads, where it leads, and the places in it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(file.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.ids |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link":
            self.loads.append(found["href"])
        self.loads += [found[name] for name in ("src", "data", "poster") if name in found]
        self.loads += [part.split()[0] for part in found.get("srcset", "").split(",") if part.strip()]
        self.loads += re.findall(r"url\(['\"]?([^'\")]+)", found.get("style", ""))


@pytest.fixture(scope="module")
def built(site) -> dict[Path, Html]:
    return {file: Html(file) for file in sorted(site.rglob("*.html"))}


def test_the_site_has_a_page_for_each_document(site):
    assert {file.stem for file in site.glob("*.html")} == {page.stem for page in PAGES} | {"404"}
    assert not list(site.rglob("*.py"))


def test_no_page_loads_anything_from_another_host(site, built):
    for file, page in built.items():
        assert not [one for one in page.loads if IN_THE_NETWORK.match(one)], file
        assert 'class="mermaid"' not in file.read_text(), "the theme would fetch the program that draws it"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(['\"]?|@import ['\"])(?:https?:)?//", style.read_text()), style


def test_all_that_a_page_links_to_is_there(site, built):
    dead = []
    for file, page in built.items():
        if file.name == "404.html":  # it is served under any address, so its own are absolute
            continue
        for link in [*page.links, *page.loads]:
            address, place = urldefrag(link)
            if urlsplit(link).scheme or IN_THE_NETWORK.match(link):
                continue
            target = (file.parent / unquote(address)).resolve() if address else file
            exists = target.is_file() and target.is_relative_to(site)
            if not exists or (place and target in built and unquote(place) not in built[target].ids):
                dead.append(f"{file.name}: {link}")
    assert not dead


def test_the_reference_has_every_setting_and_every_command(site, built):
    configuration, commands = ((site / f"{name}.html").read_text() for name in ("configuration", "cli"))
    assert not [option.name for option in OPTIONS if f"<code>{option.variable}</code>" not in configuration]
    assert {"-".join(path) for path in COMMANDS} <= built[site / "cli.html"].ids
    assert not [flag for flag in FLAGS if f"<code>{flag}</code>" not in commands]


def test_the_api_has_every_public_name(site, built):
    public = {f"{home}.{name}" for name, home in evalwire._HOMES.items() if not name.startswith("make_")}
    assert public <= built[site / "python.html"].ids
    factories = {name for name in evalwire.__all__ if name.startswith("make_")}
    assert not [name for name in factories if name not in (site / "evaluators.html").read_text()]


def test_arguments_and_errors_of_docstrings_are_lists(site):
    """The docstrings' `Args:` and `Raises:` are sections, and no text."""
    page = (site / "python.html").read_text()
    assert not re.search(r"<p>(?:Args|Raises|Returns|Attributes):", page)
    assert re.search(r"doc-section-title[^>]*>Parameters", page)
    assert re.search(r"doc-section-title[^>]*>Raises", page)


@pytest.mark.browser
def test_a_browser_shows_each_page_on_a_phone_and_asks_nobody_else(site):
    if (program := find()) is None:
        if os.environ.get("EVALWIRE_REQUIRE_BROWSER_TESTS") == "1":
            pytest.fail("there is no Chromium, and EVALWIRE_REQUIRE_BROWSER_TESTS=1")
        pytest.skip("there is no Chromium")
    with browser(program, "--allow-file-access-from-files") as opened, opened.page(width=390, height=844) as phone:
        for page in PAGES:
            phone.open((site / f"{page.stem}.html").as_uri())
            too_wide = phone.js("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert too_wide <= 0, page.name
        assert not [one for one in phone.requests if not one.startswith(("file:", "data:", "blob:"))]
