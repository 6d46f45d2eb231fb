"""The branch and commit of a working copy, from git, for jobs outside of CI.

The repository may be from a stranger. No program that its configuration names is called: file system monitor, hooks,
filters, pager, and helpers to fetch missing objects are disabled.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 2.0  # the time limit for all git commands together

_SAFE = (
    "--no-pager",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "safe.bareRepository=explicit"),
)
_STATUS = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=all")
_KEPT = ("PATH", "HOME", "USERPROFILE", "SYSTEMROOT", "XDG_CONFIG_HOME")  # git's own settings include safe.directory
_FILTER = re.compile(r"filter\.(?P<name>[^=\n]+)\.[a-zA-Z0-9-]+")
_USUAL_BRANCHES = ("main", "master")


def git_metadata(directory: str) -> Mapping[str, str | bool]:
    """Return the `commit`, `branch` and `base_branch` of a working copy, as far as known, and whether it is `dirty`.

    The base branch is the default branch of the remote `origin`, else `main` or `master` if it exists. `dirty` is True
    if `git status` lists changed or untracked files, or did not finish in time. The result is empty without git,
    without a repository, or if git refuses the repository, for example because another user owns it. The result for a
    directory is kept until `forget_working_copies`.

    Args:
        directory: the working directory of the job.
    """
    return _read(os.fspath(directory))


def forget_working_copies() -> None:
    """Read working copies again when they are asked for, because a process such as a notebook runs several jobs."""
    _read.cache_clear()


@functools.cache
def _read(directory: str) -> Mapping[str, str | bool]:
    program = shutil.which("git")
    if program is None:
        return {}
    git = _Git(program, directory, time.monotonic() + _SECONDS)
    head = git.call("rev-parse", "--verify", "--quiet", "HEAD")
    branch = git.call("symbolic-ref", "--quiet", "--short", "HEAD")
    known = {"commit": (head or "").strip(), "branch": (branch or "").strip()}
    if not any(known.values()):
        return {}
    known["base_branch"] = git.default_branch()
    return {**{name: value for name, value in known.items() if value}, "dirty": git.is_dirty()}


class _Git:
    """Calls of git within a common time limit.

    Args:
        program: the path of git.
        directory: the working directory.
        deadline: the end of the time limit, in seconds of the monotonic clock.
    """

    def __init__(self, program: str, directory: str, deadline: float) -> None:
        self._program = program
        self._directory = directory
        self._deadline = deadline
        self._environ = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
            "LC_ALL": "C",
            "GIT_OPTIONAL_LOCKS": "0",  # writes nothing, so it calls no hook
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": "none",  # fetches no missing objects, for which a configured program may be called
            "GIT_NO_LAZY_FETCH": "1",
        }

    def call(self, *arguments: str) -> str | None:
        """Return the output of a git command; None if it failed or did not finish in time."""
        try:
            done = subprocess.run(  # noqa: S603 - git itself, with fixed commands
                [self._program, *_SAFE, *arguments],
                cwd=self._directory,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=max(0.01, self._deadline - time.monotonic()),
                check=False,
            )
        except (OSError, ValueError, subprocess.SubprocessError):
            return None
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    def default_branch(self) -> str:
        """Return the default branch of `origin`, else an existing usual branch; empty if neither is known."""
        places = ["refs/remotes/origin/HEAD", *(f"refs/heads/{name}" for name in _USUAL_BRANCHES)]
        found = dict(
            line.split(" ", 1)
            for line in (self.call("for-each-ref", "--format=%(refname) %(symref)", *places) or "").splitlines()
        )
        if target := found.get(places[0], ""):
            return target.removeprefix("refs/remotes/origin/")
        return next((name for name in _USUAL_BRANCHES if f"refs/heads/{name}" in found), "")

    def is_dirty(self) -> bool:
        """Check whether the working copy differs from the commit, or may differ."""
        names = self._filters()
        if names is None:
            return True
        blank = [f"filter.{name}.{key}" for name in names for key in ("clean=", "process=", "required=false")]
        return self.call(*(part for entry in blank for part in ("-c", entry)), *_STATUS) != ""

    def _filters(self) -> list[str] | None:
        """Return the names of the configured filters; None if a name cannot be passed to git."""
        listed = self.call("config", "--null", "--name-only", "--list")
        keys = [key for key in (listed or "").split("\0") if key.startswith("filter.") and key.count(".") > 1]
        found = [_FILTER.fullmatch(key) for key in keys]
        return None if listed is None or None in found else sorted({match["name"] for match in found if match})
