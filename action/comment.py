"""Post the summary of a job as a comment on its pull request, or update the comment with the same hidden marker."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

EVENT = Path("/event.json")
SUMMARY = Path("/summary.md")
MOST_BYTES = 65_000  # GitHub accepts 65,536 characters, which have at least as many bytes
WAITS_SECONDS = (1.0, 4.0, 15.0)
TIMEOUT_SECONDS = 30.0
CUT = "\n\n*The rest is too long for a comment.*\n"


class Failed(Exception):
    """GitHub rejected a request."""


class Forbidden(Failed):
    """The token has no permission; for some tokens, GitHub answers 404."""


class Unavailable(Failed):
    """GitHub could not be reached or had a temporary error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHub:
    """The REST API of GitHub for a repository.

    Attributes:
        url: the URL of the API.
        repository: the owner and name of the repository.
        token: the token of the job.
    """

    url: str
    repository: str
    token: str = field(repr=False)

    def comments(self, number: int) -> Iterator[dict[str, Any]]:
        """Yield all comments on a pull request, oldest first."""
        page, is_last = 1, False
        while not is_last:
            found, links = self._send("GET", f"issues/{number}/comments?per_page=100&page={page}")
            yield from found
            page, is_last = page + 1, 'rel="next"' not in links

    def create(self, number: int, body: str) -> None:
        """Create a comment on a pull request."""
        self._send("POST", f"issues/{number}/comments", {"body": body})

    def update(self, comment: int, body: str) -> None:
        """Replace the text of a comment."""
        self._send("PATCH", f"issues/comments/{comment}", {"body": body})

    def _send(self, method: str, path: str, content: object = None) -> tuple[Any, str]:
        """Send a request; return the content and the `Link` header of the answer."""
        request = urllib.request.Request(  # noqa: S310 - the runner names the API
            f"{self.url}/repos/{self.repository}/{path}",
            method=method,
            data=None if content is None else json.dumps(content).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "User-Agent": "evalwire",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the runner names the API
                return json.load(answer), answer.headers.get("Link", "")
        except urllib.error.HTTPError as error:
            raise _kind(error.code)(f"HTTP {error.code}: {_message(error)}") from error
        except (OSError, ValueError) as error:
            raise Unavailable(str(error)) from error


def _kind(status: int) -> type[Failed]:
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND):
        return Forbidden
    is_passing = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Unavailable if is_passing else Failed


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (OSError, ValueError, LookupError, TypeError):
        return str(error.reason)


def write(github: GitHub, number: int, marker: str, body: str) -> None:
    """Update this action's comment with the marker, or create it."""
    for comment in github.comments(number):
        # any user can write the marker, and the token of a job can edit any comment
        if (comment["user"] or {}).get("type") == "Bot" and comment["body"].startswith(marker):
            github.update(comment["id"], body)
            return
    github.create(number, body)


def persistently(write_once: Callable[[], None]) -> None:
    """Retry temporary errors, starting from the search, because a failed attempt may have created the comment."""
    for wait_seconds in WAITS_SECONDS:
        try:
            return write_once()
        except Unavailable:
            time.sleep(wait_seconds)
    return write_once()


def marker_of(key: str) -> str:
    """Return the hidden marker at the start of the comment."""
    return f"<!-- evalwire:{quote(key.strip(), safe=' /')} -->"


def body_of(marker: str, summary: str, job_url: str) -> str:
    """Return the text of the comment, cut at a line break if it is too long."""
    begin, end = f"{marker}\n", f"\n\n[The job]({job_url})\n"
    room = MOST_BYTES - len(f"{begin}{end}".encode())
    if len(summary.encode()) > room:
        kept = summary.encode()[: room - len(CUT)].decode(errors="ignore")
        summary = kept.rpartition("\n")[0] + CUT
    return f"{begin}{summary.rstrip()}{end}"


def pull_request_of(event: Mapping[str, Any]) -> int | None:
    """Return the number of the pull request of a workflow event; None for other events."""
    if "pull_request" in event.get("issue", {}):
        return int(event["issue"]["number"])
    return int(event["pull_request"]["number"]) if "pull_request" in event else None


def say(level: str, text: str) -> None:
    """Print a workflow command with a message."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    print(f"::{level} title=evalwire::{text}")  # noqa: T201 - the runner reads standard output


def main(environ: Mapping[str, str], event: Path = EVENT, summary: Path = SUMMARY) -> None:
    """Write the comment, or print the reason why it cannot be written."""
    number = pull_request_of(json.loads(event.read_text()))
    if number is None:
        say("notice", "No comment was written: this job does not run for a pull request.")
        return
    ended = f"ended with exit code {environ['EXIT_CODE']}" if environ.get("EXIT_CODE") else "did not finish"
    text = summary.read_text() if summary.exists() else f"## evalwire: {ended}\n\nThere is no report."
    marker = marker_of(environ["COMMENT_KEY"])
    job_url = f"{environ['GITHUB_SERVER_URL']}/{environ['GITHUB_REPOSITORY']}/actions/runs/{environ['GITHUB_RUN_ID']}"
    body = body_of(marker, text, job_url)
    github = GitHub(
        url=environ["GITHUB_API_URL"], repository=environ["GITHUB_REPOSITORY"], token=environ["GITHUB_TOKEN"]
    )
    try:
        persistently(lambda: write(github, number, marker, body))
    except Forbidden as error:
        say(
            "warning",
            f"Cannot write the comment on pull request {number}: the token of the job has no permission ({error}). Add "
            "`permissions: pull-requests: write` to the job. Jobs of pull requests from forks never get it. "
            "The summary is on the page of the run.",
        )
    except Failed as error:
        say("warning", f"Cannot write the comment on pull request {number}: GitHub rejected it ({error}).")


if __name__ == "__main__":
    main(os.environ)
