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
    kappa=0.61,
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
    assert write(tmp_path, replace(other, labels=200)).name == "router.judged.json"
    assert write(tmp_path, replace(CALIBRATION, labels=300)).name == "judged.json"
    found = load_calibrations(tmp_path)
    assert {key: each.labels for key, each in found.items()} == {("search", "judged"): 300, ("router", "judged"): 200}


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
        (calibration_json(CALIBRATION).replace("0.61", '"high"'), "is not a calibration (Expected `float | null`"),
    ],
)
def test_a_file_that_is_not_a_calibration_is_named(tmp_path, text, said):
    (tmp_path / "judged.json").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_calibrations(tmp_path)
    assert said in str(caught.value)
    assert "judged.json" in str(caught.value)
