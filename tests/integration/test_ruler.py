"""The example in examples/judge, as its user goes through it: noise, labels in a browser, agreement, calibrated gates."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from browser import browser, find

pytestmark = [pytest.mark.needs_phoenix, pytest.mark.browser]

ROOT = Path(__file__).parents[2]
SETTINGS = """
[dataset]
csv_path = "testset.csv"

[experiments.refund_answers.gates]
judged = {{ {gates} }}
"""
LABELS = 120
CALIBRATED = 'min_pass_rate = 0.6, max_drop = 0.3, corrected = true, min_kappa = 0.2, max_calibration_age = "90d"'


@pytest.fixture(scope="module")
def chromium():
    program = find()
    if program is None:
        if os.environ.get("EVALWIRE_REQUIRE_BROWSER_TESTS") == "1":
            pytest.fail("there is no Chromium, and EVALWIRE_REQUIRE_BROWSER_TESTS=1")
        pytest.skip("there is no Chromium (Debian's package: chromium)")
    with browser(program) as found:
        yield found


@pytest.fixture
def example(phoenix_project, tmp_path):
    """The example, with a prefix of its own in the shared Phoenix."""
    shutil.copytree(ROOT / "examples/judge", tmp_path, dirs_exist_ok=True)
    for name in ("test-results", "judges"):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
    phoenix_project.environ["EVALWIRE_PREFIX"] = f"ruler-{tmp_path.name}"
    return phoenix_project


def results(project):
    return json.loads((project.directory / "test-results/results.json").read_text())


def label_in_browser(project, chromium, *, annotator, labels, slip=()):
    """Label outputs by keyboard, as a person who compares the output with the expected number of days."""
    process = project.start("label", "judged", "--no-browser", "--annotator", annotator)
    try:
        url = next(found[0] for line in process.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+/#\S+", line)))
        with chromium.page(width=360, height=740) as page:
            page.open(url)
            page.wait_for("document.body.dataset.ready === 'yes'")
            for place in range(labels):
                page.wait_for(f"document.getElementById('place').textContent.startsWith('Output {place + 1} of ')")
                days = page.js("document.getElementById('expected').textContent.match(/\\d+/)[0]")
                is_right = f"within {days} days" in page.js("document.getElementById('output').textContent")
                page.press("1" if is_right != (place in slip) else "0")
            page.wait_for(f"document.getElementById('place').textContent.startsWith('Output {labels + 1} of ')")
            assert page.complaints == []
    finally:
        process.terminate()
    out, err = process.communicate(timeout=60)
    assert "labels of" in out + err


def test_from_an_untested_judge_to_a_gate_that_can_be_trusted(example, chromium):
    ran = example.run("run", "--upload", "--csv", "testset.csv", SEED="1")
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    assert "judged not calibrated: to compare with people, use `evalwire label judged`" in ran.stdout

    ran = example.run("run", SEED="2")
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    noise = example.run("noise")
    assert noise.returncode == 0, noise.stderr
    flips = float(re.search(r"judged: ([\d.]+)% of the verdicts flip", noise.stdout)[1])
    assert 10 < flips < 30, "the judge errs by chance: 2 * 0.92 * 0.08 of the right and 2 * 0.69 * 0.31 of the wrong"

    label_in_browser(example, chromium, annotator="ann", labels=LABELS)
    label_in_browser(example, chromium, annotator="bob", labels=20, slip={3, 7})
    judged = example.run("judge", "judged")
    assert judged.returncode == 0, (judged.stdout, judged.stderr)
    assert f"refund_answers.judged: {LABELS - 2} labels by 2 people" in judged.stdout
    assert "people differ on 2 outputs" in judged.stdout
    calibration = json.loads((example.directory / "judges/judged.json").read_text())
    table = calibration["table"]
    assert 0.84 < table["true_passes"] / (table["true_passes"] + table["false_failures"]) < 0.99
    assert 0.4 < table["true_failures"] / (table["true_failures"] + table["false_passes"]) < 0.95
    assert calibration["models"] == ["stand-in-judge-1"]
    file = (example.directory / "judges/labels/judged.csv").rename(example.directory / "elsewhere.csv")
    annotated = example.run("judge", "judged")
    assert annotated.returncode == 0, (annotated.stdout, annotated.stderr)
    again = json.loads((example.directory / "judges/judged.json").read_text())
    assert again["table"] == table, "Phoenix has the same labels as annotations"
    with file.open("a") as labels:
        labels.write(f"{calibration['experiment_id']},,nowhere,1,ann,pass,,\n")
    named = example.run("judge", "judged", "--labels", "elsewhere.csv")
    assert "1 label without an output: nowhere" in named.stdout

    example.write({"evalwire.toml": SETTINGS.format(gates=CALIBRATED)})
    ran = example.run("run", SEED="3")
    assert ran.returncode == 0, (ran.stdout, ran.stderr)
    assert re.search(r"judged calibrated on \d{4}-\d\d-\d\d with 118 labels, kappa 0\.\d\d", ran.stdout)
    found = {gate["rule"]: gate for gate in results(example)["gates"]}
    assert found["min_pass_rate"]["is_corrected"]
    assert 0.68 < found["min_pass_rate"]["value"] < 0.9, "the true pass rate is about 0.8"
    assert found["min_kappa"]["status"] == "passed"
    gated = example.run("gate", "--experiment", "last")
    assert gated.returncode == 0, (gated.stdout, gated.stderr)

    prompt = example.directory / "experiments/refund_answers/_judge_prompt.py"
    prompt.write_text(prompt.read_text().replace("right number", "correct number"))
    ran = example.run("run", SEED="3")
    assert ran.returncode == 1, (ran.stdout, ran.stderr)
    assert "judged was changed since it was calibrated: experiments/refund_answers/_judge_prompt.py" in ran.stdout
