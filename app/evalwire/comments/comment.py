"""Write the comment of a job, and find it again by its hidden marker."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from evalwire.comments.api import Api, Unavailable

if TYPE_CHECKING:
    from evalwire.comments.target import Comments, Target

_WAITS_SECONDS = (1.0, 4.0, 15.0)
_CUT = "\n\n*The rest is too long for a comment.*\n"


def post(target: Target, token: str, summary: str, *, key: str, job_url: str) -> None:
    """Write a summary as a comment on a request, or update the comment with the same key.

    A temporary error is retried from the search on, because a failed attempt may have created the comment.

    Args:
        target: the pull or merge request.
        token: the token of the API.
        summary: Markdown text, masked.
        key: identifies the comment among the comments of other jobs.
        job_url: the page of the job; empty if unknown.

    Raises:
        CommentRefused: the token is invalid or has no permission.
        CommentError: the API did not respond, or rejected the comment.
    """
    marker = marker_of(key)
    body = body_of(marker, summary, job_url, target.most_bytes)
    retrying = Retrying(
        stop=stop_after_attempt(len(_WAITS_SECONDS) + 1),
        wait=_wait,
        retry=retry_if_exception_type(Unavailable),
        reraise=True,
    )
    with Api(target.api_url, target.headers(token)) as api:
        retrying(lambda: _write(target.comments(api), marker, body))


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    asked = error.wait_seconds if isinstance(error, Unavailable) else 0.0
    return max(_WAITS_SECONDS[min(state.attempt_number, len(_WAITS_SECONDS)) - 1], asked)


def _write(comments: Comments, marker: str, body: str) -> None:
    for comment in comments.all():
        # any user can write the marker, and the token of a job may edit any comment
        if comment.body.startswith(marker) and comments.is_own(comment):
            comments.update(comment, body)
            return
    comments.create(body)


def marker_of(key: str) -> str:
    """Return the hidden marker at the start of the comment."""
    return f"<!-- evalwire:{quote(' '.join(key.split()), safe=' /')} -->"


def body_of(marker: str, summary: str, job_url: str, most_bytes: int) -> str:
    """Return the text of the comment, cut at a line break if it is too long."""
    begin = f"{marker}\n"
    end = f"\n\n[The job]({job_url})\n" if job_url and job_url not in summary else "\n"
    room = most_bytes - len(f"{begin}{end}".encode())
    if len(summary.encode()) > room:
        kept = summary.encode()[: room - len(_CUT.encode())].decode(errors="ignore")
        summary = kept.rpartition("\n")[0] + _CUT
    return f"{begin}{summary.rstrip()}{end}"
