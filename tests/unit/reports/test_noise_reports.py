"""The noise of experiments in each format: the same sentences, within 80 columns, without markup in names."""

from __future__ import annotations

import html
import re

import pytest

from evalwire import reports
from evalwire.model import DropTest, ExampleNoise, ExperimentNoise, GateNoise, LimitNoise, Noise, ScoreNoise

ODD = "<b>`|q1\n"


def noise(*changes: float, runs: int = 3, is_bool: bool = True) -> Noise:
    examples = [
        ExampleNoise(example_id=ODD if number == 0 else f"q{number}", scores=(1.0, 0.0, 1.0)[:runs], change=change)
        for number, change in enumerate(changes)
    ]
    return Noise(is_bool=is_bool, examples=tuple(examples), runs=runs)


def score(found: Noise, *, limit: str = "2 points", tolerance: float = 0.02, **fields) -> ScoreNoise:
    test = DropTest(deviation=found.deviation, is_bool=found.is_bool, tolerance=tolerance)
    gate = GateNoise(limit=limit, test=test, failed=1, pairs=3, required=fields.pop("required", None))
    return ScoreNoise(name="is_right", noise=found, gate=gate, **fields)


NOISY = noise(*[2 / 3] * 24, *[0.0] * 96)
SEARCH = ExperimentNoise(
    name="search",
    runs=3,
    examples=120,
    when="2026-11-30 10:00 to 12:00 UTC, commit 9e66459",
    usd=0.0021,
    scores=(score(NOISY, judge=noise(*[0.5] * 10, *[0.0] * 110, runs=2)),),
    limits=(LimitNoise(name="is_right min_pass_rate", failed=1, runs=3),),
)


def shown(*measured: ExperimentNoise, format_: str = "text", width: int | None = None) -> str:
    return "".join(reports.noise.pieces(measured, format_, width=width))


def words(text: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


@pytest.mark.parametrize("format_", reports.noise.FORMATS)
def test_each_format_says_it_all(format_):
    text = words(shown(SEARCH, format_=format_)).replace("\\_", "_").lower()
    for sentence in (
        "13.3% of the verdicts flip between two runs of the same code",
        "95% interval 9.2% to 18.8%; 120 examples, 360 pairs of runs",
        "12 of 120 examples make half of the noise: ",
        "(2 of 3 passed), ",
        "and 9 more",
        "31% of the noise is the judge's: 4.2% of the verdicts flip on the same output (120 examples scored 2 times)",
        "the gate max_drop (2 points) would have failed in 1 of 3 pairs of these runs",
        "with 120 examples, the gate finds a drop of 11.1 points in 4 of 5 cases, and a drop of 5 points in 36 of 100",
        "to find a drop of 5 points in 4 of 5 cases: 452 examples, or 4 runs of each example",
        "is_right min_pass_rate failed in 1 of 3 runs of the same code",
        "452 (0.949 usd)",
        "allowed",
    ):
        assert sentence in text or sentence.replace("'", "&#39;") in text, sentence


def test_the_text_fits_a_terminal_of_80_columns():
    text = shown(SEARCH)
    assert max(map(len, text.splitlines())) <= 80
    assert max(map(len, shown(SEARCH, width=60).splitlines()[:8])) <= 60


def test_an_experiment_without_noise_says_why():
    nothing = ExperimentNoise(name="search", note="needs 2 runs. Run `evalwire noise --runs 2`")
    for format_ in reports.noise.FORMATS:
        assert "needs 2 runs. Run" in shown(nothing, SEARCH, format_=format_).replace("Needs", "needs")


def test_names_are_no_markup():
    page = shown(SEARCH, format_="html")
    assert "<b>`" not in page
    assert "&lt;b&gt;`|q1" in page
    comment = shown(SEARCH, format_="markdown")
    assert "``<b>`|q1``" in comment
    assert "\x1b" not in shown(SEARCH)


def test_scores_that_never_change_are_not_predicted_if_they_are_numbers():
    still = ExperimentNoise(
        name="search", runs=2, when="now", scores=(score(noise(*[0.0] * 30, is_bool=False), limit="0.1"),)
    )
    text = words(shown(still))
    assert "no example changed" in text
    assert "without noise, nothing is predicted" in text
    assert "examples to find" not in text
    assert "<svg" not in shown(still, format_="html")


def test_bools_that_never_change_have_a_plan():
    still = ExperimentNoise(name="search", runs=2, when="now", scores=(score(noise(*[0.0] * 30)),))
    assert "with 30 examples, the gate finds a drop of" in words(shown(still))


def test_numbers_have_drops_of_their_own_unit():
    found = score(noise(*[4.0] * 30, is_bool=False), limit="1", tolerance=1.0, unit=50.0)
    text = words(shown(ExperimentNoise(name="search", runs=2, when="now", scores=(found,))))
    assert "the scores of an example typically differ by 2.000 between two runs" in text
    assert "a drop of 2.5 in 100 of 100" in text


def test_a_required_drop_that_the_gate_allows_has_no_plan():
    found = score(NOISY, tolerance=0.05, required=0.04)
    text = words(shown(ExperimentNoise(name="search", runs=2, when="now", scores=(found,))))
    assert "no sample finds a drop of 4 points, because max_drop allows it" in text


def test_an_evaluation_without_a_gate_says_so():
    text = words(shown(ExperimentNoise(name="search", runs=2, when="now", scores=(score(NOISY, limit=""),))))
    assert "no gate limits a drop. The figures assume max_drop = 0" in text


def test_the_page_loads_nothing_and_runs_nothing():
    page = shown(SEARCH, format_="html")
    assert "default-src 'none'; script-src 'none'; style-src 'sha256-" in html.unescape(page)
    assert "<script" not in page
    assert page.count("<svg") == 2
