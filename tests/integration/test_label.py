"""`evalwire label` with a real Phoenix: labels are in the file at once and in Phoenix, also after a kill."""

from __future__ import annotations

import csv
import json
import re
import signal
import urllib.request
from typing import Any

import pytest
from faults import Fault, FaultyPhoenix

from evalwire.phoenix import Phoenix

pytestmark = pytest.mark.needs_phoenix

SIZE = 12
TASK = """
    async def task(example):
        if example.input["q"] == "question 3":
            raise ValueError("no output")
        return {"answer": f"=answer to {example.input['q']}"}
"""
JUDGE = """
    def judged(output):
        return {"score": float("1" in output["answer"]), "label": "HIDDEN-LABEL", "explanation": "HIDDEN-REASON"}

    judged.annotator_kind = "LLM"
"""


@pytest.fixture
def recorded(phoenix_project, make_dataset, client, spans_of):
    """A project with a recorded experiment of 12 examples, of which one failed."""
    name = make_dataset(SIZE)
    project = phoenix_project.experiment(name, task=TASK, judged=JUDGE)
    project.run("run")
    project.phoenix = Phoenix(client)
    results = json.loads((project.directory / "test-results" / "results.json").read_text())
    project.result = project.phoenix.recorded.result(results["experiments"][0]["experiment_id"])
    spans_of(project.result.project_name, at_least=SIZE)
    return project


class Page:
    """The requests of the page of a running command; `heard` has all responses."""

    def __init__(self, project: Any, *arguments: str, **environ: str) -> None:
        self.process = project.start("label", "judged", "--no-browser", "--annotator", "ann", *arguments, **environ)
        self.lines = []
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(r"(http://127\.0\.0\.1:\d+)/#(\S+)", line):
                self.origin, self.key = found.groups()
                break
        self.heard = ""

    def ask(self, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.key}", "Origin": self.origin, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.origin + path, data, headers), timeout=20) as response:
            text = response.read().decode()
        self.heard += text
        return json.loads(text)

    def label(self, place: int, word: str, note: str = "") -> Any:
        return self.ask("/api/answers", {"place": place, "word": word, "note": note})

    def end(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out + err


def rows(project: Any) -> list[dict[str, str]]:
    with (project.directory / "judges" / "labels" / "judged.csv").open() as file:
        return list(csv.DictReader(file))


def people(project: Any, name: str = "judged") -> dict[str, tuple[str, str, str]]:
    found = project.phoenix.annotations.people(project.result, name)
    return {label.run_id: (label.word, label.note, label.annotator) for label in found}


def test_labels_are_in_the_file_and_in_phoenix_and_the_judge_is_not_on_the_page(recorded):
    page = Page(recorded)
    assert "11 outputs, 0 labeled by ann (1 run left out: failed, or without this score)" in "".join(page.lines)
    assert page.ask("/api/state")["answers"] == [None] * 11
    outputs = [page.ask(f"/api/outputs/{place}") for place in range(11)]
    assert all(list(each) == ["input", "expected", "output"] for each in outputs)
    for place, word in enumerate(["pass", "fail", "pass"]):
        page.label(place, word, "why" if word == "fail" else "")
        assert len(rows(recorded)) == place + 1
    page.process.kill()
    page.process.communicate()
    before = rows(recorded)
    assert [row["label"] for row in before] == ["pass", "fail", "pass"]

    again = Page(recorded)
    state = again.ask("/api/state")
    assert [each and each["word"] for each in state["answers"]] == ["pass", "fail", "pass"] + [None] * 8
    assert [again.ask(f"/api/outputs/{place}") for place in range(11)] == outputs, "the order is the same"
    again.label(0, "fail")  # a change of mind
    again.label(2, "")  # taken back
    again.label(3, "pass")
    again.ask("/api/done", {})
    out, err = again.process.communicate(timeout=60)
    assert again.process.returncode == 0, out + err
    assert "3 labels of ann in judges/labels/judged.csv, and in Phoenix as annotations 'judged'" in out
    found = rows(recorded)
    assert [(row["label"], row["note"]) for row in found] == [("fail", ""), ("fail", "why"), ("", ""), ("pass", "")]
    assert people(recorded) == {row["run_id"]: (row["label"], row["note"], "ann") for row in found if row["label"]}
    after = recorded.phoenix.recorded.result(recorded.result.experiment_id)
    assert [score.mean for score in after.scores] == [score.mean for score in recorded.result.scores]
    assert "HIDDEN" not in page.heard + again.heard
    assert '"score"' not in page.heard + again.heard


def test_labels_wait_in_the_file_while_phoenix_is_away(recorded, phoenix_url):
    faults = FaultyPhoenix(phoenix_url)
    with faults.serving() as proxy:
        page = Page(recorded, PHOENIX_ENDPOINT=proxy.url)
        proxy.rule = lambda method, path: Fault(status=503) if "annotations" in path else None
        page.label(0, "pass")
        code, text = page.end()
    assert code == 1
    assert "1 label of ann in judges/labels/judged.csv; 1 change not in Phoenix: " in text
    assert people(recorded) == {}
    page = Page(recorded)
    assert page.end()[0] == 0
    assert [word for word, *_ in people(recorded).values()] == ["pass"]


def test_labels_from_another_machine_are_gone_on_with(recorded):
    page = Page(recorded)
    page.label(0, "pass")
    assert page.end()[0] == 0
    file = recorded.directory / "judges" / "labels" / "judged.csv"
    before = file.read_text()
    file.unlink()
    page = Page(recorded)
    assert page.ask("/api/state")["answers"][0] == {"word": "pass", "note": ""}
    assert page.end()[0] == 0
    assert file.read_text() == before


def test_a_spreadsheet_goes_round(recorded):
    done = recorded.run("label", "judged", "--csv", "sheet.csv", "--annotator", "ann", "--limit", "5")
    assert done.returncode == 0, done.stderr
    assert "sheet.csv: 5 outputs in random order (1 run left out: failed, or without this score)" in done.stdout
    path = recorded.directory / "sheet.csv"
    text = path.read_text(encoding="utf-8-sig")
    assert "HIDDEN" not in text
    assert "'=answer to" in text
    assert recorded.run("label", "judged", "--csv", "sheet.csv").returncode == 2  # it may have labels
    assert recorded.run("label", "judged", "--from", "sheet.csv").returncode == 2  # it has none
    filled = list(csv.DictReader(text.splitlines(keepends=True)))
    for row, label in zip(filled, ["pass", "No", "", "TRUE"], strict=False):
        row["label"] = label
    filled[1] |= {"note": "bad", "annotator": "bob"}
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(filled[0]))
        writer.writeheader()
        writer.writerows(filled)
    done = recorded.run("label", "judged", "--from", "sheet.csv", "--annotation", "human", CI="true")
    assert done.returncode == 0, done.stderr
    assert "3 labels saved in judges/labels/judged.csv, and in Phoenix as annotations 'human'" in done.stdout
    expected = {row["run_id"]: row for row in filled if row["label"]}
    assert {row["run_id"]: (row["label"], row["note"], row["annotator"]) for row in rows(recorded)} == {
        run_id: ({"pass": "pass", "No": "fail", "TRUE": "pass"}[row["label"]], row["note"], row["annotator"])
        for run_id, row in expected.items()
    }
    assert {label: people(recorded, "human")[run_id][2] for run_id, label in zip(expected, "abc", strict=True)} == {
        "a": "ann",
        "b": "bob",
        "c": "ann",
    }


@pytest.mark.parametrize(
    ("arguments", "environ", "message"),
    [
        ((), {"CI": "true"}, "cannot run in CI"),
        (("--no-browser",), {"GITHUB_ACTIONS": "true"}, "cannot run in CI"),
        ((), {"container": "docker"}, "cannot reach in a container"),
        (("--csv", "a.csv", "--from", "b.csv"), {}, "cannot be combined with --csv"),
        (("--no-browser", "--annotator", "a\nb"), {}, "name of the annotator"),
        (("--no-browser", "--annotation", "note"), {}, "reserves the name"),
        (("--no-browser", "--port", "1", "--experiment", "last~9"), {}, "no recorded experiment matches last~9"),
    ],
)
def test_wrong_use_is_said_at_once(recorded, arguments, environ, message):
    done = recorded.run("label", "judged", *arguments, **environ)
    assert done.returncode == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_an_unknown_score_names_the_scores(recorded):
    done = recorded.run("label", "judge", "--no-browser")
    assert done.returncode == 2
    assert "has no score 'judge', by which the outputs are ordered. Its scores are: judged." in done.stderr
