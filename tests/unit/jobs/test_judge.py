"""`evalwire judge`: from labels and a recorded run to a calibration that gates use."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace

import pytest
from memory_project import MemoryProject

from evalwire.cli.commands.judge import judge
from evalwire.cli.commands.run import run
from evalwire.cli.commands.score import score
from evalwire.judges import read_labels
from evalwire.model import AgreementTable, Calibration, Interval
from evalwire.reports import judge_text

SIZE = 120
TASK = """
async def task(example):
    return "wrong" if int(example.id[1:]) % 5 == 0 else "right"
"""
JUDGED = """
from experiments.search._prompt import FOOLED

def judged(output, metadata, input):
    number = int(input["q"].split()[1].rstrip("?"))
    says = (output == "right") != (number in FOOLED)
    return {"score": says, "explanation": f"because of {number}"}
"""
FOOLED = (0, 1, 5, 10)


@pytest.fixture
def world(tmp_path, monkeypatch):
    project = MemoryProject(
        tmp_path,
        monkeypatch,
        size=SIZE,
        of_split=10,
        task=TASK,
        judged=JUDGED,
        _prompt=f"FOOLED = {FOOLED}\n",
        exact="def exact(output):\n    return output == 'right'\n",
    )
    project.settings("[gates]\njudged = { max_drop = 0.02 }\n")
    assert project.call(run)[0] == 0
    return project


def rows(count=SIZE, annotator="ann", **changes):
    found = [
        {"example_id": f"q{n}", "annotator": annotator, "label": "fail" if n % 5 == 0 else "pass", "note": f"note {n}"}
        for n in range(count)
    ]
    return [{**row, **changes} for row in found]


def write(path, found):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, sorted({key for row in found for key in row}))
        writer.writeheader()
        writer.writerows(found)
    return path


def calibration(world):
    return json.loads((world.folder / "judges/judged.json").read_text())


def identity(world):
    return world.results["experiments"][0]["experiment_id"]


def test_an_evaluator_is_compared_with_people(world):
    path = write(world.folder / "labels.csv", rows(100))
    code, text = world.call(judge, evaluation="judged", labels=path)
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == f"search.judged: 100 labels by 1 person on outputs of {identity(world)}"
    assert (
        "finds 99% (93% to 100%) of the outputs that people pass, and 85% (64% to 95%) of the outputs that they" in text
    )
    assert "a drop of 10 points shows as about 8.4 (J = 0.84)" in text
    assert "your max_drop of 2 points allows a true drop of 2.4 points" in text
    assert "the corrected pass rate is 79.7%" in text
    assert "the evaluator's own is 81.7%" in text
    assert "20 more labels" not in text, "they would not narrow the intervals by much"
    assert "differs from people on 4 of 100 outputs:" in text
    assert "people: fail" in text
    assert "| evaluator: pass" in text
    assert "note 10" in text
    assert "because of 10" in text
    assert f"wrote {world.folder}/judges/judged.json: commit it" in text
    found = calibration(world)
    assert found["table"] == {"true_passes": 79, "false_failures": 1, "false_passes": 3, "true_failures": 17}
    assert {name.rpartition("/")[2] for name in found["files"]} == {"judged.py", "_prompt.py"}


def test_the_file_of_the_labeling_page_is_the_default(world):
    write(world.folder / "judges/labels/judged.csv", rows(60, experiment=identity(world)))
    code, text = world.call(judge, evaluation="judged")
    assert (code, "60 labels by 1 person" in text) == (0, True)
    assert "names no experiment" not in text


def test_without_a_file_peoples_annotations_are_read(world):
    path = write(world.folder / "labels.csv", rows(60))
    labels = [replace(each, experiment_id=identity(world)) for each in read_labels(path)]
    for name in ("judged", "right"):
        world.phoenix.annotations.labels = {(identity(world), name): labels}
        code, text = world.call(judge, evaluation="judged", annotation=None if name == "judged" else name)
        assert (code, "60 labels by 1 person" in text) == (0, True), text
    code, text = world.call(judge, evaluation="judged")
    assert (code, "there are no labels of outputs of" in text) == (2, True)


def test_labels_are_compared_with_the_experiment_that_they_name(world):
    first = identity(world)
    path = write(world.folder / "labels.csv", rows(60, experiment=first))
    world.call(run)
    assert identity(world) != first
    code, text = world.call(judge, evaluation="judged", labels=path)
    assert (code, text.splitlines()[0]) == (0, f"search.judged: 60 labels by 1 person on outputs of {first}")


def test_new_scores_of_the_labeled_outputs_calibrate_the_new_evaluator(world):
    """Nobody labels again because a prompt changed."""
    first = identity(world)
    path = write(world.folder / "labels.csv", rows(60, experiment=first))
    world.write(_prompt="FOOLED = (0,)\n")
    world.call(score)
    code, text = world.call(judge, evaluation="judged", labels=path)
    assert (code, "differs from people on 1 of 60 outputs:" in text) == (0, True)
    assert calibration(world)["experiment_id"] == identity(world) != first


def test_old_scores_of_a_changed_evaluator_do_not_calibrate_it(world):
    """The newest outputs are not the labeled outputs, so `score` without an ID would not help."""
    first = identity(world)
    write(world.folder / "judges/labels/judged.csv", rows(100, experiment=first))
    world.settings("[gates]\njudged = { min_kappa = 0.6 }\n")
    world.call(judge, evaluation="judged")
    world.write(_prompt=f"FOOLED = {FOOLED}\nPROMPT = 'new'\n")
    code, text = world.call(run)
    again = f"evalwire score --experiment {first}`"
    assert (code, again in text) == (1, True), text
    code, text = world.call(judge, evaluation="judged")
    assert (code, f"run `{again}" in text) == (0, True), text
    assert "gates reject it: experiments/search/_prompt.py changed after judged returned these scores" in text
    for change in ("newer", "newest"):  # the scores of the second change are new scores of new scores
        world.call(score, experiments=[calibration(world)["experiment_id"]])
        code, text = world.call(judge, evaluation="judged")
        assert (code, "commit it, so that gates can use it" in text) == (0, True), text
        assert world.call(run)[0] == 0
        world.write(_prompt=f"FOOLED = {FOOLED}\nPROMPT = '{change}'\n")
        assert world.call(run)[0] == 1


def test_the_rate_of_other_outputs_is_corrected_too(world):
    """By Rogan and Gladen, because these outputs have no labels; not if the evaluator differs."""
    path = write(world.folder / "labels.csv", rows(100, experiment=identity(world)))
    world.call(run)
    other = identity(world)
    code, text = world.call(judge, evaluation="judged", labels=path, corrected=other)
    assert code == 0, text
    assert re.search(rf"the corrected pass rate of {other} is 7\d\.\d% \(95% interval .*, Rogan-Gladen\); the ev", text)
    world.write(_prompt="FOOLED = (0,)\n")
    world.call(run)
    _, text = world.call(judge, evaluation="judged", labels=path, corrected="last")
    assert f"no corrected pass rate of {identity(world)}: its evaluator differs (experiments/search/_prompt.py)" in text
    _, text = world.call(judge, evaluation="judged", labels=write(path, rows(30, experiment="E1")), corrected=other)
    assert f"no corrected pass rate of {other}: 30 labels are too few (at least 60)" in text


def test_what_does_not_count_is_named(world):
    found = rows(70) + rows(30, "bob") + rows(1, example_id="nowhere") + rows(1, experiment="EXP-9")
    found += [{"example_id": "q1", "annotator": "eve", "label": "fail"}]
    found[70]["label"] = "pass"
    code, text = world.call(judge, evaluation="judged", labels=write(world.folder / "labels.csv", found))
    assert code == 0
    assert re.search(r"3 people labeled 30 outputs in common; kappa between them is 0\.8\d", text)
    assert "people differ on 2 outputs: q0, q1" in text
    assert "1 tie between people left out: q0" in text
    assert "1 label without an output: nowhere (the experiment has no such example)" in text
    assert "1 label left out: of outputs of EXP-9" in text


def test_labels_without_an_experiment_are_said_to_be_of_the_newest(world):
    _, text = world.call(judge, evaluation="judged", labels=write(world.folder / "labels.csv", rows(60)))
    assert f"names no experiment, so the labels are taken as labels of the outputs of {identity(world)}" in text


@pytest.mark.parametrize(
    ("evaluation", "found", "said"),
    [
        ("judgd", rows(3), "no score of 'judgd' in"),
        ("judged", [{"example_id": "q1", "label": ""}], "has no labels. Fill in the column label or score"),
        ("judged", rows(3, experiment="EXP-9"), "no recorded experiment has the labeled outputs"),
        ("judged", rows(3, example_id="x"), "none of the labels matches an output of"),
    ],
)
def test_wrong_use_is_exit_2_and_writes_nothing(world, evaluation, found, said):
    code, text = world.call(judge, evaluation=evaluation, labels=write(world.folder / "labels.csv", found))
    assert (code, said in text) == (2, True), text
    assert not (world.folder / "judges").exists()


def test_a_calibrated_gate_passes_until_the_prompt_changes(world):
    """The prompt is in a module that the evaluator imports."""
    gates = "min_pass_rate = 0.7, corrected = true, min_kappa = 0.6"
    world.settings(f"[gates]\njudged = {{ {gates} }}\n")
    code, text = world.call(run)
    assert (code, text.count("judged is not calibrated")) == (1, 2), text
    path = write(world.folder / "labels.csv", rows(100, experiment=identity(world)))
    world.call(judge, evaluation="judged", labels=path)
    code, text = world.call(run)
    assert code == 0, text
    assert [each["kappa"] for each in world.results["calibrations"]] == [calibration(world)["kappa"]]
    world.write(_prompt=f"FOOLED = {FOOLED}\nPROMPT = 'new'\n")
    code, text = world.call(run)
    assert code == 1
    assert "judged was changed since it was calibrated: experiments/search/_prompt.py" in text


def test_a_damaged_calibration_is_exit_2_before_a_call(world):
    write(world.folder / "labels.csv", rows(60))
    (world.folder / "judges").mkdir()
    (world.folder / "judges/judged.json").write_text("{")
    code, text = world.call(run)
    assert (code, "judged.json is not a calibration" in text) == (2, True)
    assert world.calls.read_text() == ""


# --- the text -------------------------------------------------------------------------------------------


def shown(**changes):
    table = AgreementTable(true_passes=50, false_failures=4, false_passes=3, true_failures=23)
    found = Calibration(
        experiment="search",
        evaluation="judged",
        evaluator="judged",
        date=None,
        labels=80,
        annotators=1,
        kappa=table.kappa,
        interval=Interval(low=0.6, high=0.9, method="bootstrap"),
        table=table,
        experiment_id="EXP-1",
    )
    difference = judge_text.Difference(
        name="q1",
        output={"answer": "<script>alert(1)</script> | a\x1b[31m" + "long " * 60},
        people="fail",
        note="no | source\nat all " * 30,
        evaluator="pass",
        explanation="`fine` [link](https://example.com) " * 30,
    )
    fields = {"calibration": found, "differences": [difference] * 12, "no_rate": "few", "own_rate": 0.8}
    return judge_text.ShownAgreement(**{**fields, **changes})


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_text_fits_the_terminal(width):
    text = judge_text.render(shown(notes=["note " * 40]), "text", width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert "and 2 more: show all with --markdown" in text.replace("\n", " ")


def test_markdown_shows_all_differences_and_no_markup_of_users():
    text = judge_text.render(shown(), "markdown")
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == 13
    assert all(line.count(" | ") == 3 for line in table)
    assert "<script>" not in text.replace("`", "\0").split("\0")[0]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (AgreementTable(true_passes=80), "people failed none of these outputs, so it is unknown how many"),
        (AgreementTable(true_failures=80), "people passed none of these outputs, so it is unknown how many"),
        (AgreementTable(true_passes=40, false_passes=40), "a drop of 10 points shows as about 0.0 (J = 0.00)"),
    ],
)
def test_what_is_unknown_is_said(table, said):
    found = replace(shown().calibration, table=table, kappa=table.kappa)
    text = judge_text.render(shown(calibration=found, max_drops=(0.02,)), "text", width=200)
    assert said in text
    assert "your max_drop" not in text


def test_more_labels_narrow_the_interval_by_the_root_of_their_number():
    text = judge_text.render(shown(unlabeled=400), "text", width=200)
    assert "100 more labels would narrow kappa to about ±0.10 (now ±0.15)" in text
