"""GitLab's REST API, as far as the notes of one merge request go, on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fake_github import TOKEN, Answer, FakeGitHub, Handler, fake_github

NUMBER = 3
PROJECTS = ("42", "team%2Fbot")  # the ID and the path of the project
USER = 7  # whose token it is


class _GitLab(Handler):
    most_characters = 1_000_000

    do_PUT = Handler.do_PATCH  # noqa: N815 - the name that http.server looks up

    def _is_known(self) -> bool:
        return self.headers["PRIVATE-TOKEN"] == TOKEN

    def _notes(self) -> str:
        path = urlsplit(self.path).path
        assert path.removeprefix("/projects/").split("/", 1)[0] in PROJECTS, path
        return path.split("/", 3)[3]

    def _list(self, _: Any) -> Answer:
        if self.path == "/user":
            return 200, {"id": USER}, {}
        assert self._notes() == f"merge_requests/{NUMBER}/notes"
        query = parse_qs(urlsplit(self.path).query)
        size, page = int(query["per_page"][0]), int(query["page"][0])
        assert (size <= 100, query["sort"]) == (True, ["asc"])
        found = self.github.comments[(page - 1) * size : page * size]
        notes = [{"id": one["id"], "body": one["body"], "author": {"id": one["user"]["id"]}} for one in found]
        is_last = page * size >= len(self.github.comments)
        return 200, notes, {"X-Next-Page": "" if is_last else str(page + 1)}

    def _create(self, content: Any) -> Answer:
        assert self._notes() == f"merge_requests/{NUMBER}/notes"
        self.github.add(content["body"], by="User", author=USER)
        return 201, self.github.comments[-1], {}

    def _update(self, content: Any) -> Answer:
        (comment,) = [one for one in self.github.comments if self._notes().endswith(f"/notes/{one['id']}")]
        comment["body"] = content["body"]
        return 200, comment, {}


@contextmanager
def fake_gitlab() -> Iterator[FakeGitHub]:
    """A server, as long as the context lasts."""
    with fake_github(_GitLab) as gitlab:
        yield gitlab
