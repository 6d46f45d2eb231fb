"""The pull or merge request that a job runs for, and the interface of its comments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from evalwire.errors import UsageError

if TYPE_CHECKING:
    from evalwire.comments.api import Api


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """An existing comment.

    Attributes:
        id: the ID of the comment.
        body: the Markdown text.
        author: the ID of the author; None for a deleted user.
        is_by_bot: whether the author is a bot.
    """

    id: int
    body: str
    author: int | None
    is_by_bot: bool = False


class Comments(Protocol):
    """The comments of a request."""

    def all(self) -> Iterator[Comment]:
        """Yield all comments, oldest first."""

    def is_own(self, comment: Comment) -> bool:
        """Check whether the owner of the token wrote a comment."""

    def create(self, body: str) -> None:
        """Create a comment."""

    def update(self, comment: Comment, body: str) -> None:
        """Replace the text of a comment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The pull or merge request of a job.

    Attributes:
        noun: the name of the request in messages, such as `pull request 7`.
        api_url: the URL of the CI system's API.
        token_variable: the variable with the token.
        key: identifies the job among the jobs that comment on the request.
        is_from_fork: whether CI gives the job no permission to comment.
        advice: what the token needs.
        most_bytes: the maximum size of a comment.
        headers: returns the headers of each request to the API, with a token.
        comments: returns the comments of the request.
    """

    noun: str
    api_url: str
    token_variable: str
    key: str
    is_from_fork: bool
    advice: str
    most_bytes: int
    headers: Callable[[str], Mapping[str, str]]
    comments: Callable[[Api], Comments]


def required(environ: Mapping[str, str], name: str) -> str:
    """Return a variable of the CI system.

    Raises:
        UsageError: the variable is not set.
    """
    if not environ.get(name):
        raise UsageError(f"{name} is not set. The CI system sets it for each job. Pass it to the container.")
    return environ[name]
