"""The sources of gates in `evalwire.toml` have their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalwire.settings import load_settings

OF_ALL = """\
[gates]  # of all
max_error_rate = 0.1
top_k = { min = 0.5, max_drop = "5%" }

[gates.judge]
label_share."in correct".max = 0.1
"""

OF_EXPERIMENTS = """\
[experiments]
concurrency = 2
[experiments."./dir".gates]
e.min = 0.1
[experiments.c]
isolate = "thread"
inputs = [
  "a.B",
]
gates.e.max = 0.9
[experiments."a b"]
gates = { e = { min = 0.5 } }
"""


def sources(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "evalwire.toml").write_bytes(text.encode())
    thresholds = load_settings({}, {}, directory=tmp_path).thresholds
    tables = [thresholds.everywhere, *thresholds.experiments.values()]
    tables += [inner for table in tables for inner in table.evaluations.values()]
    return [limit.source.removeprefix(f"{tmp_path}/") for table in tables for limit in table.limits]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_each_limit_has_the_line_of_its_key(tmp_path, end):
    assert sources(tmp_path, OF_ALL.replace("\n", end)) == [
        "evalwire.toml:2: [gates] max_error_rate",
        "evalwire.toml:3: [gates.top_k] min",
        "evalwire.toml:3: [gates.top_k] max_drop",
        'evalwire.toml:6: [gates.judge] label_share."in correct".max',
    ]


def test_gates_of_an_experiment_have_their_lines_however_they_are_written(tmp_path):
    assert sources(tmp_path, OF_EXPERIMENTS) == [
        'evalwire.toml:4: [experiments."./dir".gates.e] min',
        "evalwire.toml:10: [experiments.c.gates.e] max",
        'evalwire.toml:12: [experiments."a b".gates.e] min',
    ]
