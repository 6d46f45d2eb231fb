"""The branch and commit of a working copy, also of a repository that is not to be trusted."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from evalwire.settings import git as git_module
from evalwire.settings import origin_metadata
from evalwire.settings.git import forget_working_copies, git_metadata

CI = {"GITHUB_ACTIONS": "true", "GITHUB_SHA": "abc", "GITHUB_REF_NAME": "topic"}


def git(directory: Path, *arguments: str) -> str:
    identity = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(directory)}
    identity |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    done = subprocess.run(
        ["git", *arguments], cwd=directory, env={**os.environ, **identity}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a commit on main."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("HOME", str(tmp_path))
    top = tmp_path / "project"
    top.mkdir()
    git(top, "init", "-q", "-b", "main")
    (top / "task.py").write_text("1\n")
    git(top, "add", ".")
    git(top, "commit", "-q", "-m", "one")
    return top


def test_a_clean_working_copy_has_a_branch_a_commit_and_a_base_branch(repository):
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-q", "-b", "topic/one")
    (repository / "below").mkdir()
    expected = {"commit": commit, "branch": "topic/one", "base_branch": "main", "dirty": False}
    assert git_metadata(str(repository)) == expected
    assert git_metadata(str(repository / "below")) == expected


@pytest.mark.parametrize(("file", "text"), [("task.py", "2\n"), ("new.py", "1\n")])
def test_a_changed_or_untracked_file_makes_it_dirty(repository, file, text):
    (repository / file).write_text(text)
    assert git_metadata(str(repository))["dirty"] is True


def test_an_ignored_file_does_not_make_it_dirty(repository):
    (repository / ".gitignore").write_text("test-results/\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "two")
    (repository / "test-results").mkdir()
    (repository / "test-results" / "results.json").write_text("{}")
    assert git_metadata(str(repository))["dirty"] is False


def test_a_branch_without_a_commit_is_known(tmp_path):
    git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "a").write_text("")
    assert git_metadata(str(tmp_path)) == {"branch": "trunk", "dirty": True}


def test_a_detached_head_has_a_commit_and_no_branch(repository):
    git(repository, "checkout", "-q", "--detach")
    assert git_metadata(str(repository)).keys() == {"commit", "base_branch", "dirty"}


def test_the_default_branch_of_the_remote_is_the_base_branch(repository, tmp_path):
    git(repository, "branch", "-m", "main", "develop")
    git(tmp_path, "clone", "-q", str(repository), "clone")
    git(tmp_path / "clone", "checkout", "-q", "-b", "main")
    assert git_metadata(str(tmp_path / "clone"))["base_branch"] == "develop"


def test_a_worktree_is_a_working_copy(repository, tmp_path):
    git(repository, "worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    assert git_metadata(str(tmp_path / "tree"))["branch"] == "other"


def test_without_git_or_a_repository_nothing_is_known(tmp_path, repository, monkeypatch):
    (tmp_path / "empty").mkdir()
    assert git_metadata(str(tmp_path / "empty")) == {}
    assert git_metadata(str(tmp_path / "missing")) == {}
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_metadata(str(repository)) == {}


@pytest.mark.parametrize("broken", ["HEAD", "config"])
def test_a_broken_repository_is_none(repository, broken):
    (repository / ".git" / broken).write_text("\0[[[")
    assert git_metadata(str(repository)) == {}


def test_a_bare_repository_in_the_project_is_not_trusted(repository, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(repository / "data"))
    assert git_metadata(str(repository / "data")) == {}


def test_no_program_of_the_repository_is_called(repository, tmp_path):
    """A file system monitor, hooks and filters are settings of the repository; a stranger may have written them."""
    mark = tmp_path / "called"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> {mark}\ncat\n')
    program.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for hook in ("post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout"):
        (hooks / hook).symlink_to(program)
    for key in (
        "core.fsmonitor",
        "filter.x.clean",
        "filter.x.process",
        "filter.Y y.clean",
        "core.pager",
        "diff.external",
    ):
        git(repository, "config", key, str(program))
    git(repository, "config", "core.hooksPath", str(hooks))
    git(repository, "config", "filter.x.required", "true")
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text("*.py filter=x\n*.txt filter=Y\\ y\n")
    (repository / "task.py").write_text("2\n")  # of the same size, so git reads its content
    assert git_metadata(str(repository))["dirty"] is True
    assert not mark.exists(), mark.read_text()


def test_a_filter_whose_name_git_cannot_take_leaves_the_copy_unread(repository):
    git(repository, "config", "filter.a=b.clean", "false")
    assert git_metadata(str(repository))["dirty"] is True


def test_variables_of_git_do_not_lead_to_another_repository(repository, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q", "-b", "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert git_metadata(str(repository))["branch"] == "main"


def test_a_git_that_hangs_is_given_up(repository, tmp_path, monkeypatch):
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(git_module, "_SECONDS", 0.05)
    assert git_metadata(str(repository)) == {}


def test_a_second_job_of_a_process_reads_the_working_copy_again(repository):
    assert git_metadata(str(repository))["dirty"] is False
    (repository / "task.py").write_text("another\n")
    assert git_metadata(str(repository))["dirty"] is False, "a job describes its start"
    forget_working_copies()
    assert git_metadata(str(repository))["dirty"] is True


def test_in_ci_the_system_tells_and_git_completes(repository):
    assert origin_metadata(CI, repository) == {"ci": "github", "commit": "abc", "branch": "topic"}
    known = origin_metadata({"CLOUD_RUN_JOB": "evals"}, repository)
    assert known == {"ci": "cloud-run", "commit": git(repository, "rev-parse", "HEAD"), "branch": "main"}
    assert "dirty" in origin_metadata({}, repository)
