"""`metrics.txt`: OpenMetrics text that GitLab's own reader understands, whatever the names are."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest
import reporting
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from evalwire import reports
from evalwire.model import Report


def text_of(report: Report) -> str:
    return "".join(reports.pieces(report, "metrics"))


def read_by_gitlab(text: str) -> dict[str, str]:
    """The metrics as GitLab reads them: comments go, then a line is split as a shell does."""
    lines = (shlex.split(re.sub(r"#.*$", "", line)) for line in text.splitlines())
    return {words[0]: words[1] for words in lines if words}


def samples_of(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_each_experiment_has_its_numbers_and_each_score_its_mean():
    report = reporting.red_report()
    found = samples_of(text_of(report))
    for result in report.results:
        assert found["evalwire_passed", result.name] == report.passed(result)
        assert found["evalwire_examples", result.name] == result.example_count
        assert found["evalwire_failed_runs", result.name] == result.bad_runs
        for score in result.scores:
            if score.mean is not None:
                assert found["evalwire_score", result.name, score.name] == pytest.approx(score.mean, rel=1e-5)
    assert len(read_by_gitlab(text_of(report))) == len(found)


@pytest.mark.parametrize(
    "name", ["top_k", "two words", 'a "quoted" \\ name', "it's #1", "line\nbreak 1\r2", "a{b=c} 5"]
)
def test_any_name_is_a_label_for_both_readers(name):
    result = reporting.result(
        "any", [reporting.run(1, evaluations=(reporting.evaluation(name, 0.5),))], evaluators=(name,)
    )
    text = text_of(replace(reporting.red_report(), results=(result,), gates=(), baselines=()))
    (value,) = [value for (metric, *_), value in samples_of(text).items() if metric == "evalwire_score"]
    assert value == 0.5
    assert [read for metric, read in read_by_gitlab(text).items() if metric.startswith("evalwire_score{")] == ["0.5"]


def test_a_cost_that_is_not_known_is_left_out():
    run = reporting.run(1, evaluations=(reporting.boolean("right", passed=True, usage=()),))
    report = replace(reporting.red_report(), results=(reporting.result("a", [run], evaluators=("right",)),), gates=())
    assert samples_of(text_of(report))["evalwire_cost_usd", "a"] == 0.001
    (usage,) = run.usage
    unpriced = replace(run, usage=(replace(usage, model="unknown", unpriced=1, cost_usd=0.0),))
    report = replace(report, results=(reporting.result("a", [unpriced], evaluators=("right",)),))
    assert "cost" not in text_of(report)


def test_a_job_without_results_is_an_empty_report():
    assert text_of(replace(reporting.red_report(), results=(), gates=(), baselines=())) == "# EOF\n"
