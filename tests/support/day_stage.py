"""The stage of the film of a day: the project's repository, its environment, a model, GitHub, and what was played."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_github import NUMBER, TOKEN, FakeGitHub, fake_github
from model_server import ModelServer, model_server
from terminal import Terminal, screen
from user_environment import user_environment
from workflow_runner import WorkflowRunner

TEMPLATES = Path(__file__).parents[2] / "app/evalwire/cli/templates"
KEY = "key-of-the-day"
BRANCH = "shorter-embeddings"
_INSTALLER = "#!/bin/sh\nexit 0\n"  # the packages are there
_UNREMARKABLE = ("how", "what", "when", "where", "which", "does", "are", "the", "you", "your", "for", "can", "and")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass
class Played:
    """A command that ended: what it showed, its exit code and its seconds; 0 seconds for a text that others show."""

    command: str
    text: str
    code: int
    seconds: float


@dataclass
class Stage:
    """A developer's day.

    Attributes:
        root: the directory of all that follows.
        python: the interpreter with the packages that the project requires.
        server: the address of the team's Phoenix.
        is_full: whether all that a command shows is printed.
        played: the commands so far, by the name of their step.
    """

    root: Path
    python: Path
    server: str
    model: ModelServer
    github: FakeGitHub
    is_full: bool = False
    played: list[tuple[str, Played]] = field(default_factory=list)
    step: str = ""
    runs_in_ci: int = 0

    @property
    def project(self) -> Path:
        """The developer's working copy."""
        return self.root / "rental"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the developer's shell: nothing of the machine that plays the film."""
        return {
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(self.root / "tmp"),
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": f"{self.model.url}/v1",
        }

    def begin(self, title: str) -> None:
        """Begin a step."""
        self.step = title
        say(f"\n{title}")

    def type(
        self, command: str, *, code: int = 0, sees: Sequence[str] = (), never: Sequence[str] = (), **environ: str
    ) -> str:
        """Type an evalwire command at a terminal; return what it showed.

        Args:
            command: the command line.
            code: the exit code to expect.
            sees: patterns of lines that the user must see in this order; these lines are printed.
            never: patterns that must not be shown.
            environ: variables before the command.
        """
        began = time.monotonic()
        arguments = shlex.split(command)[1:]
        terminal = Terminal(*arguments, cwd=self.project, environ={**self.environ, **environ}, python=self.python)
        exit_code = terminal.finish()
        seconds = time.monotonic() - began
        before = "".join(f"{name}={value} " for name, value in environ.items())
        return self.show(Played(f"{before}{command}", screen(terminal.text), exit_code, seconds), code, sees, never)

    def show(self, played: Played, code: int, sees: Sequence[str], never: Sequence[str]) -> str:
        """Print a command with the lines that the user must see, after checking that they are there."""
        say(f"  {'$ ' if played.seconds else ''}{played.command}")
        context = f"{played.command} exited {played.code} and showed:\n{played.text}"
        assert played.code == code, f"expected exit code {code}; {context}"
        lines = iter(played.text.splitlines())
        if self.is_full:
            say(textwrap.indent(played.text, "      "))
        for pattern in sees:
            line = next((line for line in lines if re.search(pattern, line)), None)
            assert line is not None, f"no line with {pattern!r} (after the lines before it); {context}"
            if not self.is_full:
                say(f"      {line.strip()}")
        for pattern in never:
            assert not re.search(pattern, played.text), f"a line has {pattern!r}; {context}"
        if played.seconds:
            say(f"    exit code {played.code}, {played.seconds:.1f} s")
            self.played.append((self.step, played))
        return played.text

    def git(self, *arguments: str) -> str:
        """Run git in the working copy."""
        say(f"  $ git {shlex.join(arguments)}")
        return self._git(self.project, *arguments)

    def edit(self, file: str, *changes: tuple[str, str]) -> None:
        """Replace texts in a file of the project, as an editor would."""
        path = self.project / file
        text = path.read_text()
        for old, new in changes:
            assert text.count(old) == 1, f"{file} does not contain {old!r} once: {text}"
            text = text.replace(old, new)
        path.write_text(text)
        say(f"  (edits {file})")

    def results(self) -> dict[str, Any]:
        """Return results.json of the last local job."""
        found: dict[str, Any] = json.loads((self.project / "test-results/results.json").read_text())
        return found

    def pipeline(self, branch: str, *, code: int, sees: Sequence[str], comment: Sequence[str] = ()) -> str:
        """Push a branch, and run the workflow of the repository as GitHub would; return the log of the job.

        A branch other than main is a pull request, whose second job comments.

        Args:
            branch: the branch to push.
            code: the exit code of the evaluation.
            sees: patterns of lines in the log of the evaluation.
            comment: patterns of lines in the only comment of the pull request.
        """
        self.git("push", "--quiet", "origin", branch)
        self.runs_in_ci += 1
        is_pull = branch != "main"
        checkout = self.root / f"runner-{self.runs_in_ci}"
        self._git(self.root, "clone", "--quiet", "--branch", branch, str(self.root / "origin.git"), str(checkout))
        runner = WorkflowRunner(
            file=checkout / ".github/workflows/evalwire.yml",
            workspace=checkout,
            environ=self._variables(checkout, branch, is_pull=is_pull),
            secrets={"OPENAI_API_KEY": KEY},
        )
        log = self._job(runner, "evaluate", code, sees)
        if is_pull:
            (checkout / "experiments").rename(self.root / "unseen")  # the second job has only the reports
            self._job(runner, "comment", 0, ["commented on pull request 7"])
            (self.root / "unseen").rename(checkout / "experiments")
            (body,) = self.github.bodies()
            self.show(
                Played("(reads the comment of the pull request)", body, 0, 0.0), 0, comment, [r"127\.0\.0\.1", KEY]
            )
        return log

    def _job(self, runner: WorkflowRunner, job: str, code: int, sees: Sequence[str]) -> str:
        ref = runner.environ["GITHUB_REF"]
        began = time.monotonic()
        exit_code, log = runner.run(
            job, ref=ref, run_id=self.runs_in_ci, INSTALL_EVALWIRE_FROM="here", PHOENIX_ENDPOINT=self.server
        )
        command = "evalwire comment" if job == "comment" else "evalwire run --upload"
        played = Played(f"{command}  (job {job}, {ref})", log, exit_code, time.monotonic() - began)
        return self.show(played, code, sees, [KEY, TOKEN])

    def _variables(self, checkout: Path, branch: str, *, is_pull: bool) -> dict[str, str]:
        """Return the environment of a job on GitHub."""
        event = checkout.with_name(f"{checkout.name}.json")
        pull = {"number": NUMBER, "head": {"repo": {"full_name": "team/bot"}}}
        event.write_text(json.dumps({"pull_request": pull} if is_pull else {}))
        programs = self.root / "programs"
        return {
            **{name: value for name, value in self.environ.items() if name != "OPENAI_API_KEY"},
            "PATH": f"{programs}{os.pathsep}{self.environ['PATH']}",
            "CI": "true",
            "EVALWIRE_PUBLIC_ENDPOINT": "https://phoenix.example",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_BASE_REF": "main" if is_pull else "",
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_HEAD_REF": branch if is_pull else "",
            "GITHUB_JOB": "evaluate",
            "GITHUB_REF": f"refs/pull/{NUMBER}/merge" if is_pull else "refs/heads/main",
            "GITHUB_REF_NAME": f"{NUMBER}/merge" if is_pull else "main",
            "GITHUB_REPOSITORY": "team/bot",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_RUN_ID": str(self.runs_in_ci),
            "GITHUB_SERVER_URL": "https://git.example",
            "GITHUB_SHA": self._git(checkout, "rev-parse", "HEAD").strip(),
            "GITHUB_STEP_SUMMARY": str(event.with_suffix(".md")),
            "GITHUB_WORKFLOW": "evalwire",
            "TOKEN_OF_THE_JOB": TOKEN,
        }

    def stop(self) -> None:
        """Stop the local Phoenix, also after a failure."""
        command = [self.python.parent / "evalwire", "local", "stop"]
        subprocess.run(command, cwd=self.project, env=self.environ, check=True, capture_output=True)

    def _git(self, directory: Path, *arguments: str) -> str:
        author = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@rental.example", "GIT_CONFIG_NOSYSTEM": "1"}
        committer = {"GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@rental.example"}
        done = subprocess.run(
            ["git", *arguments],
            cwd=directory,
            env={**self.environ, **author, **committer},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def summary(self) -> Iterator[str]:
        """Yield the seconds of each command, after all steps."""
        for step, played in self.played:
            yield f"{played.seconds:6.1f} s  exit {played.code}  {step.partition('.')[0]:>2}. {played.command}"
        yield f"{sum(played.seconds for _, played in self.played):6.1f} s  in all commands"


def _stems(text: str) -> set[str]:
    """Return the beginnings of the words of a text that can tell texts apart."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    return {word[:5] for word in words if len(word) > 2 and word not in _UNREMARKABLE}


def answer(prompt: str) -> str:
    """Return the document of a prompt that shares most words with its question, as a model would."""
    documents, _, question = prompt.rpartition("Question:")
    lines = documents.removeprefix("Documents:").strip().splitlines()
    best = max(lines, key=lambda line: len(_stems(line) & _stems(question)), default="")
    return best if _stems(best) & _stems(question) else "I do not know."


def is_supported(prompt: str) -> bool:
    """Check whether the documents of a judge's prompt have the answer, as a model would."""
    documents, _, rest = prompt.partition("\nAnswer: ")
    given = rest.partition("\nDo the documents")[0]
    return given in documents or given == "I do not know."


@contextmanager
def stage(root: Path, server: str, *, is_full: bool) -> Iterator[Stage]:
    """Build the stage: an empty repository with a remote, the packages, the model and GitHub.

    Args:
        root: an empty directory.
        server: the address of the team's Phoenix.
        is_full: whether to print all that each command shows.
    """
    required = (TEMPLATES / "rag/requirements.txt").read_text().splitlines()
    lines = [line for line in required if not line.startswith("#")]
    (root / "programs").mkdir()
    (root / "tmp").mkdir()
    for name in ("pip", "uv"):
        (root / "programs" / name).write_text(_INSTALLER)
        (root / "programs" / name).chmod(0o755)
    python = user_environment(root / "venv", ["evalwire[local]", *lines])
    with model_server(answer, is_supported) as model, fake_github() as github:
        found = Stage(root=root, python=python, server=server, model=model, github=github, is_full=is_full)
        found.project.mkdir()
        found._git(root, "init", "--quiet", "--bare", "--initial-branch", "main", "origin.git")
        found._git(found.project, "init", "--quiet", "--initial-branch", "main")
        found._git(found.project, "remote", "add", "origin", str(root / "origin.git"))
        try:
            yield found
        finally:
            found.stop()
