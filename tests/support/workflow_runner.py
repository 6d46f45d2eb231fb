"""Runs a job of a GitHub workflow that `evalwire init` writes, as far as such workflows go: steps of a shell, and caches."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from action_runner import BASH, expand

UNSEEN = ("actions/checkout", "actions/setup-python", "actions/upload-artifact", "actions/download-artifact")


@dataclass
class WorkflowRunner:
    """A repository on a runner; the caches are those of the repository.

    Attributes:
        file: the workflow.
        workspace: where the steps run.
        environ: of every step.
        caches: keys and contents, the oldest first.
        secrets: of the repository.
    """

    file: Path
    workspace: Path
    environ: Mapping[str, str]
    caches: dict[str, bytes] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    def run(self, job: str, *, ref: str, run_id: int, **variables: str) -> tuple[int, str]:
        """Run a job; the exit code of its first step that failed, and all output."""
        contexts = {
            "github": {
                "ref": ref,
                "run_id": str(run_id),
                "run_attempt": "1",
                "token": self.environ["TOKEN_OF_THE_JOB"],
            },
            "vars": variables,
            "secrets": self.secrets,
        }
        code, output = 0, ""
        for step in yaml.safe_load(self.file.read_text())["jobs"][job]["steps"]:
            if not self._is_due(step.get("if", "success()"), ref, is_green=code == 0):
                continue
            if "uses" in step:
                self._use(step, contexts)
                continue
            environ = {name: expand(text, contexts) for name, text in step.get("env", {}).items()}
            done = subprocess.run(
                [*BASH, "-c", step["run"]],
                cwd=self.workspace,
                env={**self.environ, "GITHUB_REF": ref, **environ},
                capture_output=True,
                text=True,
            )
            code, output = code or done.returncode, output + done.stdout + done.stderr
        return code, output

    @staticmethod
    def _is_due(condition: str, ref: str, *, is_green: bool) -> bool:
        known = {
            "success()": is_green,
            "always()": True,
            "github.ref == 'refs/heads/main'": is_green and ref.endswith("/main"),
        }
        return known[condition]

    def _use(self, step: Mapping[str, Any], contexts: Mapping[str, Any]) -> None:
        action = step["uses"].partition("@")[0]
        if action in UNSEEN:
            return
        key, path = expand(step["with"]["key"], contexts), self.workspace / step["with"]["path"]
        if action == "actions/cache/save":
            self.caches.setdefault(key, path.read_bytes())  # a key is written once
            return
        assert action == "actions/cache/restore"
        prefix = step["with"]["restore-keys"]
        found = [content for name, content in self.caches.items() if name == key or name.startswith(prefix)]
        if found:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(found[-1])
