"""`evalwire comment`: write the summary of a job as a comment on its pull or merge request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from evalwire import comments, reports
from evalwire.errors import CommentError, CommentRefused, UsageError
from evalwire.masking import plain
from evalwire.phoenix import check_key
from evalwire.settings import ci_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evalwire.cli.invocation import Invocation

_MOST_CHARACTERS = 2_000_000  # more than any comment can have


def comment(invocation: Invocation, *, file: Path | None, key: str | None) -> int:
    """Write the comment, or update the comment of an earlier job.

    Args:
        invocation: settings, streams, and the variables of the CI job.
        file: the summary; None for summary.md in the report directory.
        key: identifies the comment; None for the name of the job and the file.

    Returns:
        0 if the comment was written, or the job has no request, or the request comes from a fork; else 1.

    Raises:
        UsageError: the command does not run in a job of GitHub or GitLab, or the token is missing.
    """
    for name in invocation.from_env_file:  # a file of the project must not redirect the token
        os.environ.pop(name, None)
    environ = {name: value for name, value in invocation.environ.items() if name not in invocation.from_env_file}
    target = _target(environ)
    if target is None:
        return _end(invocation, "notice", "No comment was written: this job does not run for a pull or merge request.")
    token = environ.get(target.token_variable, "").strip()
    if not token:
        if target.is_from_fork:
            return _end(invocation, "notice", _no_permission(target, "it has no token"))
        raise UsageError(f"{target.token_variable} is not set, so evalwire cannot comment.\n{target.advice}.")
    check_key(token, target.token_variable)
    path = file or invocation.settings.report_dir / "summary.md"
    summary = _summary(invocation, path)
    job_url = ci_metadata(environ).get("job_url", "")
    try:
        comments.post(target, token, summary, key=key or f"{target.key} {path}", job_url=job_url)
    except CommentRefused as error:
        if target.is_from_fork:
            return _end(invocation, "notice", _no_permission(target, str(error)))
        message = f"the token in {target.token_variable} is invalid or has no permission ({error}). {target.advice}."
        return _end(invocation, "warning", f"Cannot comment on {target.noun}: {message}")
    except CommentError as error:
        return _end(invocation, "warning", f"Cannot comment on {target.noun}: {error}")
    invocation.console.say(f"commented on {target.noun}")
    return 0


def _target(environ: Mapping[str, str]) -> comments.Target | None:
    match ci_metadata(environ).get("ci"):
        case "github":
            return comments.github_target(environ)
        case "gitlab":
            return comments.gitlab_target(environ)
    raise UsageError(
        "only a job of GitHub or GitLab can comment, and no such job was detected.\n"
        "In a container, pass the CI system's variables: GITHUB_* or CI_* and GITLAB_CI."
    )


def _no_permission(target: comments.Target, reason: str) -> str:
    return (
        f"No comment was written on {target.noun}: it comes from a fork or from Dependabot, and CI gives its jobs no "
        f"permission ({reason}). Read the summary on the page of the job."
    )


def _summary(invocation: Invocation, path: Path) -> str:
    """Return the masked text of the summary, or a sentence on its absence."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return plain(invocation.console.mask(file.read(_MOST_CHARACTERS)))
    except OSError as error:
        invocation.console.warn(f"cannot read {path}: {error.strerror or error}. The comment says that it is missing.")
    return "## evalwire: no report\n\nThe job did not write a summary. See the log of the job."


def _end(invocation: Invocation, level: Literal["warning", "notice"], message: str) -> int:
    """Show why no comment was written, on GitHub as an annotation, and return the exit code."""
    if invocation.environ.get("GITHUB_ACTIONS"):
        invocation.console.write_command(reports.annotations.message(level, message) + "\n")
    else:
        invocation.console.warn(message)
    return 0 if level == "notice" else 1
