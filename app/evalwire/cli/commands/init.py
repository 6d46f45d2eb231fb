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
        UsageError: a file of the project exists, or the directory cannot be written.
    """
    if os.path.lexists(directory) and not directory.is_dir():
        raise UsageError(f"{directory} is not a directory.")
    texts = {name: read_template(file) for name, file in project_files(template).items()}
    if ci:
        texts[_WORKFLOWS[ci]] = workflow(f"{ci}.yml", template)
    if there := [str(directory / name) for name in texts if os.path.lexists(directory / name)]:
        raise UsageError(
            f"nothing was written, because these files exist: {', '.join(there)}.\n"
            "Choose another directory: evalwire init DIR."
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
        invocation.console.show(f"{directory / '.gitignore'} was not changed; add these lines: {lines}\n")
    if ci and (root := _repository_above(directory)):
        invocation.console.show(f"move {_WORKFLOWS[ci]} to {root}, and set its working directory to {directory}\n")
    invocation.console.show("next, with a local Phoenix (needs the extra `local`: pip install 'evalwire[local]'):\n")
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
        raise UsageError(f"nothing was written, because {directory} is not writable: {error}.") from error


def _repository_above(directory: Path) -> Path | None:
    """Return the root of the repository around a directory; None if the directory is the root, or in no repository."""
    directory = directory.resolve()
    root = next((parent for parent in (directory, *directory.parents) if (parent / ".git").exists()), directory)
    return root if root != directory else None
