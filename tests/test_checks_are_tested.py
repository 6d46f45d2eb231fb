"""Each check behind promise 1 is taken out of a copy of the program; a test must then fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[1]
GREEN = "tests/test_never_green.py"
BROKEN = f"{GREEN}::test_a_broken_experiment_is_red_and_says_what_is_wrong"

SHARDS = "tests/test_shards.py"
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
        "        if not examples and not opened.is_empty_part:",
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
            "        return all(map(self.is_judged, self.runs)) and not self.incomplete_scores"
        ),
        "        return whole",
        f"{GREEN}::test_a_failure_names_example_exception_and_line",
    ),
    "examples that were not run": (
        "model.py",
        "        if not whole or self.not_run or",
        "        if not whole or",
        "tests/test_model.py::test_examples_that_did_not_run_are_counted",
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
    "a missing shard": (
        "whole.py",
        "    if not missing:",
        "    if True:",
        f"{SHARDS}::test_a_shard_that_never_came_is_named",
    ),
    "a shard of another division": (
        "opening.py",
        '        if facts.get("shards") != self._sharing.total:',
        "        if False:",
        f"{SHARDS}::test_a_shard_that_never_came_is_named",
    ),
    "a shard of another job": (
        "opening.py",
        "        if job and own and self._sharing.shard is not None and job != own:",
        "        if False:",
        f"{SHARDS}::test_ci_tells_the_shard_and_the_run",
    ),
    "a shard that was taken over": (
        "engine.py",
        "        opened.shard is not None and isinstance(error, RunTaken)",
        "        False",
        f"{SHARDS}::test_a_shard_that_stood_still_and_was_replaced_records_nothing_twice",
    ),
    "other code": (
        "opening.py",
        "evaluator_hashes(experiment)], sort_keys=True)",
        "], sort_keys=True)",
        f"{SHARDS}::test_other_evaluators_are_another_experiment",
    ),
    "a shared experiment that is gone": (
        "opening.py",
        '                raise ExperimentNotFound(f"{error}\\n{_BEGIN_ANEW}") from error\n            log',
        "                pass\n            log",
        f"{SHARDS}::test_an_experiment_that_a_plan_names_and_somebody_deleted",
    ),
    "a plan without a shard": (
        "sharing.py",
        "        if settings.plan is not None:",
        "        if False:",
        f"{SHARDS}::test_a_plan_without_a_shard_runs_nothing",
    ),
    "a result of one shard": (
        "commands/gate.py",
        "        if report.shard is not None:",
        "        if False:",
        f"{SHARDS}::test_a_result_of_one_shard_is_not_taken_for_the_whole",
    ),
    "another experiment under the id of a plan, for a shard": (
        "opening.py",
        "        if past.is_same(recorded_name=",
        "        if True or past.is_same(recorded_name=",
        f"{SHARDS}::test_another_experiment_that_has_the_id_of_one_of_a_plan",
    ),
    "another experiment under the id of a plan, for the gate": (
        "whole.py",
        "    if not begun.is_same(",
        "    if False and not begun.is_same(",
        f"{SHARDS}::test_another_experiment_that_has_the_id_of_one_of_a_plan",
    ),
    "another experiment under the id of a claim": (
        "opening.py",
        '        if facts_of(record["metadata"]).get("claim") != claim:',
        "        if False:",
        f"{SHARDS}::test_another_experiment_that_has_the_id_of_one_that_was_agreed_on",
    ),
    "a run without its evaluations": (
        "whole.py",
        "if run.failures or result.is_judged(run))",
        ")",
        f"{SHARDS}::test_a_run_that_nobody_judged_is_not_there_yet",
    ),
}


@pytest.mark.parametrize("name", CHECKS)
def test_the_check_is_where_it_is_looked_for(name):
    """So that `make slow` does not find out long after a change."""
    file, check, _, test = CHECKS[name]
    assert (ROOT / "app/evalwire" / file).read_text().count(check) == 1, f"the check is no longer in {file}"
    path, _, function = test.partition("[")[0].partition("::")
    assert function, "a check names the one test that fails without it"
    assert f"def {function}(" in (ROOT / path).read_text()


@pytest.mark.slow
@pytest.mark.needs_phoenix
@pytest.mark.parametrize("name", CHECKS)
def test_without_the_check_a_test_fails(name, tmp_path, phoenix_url):
    file, check, nothing, test = CHECKS[name]
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "app/evalwire" / file
    text = path.read_text()
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "app"), "EVALWIRE_TEST_PHOENIX": phoenix_url}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "slow or not slow", test]

    def tests_pass() -> bool:
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
        assert done.returncode in (0, 1), done.stdout + done.stderr  # 4 and 5: no such test
        return done.returncode == 0

    assert tests_pass()
    path.write_text(text.replace(check, nothing))
    assert not tests_pass()
