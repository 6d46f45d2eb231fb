"""Each check behind promise 1 is taken out of a copy of the program; a test must then fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.needs_phoenix, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[1]
GREEN = "tests/test_never_green.py"
BROKEN = f"{GREEN}::test_a_broken_experiment_is_red_and_says_what_is_wrong"

CHECKS = {
    "an unknown name": (
        "discovery.py",
        "            raise NothingToRunError(_unknown(name, known, root))",
        "            pass",
        f"{GREEN}::test_an_unknown_name_is_red_and_runs_nothing",
    ),
    "nothing found": (
        "job.py",
        "    if not found.experiments:",
        "    if False:",
        f"{GREEN}::test_nothing_to_run_is_red",
    ),
    "an import that fails": (
        "discovery.py",
        "        except BaseException as error:\n            problems.append(_problem(error, path, folder))",
        "        except BaseException as error:\n            pass",
        f"{BROKEN}[files6-OSError: at import]",
    ),
    "an evaluator file without its callable": (
        "discovery.py",
        "            if path.name not in HELPERS:",
        "            if False:",
        f"{BROKEN}[files5-e.py defines no `e`]",
    ),
    "an experiment without an evaluator": (
        "discovery.py",
        "    if not evaluators and not problems:",
        "    if False:",
        f"{BROKEN}[files0-has no evaluator]",
    ),
    "an empty dataset": (
        "engine.py",
        "        if not examples:",
        "        if False:",
        f"{GREEN}::test_an_empty_dataset_is_red",
    ),
    "a dataset that is not there": (
        "engine.py",
        '            progress.failure = _failure(error, stage="open")\n            return',
        "            return",
        f"{GREEN}::test_a_missing_dataset_is_red",
    ),
    "a score that is NaN": (
        "returns.py",
        '    if not math.isfinite(value):\n        raise ValueError(f"the score is',
        '    if False:\n        raise ValueError(f"the score is',
        f"{BROKEN}[files16-the score is nan]",
    ),
    "an output without a JSON form": (
        "returns.py",
        '    raise TypeError(\n        f"a {type(value).__qualname__} has no JSON form',
        '    return {}\n    raise TypeError(\n        f"a {type(value).__qualname__} has no JSON form',
        f"{BROKEN}[files12-a object has no JSON form]",
    ),
    "a record that is lost": (
        "engine.py",
        '            run = dataclasses.replace(run, record_failure=_failure(error, stage="record"))',
        "            pass",
        f"{GREEN}::test_a_record_that_phoenix_refuses_is_red[/runs]",
    ),
    "an evaluation that is lost": (
        "recording.py",
        "            for index, evaluation in enumerate(evaluations):",
        "            for index, evaluation in enumerate([]):",
        f"{GREEN}::test_a_record_that_phoenix_refuses_is_red[/experiment_evaluations]",
    ),
    "a record that only seemed to arrive": (
        "engine.py",
        "        if missing:",
        "        if False:",
        "tests/test_faults.py::test_a_run_that_phoenix_never_got_is_found_and_named",
    ),
    "an output of another job in its place": (
        "gateway.py",
        'or not is_same_json(held["output"], run.output):',
        "or False:",
        "tests/test_gateway.py::test_a_run_that_somebody_else_recorded_is_no_success",
    ),
    "a failed task": (
        "model.py",
        (
            "        if not whole or self.not_run or self.failed_runs:\n            return False\n"
            "        return all(map(self._is_judged, self.runs)) and not self.incomplete_scores"
        ),
        "        return whole",
        f"{GREEN}::test_a_failure_names_example_exception_and_line",
    ),
    "examples that were not run": (
        "model.py",
        "        if not whole or self.not_run or",
        "        if not whole or",
        "tests/test_model.py",
    ),
    "a dataset that holds a part of an upload": (
        "gateway.py",
        "            if unfinished is not None:",
        "            if False:",
        "tests/test_upload.py::test_a_run_refuses_a_dataset_that_holds_a_part_of_its_first_upload[1]",
    ),
    "an upload that is not all there": (
        "uploading.py",
        "    if missing or other or more > 0:",
        "    if False:",
        "tests/test_uploading.py::test_what_is_not_there_afterwards_is_an_error[missing]",
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_without_the_check_a_test_fails(name, tmp_path, phoenix_url):
    file, check, nothing, test = CHECKS[name]
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "app/evalwire" / file
    text = path.read_text()
    assert text.count(check) == 1, f"the check is no longer in {file}"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "app"), "EVALWIRE_TEST_PHOENIX": phoenix_url}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]

    def tests_pass() -> bool:
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stdout + done.stderr  # 4 and 5: no such test
        return done.returncode == 0

    assert tests_pass()
    path.write_text(text.replace(check, nothing))
    assert not tests_pass()
