"""`evalwire init`: a small project that runs as it is, to start one's own from."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from evalwire.cli.project_templates import (
    Template,
    gitignore_file,
    project_files,
    read_template,
    set_up_commands,
    workflow,
)
from evalwire.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evalwire.cli.invocation import Invocation


CI = Literal["github", "gitlab"]

_WORKFLOWS: Mapping[CI, str] = {"github": ".github/workflows/evalwire.yml", "gitlab": ".gitlab-ci.yml"}


def init(invocation: Invocation, directory: Path, *, template: Template = "basic", ci: CI | None = None) -> int:
    """Write the project: all of its files, or none.

    Args:
        invocation: the streams.
        directory: made when missing.
        template: the project to write.
        ci: the CI system to write a workflow for; None for no workflow.

    Raises:
        UsageError: a file of the project is there already, or the folder cannot be written.
    """
    if os.path.lexists(directory) and not directory.is_dir():
        raise UsageError(f"{directory} is no folder.")
    texts = {name: read_template(file) for name, file in project_files(template).items()}
    if ci:
        texts[_WORKFLOWS[ci]] = workflow(f"{ci}.yml", template)
    if there := [str(directory / name) for name in texts if os.path.lexists(directory / name)]:
        raise UsageError(
            f"nothing was written, as this is there already: {', '.join(there)}.\n"
            "Name a folder without it: evalwire init DIR."
        )
    gitignore = read_template(gitignore_file(template))
    has_gitignore = os.path.lexists(directory / ".gitignore")
    if not has_gitignore:
        texts[".gitignore"] = gitignore
    _write(directory, texts)
    for name in texts:
        invocation.console.show(f"wrote {directory / name}\n")
    if has_gitignore:
        lines = ", ".join(gitignore.split())
        invocation.console.show(f"left {directory / '.gitignore'} as it is; it should have: {lines}\n")
    if ci and (root := _repository_above(directory)):
        invocation.console.show(
            f"move {_WORKFLOWS[ci]} to {root}, where alone it is read, and have it work in {directory}\n"
        )
    invocation.console.show("next, with a Phoenix for this run (pip install 'evalwire[local]'):\n")
    if directory.resolve() != Path.cwd():
        invocation.console.show(f"  cd {shlex.quote(str(directory))}\n")
    for command in (*set_up_commands(template), "evalwire run --local"):
        invocation.console.show(f"  {command}\n")
    return 0


def _write(directory: Path, texts: Mapping[str, str]) -> None:
    written: list[Path] = []
    try:
        for name, text in texts.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as file:
                written.append(path)
                file.write(text)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        raise UsageError(f"nothing was written, as {directory} cannot be: {error}.") from error


def _repository_above(directory: Path) -> Path | None:
    """The root of the repository that a folder is in, where it is not that root itself."""
    directory = directory.resolve()
    root = next((folder for folder in (directory, *directory.parents) if (folder / ".git").exists()), directory)
    return root if root != directory else None
