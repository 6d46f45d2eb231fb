"""`ResultCollector`, `report --experiment`, and compare and gate, over experiments that others recorded."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import recorded
from reporting import boolean, evaluation, failure, result, run

from evalwire.errors import EvalwireError, ExperimentNotFound
from evalwire.model.baseline import Baseline
from evalwire.phoenix.connection import connect
from evalwire.phoenix.runs import _failure
from evalwire.phoenix.server import Phoenix
from evalwire.reports import comparison_text, experiment_markdown
from evalwire.results import ResultCollector

UNKNOWN = "RXhwZXJpbWVudDo5OTk5OTk="

needs_phoenix = pytest.mark.needs_phoenix


@pytest.fixture(scope="module")
def dataset(phoenix_url):
    return recorded.a_dataset(connect(base_url=phoenix_url))


@pytest.fixture(scope="module")
def foreign(phoenix_url, dataset):
    """Of Phoenix's own client: a task and an evaluator raise, and evaluators score the run that failed."""
    return recorded.run_experiment(connect(base_url=phoenix_url), dataset)


@pytest.fixture(scope="module")
def old(phoenix_url, dataset):
    """As evalwire 0.6 recorded them: its metadata, a sound task, two evaluators."""
    return recorded.run_experiment(
        connect(base_url=phoenix_url),
        dataset,
        task=lambda example: f"answer {min(int(example.input['q'][-1]), 3)}",
        evaluators=[recorded.exact, recorded.size],
        experiment_name=f"eval_{dataset.name}_2026-11-20T09:30:00",
        experiment_metadata={"dataset": dataset.name, "run_by": "evalwire"},
    )


@pytest.fixture
def collector(client) -> ResultCollector:
    return ResultCollector(client)


# --- get -----------------------------------------------------------------------------------------------


@needs_phoenix
def test_a_facade_over_a_client_tells_the_same(client, collector, foreign, old, tmp_path):
    """A team's own object with the client's public parts, and nothing else of it."""
    over = ResultCollector(SimpleNamespace(datasets=client.datasets, experiments=client.experiments))
    ids = foreign["experiment_id"], old["experiment_id"]
    assert {run["id"] for run in over.get(ids[0])["task_runs"]} == {run["id"] for run in foreign["task_runs"]}
    pairs = [
        {name: (one["score_a"], one["score_b"], one["delta"]) for name, one in door.compare(*ids).items()}
        for door in (over, collector)
    ]
    assert pairs[0] == pairs[1]
    rows = [
        json.loads(door.export(ids[0], "json", tmp_path / "x.json").read_text())["runs"] for door in (over, collector)
    ]
    parts = ("example_id", "repetition", "input", "expected", "output", "error")
    assert [{part: row[part] for part in parts} for row in rows[0]] == [
        {part: row[part] for part in parts} for row in rows[1]
    ]
    assert "**Total runs:**" in over.report(ids[0])
    with pytest.raises(ExperimentNotFound):
        over.get(UNKNOWN)


@needs_phoenix
def test_get_gives_what_the_client_gave_when_it_ran(collector, foreign):
    found = collector.get(foreign["experiment_id"])
    assert isinstance(found, Mapping)
    assert set(found) == set(foreign)
    for key in ("experiment_id", "dataset_id", "dataset_version_id", "project_name"):
        assert found[key] == foreign[key]
    ran = {run["id"]: run for run in foreign["task_runs"]}
    assert {run["id"] for run in found["task_runs"]} == set(ran)
    for one in found["task_runs"]:
        for key in ("output", "dataset_example_id", "repetition_number", "trace_id"):
            assert one[key] == ran[one["id"]][key]
        assert (one["error"] is None) == (ran[one["id"]]["error"] is None)
    for key in ("result", "trace_id", "annotator_kind"):
        there, here = (
            {(one.experiment_run_id, one.name): getattr(one, key) for one in of["evaluation_runs"]}
            for of in (found, foreign)
        )
        assert there == here
    errors = {one.error for one in found["evaluation_runs"]}
    assert errors == {None, "KeyError: no: key"}


@needs_phoenix
def test_get_has_attributes(collector, foreign):
    found = collector.get(foreign["experiment_id"])
    assert (found.expected_runs, found.not_run, len(found.runs)) == (5, 0, 5)
    assert [run.output for run in found.runs] == [*recorded.OUTPUTS[:3], None, recorded.OUTPUTS[4]]
    assert found.runs[3].failure.type == "ValueError"
    assert found.runs[0].example.metadata == {"topic": "süß 0"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("KeyError: 'answer' (task.py:3)", ("KeyError", "'answer' (task.py:3)")),
        ("openai.RateLimitError: slow: down", ("openai.RateLimitError", "slow: down")),
        ("ValueError('boom')", ("ValueError", "boom")),
        ('KeyError("it\'s: gone")', ("KeyError", "it's: gone")),
        ("CancelledError()", ("CancelledError", "")),
        ("APIError('slow', 503)", ("APIError", "'slow', 503")),
        ("Failed(<Response [503]>)", ("Failed", "<Response [503]>")),
        ("HTTPError('one\\ntwo')", ("HTTPError", "one\ntwo")),
        ("the model: gone", ("Error", "the model: gone")),
        ("gone", ("Error", "gone")),
        ("f(" * 5000 + ")" * 5000, ("f", "f(" * 4999 + ")" * 4999)),
    ],
)
def test_an_error_is_told_by_its_type_however_it_was_recorded(text, told):
    found = _failure(text, "task")
    assert (found.type, found.message, found.stage) == (*told, "task")


# --- compare -------------------------------------------------------------------------------------------


@needs_phoenix
def test_compare_tells_scores_and_how_many_runs_lack_one(collector, foreign, old):
    """What evaluators said of the failed run does not count; of bools, it did not pass."""
    found = collector.compare(old["experiment_id"], foreign["experiment_id"])
    nowhere = {"score_a": None, "delta": None, "errors_a": None}
    sizes = [len(str(output)) / 10 for number, output in enumerate(recorded.OUTPUTS) if number != 3]
    size = sum(sizes) / 4
    assert found == {
        "broken": {**nowhere, "score_b": 1.0, "errors_b": 2},
        "exact": {"score_a": 0.8, "score_b": 0.2, "delta": pytest.approx(-0.6), "errors_a": 0, "errors_b": 1},
        "judged": {**nowhere, "score_b": 0.5, "errors_b": 1},
        "size": {
            "score_a": pytest.approx(0.8),
            "score_b": pytest.approx(size),
            "delta": pytest.approx(size - 0.8),
            "errors_a": 0,
            "errors_b": 1,
        },
        "tone": {**nowhere, "score_b": None, "errors_b": 1},
    }


@needs_phoenix
def test_runs_that_were_never_made_count_as_errors(collector, client):
    script = recorded.Script(client, recorded.a_dataset(client, 4), repetitions=2)
    for number in (0, 1):
        for repetition in (1, 2):
            run_id = script.run(number, "x", repetition=repetition)
            script.evaluate(run_id, "passed", score=float(number), label=str(bool(number)))
            script.evaluate(run_id, "graded", score=0.5 + number)
    found = collector.compare(script.id, script.id)
    assert (found["passed"]["score_a"], found["passed"]["errors_a"]) == (2 / 8, 4)
    assert (found["graded"]["score_a"], found["graded"]["errors_a"]) == (1.0, 4)


# --- report --------------------------------------------------------------------------------------------


@needs_phoenix
def test_the_report_of_a_foreign_experiment(collector, foreign, dataset):
    text = collector.report(foreign["experiment_id"])
    assert text.startswith(f"# Experiment Report: {foreign['experiment_id']}\n")
    lines = text.splitlines()
    for line in (
        "**Total runs:** 5",
        "**Failed runs:** 1",
        "**Not run:** 0",
        "**Evaluator errors:** 1",
        f"**Dataset:** {dataset.name}",
        "- **exact**: 0.2000 (4 of 5 runs evaluated)",
        "- **broken**: 1.0000 (3 of 5 runs evaluated)",
        "- **tone**: no score (`polite` 4, 4 of 5 runs evaluated)",
    ):
        assert line in lines
    assert [line.partition(": ")[2] for line in lines if line.startswith("- `")] == [
        "`KeyError: no: key`",
        "`ValueError: the model: gone`",
    ]


@needs_phoenix
def test_the_report_of_a_whole_experiment_has_plain_lines(collector, old):
    text = collector.report(old["experiment_id"])
    assert re.findall(r"^- \*\*(.+)\*\*: (\d\.\d{4})$", text, re.MULTILINE) == [("exact", "0.8000"), ("size", "0.8000")]
    assert "## Failures" not in text


@needs_phoenix
def test_report_prints_or_writes_the_same(phoenix_project, collector, foreign):
    told = collector.report(foreign["experiment_id"])
    assert phoenix_project.run("report", "--experiment", foreign["experiment_id"]).stdout == told
    done = phoenix_project.run(
        "report", "--experiment", foreign["experiment_id"], "--format", "markdown", "--output", "new/report.md"
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert (phoenix_project.directory / "new" / "report.md").read_text() == told


@needs_phoenix
def test_secrets_do_not_reach_a_report(phoenix_project, client):
    script = recorded.Script(client, recorded.a_dataset(client, 1))
    script.run(0, None, error="Refused: sk-very-secret-0123")
    key = {"OPENAI_API_KEY": "sk-very-secret-0123"}
    done = phoenix_project.run("report", "--experiment", script.id, "--output", "report.md", **key)
    assert done.returncode == 0
    assert "`Refused: ***`" in (phoenix_project.directory / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--experiment", "E", "results.json"], "cannot be combined with the argument FILE"),
        (["--experiment", "E", "--format", "html"], "must be markdown for an experiment"),
        (["--experiment", "RXhwZXJpbWVudDox"], "could not be reached"),
    ],
)
def test_wrong_use_of_report_is_exit_2(project, arguments, said):
    done = project.run("report", *arguments)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())


def a_report(*runs: Any, evaluators: tuple[str, ...] = ("s",), **changes: Any) -> list[str]:
    return experiment_markdown.render(result("search", list(runs), evaluators=evaluators, **changes)).splitlines()


def test_runs_that_are_not_there_are_told():
    lines = a_report(run(1, evaluations=(evaluation("s", 0.5),)), example_count=3)
    assert "**Total runs:** 1" in lines
    assert "**Not run:** 2" in lines
    assert "- **s**: 0.5000 (1 of 3 runs evaluated)" in lines


def test_what_was_not_run_did_not_pass():
    lines = a_report(run(1, evaluations=(boolean("s", passed=True),)), example_count=4)
    assert "- **s**: 0.2500 (1 of 4 runs evaluated)" in lines


def test_an_evaluator_that_never_scored_is_told():
    failed = evaluation("s", None, failure=failure(stage="evaluator", type="KeyError", message="x"))
    lines = a_report(run(1, evaluations=(failed,)))
    assert "- **s**: no score (0 of 1 runs evaluated)" in lines
    assert "**Evaluator errors:** 1" in lines


def test_an_experiment_without_evaluations_is_told():
    assert "No evaluations are recorded." in a_report(run(1), evaluators=())


def test_long_lists_are_cut():
    many = [evaluation("s", None, label=f"l{n}") for n in range(14)]
    lines = a_report(*(run(n, evaluations=(one,)) for n, one in enumerate(many)))
    (line,) = [line for line in lines if line.startswith("- **s**")]
    assert "`l9`" not in line
    assert line.endswith("4 more labels)")
    lines = a_report(*(run(n, None, failure=failure()) for n in range(23)))
    assert lines[-2] == "- and 3 more runs"


@pytest.mark.parametrize("name", ["exact_match", "top 10", "a.b:c", "v1/top-k"])
def test_a_plain_name_is_shown_as_it_is(name):
    assert f"- **{name}**: 1.0000" in a_report(run(1, evaluations=(evaluation(name, 1.0),)), evaluators=(name,))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[x](http://evil)", "`[x](http://evil)`"),
        ("*a*", "`*a*`"),
        ("_a_", "`_a_`"),
        ("`a`", "`` `a` ``"),
        ("@team", "`@team`"),
        ("a\n# b", "`a # b`"),
        ("", "` `"),
    ],
)
def test_any_other_name_is_code(name, shown):
    assert f"- **{shown}**: 1.0000" in a_report(run(1, evaluations=(evaluation(name, 1.0),)), evaluators=(name,))


# --- what is not there ---------------------------------------------------------------------------------


@needs_phoenix
@pytest.mark.parametrize("id_", [UNKNOWN, "nope", "", "a/b"])
def test_an_unknown_experiment_is_an_error_of_evalwire(collector, tmp_path, id_):
    asked = [
        lambda: collector.get(id_),
        lambda: collector.report(id_),
        lambda: collector.compare(id_, id_),
        lambda: collector.export(id_, "csv", tmp_path / "out.csv"),
    ]
    for ask in asked:
        with pytest.raises(ExperimentNotFound) as raised:
            ask()
        assert isinstance(raised.value, EvalwireError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_", ["xml", "", "CSV", "parquet"])
def test_an_unknown_format_is_a_value_error(format_):
    """Before Phoenix is asked."""
    with pytest.raises(ValueError, match="expected one of: csv, json"):
        ResultCollector(connect(base_url="http://127.0.0.1:9")).export("E", format_)


# --- compare and gate from the command line ------------------------------------------------------------


@needs_phoenix
def test_compare_takes_experiments_of_anybody(phoenix_project, foreign, old):
    """One of 0.6 with one of the client: the four examples that ran in both pair, and the failed one did not pass."""
    done = phoenix_project.run("compare", old["experiment_id"], foreign["experiment_id"], "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["paired"], found["failed_before"], found["failed_after"]) == (5, 0, 2)
    assert (found["only_before"], found["only_after"]) == ([], ["broken", "judged", "tone"])
    exact, size = found["comparisons"]
    assert (exact["name"], exact["is_bool"], exact["before"], exact["after"]) == ("exact", True, 0.8, 0.2)
    assert (size["name"], len(size["pairs"]), size["unscored"]) == ("size", 4, 1)


@needs_phoenix
def test_compare_takes_one_of_evalwire_and_one_of_the_client(phoenix_project, dataset, old):
    phoenix_project.experiment(
        "folder",
        task="async def task(example):\n    return 'answer ' + example.input['q'][-1]\n",
        exact="def exact(output, expected):\n    return output == expected['expected_output']\n",
    )
    phoenix_project.write({"evalwire.toml": f'[experiments.folder]\ndataset = "{dataset.name}"\n'})
    assert phoenix_project.run("run").returncode == 0
    told = json.loads((phoenix_project.directory / "test-results/results.json").read_text())["experiments"][0]
    for after in (told["experiment_id"], "file:test-results/results.json"):
        done = phoenix_project.run("compare", old["experiment_id"], after)
        assert done.returncode == 0, done.stderr
        assert "1 example better" in done.stdout
        assert "exact False → True" in done.stdout
        assert "only before: size" in done.stdout


@needs_phoenix
@pytest.mark.parametrize("verb", [["compare", UNKNOWN, UNKNOWN], ["report", "--experiment", UNKNOWN]])
def test_an_unknown_experiment_is_exit_2(phoenix_project, verb):
    assert phoenix_project.run(*verb).returncode == 2


def test_compare_tells_what_was_not_run_and_what_only_one_side_has():
    new = result("search", [run(1, evaluations=(evaluation("a", 1.0),))], evaluators=("a",), example_count=3)
    old = result("search", [run(1, evaluations=(evaluation("b_c", 1.0),))], evaluators=("b_c",))
    text = comparison_text.render([(Baseline(experiment="search", asked="x"), new, old)], "text")
    assert ", 2 not run" in text
    assert "only before: b_c\nonly after: a\n" in text
    markdown = comparison_text.render([(Baseline(experiment="search", asked="x"), new, old)], "markdown")
    assert "- `only before: b_c`\n" in markdown


@needs_phoenix
def test_gate_judges_what_the_client_recorded(phoenix_project, foreign, old):
    """By the same rules as a run of evalwire: a failure is red; a limit holds or not."""
    green = phoenix_project.run("gate", "--experiment", old["experiment_id"], "--gate", "exact >= 0.8")
    assert green.returncode == 0, green.stdout
    assert phoenix_project.run("gate", "--experiment", old["experiment_id"], "--gate", "exact >= 0.81").returncode == 1
    assert phoenix_project.run("gate", "--experiment", foreign["experiment_id"]).returncode == 1
    drop = phoenix_project.run(
        "gate",
        *("--experiment", foreign["experiment_id"], "--gate", "exact drop <= 0.1", "--gate", "error_rate <= 0.5"),
        *("--baseline", old["experiment_id"]),
    )
    assert drop.returncode == 0, "with five examples it may be chance"
    assert "exact fell by 60.0 points" in drop.stdout, drop.stdout


def judged(client: Any, id_: str) -> Any:
    return Phoenix(client).recorded.result(id_)


@needs_phoenix
def test_a_persons_notes_do_not_decide(client, collector):
    """Neither does their lack make an experiment incomplete; they are read back all the same."""
    script = recorded.Script(client, recorded.a_dataset(client, 2))
    runs = [script.run(number, "x") for number in range(2)]
    for run_id in runs:
        script.evaluate(run_id, "e", score=1.0)
    script.evaluate(runs[0], "note", kind="HUMAN", score=0.0, explanation="no")
    assert judged(client, script.id).passed
    assert judged(client, script.id).evaluator_names == ("e",)
    assert {one.name for one in collector.get(script.id)["evaluation_runs"]} == {"e", "note"}
    assert "- **note**: 0.0000 (1 of 2 runs evaluated)" in collector.report(script.id)


@needs_phoenix
def test_evaluations_of_failed_runs_do_not_decide(client, collector):
    """A constant evaluator that the client called on nothing says nothing."""
    script = recorded.Script(client, recorded.a_dataset(client, 2))
    script.evaluate(script.run(0, None, error="Gone: x"), "e", score=1.0)
    script.evaluate(script.run(1, "x"), "e", score=0.5)
    (score,) = judged(client, script.id).scores
    assert (score.mean, score.count, score.missing) == (0.5, 1, 1)
    assert [one.result for one in collector.get(script.id)["evaluation_runs"]] == [{"score": 1.0}, {"score": 0.5}]


@needs_phoenix
def test_labels_without_scores_and_explanations_alone(client):
    """A label judges a run; an explanation alone does not."""
    dataset = recorded.a_dataset(client, 1)
    script = recorded.Script(client, dataset)
    script.evaluate(script.run(0, "x"), "e", label="good")
    assert judged(client, script.id).passed
    script = recorded.Script(client, dataset)
    script.evaluate(script.run(0, "x"), "e", explanation="good")
    assert not judged(client, script.id).passed


@needs_phoenix
@pytest.mark.parametrize("output", ["text", 42, 1.5, True, ["a", {"b": None}], {"a": 1}, None])
def test_any_output_is_read_back(client, output):
    script = recorded.Script(client, recorded.a_dataset(client, 1))
    script.evaluate(script.run(0, output), "e", score=1.0)
    (found,) = judged(client, script.id).runs
    assert found.output == output
    assert found.failure is None


@needs_phoenix
def test_more_repetitions_than_were_announced_hide_no_missing_run(client):
    script = recorded.Script(client, recorded.a_dataset(client, 3))
    for repetition in (1, 2, 3):
        script.evaluate(script.run(0, "x", repetition=repetition), "e", score=1.0)
    found = judged(client, script.id)
    assert (found.expected_runs, found.not_run, found.passed) == (9, 6, False)


@needs_phoenix
@pytest.mark.parametrize(
    "metadata",
    [
        {"evalwire": "0.6", "dataset": 5},
        {"evalwire": {"version": "0.6", "seconds": "long"}, "commit": {"sha": 1}, "ci": ["x"]},
        {"evalwire": {"evaluators": 5, "experiment": 3}, "dataset": None},
        {},
    ],
)
def test_metadata_of_any_shape_are_read(phoenix_project, client, metadata):
    dataset = recorded.a_dataset(client, 1)
    script = recorded.Script(client, dataset, metadata=metadata)
    script.evaluate(script.run(0, "x"), "e", score=1.0)
    found = judged(client, script.id)
    assert (found.name, found.evaluator_names, found.passed) == (dataset.name, ("e",), True)
    done = phoenix_project.run("gate", "--experiment", script.id, "--report-dir", "out")
    assert done.returncode == 0, done.stderr
    assert len(list((phoenix_project.directory / "out").iterdir())) == 6


@needs_phoenix
def test_scores_of_one_evaluator_keep_their_evaluator(phoenix_project, client, collector, make_dataset):
    """An evaluator that gives several has no line of its own beside theirs."""
    name = make_dataset(2)
    both = "def both(output):\n    return [{'name': 'a', 'score': 1.0}, {'name': 'b', 'score': 0.5}]\n"
    phoenix_project.experiment(name, both=both)
    assert phoenix_project.run("run").returncode == 0
    told = json.loads((phoenix_project.directory / "test-results/results.json").read_text())["experiments"][0]
    assert judged(client, told["experiment_id"]).passed
    text = collector.report(told["experiment_id"])
    assert re.findall(r"^- \*\*.*", text, re.MULTILINE) == ["- **a**: 1.0000", "- **b**: 0.5000"]
