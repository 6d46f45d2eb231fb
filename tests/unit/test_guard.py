"""The guard of the benchmark fails only on a ratio that is far off, or if evalwire could not be measured."""

from __future__ import annotations

import pytest
from benchmarks.table import Line, Target

AT_MOST, AT_LEAST = ("at most", 1.1), ("at least", 1.2)


@pytest.mark.parametrize(
    ("ours", "theirs", "target", "is_far"),
    [
        (1.0, 1.0, AT_MOST, False),
        (2.1, 1.0, AT_MOST, False),
        (2.3, 1.0, AT_MOST, True),
        (1.2, 1.0, AT_LEAST, False),
        (0.61, 1.0, AT_LEAST, False),
        (0.59, 1.0, AT_LEAST, True),
        (None, 1.0, AT_MOST, True),
        (1.0, None, AT_MOST, False),
        (9.9, 1.0, None, False),
    ],
)
def test_a_ratio_that_misses_its_target_twice_is_far_off(ours, theirs, target, is_far):
    if target is not None:
        target = Target(relation=target[0], ratio=target[1])
    line = Line(row="r", measured="m", unit="s", ours=ours, other="o", theirs=theirs, target=target)
    assert line.is_far_off(2.0) is is_far
