"""Whole jobs with a budget, on a Phoenix in memory: what is called, the outcome, the reports, and what resumes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from memory_project import MemoryProject

from evalwire.cli.commands.check import check
from evalwire.cli.commands.gate import gate
from evalwire.cli.commands.plan import plan
from evalwire.cli.commands.resume import resume
from evalwire.cli.commands.run import run
from evalwire.model import own_metadata

TASK = """
import os
from opentelemetry import trace

def call_model(dollars, model):
    with trace.get_tracer("test").start_as_current_span("chat") as span:
        span.set_attribute("openinference.span.kind", "LLM")
        span.set_attribute("llm.model_name", model)
        span.set_attribute("llm.token_count.prompt", int(float(dollars) * 1_000_000))
        span.set_attribute("llm.token_count.completion", 0)

def task(example):
    n = int(example.id[1:])
    with open(os.environ["CALLS"], "a") as file:
        file.write(f"{example.id}\\n")
    if os.environ.get("FAILS") == example.id:
        raise ValueError("bad")
    if os.environ["DOLLARS"] != "none":
        call_model(os.environ["DOLLARS"], os.environ.get("MODEL", "m"))
    return n < int(os.environ.get("GOOD", "100"))
"""
GOOD = "def good(output):\n    return bool(output)\n"
JUDGE = """
import os
from .task import call_model

def good(output):
    call_model(os.environ["DOLLARS"], "m")  # VERSION
    return bool(output)
"""
PRICES = "[experiments]\ntask_concurrency = 1\n[prices]\nm = { input = 1.0, output = 1.0 }\n"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Ten examples, each of which costs 1 USD and a million tokens."""
    made = MemoryProject(tmp_path, monkeypatch, size=10, of_split=2, task=TASK, good=GOOD)
    made.settings(PRICES)
    made.set(DOLLARS="1")
    return made


def called(project):
    return project.calls.read_text().split()


def test_job_out_of_budget_fails_and_makes_no_further_call(project):
    code, text = project.call(run, {"max_cost_usd": "4"})
    assert code == 1
    assert called(project) == ["q0", "q1", "q2", "q3"]
    first = next(line for line in text.splitlines() if line.startswith("OUT"))
    assert first.startswith("OUT OF BUDGET after 4.00 of 4.00 USD: 1 experiment, 10 examples, 6 not run")
    found = project.results
    assert (found["outcome"], found["exit_code"]) == ("out_of_budget", 1)
    budget = found["budget"]
    assert (budget["max_cost_usd"], budget["spent_usd"], budget["spent_tokens"]) == (4.0, 4.0, 4_000_000)
    assert budget["ended"] == "4.00 USD of the budget of 4.00 USD are used, and the next run may use 1.00 USD"
    assert found["experiments"][0]["failure"]["kind"] == "budget"
    (record,) = project.phoenix.experiments.records.values()
    facts = own_metadata(record["metadata"])
    assert (facts["outcome"], facts["budget"]["spent_usd"]) == ("out_of_budget", 4.0)


def test_every_report_names_the_end_of_the_budget(project):
    project.call(run, {"max_cost_usd": "4"})
    reports = {path.name: path.read_text() for path in (project.folder / "reports").iterdir()}
    assert reports["summary.md"].startswith("## ❌ evalwire OUT OF BUDGET after 4.00 of 4.00 USD: 6 not run")
    assert reports["evalwire.xml"].count('message="not run: out of budget"') == 6
    assert "OutOfBudget: 4.00 USD of the budget" in reports["evalwire.xml"]
    assert "The budget ended the job after 4.00 of 4.00 USD" in reports["report.html"]
    assert "OutOfBudget" in reports["gl-code-quality-report.json"]


def test_advised_command_completes_the_job_and_pays_only_the_rest(project):
    _, text = project.call(run, {"max_cost_usd": "4"})
    advised = next(line for line in text.splitlines() if line.startswith("To complete the job"))
    assert advised.endswith(" --max-cost 7.5")
    code, text = project.call(resume, {"max_cost_usd": "7.5"})
    assert code == 0, text
    assert called(project) == [f"q{n}" for n in range(4, 10)]
    assert "10.00 of 11.50 USD used" in text
    assert project.results["outcome"] == "passed"


def test_resumed_job_has_the_rest_of_its_budget(project):
    """Without the flag, the limit in the journal is for all attempts together."""
    project.call(run, {"max_cost_usd": "4"})
    code, _ = project.call(resume)
    assert (code, called(project)) == (1, [])
    project.settings(PRICES + "[budget]\nmax_cost_usd = 6.0\n")
    code, text = project.call(resume)
    assert (code, called(project)) == (1, ["q4", "q5"])
    assert "OUT OF BUDGET after 6.00 of 6.00 USD" in text


def test_a_first_run_that_fails_without_a_call_does_not_let_all_others_start(project):
    project.set(FAILS="q0")
    code, text = project.call(run, {"max_cost_usd": "3", "task_concurrency": "10", "retries": "0"})
    assert (code, len(called(project))) == (1, 4), text
    assert project.results["budget"]["spent_usd"] == 3.0


def test_retried_failures_count_twice(project):
    """A later line of the journal replaces the result of a run, but not what the run cost."""
    project.set(FAILS="q1")
    project.call(run, {"max_cost_usd": "20", "retries": "0"})
    project.set(FAILS="")
    _, text = project.call(resume, retry_failed=True)
    assert called(project) == ["q1"]
    assert "10.00 of 20.00 USD used" in text, "the failed call cost nothing, and 9 + 1 others"


def test_calls_of_judges_pay_from_the_same_budget(project):
    project.write(good=JUDGE)
    project.call(run, {"max_cost_usd": "4"})
    assert called(project) == ["q0", "q1"]


def test_rescoring_a_baseline_pays_from_the_same_budget(project):
    """A new judge is called on the outputs of the baseline: outputs that it cannot score fail the job."""
    assert project.call(run)[0] == 0
    project.write(judge=JUDGE.replace("good", "judge"))
    project.settings(PRICES + "[experiments.search.gates]\njudge = { max_drop = 0.5 }\n")
    code, text = project.call(run, {"max_cost_usd": "24"})
    assert (code, project.results["outcome"], len(called(project))) == (1, "out_of_budget", 10), text
    assert project.results["budget"]["spent_usd"] == 24.0, "20 for this run, and 4 for the baseline"
    assert "To complete the job: evalwire resume" in text
    code, text = project.call(resume, {"max_cost_usd": "6"})
    assert (code, called(project)) == (0, []), text
    assert project.results["budget"]["spent_usd"] == 30.0


@pytest.mark.parametrize("flag", ["max_cost_usd", "max_tokens"])
def test_forecast_above_the_budget_starts_nothing(project, flag):
    project.call(run)
    limit = {"max_cost_usd": "9.5", "max_tokens": "9_500_000"}[flag]
    code, text = project.call(run, {flag: limit})
    assert (code, called(project)) == (1, [])
    assert "nothing was run: the forecast of 10" in text
    assert project.results["outcome"] == "out_of_budget"
    assert project.results["budget"]["forecast"]["usd"] == 10.0
    summary = (project.folder / "reports" / "summary.md").read_text()
    assert "OUT OF BUDGET: the forecast of the job is above its budget" in summary


def test_job_may_try_although_its_forecast_is_above_the_budget(project):
    project.call(run)
    project.settings(PRICES + '[budget]\nstart = "try"\n')
    code, text = project.call(run, {"max_cost_usd": "3"})
    assert (code, len(called(project))) == (1, 3)
    assert "forecast: about 10.00 USD (10.00 to 10.00), 10,000,000 tokens for 10 runs, based on" in text


def test_forecast_is_within_ten_percent_of_the_usage(project):
    project.call(run)
    _, text = project.call(run, {"max_cost_usd": "12"})
    budget = project.results["budget"]
    assert budget["forecast"]["usd"] == pytest.approx(budget["spent_usd"], rel=0.1)
    assert "10.00 of 12.00 USD used" in text


def test_forecast_without_a_past_is_not_known(project):
    _, text = project.call(run, {"max_cost_usd": "12"})
    expected = "forecast: not known, because no complete experiment with a recorded usage was found; budget 12.00 USD"
    assert expected in text


def test_check_forecasts_the_cost_of_repetitions(project):
    project.call(run)
    flags = {"repetitions": "3", "max_cost_usd": "20"}
    code, text = project.call(check, flags, has_cost=True)
    assert code == 1
    assert "FAILED  cost: about 30.00 USD (30.00 to 30.00), 30,000,000 tokens for 30 runs" in text
    assert called(project) == []


def test_unknown_price_ends_the_job_and_is_named(project):
    project.set(MODEL="new")
    code, text = project.call(run, {"max_cost_usd": "100"})
    assert (code, called(project)) == (1, ["q0"])
    assert "OUT OF BUDGET (a price or a token count is not known): 1 experiment" in text
    assert 'Add "new" = { input = N, output = N } below [prices]' in text
    assert project.results["budget"]["is_unknown"]


def test_a_call_of_unknown_price_is_not_forgotten_by_resume(project):
    """The job made all its runs. Nothing is left to call, but what it cost is still not known."""
    project.write(task=TASK.replace('os.environ.get("MODEL", "m")', '"m" if n < 9 else "new"'))
    assert project.call(run, {"max_cost_usd": "100"})[0] == 1
    code, text = project.call(resume)
    assert code == 2, text
    assert "because of an earlier call: the price of new is not known" in text
    project.settings(PRICES + "new = { input = 2.0, output = 2.0 }\n")
    code, text = project.call(resume)
    assert (code, called(project)) == (0, []), text
    assert project.results["budget"]["spent_usd"] == 11.0


def test_a_call_of_unknown_price_is_not_forgotten_by_a_restarted_shard(project):
    project.write(task=TASK.replace('os.environ.get("MODEL", "m")', '"m" if n < 8 else "new"'))
    shard = {"shard": "1/2", "run_key": "7", "max_cost_usd": "100"}
    for _ in range(2):
        code, text = project.call(run, shard)
        assert (code, "OUT OF BUDGET" in text) == (1, True), text
    assert called(project) == []
    project.settings(PRICES + "new = { input = 2.0, output = 2.0 }\n")
    assert project.call(run, shard)[0] == 0
    assert called(project) == []


def test_job_without_a_model_call_fails_although_its_other_gates_pass(project, caplog):
    """The key is missing, and the task returns a canned text."""
    project.settings(PRICES + "[experiments.search.gates]\ngood = { min = 0.9 }\n")
    project.set(DOLLARS="none")
    code, text = project.call(run, {"max_cost_usd": "1"})
    assert (code, len(called(project))) == (1, 10)
    assert "no model was called" in text
    assert caplog.text.count("the first run has no recorded model call") == 1
    assert project.results["outcome"] == "gate_failed"


def test_experiment_may_say_that_it_calls_no_model(project):
    project.settings(PRICES + "[experiments.search.gates]\nmin_llm_calls = 0\n")
    project.set(DOLLARS="none")
    assert project.call(run, {"max_cost_usd": "1"})[0] == 0


@pytest.mark.parametrize(
    ("gate", "good", "outcome"),
    [
        ("good = { min_pass_rate = 0.9 }", 2, "gate_failed"),  # 2 of 4 passed: at most 8 of 10 can
        ("good = { min_pass_rate = 0.8 }", 2, "out_of_budget"),
        ("good = { min_pass_rate = 0.9 }", 4, "out_of_budget"),
        ("good = { max_pass_rate = 0.1 }", 4, "gate_failed"),
        ("good = { max_pass_rate = 0.5 }", 4, "out_of_budget"),
        ("max_cost_usd = 3.0", 4, "gate_failed"),
        ("max_cost_usd = 5.0", 4, "out_of_budget"),
        ("good = { min_examples = 5 }", 4, "out_of_budget"),
    ],
)
def test_gate_that_no_missing_run_could_save_is_named_first(project, gate, good, outcome):
    """A gate on a part is never passed or failed by the missing runs."""
    project.settings(f"{PRICES}[experiments.search.gates]\n{gate}\n")
    project.set(GOOD=str(good))
    code, text = project.call(run, {"max_cost_usd": "4"})
    assert (code, project.results["outcome"]) == (1, outcome), text
    own = [each for each in project.results["gates"] if each["rule"] != "min_llm_calls"]
    if own[0]["status"] == "inconclusive" and "pass_rate" in gate:
        assert own[0]["value"] == good / 4, "of the runs that were made"
    assert [each["status"] for each in own] == ["failed" if outcome == "gate_failed" else "inconclusive"]
    word = "FAILED, out of budget after" if outcome == "gate_failed" else "OUT OF BUDGET after"
    assert f"{word} 4.00 of 4.00 USD" in text


def test_gates_that_are_not_decided_are_told_apart(project):
    project.settings(f"{PRICES}[experiments.search.gates]\ngood = {{ min_pass_rate = 0.5, min_examples = 5 }}\n")
    _, text = project.call(run, {"max_cost_usd": "4"})
    assert "inconclusive: good min_pass_rate is not decided, because 6 of 10 runs were not made" in text
    assert "inconclusive: good min_examples is not decided" in text


def test_experiment_that_the_budget_kept_from_starting_is_not_said_to_have_no_gates(project):
    project.settings(f"{PRICES}[experiments.search.gates]\ngood = {{ min_pass_rate = 0.5 }}\n")
    code, text = project.call(run, {"max_seconds": "0.000001"})
    assert (code, called(project)) == (1, [])
    assert "OUT OF BUDGET" in text
    assert "no gates" not in text


def test_time_of_earlier_attempts_is_added_in_tenths_of_seconds(project):
    project.call(run, {"max_cost_usd": "4"})
    project.call(resume, {"max_cost_usd": "9", "max_seconds": "60"})
    limit = project.results["budget"]["max_seconds"]
    assert limit >= 60
    assert limit == round(limit, 1)


@pytest.mark.parametrize(("tolerance", "outcome"), [("0.05", "errors"), ("0.2", "out_of_budget")])
def test_failed_run_is_named_first_unless_it_may_be_tolerated(project, tolerance, outcome):
    project.settings(f"{PRICES}[experiments.search.gates]\nmax_error_rate = {tolerance}\n")
    project.set(FAILS="q1")
    code, text = project.call(run, {"max_cost_usd": "3"})
    assert (code, project.results["outcome"]) == (1, outcome), text


def test_a_gate_that_ignores_unscored_runs_can_be_saved_by_the_missing_runs(project):
    """3 of 3 runs are ignored, and 1 of 2 passed: with the missing 5, 6 of 7 can pass."""
    score = "{'label': 'odd'} if int(example.id[1:]) < 3 else example.id != 'q3'"
    project.write(good=f"def good(output, example):\n    return {score}\n")
    project.settings(f"{PRICES}[experiments.search.gates]\ngood = {{ min_pass_rate = 0.8, missing = 'ignore' }}\n")
    code, text = project.call(run, {"max_cost_usd": "5"})
    assert (code, project.results["outcome"]) == (1, "out_of_budget"), text
    assert project.call(resume, {"max_cost_usd": "5"})[0] == 0


def test_a_budget_does_not_end_an_experiment_without_gates(project):
    """The budget itself sets a limit on calls, which any part of the runs meets."""
    project.settings(PRICES + "[stopping]\nmin_examples = 2\nbase_branch = true\n")
    code, text = project.call(run, {"max_cost_usd": "20", "stop_early": "true"})
    assert (code, len(called(project))) == (0, 10), text
    assert "--stop-early has no effect: the gates limit only the number of model calls" in text


def test_runs_beyond_an_early_verdict_count_in_forecasts_and_estimates(project):
    """The gates count three runs, but the usage is that of all runs that were in flight."""
    gates = "[gates]\ngood = { min_pass_rate = 0.1 }\n"
    project.settings(PRICES + gates + "[stopping]\nmin_examples = 3\nbase_branch = true\nrisk = 0.3\n")
    _, text = project.call(run, {"stop_early": "true", "task_concurrency": "2"})
    stopping = project.results["experiments"][0]["stopping"]
    left = 10 - stopping["seen"] - stopping["beyond"]
    assert left > 1, text
    assert f"{left} runs not needed (about {left:.2f} USD)" in text
    project.call(run, {"stop_early": "true", "task_concurrency": "10"})
    assert project.results["experiments"][0]["stopping"]["seen"] < 10
    _, text = project.call(run, {"max_cost_usd": "12"})
    assert "forecast: about 10.00 USD" in text


def test_dry_run_holds_the_budget(project):
    code, text = project.call(run, {"max_cost_usd": "2"}, dry_run=5)
    assert (code, called(project)) == (1, ["q0", "q1"])
    assert "OUT OF BUDGET after 2.00 of 2.00 USD (dry run, nothing recorded)" in text
    assert project.phoenix.experiments.records == {}


def test_journal_has_the_budget(project):
    project.call(run, {"max_cost_usd": "4", "max_tokens": "9_000_000"})
    (journal,) = Path(project.folder / "reports").glob("journal_*.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    (budget,) = [line for line in lines if line["type"] == "budget"]
    assert (budget["max_cost_usd"], budget["max_tokens"], budget["max_seconds"]) == (4.0, 9_000_000, None)


def test_job_without_a_budget_has_none_in_its_results(project):
    assert project.call(run)[0] == 0
    assert project.results["budget"] is None


def gate_of_shards(project):
    """Run both shards, and return the exit code and the text of their gate."""
    for shard in ("1/2", "2/2"):
        project.call(run, {"shard": shard, "run_key": "7", "retries": "0"})
        assert len(called(project)) == 5
    return project.call(gate, {"run_key": "7"}, shards=2)


def test_shards_without_a_model_call_fail_their_gate(project):
    """Shards apply no gates, so the limit that their budget sets is applied to all of them together."""
    project.set(DOLLARS="none")
    project.settings(PRICES + "[budget]\nmax_cost_usd = 100.0\n")
    code, text = gate_of_shards(project)
    assert (code, "no model was called" in text) == (1, True), text
    project.settings(PRICES + "[budget]\nmax_seconds = 100.0\n")
    assert project.call(gate, {"run_key": "7"}, shards=2)[0] == 0, "no limit on the usage"


def test_shards_with_model_calls_pass_their_gate(project):
    """A run that failed has no usage in Phoenix, which does not hide the calls of the others."""
    project.set(FAILS="q3")
    project.settings(PRICES + "[gates]\nmax_error_rate = 0.2\n[budget]\nmax_tokens = 100_000_000\n")
    code, text = gate_of_shards(project)
    assert code == 0, text
    assert "min_llm_calls" in {each["rule"] for each in project.results["gates"]}


def test_a_gate_on_a_recorded_experiment_has_the_limit_of_its_budget(project):
    project.set(DOLLARS="none")
    assert project.call(run, {"max_cost_usd": "1"})[0] == 1
    for recorded in ({}, {"experiment_ids": ["last"]}):
        code, text = project.call(gate, **recorded)
        assert (code, "no model was called" in text) == (1, True), text


def test_shards_have_the_limit_of_the_budget_in_their_plan(project):
    project.set(DOLLARS="none")
    path = project.folder / "plan.json"
    assert project.call(plan, {"max_cost_usd": "100"}, shards=1, output=path)[0] == 0
    assert project.call(run, {"plan": str(path), "shard": "1/1"})[0] == 0
    code, text = project.call(gate, {"plan": str(path)})
    assert (code, "no model was called" in text) == (1, True), text
