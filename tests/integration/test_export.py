"""Recorded experiments as files: what is in them, whoever recorded it, and what becomes of a failed export."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import tempfile
import tracemalloc
from pathlib import Path
from typing import Any

import httpx
import pytest
import recorded
from faults import Fault, FaultyPhoenix
from nightly import mostly_nightly

from evalwire.errors import ExperimentNotFound, PhoenixError, PhoenixUnreachable, UsageError
from evalwire.jobs.recorded import _free_path, export_experiment
from evalwire.phoenix.connection import connect
from evalwire.phoenix.retry_policy import RetryPolicy
from evalwire.phoenix.server import Phoenix
from evalwire.reports.export import EXPORT_FORMATS, csv_pieces, json_pieces
from evalwire.results import ResultCollector

# --- formats -------------------------------------------------------------------------------------------


def a_row(output: Any = "out", **changes: Any) -> dict[str, Any]:
    fields = {
        "example_id": "q1",
        "example_node_id": "N1",
        "repetition": 1,
        "input": {"q": "how?"},
        "expected": {"expected_output": "so"},
        "metadata": {},
        "output": output,
        "error": None,
        "latency_seconds": 0.25,
        "start_time": None,
        "end_time": None,
        "trace_id": "abc",
        "evaluations": [{"name": "e", "score": 1.0, "label": None, "explanation": None, "error": None}],
    }
    return {**fields, **changes}


def as_csv(*rows: dict[str, Any], evaluations: tuple[str, ...] = ("e",)) -> list[dict[str, str]]:
    text = "".join(csv_pieces({}, evaluations, rows))
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize(
    "text", ["=1+1", "+49", "-1", "@me", 'a "b", c', "one\r\ntwo", "one\rtwo", "one\ntwo", " spaces ", "42", "ü😀", ""]
)
def test_text_is_in_a_cell_as_it_is(text):
    """Formulas too: what a spreadsheet would do with them is for whoever opens the file to decide."""
    (row,) = as_csv(a_row(text, error=text, example_id=text))
    assert (row["output"], row["error"], row["example_id"]) == (text, text, text)


@pytest.mark.parametrize("value", [42, 1.5, True, ["a", "ü"], {"a": None, "b": "\n"}, [], {}])
def test_what_is_no_text_is_json_in_a_cell(value):
    (row,) = as_csv(a_row(value))
    assert json.loads(row["output"]) == value


def test_a_cell_without_a_value_is_empty():
    (row,) = as_csv(a_row(None, latency_seconds=None, trace_id=None))
    assert (row["output"], row["latency_seconds"], row["trace_id"], row["label.e"]) == ("", "", "", "")


def test_the_columns_are_the_same_for_every_run():
    said = {"name": "b", "score": 0.5, "label": "x", "explanation": "y", "error": "z"}
    first_, second = as_csv(a_row(), a_row(evaluations=[said]), evaluations=("b", "e"))
    assert list(first_)[9:] == [
        f"{part}.{name}" for name in "be" for part in ("score", "label", "explanation", "error")
    ]
    assert (first_["score.e"], first_["score.b"]) == ("1.0", "")
    assert [second[f"{part}.b"] for part in ("score", "label", "explanation", "error")] == ["0.5", "x", "y", "z"]
    assert second["score.e"] == ""


@pytest.mark.parametrize("rows", [[], [a_row()], [a_row("ü\u2028"), a_row(None)]])
def test_json_is_one_object_with_a_line_for_each_run(rows):
    text = "".join(json_pieces({"id": "E1"}, ["e"], rows))
    assert json.loads(text) == {"experiment": {"id": "E1"}, "evaluations": ["e"], "runs": rows}
    assert sum(line.startswith('  {"example_id"') for line in text.split("\n")) == len(rows)


def test_json_has_no_nan():
    with pytest.raises(ValueError, match="not JSON compliant"):
        list(json_pieces({}, [], [a_row(math.nan)]))


# --- whole experiments ---------------------------------------------------------------------------------

needs_phoenix = pytest.mark.needs_phoenix


@pytest.fixture(scope="module")
def foreign(phoenix_url):
    """An experiment that Phoenix's own client recorded: one task and one evaluator raise."""
    client = connect(base_url=phoenix_url)
    dataset = recorded.a_dataset(client)
    return dataset, recorded.run_experiment(client, dataset)


def read_csv(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def said_of(ran, name: str, run_id: str) -> dict[str, Any]:
    """What the client told of one evaluation when it ran."""
    (one,) = [one for one in ran["evaluation_runs"] if (one.name, one.experiment_run_id) == (name, run_id)]
    return {"score": None, "label": None, "explanation": None, **(one.result or {}), "error": one.error}


@needs_phoenix
def test_json_has_what_the_clients_own_experiment_recorded(client, foreign, tmp_path):
    dataset, ran = foreign
    path = ResultCollector(client).export(ran["experiment_id"], "json", tmp_path / "out.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["experiment"]["id"] == ran["experiment_id"]
    assert document["experiment"]["dataset_version_id"] == dataset.version_id
    assert document["evaluations"] == ["broken", "exact", "judged", "size", "tone"]
    counts = [document["experiment"][f"{kind}_run_count"] for kind in ("successful", "failed", "missing")]
    assert counts == [4, 1, 0]
    by_example = {run["dataset_example_id"]: run for run in ran["task_runs"]}
    assert [run["example_id"] for run in document["runs"]] == [one["id"] for one in dataset.examples]
    for run, example in zip(document["runs"], dataset.examples, strict=True):
        told = by_example[example["node_id"]]
        assert (run["input"], run["expected"], run["metadata"]) == (
            example["input"],
            example["output"],
            example["metadata"],
        )
        assert (run["output"], run["error"], run["trace_id"]) == (told["output"], told["error"], told["trace_id"])
        assert 0 <= run["latency_seconds"] < 10
        for one in run["evaluations"]:
            assert {key: one[key] for key in ("score", "label", "explanation", "error")} == said_of(
                ran, one["name"], told["id"]
            )
        assert len(run["evaluations"]) == 5
    assert document["runs"][3]["error"] == "ValueError('the model: gone')"


@needs_phoenix
def test_csv_has_what_the_clients_own_experiment_recorded(client, foreign, tmp_path):
    dataset, ran = foreign
    path = ResultCollector(client).export(ran["experiment_id"], "csv", str(tmp_path / "out.csv"))
    rows = read_csv(path)
    by_example = {run["dataset_example_id"]: run for run in ran["task_runs"]}
    assert len(rows) == 5
    for row, example in zip(rows, dataset.examples, strict=True):
        told = by_example[example["node_id"]]
        output = "" if told["output"] is None else told["output"]
        assert (row["output"] if isinstance(output, str) else json.loads(row["output"])) == output
        assert json.loads(row["input"]) == example["input"]
        assert json.loads(row["metadata"]) == example["metadata"]
        assert row["error"] == (told["error"] or "")
        assert row["trace_id"] == told["trace_id"]
        for evaluator in recorded.EVALUATORS:
            name = evaluator.__name__
            for part, value in said_of(ran, name, told["id"]).items():
                assert row[f"{part}.{name}"] == ("" if value is None else str(value))


@needs_phoenix
def test_what_was_never_run_has_a_row(client, tmp_path):
    """With what it asks; each repetition of it."""
    script = recorded.Script(client, recorded.a_dataset(client, 3, ids=True), repetitions=2)
    script.run(1, "late", repetition=2)
    script.run(0, None, error="Timeout: 3 s", repetition=1)
    path = ResultCollector(client).export(script.id, "csv", tmp_path / "out.csv")
    told = [(row["example_id"], row["repetition"], row["output"], row["error"]) for row in read_csv(path)]
    assert told == [
        ("ex-0", "1", "", "Timeout: 3 s"),
        ("ex-0", "2", "", "not run"),
        ("ex-1", "1", "", "not run"),
        ("ex-1", "2", "late", ""),
        ("ex-2", "1", "", "not run"),
        ("ex-2", "2", "", "not run"),
    ]
    row = read_csv(path)[-1]
    assert json.loads(row["input"]) == {"q": "question 2"}
    assert json.loads(row["metadata"]) == {"topic": "süß 2"}
    assert row["latency_seconds"] == ""


@needs_phoenix
def test_an_experiment_without_a_run_is_all_rows_not_run(client, tmp_path):
    script = recorded.Script(client, recorded.a_dataset(client, 2))
    document = json.loads(ResultCollector(client).export(script.id, "json", tmp_path / "out.json").read_text())
    assert [run["error"] for run in document["runs"]] == ["not run", "not run"]
    assert document["experiment"]["missing_run_count"] == 2


@needs_phoenix
def test_the_version_that_was_run_is_exported_not_the_newest(client, tmp_path):
    """Examples that were changed or removed since are there as they were."""
    dataset = recorded.a_dataset(client, 3, ids=True)
    script = recorded.Script(client, dataset)
    for number in range(3):
        script.run(number, "x")
    changed = [{"id": "ex-0", "input": {"q": "another"}, "output": {}, "metadata": {"topic": "new"}}]
    client.datasets.create_dataset(name=dataset.name, examples=changed, timeout=60)
    rows = read_csv(ResultCollector(client).export(script.id, "csv", tmp_path / "out.csv"))
    assert [json.loads(row["input"])["q"] for row in rows] == ["question 0", "question 1", "question 2"]
    assert [json.loads(row["metadata"])["topic"] for row in rows] == ["süß 0", "süß 1", "süß 2"]


@needs_phoenix
def test_an_experiment_of_evalwire_is_exported_as_its_results_say(phoenix_project, make_dataset):
    name = make_dataset(12)
    phoenix_project.experiment(
        name,
        task="async def task(example):\n    return {'n': 1 / (int(example.input['q'][-1]) - 3)}\n",
        said="def said(output):\n    return 0.5, 'fair', 'so'\n",
    )
    assert phoenix_project.run("run", "--repetitions", "2").returncode == 1
    (told,) = json.loads((phoenix_project.directory / "test-results/results.json").read_text())["experiments"]
    id_ = told["experiment_id"]
    done = phoenix_project.run("export", "--experiment", id_, "--format", "json")
    assert (done.returncode, done.stdout) == (0, f"{id_}.json: 24 runs, 2 failed, 0 not run\n"), done.stderr
    runs = json.loads((phoenix_project.directory / f"{id_}.json").read_text())["runs"]
    assert len(runs) == len(told["runs"]) == 24
    for run, its in zip(runs, told["runs"], strict=True):
        for key in ("example_id", "example_node_id", "repetition", "input", "expected", "output", "trace_id"):
            assert run[key] == its[key]
        assert (run["error"] is None) == (its["failure"] is None)
        assert run["latency_seconds"] == pytest.approx(its["seconds"], abs=1e-5)
        parts = ("name", "score", "label", "explanation", "trace_id")
        assert [[one[part] for part in parts] for one in run["evaluations"]] == [
            [one[part] for part in parts] for one in its["evaluations"]
        ]
    assert "ZeroDivisionError" in runs[6]["error"]
    for suffix in ("", "_" + re.sub("=+", "-", id_)):
        done = phoenix_project.run("export", "--experiment", "last", "--name", name)
        assert re.fullmatch(rf"eval_{name}_\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\dZ{suffix}\.csv: 24 runs.*\n", done.stdout)
    assert len([*phoenix_project.directory.glob("*.csv")]) == 2


def test_a_default_name_is_safe_for_file_systems(tmp_path, monkeypatch):
    """Names in Phoenix are any text; another file with the name stays as it is."""
    monkeypatch.chdir(tmp_path)
    for name in ("../../etc/passwd", 'a/b\\c:d*e?f"g<h>i|j\n\0k', "..", "", ".hidden", "ü" * 300, "\ud800", "CON "):
        for _ in range(2):
            path = _free_path({"id": "RXg6MQ==", "name": name}, "csv")
            assert path.parent == Path()
            assert not path.name.startswith(".")
            assert not re.search(r"[\\/:*?\"<>|\x00-\x1f]", path.name)
            path.write_text(name, errors="replace")
    assert len([*tmp_path.iterdir()]) >= 12


# --- the file ------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(phoenix_url):
    with FaultyPhoenix(phoenix_url).serving() as running:
        yield running


def behind(proxy, *, attempts: int) -> Phoenix:
    policy = RetryPolicy(attempts=attempts, total_seconds=30, sleep=lambda _: None)
    return Phoenix(connect(base_url=proxy.url), fetch=policy)


@needs_phoenix
def test_the_file_has_the_experiments_name_by_default(phoenix_project, foreign):
    id_ = foreign[1]["experiment_id"]
    for format_ in ("csv", "json"):
        assert phoenix_project.run("export", "--experiment", id_, "--format", format_).returncode == 0
    assert sorted(path.name for path in phoenix_project.directory.iterdir()) == [f"{id_}.csv", f"{id_}.json"]


@needs_phoenix
def test_folders_are_made_and_an_old_file_is_replaced(client, foreign, tmp_path):
    path = tmp_path / "a" / "b" / "out.csv"
    collector = ResultCollector(client)
    assert collector.export(foreign[1]["experiment_id"], "csv", path) == path
    path.write_text("old")
    collector.export(foreign[1]["experiment_id"], "csv", path)
    assert len(read_csv(path)) == 5
    assert [one.name for one in path.parent.iterdir()] == ["out.csv"]


@needs_phoenix
@pytest.mark.parametrize(
    ("output", "said"),
    [
        (".", "it is a directory"),
        ("/dev/null", "it is a device"),
        ("/proc/none/out.csv", "/proc/none/out.csv cannot be written"),
        ("evalwire.toml/out.csv", "evalwire.toml/out.csv cannot be written"),
    ],
)
def test_a_place_that_cannot_be_written_is_told(client, foreign, tmp_path, monkeypatch, output, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evalwire.toml").touch()
    with pytest.raises(UsageError, match=re.escape(said)):
        ResultCollector(client).export(foreign[1]["experiment_id"], "csv", output)
    assert [path.name for path in tmp_path.iterdir()] == ["evalwire.toml"]


@needs_phoenix
@pytest.mark.parametrize("id_", ["nope", "../x", "RXhwZXJpbWVudDo5OTk5OTk=", "RGF0YXNldDox"])
def test_an_experiment_that_is_not_there_leaves_nothing(proxy, tmp_path, id_):
    """It is asked for once at most, and no folder is made for it."""
    with pytest.raises(ExperimentNotFound, match="has no experiment with the ID"):
        export_experiment(behind(proxy, attempts=3), id_, format_="json", path=tmp_path / "new" / "out.json", mask=str)
    assert proxy.count("GET", "") <= 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing option '--experiment'"),
        (["--experiment", "RXhwZXJpbWVudDox", "--format", "xml"], "expected one of: csv, json"),
        (["--experiment", "RXhwZXJpbWVudDox"], "could not be reached"),
    ],
)
def test_any_error_is_exit_2(project, arguments, said):
    done = project.run("export", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@needs_phoenix
def test_an_unknown_experiment_and_a_folder_are_exit_2(phoenix_project, foreign):
    for arguments in (["--experiment", "nope"], ["--experiment", foreign[1]["experiment_id"], "--output", "."]):
        done = phoenix_project.run("export", *arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    assert list(phoenix_project.directory.iterdir()) == []


@needs_phoenix
@pytest.mark.parametrize(
    "fault",
    mostly_nightly([Fault(truncated=True), Fault(cut="reset"), Fault(cut="close"), Fault(status=503)]),
)
@pytest.mark.parametrize("part", ["/json", "/jsonl", "/incomplete-runs"])
def test_an_answer_that_was_cut_is_asked_for_again(proxy, foreign, tmp_path, fault, part):
    faults = iter([fault])
    proxy.rule = lambda _method, path: next(faults, None) if path.partition("?")[0].endswith(part) else None
    path = tmp_path / "out.csv"
    found = export_experiment(
        behind(proxy, attempts=3), foreign[1]["experiment_id"], format_="csv", path=path, mask=str
    )
    assert (found.runs, found.failed, found.not_run) == (5, 1, 0)
    assert len(read_csv(path)) == 5


@needs_phoenix
@pytest.mark.parametrize("fault", [Fault(truncated=True), Fault(cut="close"), Fault(status=500), Fault(status=404)])
def test_a_failed_export_leaves_the_folder_as_it_was(proxy, foreign, tmp_path, fault):
    proxy.rule = lambda _method, path: fault if path.endswith("/json") else None
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(PhoenixError):
        export_experiment(behind(proxy, attempts=2), foreign[1]["experiment_id"], format_="csv", path=path, mask=str)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@needs_phoenix
def test_secrets_do_not_reach_the_file(phoenix_project, client):
    script = recorded.Script(client, recorded.a_dataset(client, 1), metadata={"key": "sk-very-secret-0123"})
    script.evaluate(
        script.run(0, {"said": "sk-very-secret-0123"}), "e", label="x", explanation="of sk-very-secret-0123"
    )
    for format_ in ("csv", "json"):
        done = phoenix_project.run(
            "export", "--experiment", script.id, "--format", format_, OPENAI_API_KEY="sk-very-secret-0123"
        )
        assert done.returncode == 0
        text = (phoenix_project.directory / f"{script.id}.{format_}").read_text()
        assert "sk-very" not in text
        assert "***" in text


# --- large ones ----------------------------------------------------------------------------------------


class Server:
    """Answers as Phoenix does, with so many runs of so many characters each, and holds none of them."""

    def __init__(self, *, runs: int, size: int) -> None:
        self._runs = runs
        self._size = size

    def client(self) -> Any:
        from phoenix.client import Client

        transport = httpx.MockTransport(self._answer)
        return Client(http_client=httpx.Client(transport=transport, base_url="http://phoenix:6006"))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        match request.url.path.rpartition("/")[2]:
            case "json":
                return httpx.Response(200, content=self._document())
            case "jsonl":
                return httpx.Response(200, content=self._examples())
            case "incomplete-runs":
                return httpx.Response(200, json={"data": [], "next_cursor": None})
        record = {
            "id": "E1",
            "dataset_id": "D1",
            "dataset_version_id": "V1",
            "name": "large",
            "repetitions": 1,
            "example_count": self._runs,
            "successful_run_count": self._runs,
            "failed_run_count": 0,
        }
        return httpx.Response(200, json={"data": record})

    def _document(self):
        for number in range(self._runs):
            run = {
                "example_id": f"N{number}",
                "repetition_number": 1,
                "input": {"q": number},
                "reference_output": {},
                "output": "ü" * self._size,
                "annotations": [{"name": "e", "score": 1.0}],
            }
            yield (("[" if number == 0 else ",") + json.dumps(run, ensure_ascii=False, indent=2)).encode()
        yield b"]"

    def _examples(self):
        for number in range(self._runs):
            yield json.dumps({"id": f"ex-{number}", "node_id": f"N{number}", "metadata": {}}).encode() + b"\n"


@pytest.mark.parametrize("format_", ["json", pytest.param("csv", marks=pytest.mark.slow)])
def test_a_large_experiment_is_never_held(tmp_path, format_):
    """2,000 runs of 20 KB: 40 MB pass through a few."""
    phoenix = Phoenix(Server(runs=2000, size=10_000).client())
    path = tmp_path / f"out.{format_}"
    tracemalloc.start()
    try:
        found = export_experiment(phoenix, "E1", format_=format_, path=path, mask=str)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.runs == 2000
    assert path.stat().st_size > 40_000_000
    assert peak < 8_000_000


class FullDisk(io.BytesIO):
    def writelines(self, lines):
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_no_fault_of_phoenix():
    phoenix = Phoenix(Server(runs=1, size=1).client())
    with pytest.raises(OSError, match="No space left"):
        phoenix.recorded.download(phoenix.experiments.find("E1"), FullDisk())


def test_a_full_disk_is_told_with_the_path(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: FullDisk())
    with pytest.raises(UsageError, match=r"out\.csv cannot be written: No space left on device"):
        export_experiment(
            Phoenix(Server(runs=1, size=1).client()), "E1", format_="csv", path=tmp_path / "out.csv", mask=str
        )
    assert list(tmp_path.iterdir()) == []


class Proxied(Server):
    """A proxy answers for it with a page, where the document of the runs is asked for."""

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/json"):
            return httpx.Response(200, content=b"<html>")
        return super()._answer(request)


def test_a_document_that_is_none_is_told_as_such(tmp_path):
    phoenix = Phoenix(Proxied(runs=1, size=1).client(), fetch=RetryPolicy(attempts=1))
    with pytest.raises(PhoenixUnreachable, match="the response is not JSON"):
        export_experiment(phoenix, "E1", format_="csv", path=tmp_path / "out.csv", mask=str)


def test_a_file_that_cannot_be_ended_leaves_the_old_one(monkeypatch, tmp_path):
    def pieces(*_):
        yield "half of it"
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(EXPORT_FORMATS, "csv", pieces)
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(UsageError, match="No space left on device"):
        export_experiment(Phoenix(Server(runs=1, size=1).client()), "E1", format_="csv", path=path, mask=str)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
