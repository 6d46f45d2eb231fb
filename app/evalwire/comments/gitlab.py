"""Comments on a merge request of GitLab."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from evalwire.comments.target import Comment, Target, required

if TYPE_CHECKING:
    from evalwire.comments.api import Api

_MOST_BYTES = 900_000  # GitLab accepts 1,000,000 characters
_ADVICE = "Create a project access token with the scope `api` and the role Reporter"
_QUICK_ACTION = re.compile(r"^([\s>]*)/", re.MULTILINE)


def gitlab_target(environ: Mapping[str, str]) -> Target | None:
    """Return the merge request of a GitLab job; None if the job does not run for a merge request.

    The pipeline of a branch runs for the first open merge request of the branch.

    Raises:
        UsageError: a variable of the job is missing.
    """
    number = environ.get("CI_MERGE_REQUEST_IID", "")
    project = environ.get("CI_MERGE_REQUEST_PROJECT_ID") or environ.get("CI_PROJECT_ID", "")
    source = environ.get("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") or project
    if not number:
        path, _, number = environ.get("CI_OPEN_MERGE_REQUESTS", "").split(",")[0].rpartition("!")
        source, project = quote(environ.get("CI_PROJECT_PATH", ""), safe=""), quote(path, safe="")
    if not number:
        return None
    return Target(
        noun=f"merge request {number}",
        api_url=required(environ, "CI_API_V4_URL"),
        token_variable="GITLAB_TOKEN",  # noqa: S106 - the name of a variable
        key=environ.get("CI_JOB_NAME", ""),
        is_from_fork=source != project,
        advice=_ADVICE,
        most_bytes=_MOST_BYTES,
        headers=lambda token: {"PRIVATE-TOKEN": token},
        comments=lambda api: _Comments(api, project, number),
    )


class _Comments:
    def __init__(self, api: Api, project: str, number: str) -> None:
        self._api = api
        self._path = f"/projects/{project}/merge_requests/{number}/notes"

    def all(self) -> Iterator[Comment]:
        page = "1"
        while page:
            path = f"{self._path}?sort=asc&order_by=created_at&per_page=100&page={page}"
            found, headers = self._api.send("GET", path)
            for note in found:
                author = note.get("author") or {}
                yield Comment(id=note["id"], body=note.get("body") or "", author=author.get("id"))
            page = headers.get("X-Next-Page", "")

    def is_own(self, comment: Comment) -> bool:
        return comment.author == self._own_id

    @cached_property
    def _own_id(self) -> int:
        user, _ = self._api.send("GET", "/user")
        return int(user["id"])

    def create(self, body: str) -> None:
        self._api.send("POST", self._path, {"body": without_quick_actions(body)})

    def update(self, comment: Comment, body: str) -> None:
        self._api.send("PUT", f"{self._path}/{comment.id}", {"body": without_quick_actions(body)})


def without_quick_actions(body: str) -> str:
    r"""Return text with an escape before each line's first slash, because GitLab executes lines such as `/merge`."""
    return _QUICK_ACTION.sub(r"\1\\/", body)
