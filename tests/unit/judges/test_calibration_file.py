"""judges/NAME.json: what is written is read, and a file that is not a calibration is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from evalwire.errors import UsageError
from evalwire.judges import calibration_json, calibration_path, load_calibrations
from evalwire.model import AgreementTable, Calibration, Interval

CALIBRATION = Calibration(
    experiment="search",
    evaluation="judged",
    evaluator="judged",
    date=date(2026, 11, 30),
    labels=126,
    annotators=2,
    kappa=0.6123,
    interval=Interval(low=0.47, high=0.75, method="bootstrap"),
    table=AgreementTable(true_passes=92, false_failures=8, false_passes=8, true_failures=18),
    files={"b.py": "2", "a.py": "1"},
    models=("judge-1",),
    experiment_id="EXP-1",
)


def write(directory, calibration, name=None):
    path = directory / name if name else calibration_path(directory, calibration)
    path.write_text(calibration_json(calibration))
    return path


@pytest.mark.parametrize("calibration", [CALIBRATION, replace(CALIBRATION, table=None, kappa=None, interval=None)])
def test_what_is_written_is_read(tmp_path, calibration):
    path = write(tmp_path, calibration)
    assert path.name == "judged.json"
    assert load_calibrations(tmp_path) == {("search", "judged"): calibration}
    assert path.read_text().index('"a.py"') < path.read_text().index('"b.py"'), "sorted, for small differences"


def test_without_a_directory_nothing_is_calibrated(tmp_path):
    assert load_calibrations(tmp_path / "judges") == {}


def test_two_experiments_with_an_evaluator_of_the_same_name_have_two_files(tmp_path):
    other = replace(CALIBRATION, experiment="router")
    write(tmp_path, CALIBRATION)
    assert write(tmp_path, other).name == "router.judged.json"
    assert write(tmp_path, replace(other, annotators=4)).name == "router.judged.json"
    assert write(tmp_path, replace(CALIBRATION, annotators=3)).name == "judged.json"
    found = load_calibrations(tmp_path)
    assert {key: each.annotators for key, each in found.items()} == {("search", "judged"): 3, ("router", "judged"): 4}


def test_two_files_for_the_same_evaluation_are_an_error(tmp_path):
    write(tmp_path, CALIBRATION)
    write(tmp_path, CALIBRATION, "copy.json")
    with pytest.raises(UsageError, match=r"judged\.json and .*copy\.json both calibrate search\.judged\. Delete one"):
        load_calibrations(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a calibration"),
        ("[]", "is not a calibration"),
        ("{}", "version None is not known here"),
        ('{"version": 2}', "version 2 is not known here. Update evalwire, or calibrate again"),
        ('{"version": 1}', "is not a calibration (Object missing required field"),
        (calibration_json(CALIBRATION).replace("2026-11-30", "yesterday"), "is not a calibration (Invalid"),
        (calibration_json(CALIBRATION).replace("0.6123", '"high"'), "is not a calibration (Expected `float | null`"),
    ],
)
def test_a_file_that_is_not_a_calibration_is_named(tmp_path, text, said):
    (tmp_path / "judged.json").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_calibrations(tmp_path)
    assert said in str(caught.value)
    assert "judged.json" in str(caught.value)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('"labels": 126', '"labels": 9999', "the table has 126 outputs, but there are 9999 labels"),
        ('"kappa": 0.6123', '"kappa": 0.95', "the kappa of the table is 0.6123, not 0.95"),
        ('"low": 0.47', '"low": NaN', "kappa and its interval have to be between -1 and 1"),
        ('"high": 0.75', '"high": 3.0', "kappa and its interval have to be between -1 and 1"),
        ('"true_failures": 18', '"true_failures": -18', "the table has a negative number"),
    ],
)
def test_numbers_that_contradict_each_other_are_not_a_calibration(tmp_path, before, after, said):
    """Not a number is below no limit, so that every gate would pass."""
    text = calibration_json(CALIBRATION)
    assert before in text
    (tmp_path / "judged.json").write_text(text.replace(before, after))
    with pytest.raises(UsageError, match=said):
        load_calibrations(tmp_path)


def test_a_damaged_file_is_replaced_as_its_message_says(tmp_path):
    (tmp_path / "judged.json").write_text("<<<<<<< HEAD")
    assert write(tmp_path, CALIBRATION).name == "judged.json"
    assert load_calibrations(tmp_path) == {("search", "judged"): CALIBRATION}


def test_the_file_of_another_evaluation_is_never_replaced(tmp_path):
    first, second = (replace(CALIBRATION, evaluation=name) for name in ("a/b", "a_b"))
    assert [write(tmp_path, each).name for each in (first, second)] == ["a_b.json", "search.a_b.json"]
    assert load_calibrations(tmp_path) == {("search", "a/b"): first, ("search", "a_b"): second}
    (tmp_path / "a_b.json").rename(tmp_path / "search.a_b.json")
    with pytest.raises(UsageError, match="is the calibration of another evaluation"):
        calibration_path(tmp_path, second)
