"""Comments on a pull request of GitHub."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalwire.comments.target import Comment, Target, required
from evalwire.errors import CommentRefused

if TYPE_CHECKING:
    from evalwire.comments.api import Api

_MOST_BYTES = 65_000  # GitHub accepts 65,536 characters, which have at least as many bytes
_OF_PULL_REQUEST = re.compile(r"refs/pull/(\d+)/")
_WITHOUT_PERMISSION = ("dependabot[bot]",)  # GitHub treats Dependabot's jobs as jobs from a fork
_ADVICE = "Add `permissions: pull-requests: write` to the job"


def github_target(environ: Mapping[str, str]) -> Target | None:
    """Return the pull request of a GitHub job; None if the job does not run for a pull request.

    Raises:
        UsageError: a variable of the job is missing.
    """
    event = _event(environ)
    pull_request = event.get("pull_request") or {}
    found = _OF_PULL_REQUEST.match(environ.get("GITHUB_REF", ""))
    number = pull_request.get("number") or (found[1] if found else None)
    if "pull_request" in (event.get("issue") or {}):
        number = event["issue"]["number"]
    if number is None:
        return None
    repository = required(environ, "GITHUB_REPOSITORY")
    return Target(
        noun=f"pull request {number}",
        api_url=environ.get("GITHUB_API_URL") or "https://api.github.com",
        token_variable="GITHUB_TOKEN",  # noqa: S106 - the name of a variable
        key=f"{environ.get('GITHUB_WORKFLOW', '')} {environ.get('GITHUB_JOB', '')}",
        is_from_fork=_is_from_fork(pull_request, repository, environ),
        advice=_ADVICE,
        most_bytes=_MOST_BYTES,
        headers=_headers,
        comments=lambda api: _Comments(api, repository, int(number)),
    )


def _headers(token: str) -> dict[str, str]:
    return {
        "Accept": "application/vnd.github+json",
        "Authorization": f"Bearer {token}",
        "X-GitHub-Api-Version": "2022-11-28",
    }


def _event(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the event that started the workflow; empty if the file cannot be read, such as in a container."""
    try:
        event = json.loads(Path(environ.get("GITHUB_EVENT_PATH", "")).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return event if isinstance(event, dict) else {}


def _is_from_fork(pull_request: Mapping[str, Any], repository: str, environ: Mapping[str, str]) -> bool:
    if environ.get("GITHUB_ACTOR") in _WITHOUT_PERMISSION:
        return True
    head = pull_request.get("head")
    if head is None:  # not in the event
        return False
    source = (head.get("repo") or {}).get("full_name", "")  # a deleted fork has no repository
    return bool(source != repository)


class _Comments:
    def __init__(self, api: Api, repository: str, number: int) -> None:
        self._api = api
        self._path = f"/repos/{repository}/issues"
        self._number = number

    def all(self) -> Iterator[Comment]:
        page, is_last = 1, False
        while not is_last:
            path = f"{self._path}/{self._number}/comments?per_page=100&page={page}"
            found, headers = self._api.send("GET", path)
            for comment in found:
                user = comment.get("user") or {}
                is_by_bot = user.get("type") == "Bot"
                body = comment.get("body") or ""
                yield Comment(id=comment["id"], body=body, author=user.get("id"), is_by_bot=is_by_bot)
            page, is_last = page + 1, 'rel="next"' not in headers.get("Link", "")

    def is_own(self, comment: Comment) -> bool:
        return comment.is_by_bot or (comment.author is not None and comment.author == self._own_id)

    @cached_property
    def _own_id(self) -> int | None:
        try:
            user, _ = self._api.send("GET", "/user")
        except CommentRefused:  # the token of a job has no user, and comments as a bot
            return None
        return int(user["id"])

    def create(self, body: str) -> None:
        self._api.send("POST", f"{self._path}/{self._number}/comments", {"body": body})

    def update(self, comment: Comment, body: str) -> None:
        self._api.send("PATCH", f"{self._path}/comments/{comment.id}", {"body": body})
