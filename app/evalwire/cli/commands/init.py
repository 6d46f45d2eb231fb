"""`evalwire init`: a small project that runs as it is, to start one's own from."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from evalwire.cli.project_files import write_files
from evalwire.cli.project_templates import (
    CI,
    Template,
    api_key_variable,
    gitignore_file,
    project_files,
    read_template,
    set_up_commands,
    workflow,
)
from evalwire.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalwire.cli.invocation import Invocation


_WORKFLOWS: Mapping[CI, str] = {"github": ".github/workflows/evalwire.yml", "gitlab": ".gitlab-ci.yml"}
_INCLUDED = ".gitlab/evalwire.yml"
_OF_A_PROJECT = ("evalwire.toml", "experiments")


def init(
    invocation: Invocation,
    directory: Path,
    *,
    template: Template = "basic",
    ci: CI | None = None,
    server: bool = False,
) -> int:
    """Write the project: all of its files, or none; with `ci`, an existing project gets only the workflow.

    Args:
        invocation: the streams.
        directory: made when missing.
        template: the project to write.
        ci: the CI system to write a workflow for; None for no workflow.
        server: whether the workflow uses a Phoenix server of the user.

    Raises:
        UsageError: a file to write exists, or the directory cannot be written.
    """
    if server and ci is None:
        raise UsageError("--server needs --ci. It chooses the pipeline for your own Phoenix server.")
    if os.path.lexists(directory) and not directory.is_dir():
        raise UsageError(f"{directory} is not a directory.")
    kept = [name for name in _OF_A_PROJECT if os.path.lexists(directory / name)] if ci else []
    texts = {} if kept else {name: read_template(file) for name, file in project_files(template).items()}
    place = _place(directory, ci) if ci else ""
    model = None if kept and template == "basic" else template
    if ci:
        texts[place] = workflow(
            ci,
            template=model,
            has_requirements="requirements.txt" in texts or (directory / "requirements.txt").is_file(),
            server=server,
        )
    _refuse_existing(directory, texts, is_project=bool(kept))
    gitignore = read_template(gitignore_file(template))
    has_gitignore = os.path.lexists(directory / ".gitignore")
    if not has_gitignore:
        texts[".gitignore"] = gitignore
    listed = _text(directory / ".gitignore").split()
    unlisted = [line for line in gitignore.split() if line not in listed]
    write_files(directory, texts)
    show = invocation.console.show
    for name in kept:
        show(f"kept {directory / name}\n")
    for name in texts:
        show(f"wrote {directory / name}\n")
    if has_gitignore and unlisted:
        show(f"{directory / '.gitignore'} was not changed; add these lines: {', '.join(unlisted)}\n")
    if ci:
        secrets = [*(["PHOENIX_API_KEY"] if server else []), api_key_variable(model)]
        _show_steps_of_ci(invocation, directory, ci, place, secrets=list(filter(None, secrets)), server=server)
    if not kept:
        _show_next_steps(invocation, directory, template)
    return 0


def _refuse_existing(directory: Path, texts: Mapping[str, str], *, is_project: bool) -> None:
    if there := [str(directory / name) for name in texts if os.path.lexists(directory / name)]:
        advice = (
            f"Move {there[0]} away to write it again." if is_project else "Choose another directory: evalwire init DIR."
        )
        raise UsageError(f"nothing was written, because these files exist: {', '.join(there)}.\n{advice}")


def _place(directory: Path, ci: CI) -> str:
    """Return the path of the workflow: GitLab reads a single file, so an existing file has to include ours."""
    name = _WORKFLOWS[ci]
    path = directory / name
    has_other = ci == "gitlab" and os.path.lexists(path) and "evalwire run" not in _text(path)
    return _INCLUDED if has_other else name


def _text(path: Path) -> str:
    """Return the text of a file of the user; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _show_steps_of_ci(
    invocation: Invocation, directory: Path, ci: CI, place: str, *, secrets: Sequence[str], server: bool
) -> None:
    show = invocation.console.show
    if root := _repository_above(directory):
        show(f"move {place} to {root}, and set its working directory to {directory}\n")
    if place == _INCLUDED:
        show(f"kept {directory / _WORKFLOWS[ci]}; add to it:\n  include:\n    - local: {_INCLUDED}\n")
    variables = ["INSTALL_EVALWIRE_FROM", *(["PHOENIX_ENDPOINT"] if server else [])]
    variables += secrets if ci == "gitlab" else []
    show(f"for the pipeline, set the variables of the repository: {', '.join(variables)}\n")
    if secrets and ci == "github":
        show(f"also set the secrets of the repository: {', '.join(secrets)}\n")


def _show_next_steps(invocation: Invocation, directory: Path, template: Template) -> None:
    show = invocation.console.show
    show("next, with a local Phoenix (needs the extra `local`: pip install 'evalwire[local]'):\n")
    if directory.resolve() != Path.cwd():
        show(f"  cd {shlex.quote(str(directory))}\n")
    for command in (*set_up_commands(template), "evalwire run --local"):
        show(f"  {command}\n")


def _repository_above(directory: Path) -> Path | None:
    """Return the root of the repository around a directory; None if the directory is the root, or in no repository."""
    directory = directory.resolve()
    root = next((parent for parent in (directory, *directory.parents) if (parent / ".git").exists()), directory)
    return root if root != directory else None
