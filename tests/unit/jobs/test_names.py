"""The names of recorded experiments: `last`, a branch, the start of an ID; and the listing that finds them."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from evalwire.errors import DatasetNotFound, PhoenixError, UsageError
from evalwire.gates import BaselineChoice, BaselineQuery, on_branches
from evalwire.jobs.baselines import find_baselines, find_histories
from evalwire.jobs.listing import Listing
from evalwire.jobs.names import RecordedNames, is_experiment_id
from evalwire.settings import load_settings


class Recorded:
    """The experiments of a server, which counts requests."""

    def __init__(self, **by_dataset: list[dict[str, Any]]) -> None:
        self.by_dataset = by_dataset
        self.asked: list[str] = []
        self.tags_asked = 0
        self.experiments = self

    def on_dataset(self, name: str, *, is_patient: bool = True):
        self.asked.append(f"{name}{'' if is_patient else ' once'}")
        if name not in self.by_dataset:
            raise DatasetNotFound(name)
        yield from self.by_dataset[name]

    def tags(self, experiment_id: str) -> list[str]:
        self.tags_asked += 1
        records = itertools.chain.from_iterable(self.by_dataset.values())
        return next(record.get("tags", []) for record in records if record["id"] == experiment_id)


def recorded(number: int, name: str = "search", *, prefix: str = "eval", **changes: Any) -> dict[str, Any]:
    metadata = {"branch": "main", "evalwire": {"experiment": name, "prefix": prefix, "outcome": "passed"}}
    own = {
        "id": f"ID{number}",
        "name": f"{prefix}_{name}_{number}",
        "created_at": f"2026-01-{number:02}T00:00:00+00:00",
        "missing_run_count": 0,
        "metadata": {**metadata, **changes.pop("metadata", {})},
    }
    return {**own, **changes}


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A function that returns the names of a project with the directories `search` and `router`."""
    for name in ("search", "router"):
        (tmp_path / "experiments" / name).mkdir(parents=True)
        (tmp_path / "experiments" / name / "task.py").write_text("def task(input): ...\n")
    monkeypatch.chdir(tmp_path)

    def build(server: Recorded, **flags: Any) -> RecordedNames:
        return RecordedNames(load_settings(flags=flags, environ={}), Listing(server))

    return build


SEARCH = [recorded(number) for number in (14, 13, 12, 2)]
ROUTER = [recorded(21, "router", metadata={"branch": "topic"})]


def test_last_is_the_newest_of_each_directory_whatever_the_outcome(names):
    unfinished = recorded(15)
    del unfinished["metadata"]["evalwire"]["outcome"]
    server = Recorded(search=[unfinished, *SEARCH], router=ROUTER)
    assert names(server).find("last") == ["ID21", "ID15"]
    assert names(server, names=["search"]).find_single("last") == "ID15"
    assert names(server).find("last~1") == ["ID14"], "the router ran once"
    with pytest.raises(UsageError, match=r"last stands for 2 experiments of different directories: ID21, ID15. Select"):
        names(server).find_single("last")


def test_last_has_the_prefix_of_the_project_and_knows_what_other_tools_recorded(names):
    nightly, other = recorded(16, prefix="nightly"), {**recorded(17), "metadata": {}, "name": "a trial"}
    old = {**recorded(11), "metadata": {"run_by": "evalwire"}, "name": "eval_search_2020-01-01T00:00:00Z"}
    shared = recorded(18, "another_directory")
    server = Recorded(search=[shared, other, nightly, recorded(14), old])
    assert names(server, names=["search"]).find("last") == ["ID14"]
    assert names(server, names=["search"]).find("last~1") == ["ID11"], "of evalwire 0.6"
    assert names(server, names=["search"], prefix="nightly").find("last") == ["ID16"]


def test_a_last_that_does_not_exist_says_how_many_there_are(names):
    with pytest.raises(
        UsageError, match=r"no recorded experiment matches last~9. Phoenix has 0 of router, 4 of search with the"
    ):
        names(Recorded(search=SEARCH)).find("last~9")


def test_the_start_of_an_id_names_it_if_no_other_id_starts_with_it(names):
    server = Recorded(search=SEARCH, router=ROUTER)
    assert names(server).find("ID14") == ["ID14"]
    assert names(server).find("ID2") == ["ID2"], "a whole ID, although ID21 starts with it"
    assert server.asked == ["router", "search"] * 2, "a request for each dataset"
    with pytest.raises(
        UsageError, match=r"(?s)^3 IDs start with 'ID1':\n  ID14  2026-01-14 00:00  eval_search_14\n.*Give"
    ):
        names(server).find("ID1")


def test_a_list_of_candidates_is_short(names):
    server = Recorded(search=[recorded(number) for number in range(28, 10, -1)])
    with pytest.raises(UsageError) as error:
        names(server).find("ID")
    assert str(error.value).splitlines()[-2:] == ["  and 13 more", "Give more of the ID."]


def test_an_id_of_phoenix_needs_no_request(names):
    server = Recorded()
    assert names(server).find("RXhwZXJpbWVudDoxMg==") == ["RXhwZXJpbWVudDoxMg=="]
    assert server.asked == []
    assert [is_experiment_id(text) for text in ("RXhwZXJpbWVudDox", "RXhwZXJpbWVudDoxMg", "main", "", "\udc80")] == [
        True,
        *[False] * 4,
    ]


def test_a_branch_is_a_name_and_a_tag_too(names):
    server = Recorded(
        search=[recorded(15, metadata={"branch": "topic"}), {**recorded(14), "tags": ["release"]}], router=ROUTER
    )
    assert (
        names(server).find("main") == names(server).find("branch:main") == names(server).find("tag:release") == ["ID14"]
    )
    assert names(server).find("topic") == ["ID21", "ID15"]


@pytest.mark.parametrize("text", ["nobody", "branch:nobody", "tag:nothing", "file:results.json", "", "last~x", "a b"])
def test_a_name_of_nothing_is_an_error_that_tells_the_names(names, text):
    with pytest.raises(UsageError, match=r"Give an ID from `evalwire runs`, last, last~1, branch:NAME or tag:NAME"):
        names(Recorded(search=SEARCH)).find(text)


def test_outside_of_a_project_the_error_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="experiments/ has no experiments"):
        RecordedNames(load_settings(flags={}, environ={}), Listing(Recorded())).find("last")


def test_tags_are_requested_until_the_tag_is_found():
    server = Recorded(
        search=[{**recorded(number), "tags": ["old"] if number == 2 else []} for number in range(28, 0, -1)]
    )
    assert Listing(server).tagged("search", "old")["id"] == "ID2"
    asked, server.tags_asked = server.tags_asked, 0
    assert asked == 28
    server.by_dataset["search"][0]["tags"] = ["new"]
    assert Listing(server).tagged("search", "new")["id"] == "ID28"
    assert server.tags_asked <= 4, "a few at once"
    assert Listing(server).tagged("search", "no such tag") is None


# --- baselines and history share a listing --------------------------------------------------------------


def query(name: str = "search", **ci: Any) -> BaselineQuery:
    return on_branches(BaselineQuery(experiment=name, dataset_name=name), BaselineChoice("auto"), ci, "main")


def test_a_history_needs_no_request_after_the_baseline(names):
    server = Recorded(search=SEARCH)
    listing = Listing(server)
    with pytest.raises(UsageError):
        find_baselines(BaselineChoice("tag", "nothing"), [query()], listing)
    (history,) = find_histories([query()], listing)
    assert [entry.experiment_id for entry in history.entries] == ["ID2", "ID12", "ID13", "ID14"], "oldest first"
    assert (history.experiment, history.branch) == ("search", "main")
    assert server.asked == ["search"]


def test_a_history_alone_is_requested_once_and_never_fails_a_job():
    class Broken(Recorded):
        def on_dataset(self, name: str, *, is_patient: bool = True):
            yield from super().on_dataset(name, is_patient=is_patient)
            if name == "broken":
                raise PhoenixError("away")

    server = Broken(search=SEARCH, broken=[])
    found = find_histories([query(), query("missing"), query("broken"), query("never")], Listing(server))
    assert [history.experiment for history in found] == ["search"]
    assert server.asked == ["search once", "missing once", "broken once"]


def test_a_working_copy_has_the_history_of_its_own_branch_if_the_base_branch_has_none():
    server = Recorded(search=[recorded(3, metadata={"branch": "topic", "dirty": True})])
    (history,) = find_histories([query(branch="topic", dirty=False)], Listing(server))
    assert (history.branch, [entry.experiment_id for entry in history.entries]) == ("topic", ["ID3"])
    assert find_histories([query(branch="topic", ci="github")], Listing(server)) == ()


def test_a_listing_that_failed_is_requested_again_and_does_not_look_complete():
    """A request for the history may fail; a baseline must not be missed for it."""

    class Failing(Recorded):
        def on_dataset(self, name, *, is_patient=True):
            for number, record in enumerate(super().on_dataset(name, is_patient=is_patient)):
                if not is_patient and number == 1:
                    raise PhoenixError("HTTP 503")
                yield record

    listing = Listing(Failing(search=[recorded(3), recorded(2), recorded(1)]))
    with pytest.raises(PhoenixError):
        list(listing.on_dataset("search", is_patient=False))
    assert [record["id"] for record in listing.on_dataset("search")] == ["ID3", "ID2", "ID1"]
