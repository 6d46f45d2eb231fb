"""Runs the steps of `action.yml` as GitHub's runner does, as far as this action makes use of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")
SIGNALS = ((signal.SIGINT, 7.5), (signal.SIGTERM, 2.5), (signal.SIGKILL, 5.0))  # and how long a step has after each
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
COMMAND = re.compile(r"\s*::([^:\s]+)(?: [^:]*)?::|##\[([^\]\s]+)[^\]]*\]")


@dataclass
class Step:
    """A step that ran.

    Attributes:
        stdout, stderr: what it printed. The runner reads both, each as fast as it comes.
    """

    name: str
    exit_code: int
    stdout: str
    stderr: str
    outputs: dict[str, str]


@dataclass
class Ended:
    """What came of an action: its steps, its outputs, the job's summary."""

    steps: dict[str, Step]
    outputs: dict[str, str]
    summary: str

    @property
    def exit_code(self) -> int:
        """Of the first step that failed; 0 when none did."""
        return next((step.exit_code for step in self.steps.values() if step.exit_code), 0)

    @property
    def log(self) -> str:
        """All that was printed."""
        return "".join(step.stdout + step.stderr for step in self.steps.values())

    @property
    def commands(self) -> list[str]:
        """The workflow commands that the runner carries out, over all steps."""
        found = []
        for step in self.steps.values():
            # stderr may be read before what stdout stops, and after what it resumes
            found += [*commands(step.stdout), *commands(step.stderr)]
        return found


@dataclass
class ActionRunner:
    """A runner with one job.

    Attributes:
        action: folder of the action.
        temp: `RUNNER_TEMP`.
        environ: of the job, with its `GITHUB_*`.
        strategy: the context of the job's matrix.
        user: that runs the steps, and the groups that it is in beside its own; None for the one that runs this.
    """

    action: Path
    temp: Path
    environ: Mapping[str, str]
    strategy: Mapping[str, str] = field(default_factory=lambda: {"job-index": "0", "job-total": "1"})
    user: tuple[int, Sequence[int]] | None = None

    def run(self, cancel_when: Callable[[str], bool] | None = None, **inputs: str) -> Ended:
        """Run all steps; the job is cancelled when the output of one is what `cancel_when` waits for."""
        action = yaml.safe_load((self.action / "action.yml").read_text())
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert given.keys() <= action["inputs"].keys(), "GitHub only warns of an input that is not declared"
        defaults = {name: declared.get("default", "") for name, declared in action["inputs"].items()}
        done: dict[str, Step] = {}
        contexts: dict[str, Any] = {
            "inputs": {**defaults, **given},
            "github": {"token": self.environ["GITHUB_TOKEN_OF_THE_JOB"]},
            "strategy": self.strategy,
            "steps": done,
        }
        summary, is_green = "", True
        for step in action["runs"]["steps"]:
            assert step.get("if", "always()") == "always()", "no other condition is known here"
            if not is_green and "if" not in step:
                continue
            environ = {name: expand(text, contexts) for name, text in step["env"].items()}
            ran, said = self._step(step, environ, cancel_when)
            done[ran.name], summary = ran, summary + said
            is_green &= ran.exit_code == 0
        outputs = {name: expand(declared["value"], contexts) for name, declared in action["outputs"].items()}
        return Ended(done, outputs, summary)

    def _step(
        self, step: Mapping[str, Any], environ: Mapping[str, str], cancel_when: Callable[[str], bool] | None
    ) -> tuple[Step, str]:
        """A step that ran, and what it wrote to the summary."""
        name = step["id"]
        made = {kind: self._file(f"{name}.{kind}") for kind in ("script", "output", "summary", "stdout", "stderr")}
        made["script"].write_text(step["run"])
        with made["stdout"].open("w") as stdout, made["stderr"].open("w") as stderr:
            process = subprocess.Popen(
                [*BASH, made["script"]],
                cwd=self.environ["GITHUB_WORKSPACE"],
                env={
                    **{key: value for key, value in self.environ.items() if key != "GITHUB_TOKEN_OF_THE_JOB"},
                    **environ,
                    "RUNNER_TEMP": str(self.temp),
                    "GITHUB_ACTION_PATH": str(self.action),
                    "GITHUB_OUTPUT": str(made["output"]),
                    "GITHUB_STEP_SUMMARY": str(made["summary"]),
                },
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                **self._identity(),
            )
            while process.poll() is None:
                if cancel_when and cancel_when(made["stdout"].read_text()):
                    _cancel(process)
                time.sleep(0.05)
        ran = Step(
            name=name,
            exit_code=process.returncode,
            stdout=made["stdout"].read_text(),
            stderr=made["stderr"].read_text(),
            outputs=dict(line.split("=", 1) for line in made["output"].read_text().splitlines()),
        )
        return ran, made["summary"].read_text()

    def _file(self, name: str) -> Path:
        path = self.temp / name
        path.write_text("")
        if self.user:
            os.chown(path, self.user[0], self.user[0])
        return path

    def _identity(self) -> dict[str, Any]:
        if self.user is None:
            return {}
        return {"user": self.user[0], "group": self.user[0], "extra_groups": self.user[1]}


def _cancel(process: subprocess.Popen[bytes]) -> None:
    """The process of the step is signalled, none of its children is."""
    for number, seconds in SIGNALS:
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return


def expand(text: str, contexts: Mapping[str, Any]) -> str:
    """A text with its expressions replaced by their values; what does not exist is empty."""
    return EXPRESSION.sub(lambda found: _value(found[1], contexts), str(text))


def _value(path: str, contexts: Mapping[str, Any]) -> str:
    value: Any = contexts
    for name in path.split("."):
        value = value.outputs if isinstance(value, Step) and name == "outputs" else value.get(name, {})
    return value if isinstance(value, str) else ""


def commands(text: str) -> Iterator[str]:
    """The lines of a stream that are commands and not stopped."""
    token = None
    for line in re.split(r"\r\n|\r|\n", text):
        found = COMMAND.match(line) or COMMAND.search(line)
        command = found and (found[1] or found[2])
        if not command or (token and command != token):
            continue
        if command == token:
            token = None
        elif command == "stop-commands":
            token = line.rpartition("::")[2]
        else:
            yield line
